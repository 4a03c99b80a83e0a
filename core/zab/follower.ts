/**
 * A member that follows: one stay with one leader, from FOLLOWERINFO until either side gives up.
 *
 *   DISCOVERY ──LEADERINFO/ACKEPOCH──▶ SYNCHRONIZATION ──NEWLEADER/ACK, UPTODATE──▶ BROADCAST
 *
 * What synchronization brings is staged and becomes this member's history in one transaction, at NEWLEADER, together with
 * currentEpoch: no crash can leave half of it.
 *
 * @source Zab, DSN 2011, phases 1–3 (follower); ZooKeeper Learner.syncWithLeader, Follower.processPacket
 */
import type { LogEntry, RoleHost } from "./context.ts";
import type { DurableWrite } from "./effects.ts";
import { makeEntry } from "./log-entry.ts";
import type { Sid } from "./membership.ts";
import type {
  Check,
  Commit,
  Diff,
  LeaderInfo,
  LogPosition,
  NewLeader,
  Phase,
  Proposal,
  Snap,
  SnapChunk,
  Trunc,
  UpToDate,
} from "./messages.ts";
import { samePosition } from "./txn-log.ts";
import { compareZxid, type Epoch, equalZxid, type Zxid } from "./zxid.ts";

/** Messages of the leader to a learner in its stay. */
export type LeaderMessage =
  | LeaderInfo
  | Diff
  | Trunc
  | Snap
  | SnapChunk
  | Proposal
  | NewLeader
  | UpToDate
  | Commit
  | Check;

/** A history under construction. */
interface Staging {
  /** our log is cut back to here first */
  truncateTo: LogPosition | null;
  /** a whole state replaces ours first */
  snapshot: { readonly at: LogPosition; nextIndex: number; done: boolean } | null;
  tail: LogPosition;
  readonly entries: LogEntry[];
}

export class Follower {
  readonly leader: Sid;
  /** the round in which it was elected: of one that led already another than ours */
  readonly electedIn: number;
  join: number;
  readonly #host: RoleHost;
  phase: Phase = "DISCOVERY";
  /** highest zxid of this leader's digests that was found equal here, in this stay; null: none was yet */
  confirmed: Zxid | null = null;
  /** a quorum has confirmed the tree that this member was given, as the leader says */
  confirmedByQuorum = false;
  /** the leader waits for the next one */
  asked = false;
  /** the leader has not compared its tree with ours, and says that a CHECK follows */
  #awaitsCheck = false;
  /** a zxid from which on the leader's tree is known to be right; null: none is */
  #leaderConfirmedAt: Zxid | null = null;
  /** why the synchronization waits, as the leader says; empty: it does not */
  reason = "";
  #epoch: Epoch | null = null;
  #staging: Staging | null = null;
  #joinDeadline: number;
  #heardAt: number;

  constructor(host: RoleHost, leader: Sid, electedIn: number) {
    this.#host = host;
    this.leader = leader;
    this.electedIn = electedIn;
    this.join = host.nextJoin();
    const { now, config } = host.context;
    this.#joinDeadline = now + config.initLimit * config.tickTimeMs;
    this.#heardAt = now;
  }

  /** The tree here is not known to be the leader's: no client is served from it before the leader's digest was found equal. */
  get awaitsComparison(): boolean {
    return this.#awaitsCheck && this.confirmed === null;
  }

  get deadline(): number {
    const { config } = this.#host.context;
    return this.phase === "BROADCAST"
      ? this.#heardAt + config.syncLimit * config.tickTimeMs + 1
      : this.#joinDeadline;
  }

  /** Asks the leader to be taken in. May be repeated while nothing has come back. */
  knock(): void {
    const { context } = this.#host;
    context.send(this.leader, {
      type: "FOLLOWERINFO",
      join: this.join,
      acceptedEpoch: context.acceptedEpoch,
      initialized: context.initialized,
    });
  }

  /** This member stood still for so long: that is no silence of the leader. */
  excuse(stoodMs: number): void {
    this.#heardAt = Math.min(this.#heardAt + stoodMs, this.#host.context.now);
  }

