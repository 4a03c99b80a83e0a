/**
 * FOLLOWING: one stay with one leader, from FOLLOWERINFO until either side ends it.
 *
 *   DISCOVERY ──LEADERINFO/ACKEPOCH──▶ SYNCHRONIZATION ──NEWLEADER/ACK, UPTODATE──▶ BROADCAST
 *
 * Data received during synchronization is staged. At NEWLEADER it becomes this peer's history in one transaction, together
 * with currentEpoch, so that no crash can leave half of it.
 */
import { FollowerTree } from "./follower-tree.ts";
import type { Sid } from "./membership.ts";
import type {
  Check,
  Commit,
  Diff,
  LeaderAck,
  LeaderInfo,
  LeaderMessage,
  NewLeader,
  Notification,
  Phase,
  Ping,
  Pong,
  Proposal,
  Snap,
  SnapChunk,
  Trunc,
  UpToDate,
} from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { continueLog, Staging } from "./staging.ts";
import { compareZxid, type Epoch, equalZxid, maxZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/**
 * A peer that follows one leader.
 * Invariants: it accepts no message of another stay (`join`) or epoch; it logs no txn of the leader's epoch before the
 * initial history of that epoch; every entry is durable before its ack is sent.
 *
 * @source Zab, DSN 2011, phases 1–3 (follower); ZooKeeper Learner.syncWithLeader, Follower.processPacket
 */
export class Follower {
  readonly #host: RoleHost;
  readonly leader: Sid;
  /** the electionEpoch in which the leader was elected; not the own one if it led already */
  readonly electedIn: number;
  /** number of this stay */
  join: number;
  phase: Phase = "DISCOVERY";
  /** comparison of the own tree with the leader's */
  tree: FollowerTree;
  /** why the leader holds back the synchronization; empty if it does not */
  reason = "";
  #epoch: Epoch | null = null;
  #staging: Staging | null = null;
  /** end of what is known to be durable at the leader; see LEADERACK */
  #leaderDurable = ZXID_ZERO;
  #joinDeadline: number;
  #heardAt: number;

  constructor(host: RoleHost, leader: Sid, electedIn: number) {
    this.#host = host;
    this.leader = leader;
    this.electedIn = electedIn;
    this.join = host.nextJoin();
    this.tree = new FollowerTree(host);
    this.#joinDeadline = host.step.now + host.self.timeouts.initMs;
    this.#heardAt = host.step.now;
  }

  /** When `tick` is to be called, at the latest; ms. */
  get deadline(): number {
    return this.phase === "BROADCAST"
      ? this.#heardAt + this.#host.self.timeouts.syncMs + 1
      : this.#joinDeadline;
  }

  /** Returns to LOOKING if the leader is silent, or if joining makes no progress. */
  tick(): void {
    if (this.#host.step.now < this.deadline) return;
    this.#host.becomeLooking(this.phase === "BROADCAST" ? "the leader is silent" : "joining took too long");
  }

  /** Extends the deadlines by the time for which this peer was suspended, since the leader was not silent then. */
  extendDeadlines(suspendedMs: number): void {
    this.#heardAt = Math.min(this.#heardAt + suspendedMs, this.#host.step.now);
  }

  // ── messages outside of the stay ─────────────────────────────────────────

  /** Records that a message came from a peer. */
  heard(peer: Sid): void {
    if (peer === this.leader) this.#heardAt = this.#host.step.now;
  }

  /** Handles a gap in the calls of a peer: messages may be lost. */
  interrupted(peer: Sid): void {
    if (peer === this.leader) this.#host.becomeLooking("a message of the leader was lost");
  }

  /** Handles the failure of the link to a peer. */
  linkBroken(peer: Sid): void {
    if (peer === this.leader) this.#host.becomeLooking("the link to the leader broke");
  }

  /**
   * Handles the notification of a peer. A later call may overtake a return, so the role in a return may be outdated, and
   * ends no stay after discovery.
   */
  notice(from: Sid, note: Notification, isCall: boolean): void {
    const host = this.#host;
    if (!isCall && this.phase !== "DISCOVERY") return;
    if (from === this.leader) {
      if (note.role === "LEADING" && this.phase === "DISCOVERY") this.sendFollowerInfo();
      else if (note.role === "FOLLOWING") host.becomeLooking("the elected member follows another");
      else if (note.role === "LOOKING" && (this.phase !== "DISCOVERY" || this.#isPast(note))) {
        host.becomeLooking("the leader looks for another");
      }
      return;
    }
    // Another peer has lost its leader: ping the own leader at once instead of at the next tick.
    if (note.role === "LOOKING" && this.phase === "BROADCAST") host.ping(this.leader);
  }

  /** Whether the leader no longer votes for itself in the election that made this peer follow it. */
  #isPast({ round, vote }: Notification): boolean {
    return round > this.electedIn || (round === this.electedIn && vote.leader !== this.leader);
  }

  /** Handles a PING of the leader. */
  handlePing(from: Sid, ping: Ping): void {
    const host = this.#host;
    if (from !== this.leader || this.phase === "DISCOVERY") return;
    // A leader that does not have this peer as a learner, or that no longer leads, will send nothing more.
    if (ping.role !== "LEADING" || ping.join !== this.join) {
      host.becomeLooking("the leader has dropped this learner");
      return;
    }
    if (ping.disputed === true) {
      this.#waitForProof();
      return;
    }
    if (this.phase === "BROADCAST") this.tree.confirmedByQuorum = ping.confirmed === true;
    if (ping.digest === undefined) return;
    if (ping.confirmed === true) this.tree.noteLeaderConfirmed(ping.digest.zxid);
    host.step.push({ type: "digest", expected: ping.digest });
  }

  /** Handles a PONG of the leader. */
  handlePong(from: Sid, pong: Pong): void {
    if (from !== this.leader || this.phase === "DISCOVERY" || pong.role === "LEADING") return;
    this.#host.becomeLooking("the leader no longer leads");
  }

  /** Extends the deadline while the leader holds back the synchronization until a quorum has confirmed a tree. */
  #waitForProof(): void {
    if (this.phase !== "SYNCHRONIZATION") return;
    this.reason = `the tree of some member differs from that of node ${this.leader}, and no quorum has confirmed either`;
    this.#extendJoin();
  }

  // ── comparing trees ──────────────────────────────────────────────────────

  /** Answers a CHECK if there is one and the digest was found equal. */
  confirm(): void {
    const epoch = this.#epoch;
    const zxid = epoch === null ? null : this.tree.takeAnswer();
    if (epoch === null || zxid === null) return;
    this.#host.links.send(this.leader, { type: "CONFIRM", join: this.join, epoch, zxid });
  }

  /** Ends the stay because the trees differ at `zxid`. The next stay reports it, and receives a SNAP. */
  diverge(zxid: Zxid): void {
    this.tree.noteDifferent(this.leader, zxid);
    this.#host.becomeLooking("the digest differs from the leader's");
  }

  // ── the stay ─────────────────────────────────────────────────────────────

  /** Sends FOLLOWERINFO. It may be repeated while the leader has not answered. */
  sendFollowerInfo(): void {
    const { links, epochs } = this.#host;
    links.send(this.leader, {
      type: "FOLLOWERINFO",
      join: this.join,
      acceptedEpoch: epochs.acceptedEpoch,
      initialized: epochs.initialized,
    });
  }

  /** Handles a message of this stay. @returns false if the message does not fit the phase, so that the stay must end */
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
      case "LEADERACK":
        return this.#handleLeaderAck(message);
      case "CHECK":
        return this.#handleCheck(message);
    }
  }

  #handleLeaderInfo(message: LeaderInfo): boolean {
    const host = this.#host;
    if (this.phase === "BROADCAST" && message.epoch === this.#epoch) {
      // The leader dropped this learner, and a late FOLLOWERINFO made it accept it again. Forwarded writes need a new stay.
      this.#host.becomeLooking("the leader has restarted this stay");
      return true;
    }
    if (this.phase === "SYNCHRONIZATION" && message.epoch === this.#epoch) {
      this.#rejoin();
      return true;
    }
    if (this.phase !== "DISCOVERY") return false;
    if (message.epoch < host.epochs.acceptedEpoch) return false;
    if (message.epoch > host.epochs.acceptedEpoch) host.epochs.promise(message.epoch, this.leader);
    this.#epoch = message.epoch;
    this.#staging = new Staging(host.history.lastLogged);
    this.phase = "SYNCHRONIZATION";
    this.#host.phaseChanged("FOLLOWING", this.phase);
    const differs = host.tree.differs?.from === this.leader ? host.tree.differs : null;
    const saysTree = host.epochs.initialized && !host.history.needSnap;
    host.step.reply({
      type: "ACKEPOCH",
      join: this.join,
      epoch: message.epoch,
      currentEpoch: host.epochs.currentEpoch,
      // A candidate never offers an epoch twice, so a repeated promise to it is the same promise.
      counted: host.epochs.promisedTo === this.leader,
      last: host.history.lastLogged,
      needSnap: host.history.needSnap,
      diverged: differs !== null,
      ...(differs === null ? {} : { divergedAt: differs.at }),
      digest: saysTree ? (host.tree.digest ?? null) : null,
      checksEarly: true,
      boots: host.links.packIncarnations(),
    });
    return true;
  }

  /**
   * Begins a new stay after the leader dropped this learner and a late FOLLOWERINFO made it accept it again. Answers sent
   * in between may still be in flight and must not count in the new stay, so it gets its own `join`.
   */
  #rejoin(): void {
    this.join = this.#host.nextJoin();
    this.#epoch = null;
    this.#staging = null;
    this.#leaderDurable = ZXID_ZERO;
    this.tree = new FollowerTree(this.#host);
    this.reason = "";
    this.phase = "DISCOVERY";
    this.#host.phaseChanged("FOLLOWING", this.phase);
    this.sendFollowerInfo();
  }

  #handleDiff(message: Diff): boolean {
    return this.#staging !== null && equalZxid(this.#staging.tail.zxid, message.from);
  }

  #handleTrunc(message: Trunc): boolean {
    const host = this.#host;
    const staging = this.#staging;
    if (staging === null || !staging.mayTruncate) return false;
    const position = host.history.log.positionAt(message.to);
    // Applied txns are never undone: if the leader lacks them, this tree is unusable and needs a SNAP.
    const usable = position !== undefined && compareZxid(position.zxid, host.history.lastProcessedZxid) >= 0;
    if (usable) staging.truncate(position);
    else host.history.requireSnap();
    host.step.reply({
      type: "POSITION",
      join: this.join,
      epoch: message.epoch,
      last: staging.tail,
      needSnap: !usable,
    });
    return true;
  }

  #handleSnap(message: Snap): boolean {
    if (this.#staging?.startSnapshot(message.at) !== true) return false;
    this.#host.step.persist([{ type: "snapshotBegin" }]);
    return true;
  }

  #handleSnapChunk(message: SnapChunk): boolean {
    if (this.#staging?.addChunk(message) !== true) return false;
    this.#extendJoin();
    this.#host.step.persist([{ type: "snapshotChunk", bytes: message.bytes }]);
    this.#replyStaged();
    return true;
  }

  #stageProposal(message: Proposal): boolean {
    if (this.#staging?.addProposal(message) !== true) return false;
    this.#extendJoin();
    this.#replyStaged();
    return true;
  }

  #replyStaged(): void {
    if (this.#epoch === null) return;
    this.#host.step.reply({ type: "STAGED", join: this.join, epoch: this.#epoch });
  }

  /** Extends the deadline after progress: it limits the time without progress, so a large SNAP may take long. */
  #extendJoin(): void {
    this.#joinDeadline = this.#host.step.now + this.#host.self.timeouts.initMs;
  }

  #handleNewLeader(message: NewLeader): boolean {
    const host = this.#host;
    const staging = this.#staging;
    if (staging === null || !staging.isComplete(message.last)) return false;
    const writes = staging.adopt(host.history, host.tree);
    writes.push(host.epochs.enter(message.epoch));
    if (!host.epochs.initialized) writes.push(host.epochs.initialize());
    host.step.persist(writes);
    const { snapshotZxid } = staging;
    if (snapshotZxid !== undefined) host.step.push({ type: "snapshotLoaded", zxid: snapshotZxid });
    host.step.trace({ type: "epoch", epoch: message.epoch, kind: "current" });
    this.#staging = null;
    this.#replyAck();
    return true;
  }

  #handleProposal(message: Proposal): boolean {
    const host = this.#host;
    const entry = continueLog(host.history.lastLogged, message);
    if (entry === undefined) return false;
    // No proposal of this leader's epoch is accepted before its initial history.
    if (host.epochs.currentEpoch !== message.epoch) return false;
    host.step.persist([host.history.append(entry)]);
    this.#replyAck();
    if (this.phase === "BROADCAST") {
      if (message.digest !== undefined) host.step.push({ type: "digest", expected: message.digest });
      host.history.commitUpTo(message.commit);
    }
    return true;
  }

  #replyAck(): void {
    const host = this.#host;
    if (this.#epoch === null) return;
    host.step.reply({
      type: "ACK",
      join: this.join,
      epoch: this.#epoch,
      zxid: host.history.lastLogged.zxid,
      patienceMs: host.patienceMs,
    });
  }

  #handleUpToDate(message: UpToDate): boolean {
    const host = this.#host;
    if (this.#staging !== null || this.phase !== "SYNCHRONIZATION") return false;
    if (compareZxid(message.commit, host.history.lastLogged.zxid) > 0) return false;
    this.phase = "BROADCAST";
    this.tree.begin(message.check === true);
    this.reason = "";
    this.#heardAt = host.step.now;
    this.#host.phaseChanged("FOLLOWING", this.phase);
    host.history.commitUpTo(message.commit);
    return true;
  }

  #handleCommit(message: Commit): boolean {
    const host = this.#host;
    if (this.phase !== "BROADCAST" || compareZxid(message.zxid, host.history.lastLogged.zxid) > 0)
      return false;
    if (message.digest !== undefined) host.step.push({ type: "digest", expected: message.digest });
    host.history.commitUpTo(message.zxid);
    return true;
  }

  /** A return may arrive before a call that was made earlier, so the entry may still be missing here. */
  #handleLeaderAck({ zxid }: LeaderAck): boolean {
    this.#leaderDurable = maxZxid(this.#leaderDurable, zxid);
    this.persisted();
    return true;
  }

  /**
   * Delivers what is committed and durable. An entry is committed once a quorum has it durably in the leader's epoch, so where this
   * peer and the leader are a quorum, the leader need not say it.
   */
  persisted(): void {
    const { self, history } = this.#host;
    if (this.phase !== "BROADCAST" || equalZxid(this.#leaderDurable, ZXID_ZERO)) {
      history.deliver();
      return;
    }
    const acked = new Map([
      [this.leader, this.#leaderDurable],
      [self.sid, history.lastDurableZxid],
    ]);
    history.commitUpTo(self.quorum.highestAcked(acked));
  }

  /**
   * Handles CHECK. The server compares once it has applied that zxid. Before UPTODATE only the txns that the comparison
   * needs are applied: this history is the leader's, and the leader has applied it up to that zxid.
   */
  #handleCheck({ digest }: Check): boolean {
    const host = this.#host;
    const isEarly = this.phase === "SYNCHRONIZATION" && this.#staging === null;
    if (this.phase !== "BROADCAST" && !isEarly) return false;
    if (isEarly && compareZxid(digest.zxid, host.history.lastLogged.zxid) > 0) return false;
    this.tree.requestCheck();
    host.step.push({ type: "digest", expected: digest, asked: true });
    if (isEarly) host.history.commitUpTo(digest.zxid);
    return true;
  }
}