  heard(): void {
    this.#heardAt = this.#host.context.now;
  }

  tick(): void {
    const { now } = this.#host.context;
    if (now < this.deadline) return;
    this.#host.becomeLooking(this.phase === "BROADCAST" ? "the leader is silent" : "joining took too long");
  }

  /** The leader waits with our synchronization until a quorum has confirmed a tree: that is no standing still of ours. */
  wait(): void {
    if (this.phase !== "SYNCHRONIZATION") return;
    this.reason = `the tree of some member differs from that of node ${this.leader}, and no quorum has confirmed either`;
    this.#extendJoin();
  }

  /** A quorum has confirmed the leader's tree, and it stands at `zxid`: one that is found equal there or later is right. */
  noteConfirmed(zxid: Zxid): void {
    this.#leaderConfirmedAt ??= zxid;
  }

  /** The leader's digest at `zxid` equals the one here. The next PONG reports it. */
  noteEqual(zxid: Zxid): void {
    if (this.confirmed === null || compareZxid(this.confirmed, zxid) < 0) this.confirmed = zxid;
    const from = this.#leaderConfirmedAt;
    if (from !== null && compareZxid(from, zxid) <= 0) this.#host.context.treeConfirmed = true;
  }

  /** Says so at once, to a leader that waits for it. */
  confirm(): void {
    const epoch = this.#epoch;
    if (!this.asked || epoch === null || this.confirmed === null) return;
    this.asked = false;
    const { confirmed: zxid, join } = this;
    this.#host.context.send(this.leader, { type: "CONFIRM", join, epoch, zxid });
  }

  /** The tree here differs from the leader's at `zxid`: tells it, and comes back for a whole state. */
  diverge(zxid: Zxid): void {
    this.#host.context.diverged = { from: this.leader, at: zxid };
    this.#host.context.treeConfirmed = false;
    this.#host.becomeLooking("the digest differs from the leader's");
  }

  /** Handles a message of this stay. @returns false when it cannot belong here: the stay is over */
  receive(message: LeaderMessage): boolean {
    if (message.type === "LEADERINFO") return this.#handleLeaderInfo(message);
    if (this.#epoch === null || message.epoch !== this.#epoch) return false;
    switch (message.type) {
      case "DIFF":
        return this.#handleDiff(message);
      case "TRUNC":
        return this.#handleTrunc(message);
      case "SNAP":
        return this.#handleSnap(message);
      case "SNAPCHUNK":
        return this.#handleSnapChunk(message);
      case "PROPOSAL":
        return this.#staging === null ? this.#handleProposal(message) : this.#stageProposal(message);
      case "NEWLEADER":
        return this.#handleNewLeader(message);
      case "UPTODATE":
        return this.#handleUpToDate(message);
      case "COMMIT":
        return this.#handleCommit(message);
      case "CHECK":
        return this.#handleCheck(message);
    }
  }

  #handleLeaderInfo(message: LeaderInfo): boolean {
    const { context } = this.#host;
    if (this.phase === "BROADCAST" && message.epoch === this.#epoch) {
      // The leader dropped us, and a late FOLLOWERINFO of ours made it accept us again: forwarded writes need a new stay.
      this.#host.becomeLooking("the leader has lost sight of us");
      return true;
    }
    if (this.phase === "SYNCHRONIZATION" && message.epoch === this.#epoch) {
      this.#knockAnew();
      return true;
    }
    if (this.phase !== "DISCOVERY") return false;
    if (message.epoch < context.acceptedEpoch) return false;
    const promised = message.epoch > context.acceptedEpoch;
    if (promised) {
      context.acceptedEpoch = message.epoch;
      context.promisedTo = this.leader;
      context.persist([{ type: "acceptedEpoch", epoch: message.epoch, to: this.leader }]);
      context.trace({ type: "epoch", epoch: message.epoch, kind: "accepted" });
    }
    this.#epoch = message.epoch;
    this.#staging = { truncateTo: null, snapshot: null, tail: context.lastLogged, entries: [] };
    this.phase = "SYNCHRONIZATION";
    this.#host.phaseChanged("FOLLOWING", this.phase);
    const diverged = context.diverged?.from === this.leader ? context.diverged : null;
    const saysTree = context.initialized && !context.needSnap;
    context.reply({
      type: "ACKEPOCH",
      join: this.join,
      epoch: message.epoch,
      currentEpoch: context.currentEpoch,
      // A candidate never offers an epoch twice, so a promise to it that is repeated is the same promise.
      counted: context.promisedTo === this.leader,
      last: context.lastLogged,
      needSnap: context.needSnap,
      diverged: diverged !== null,
      ...(diverged === null ? {} : { divergedAt: diverged.at }),
      digest: saysTree ? (context.digest ?? null) : null,
      checksEarly: true,
      boots: [...context.boots],
    });
    return true;
  }

  /**
   * The leader dropped us, and a late FOLLOWERINFO of ours made it accept us again. Answers that we sent in between may still
   * be in flight and must not count in the new stay, so the new stay gets its own `join`.
   */
  #knockAnew(): void {
    this.join = this.#host.nextJoin();
    this.#epoch = null;
    this.#staging = null;
    this.confirmed = null;
    this.confirmedByQuorum = false;
    this.asked = false;
    this.#leaderConfirmedAt = null;
    this.reason = "";
    this.phase = "DISCOVERY";
    this.#host.phaseChanged("FOLLOWING", this.phase);
    this.knock();
  }

  #handleDiff(message: Diff): boolean {
    return this.#staging !== null && equalZxid(this.#staging.tail.zxid, message.from);
  }

  #handleTrunc(message: Trunc): boolean {
    const { context } = this.#host;
    const staging = this.#staging;
    if (staging === null || staging.entries.length > 0 || staging.snapshot !== null) return false;
    const position = context.log.positionAt(message.to);
    // What is applied is never taken back: if the leader lacks it, our tree is of no use, and only SNAP helps.
    const usable = position !== undefined && compareZxid(position.zxid, context.lastProcessedZxid) >= 0;
    if (usable) {
      staging.truncateTo = position;
      staging.tail = position;
    } else {
      context.spurn();
    }
    context.reply({
      type: "POSITION",
      join: this.join,
      epoch: message.epoch,
      last: staging.tail,
      needSnap: !usable,
    });
    return true;
  }

  #handleSnap(message: Snap): boolean {
    const staging = this.#staging;
    if (staging === null || staging.entries.length > 0) return false;
    staging.truncateTo = null;
    staging.snapshot = { at: message.at, nextIndex: 0, done: false };
    staging.tail = message.at;
    this.#host.context.persist([{ type: "snapshotBegin" }]);
    return true;
  }

  #handleSnapChunk(message: SnapChunk): boolean {
    const snapshot = this.#staging?.snapshot;
    if (snapshot == null || snapshot.done || message.index !== snapshot.nextIndex) return false;
    snapshot.nextIndex += 1;
    snapshot.done = message.done;
    this.#extendJoin();
    this.#host.context.persist([{ type: "snapshotChunk", bytes: message.bytes }]);
    this.#replyStaged();
    return true;
  }

  #stageProposal(message: Proposal): boolean {
    const staging = this.#staging;
    if (staging === null || (staging.snapshot !== null && !staging.snapshot.done)) return false;
    const entry = continueLog(staging.tail, message);
    if (entry === undefined) return false;
    staging.entries.push(entry);
    staging.tail = { zxid: entry.last, chain: entry.chain };
    this.#extendJoin();
    this.#replyStaged();
    return true;
  }

  #replyStaged(): void {
    if (this.#epoch === null) return;
    this.#host.context.reply({ type: "STAGED", join: this.join, epoch: this.#epoch });
  }

  /** Progress was made: the limit is on standing still, so that a large SNAP may take its time. */
  #extendJoin(): void {
    const { now, config } = this.#host.context;
    this.#joinDeadline = now + config.initLimit * config.tickTimeMs;
  }

  #handleNewLeader(message: NewLeader): boolean {
    const { context } = this.#host;
    const staging = this.#staging;
    if (staging === null || !equalZxid(staging.tail.zxid, message.last)) return false;
    if (staging.snapshot !== null && !staging.snapshot.done) return false;
    const writes: DurableWrite[] = [];
    if (staging.snapshot !== null) {
      writes.push({ type: "snapshotSwitch", ...staging.snapshot.at });
      context.replaceBy(staging.snapshot.at);
    } else if (staging.truncateTo !== null && !samePosition(staging.truncateTo, context.lastLogged)) {
      writes.push({ type: "truncate", to: staging.truncateTo.zxid });
      context.rewind(staging.truncateTo);
    }
    for (const entry of staging.entries) writes.push(context.extend(entry));
    writes.push({ type: "currentEpoch", epoch: message.epoch });
    context.currentEpoch = message.epoch;
    if (!context.initialized) {
      context.initialized = true;
      context.founding = false;
      writes.push({ type: "initialized" });
    }
    context.persist(writes);
    if (staging.snapshot !== null)
      context.effects.push({ type: "snapshotLoaded", zxid: staging.snapshot.at.zxid });
    context.trace({ type: "epoch", epoch: message.epoch, kind: "current" });
    this.#staging = null;
    this.#replyAck();
    return true;
  }

  #handleProposal(message: Proposal): boolean {
    const { context } = this.#host;
    const entry = continueLog(context.lastLogged, message);
    if (entry === undefined) return false;
    // Nothing of this leader's epoch is accepted before its history is.
    if (context.currentEpoch !== message.epoch) return false;
    context.persist([context.extend(entry)]);
    this.#replyAck();
    if (this.phase === "BROADCAST") {
      if (message.digest !== undefined) context.effects.push({ type: "digest", expected: message.digest });
      context.commitUpTo(message.commit);
    }
    return true;
  }

  #replyAck(): void {
    const { context } = this.#host;
    if (this.#epoch === null) return;
    context.reply({
      type: "ACK",
      join: this.join,
      epoch: this.#epoch,
      zxid: context.lastLogged.zxid,
      patienceMs: context.patienceMs,
    });
  }

  #handleUpToDate(message: UpToDate): boolean {
    const { context } = this.#host;
    if (this.#staging !== null || this.phase !== "SYNCHRONIZATION") return false;
    if (compareZxid(message.commit, context.lastLogged.zxid) > 0) return false;
    this.phase = "BROADCAST";
    this.#awaitsCheck = message.check === true;
    this.reason = "";
    context.diverged = null;
    this.#heardAt = context.now;
    this.#host.phaseChanged("FOLLOWING", this.phase);
    context.commitUpTo(message.commit);
    return true;
  }

  #handleCommit(message: Commit): boolean {
    const { context } = this.#host;
    if (this.phase !== "BROADCAST" || compareZxid(message.zxid, context.lastLogged.zxid) > 0) return false;
    if (message.digest !== undefined) context.effects.push({ type: "digest", expected: message.digest });
    context.commitUpTo(message.zxid);
    return true;
  }

  /**
   * The server compares when it has applied that zxid. Before UPTODATE only the txns that the comparison needs are applied:
   * our history is the leader's, and the leader has applied it up to that zxid.
   */
  #handleCheck({ digest }: Check): boolean {
    const { context } = this.#host;
    const isEarly = this.phase === "SYNCHRONIZATION" && this.#staging === null;
    if (this.phase !== "BROADCAST" && !isEarly) return false;
    if (isEarly && compareZxid(digest.zxid, context.lastLogged.zxid) > 0) return false;
    this.asked = true;
    context.effects.push({ type: "digest", expected: digest, asked: true });
    if (isEarly) context.commitUpTo(digest.zxid);
    return true;
  }
}

/** The proposal as an entry behind `tail`; undefined when it does not continue it. */
function continueLog(tail: LogPosition, message: Proposal): LogEntry | undefined {
  if (!samePosition(tail, message.prev)) return undefined;
  const entry = makeEntry(tail, message.batch);
  return entry !== undefined && equalZxid(entry.last, message.last) ? entry : undefined;
}
