/** One learner, as its leader sees it: the stage of its stay, and the pump that sends what its log lacks. */
import { assert, must } from "../assert.ts";
import { LearnerTree } from "./learner-tree.ts";
import type { LogEntry } from "./log-entry.ts";
import type { Sid } from "./membership.ts";
import type { Ack, AckEpoch, FollowerInfo, LogPosition, Position } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import type { LogSlice } from "./txn-log.ts";
import { compareZxid, type Epoch, equalZxid, minZxid, type Zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** Where a learner is. It only moves downwards, except that one whose SNAP has to wait is PROMISED again. */
export type LearnerStage =
  /** its FOLLOWERINFO is here */
  | "CONNECTED"
  /** LEADERINFO is sent */
  | "PROMISING"
  /** ACKEPOCH is here; waits until the leader synchronizes */
  | "PROMISED"
  /** TRUNC is sent */
  | "TRUNCATING"
  /** SNAP is on its way */
  | "SNAPSHOT"
  /** PROPOSALs are staged there */
  | "STAGING"
  /** NEWLEADER is sent */
  | "CLOSING"
  /** acked NEWLEADER: in the active set */
  | "ACTIVE";

/** What an ack does: nothing, since it does not belong to the stage; ends the synchronization; or acknowledges entries. */
export type AckOutcome = "MISFIT" | "ACTIVATED" | "ADVANCED";

/**
 * The stay of one learner with this leader. The same pump sends a synchronization and the latest proposals.
 * Invariants: acked ≤ sent ≤ lastLoggedZxid; commitSent ≤ sent; at most learnerInFlightMax PROPOSALs and one SNAPCHUNK are
 * unanswered; entries are sent once and in order.
 *
 * @source ZooKeeper LearnerHandler; etcd-raft tracker.Progress
 */
export class Learner {
  readonly #host: RoleHost;
  readonly sid: Sid;
  /** number that the learner gave this stay */
  readonly join: number;
  readonly acceptedEpoch: Epoch;
  /** it counts in quorums */
  readonly initialized: boolean;
  readonly tree = new LearnerTree();
  #stage: LearnerStage = "CONNECTED";
  #epoch: Epoch | null = null;
  /** its history as it said, until synchronization begins */
  #position: LogPosition | null = null;
  #needSnap = false;
  /** end of what is on its way; meaningful from STAGING on */
  #sent: Zxid;
  /** end of what it has acknowledged; null before it is ACTIVE */
  #acked: Zxid | null = null;
  /** PROPOSALs and chunks that it has not answered */
  #inFlight = 0;
  #reading: { cursor: string | undefined; index: number } | null = null;
  #upToDate = false;
  /** the commit index that it was sent last */
  #commitSent: Zxid;
  /** how long it can do without a COMMIT, as its last ACK said; ms */
  #patienceMs = 0;
  /** when a COMMIT that is held back is sent; ms */
  #commitDueAt = NEVER;
  /** when it is taken in, ms; infinity: it is, or waits for something else */
  #admitAt = NEVER;
  /** when something came from it last; ms */
  #heardAt: number;
  /** when it last acked something new, or was sent something while it had acked everything; ms */
  #ackedAt: number;

  constructor(host: RoleHost, sid: Sid, info: FollowerInfo) {
    this.#host = host;
    this.sid = sid;
    this.join = info.join;
    this.acceptedEpoch = info.acceptedEpoch;
    this.initialized = info.initialized;
    this.#sent = host.history.lastLogged.zxid;
    this.#commitSent = host.history.lastCommittedZxid;
    this.#heardAt = host.step.now;
    this.#ackedAt = host.step.now;
  }

  /** Where it is. */
  get stage(): LearnerStage {
    return this.#stage;
  }

  /** End of what is on its way. */
  get sent(): Zxid {
    return this.#sent;
  }

  /** End of what it has acknowledged; null: it has not acked NEWLEADER. */
  get acked(): Zxid | null {
    return this.#acked;
  }

  /** It has acked NEWLEADER, and so taken over our history. */
  get isActive(): boolean {
    return this.#acked !== null;
  }

  /** It was sent UPTODATE. */
  get upToDate(): boolean {
    return this.#upToDate;
  }

  /** It is being sent a history that it does not have as a whole. */
  get isStaging(): boolean {
    return this.#stage === "SNAPSHOT" || this.#stage === "STAGING";
  }

  /** What it has, or will have once it acks NEWLEADER; undefined before that is sent. */
  get caughtUpTo(): Zxid | undefined {
    if (this.#stage !== "ACTIVE" && this.#stage !== "CLOSING") return undefined;
    return this.#acked ?? this.#sent;
  }

  /** Something that it was sent in the active set awaits its ack. */
  get #owesAck(): boolean {
    return this.#acked !== null && compareZxid(this.#acked, this.#sent) < 0;
  }

  /**
   * Since when it is silent, or acknowledges nothing although it owes an ack; ms. (Acks that are lost while pings are answered fill
   * its window.)
   */
  get silentSince(): number {
    return this.#owesAck ? Math.min(this.#heardAt, this.#ackedAt) : this.#heardAt;
  }

  /** It serves, has acknowledged everything, knows that it is committed, and has no CHECK to come. */
  get isSettled(): boolean {
    const { zxid } = this.#host.history.lastLogged;
    if (this.#stage !== "ACTIVE" || !this.#upToDate || this.#acked === null) return false;
    if (this.#inFlight > 0 || this.tree.checkFrom !== null) return false;
    return equalZxid(this.#acked, zxid) && equalZxid(this.#commitSent, zxid);
  }

  /** This peer was suspended for so long: that is no silence of the learner. */
  excuse(suspendedMs: number): void {
    const { now } = this.#host.step;
    this.#heardAt = Math.min(this.#heardAt + suspendedMs, now);
    this.#ackedAt = Math.min(this.#ackedAt + suspendedMs, now);
  }

  /** Something came from it. */
  heard(): void {
    this.#heardAt = this.#host.step.now;
  }

  /** When something came from it last; ms. */
  get heardAt(): number {
    return this.#heardAt;
  }

  // ── discovery ────────────────────────────────────────────────────────────

  /** When it is to be taken in, ms; infinity: it is, or waits for something else. */
  get admitAt(): number {
    return this.#admitAt;
  }

  /** It is taken in at `at`, ms; at once if that is over. */
  waitUntil(at: number): void {
    this.#admitAt = at > this.#host.step.now ? at : NEVER;
  }

  /** If it waits to be taken in, it need not any more. */
  endWait(): void {
    if (this.#admitAt !== NEVER) this.#admitAt = this.#host.step.now;
  }

  /** Offers it our epoch. */
  offerEpoch(epoch: Epoch): void {
    this.#stage = "PROMISING";
    this.#epoch = epoch;
    this.#host.links.send(this.sid, { type: "LEADERINFO", join: this.join, epoch });
  }

  /** It has promised our epoch. */
  promised(message: AckEpoch): void {
    assert(this.#stage === "PROMISING", "a learner promises what it was offered");
    this.#stage = "PROMISED";
    this.#position = message.last;
    this.#needSnap = message.needSnap;
  }

  // ── synchronization ──────────────────────────────────────────────────────

  /** The last entry of its log, as it said last. */
  get position(): LogPosition {
    return must(this.#position, "a learner that is synchronized has said its position");
  }

  /** Its history cannot be built on, or its tree is not ours: only a SNAP helps. */
  get needSnap(): boolean {
    return this.#needSnap || this.tree.differsAt !== null;
  }

  /** Sends what follows `from`, which ends its history. @returns false: see {@link pump} */
  startDiff(from: LogPosition): boolean {
    const { step, links } = this.#host;
    const epoch = this.#offered;
    this.#stage = "STAGING";
    this.#sent = from.zxid;
    step.trace({ type: "sync", to: this.sid, mode: "DIFF", zxid: this.#sent });
    links.send(this.sid, { type: "DIFF", join: this.join, epoch, from: this.#sent });
    return this.pump();
  }

  /** Has it go back to `to`, or to the nearest entry before; it answers where that is. */
  startTrunc(to: Zxid): void {
    const { step, links } = this.#host;
    const epoch = this.#offered;
    this.#stage = "TRUNCATING";
    step.trace({ type: "sync", to: this.sid, mode: "TRUNC", zxid: to });
    links.send(this.sid, { type: "TRUNC", join: this.join, epoch, to });
  }

  /** Takes the answer to TRUNC. @returns false when there was none */
  truncated(message: Position): boolean {
    if (this.#stage !== "TRUNCATING") return false;
    this.#position = message.last;
    this.#needSnap = message.needSnap;
    return true;
  }

  /** A SNAP has to wait. */
  holdSnap(): void {
    this.#stage = "PROMISED";
  }

  /** Sends the checkpoint. */
  startSnap(): void {
    const { step, links, snapshot } = this.#host;
    const epoch = this.#offered;
    const at = snapshot.position();
    this.#stage = "SNAPSHOT";
    this.#reading = { cursor: "", index: 0 };
    this.#sent = at.zxid;
    step.trace({ type: "sync", to: this.sid, mode: "SNAP", zxid: at.zxid });
    links.send(this.sid, { type: "SNAP", join: this.join, epoch, at });
    this.#pumpSnapshot();
  }

  /** It has received a chunk or a proposal. @returns false when it was sent none */
  staged(): boolean {
    if (this.#inFlight === 0) return false;
    this.#inFlight -= 1;
    return true;
  }

  /** Continues a synchronization. @returns false: see {@link pump} */
  continueSync(): boolean {
    if (this.#stage === "SNAPSHOT") return this.#pumpSnapshot();
    return this.#stage === "STAGING" ? this.pump() : true;
  }

  /** Chunks are sent one at a time: each turn of the sender is short, and the receiver sets the pace. */
  #pumpSnapshot(): boolean {
    const { self, links, snapshot } = this.#host;
    const reading = must(this.#reading, "a snapshot is being read");
    if (this.#inFlight > 0) return true;
    if (reading.cursor === undefined) {
      this.#reading = null;
      this.#stage = "STAGING";
      return this.pump();
    }
    const version = Math.min(self.version, links.of(this.sid).version);
    const { bytes, next } = snapshot.read(reading.cursor, self.config.snapChunkBytesMax, version);
    links.send(this.sid, {
      type: "SNAPCHUNK",
      join: this.join,
      epoch: this.#offered,
      index: reading.index,
      bytes,
      done: next === undefined,
    });
    this.#inFlight += 1;
    reading.cursor = next;
    reading.index += 1;
    return true;
  }

  /**
   * Sends what its log lacks, as far as its window allows, and NEWLEADER once a synchronization is complete.
   * @returns false: it lags so far that the log has been cut behind it, and has to come back for a SNAP
   */
  pump(): boolean {
    const { self, links, history } = this.#host;
    if (compareZxid(this.#sent, history.log.base.zxid) < 0) return false;
    while (this.#inFlight < self.config.learnerInFlightMax) {
      // A learner that lags gets many rows at once: row by row, one with a high latency would never catch up with a busy leader.
      const slice = history.log.read(this.#sent, self.config.batchBytesMax);
      if (slice === undefined) break;
      this.#sendProposal(slice);
    }
    if (this.#stage === "STAGING" && equalZxid(this.#sent, history.lastLogged.zxid)) {
      this.#stage = "CLOSING";
      links.send(this.sid, { type: "NEWLEADER", join: this.join, epoch: this.#offered, last: this.#sent });
    }
    return true;
  }

  // ── broadcast ────────────────────────────────────────────────────────────

  /** Sends a new proposal if it is the next entry for this learner, and its window has room; else the pump will. @returns whether it did */
  propose(prev: LogPosition, { batch, last }: LogEntry): boolean {
    const follows = this.#stage === "ACTIVE" || this.#stage === "CLOSING";
    if (!follows || !equalZxid(this.#sent, prev.zxid)) return false;
    if (this.#inFlight >= this.#host.self.config.learnerInFlightMax) return false;
    this.#sendProposal({ prev, batch, last });
    return true;
  }

  #sendProposal({ prev, batch, last }: Pick<LogSlice, "prev" | "batch" | "last">): void {
    const { step, links, history, tree } = this.#host;
    const { digest } = tree;
    const commit = minZxid(history.lastCommittedZxid, last);
    const proposal = {
      type: "PROPOSAL" as const,
      join: this.join,
      epoch: this.#offered,
      prev,
      batch,
      last,
      commit,
    };
    links.send(this.sid, digest === undefined ? proposal : { ...proposal, digest });
    if (!this.#owesAck) this.#ackedAt = step.now;
    this.#sent = last;
    this.#inFlight += 1;
    if (this.#upToDate) {
      this.#commitSent = commit;
      if (equalZxid(commit, history.lastCommittedZxid)) this.#commitDueAt = NEVER;
    }
  }

  /** Takes an ack. */
  ack({ zxid, patienceMs }: Ack): AckOutcome {
    const { now } = this.#host.step;
    if (compareZxid(zxid, this.#sent) > 0) return "MISFIT";
    this.#patienceMs = patienceMs;
    if (this.#acked === null) {
      if (this.#stage !== "CLOSING") return "MISFIT";
      this.#stage = "ACTIVE";
      this.#acked = zxid;
      this.#ackedAt = now;
      return "ACTIVATED";
    }
    if (compareZxid(zxid, this.#acked) > 0) {
      this.#acked = zxid;
      this.#ackedAt = now;
    }
    // A learner that has acknowledged everything owes no return, even if a return was lost.
    this.#inFlight = this.#owesAck ? Math.max(0, this.#inFlight - 1) : 0;
    return "ADVANCED";
  }

  /** UPTODATE is about to be sent, with what is committed and was sent. */
  markUpToDate(): void {
    this.#upToDate = true;
    this.#commitSent = minZxid(this.#host.history.lastCommittedZxid, this.#sent);
  }

  /** Sends UPTODATE: the learner may serve. @param check once it has answered the CHECK that follows */
  sendUpToDate(check: boolean): void {
    assert(this.#upToDate, "a learner is marked before UPTODATE is sent");
    const upToDate = {
      type: "UPTODATE" as const,
      join: this.join,
      epoch: this.#offered,
      commit: this.#commitSent,
    };
    this.#host.links.send(this.sid, check ? { ...upToDate, check } : upToDate);
  }

  /** A client of this learner waits for a commit. */
  expectCommit(): void {
    this.#patienceMs = 0;
  }

  /**
   * Sends the commit index, unless a proposal has carried it. A learner at which nobody waits gets it with the next PROPOSAL, if
   * one comes soon: a call less for each write that follows another.
   * @returns when a COMMIT that is held back is due, ms; infinity: none is
   */
  flushCommit(): number {
    const { step, links, history, tree } = this.#host;
    const zxid = history.lastCommittedZxid;
    if (!this.#upToDate || compareZxid(this.#commitSent, zxid) >= 0) return NEVER;
    // Never more than it has been sent: it would not know the entry.
    if (compareZxid(this.#sent, zxid) < 0) return NEVER;
    this.#commitDueAt = Math.min(this.#commitDueAt, step.now + this.#patienceMs);
    if (step.now < this.#commitDueAt) return this.#commitDueAt;
    this.#commitDueAt = NEVER;
    this.#commitSent = zxid;
    const commit = { type: "COMMIT" as const, join: this.join, epoch: this.#offered, zxid };
    links.send(this.sid, tree.digest === undefined ? commit : { ...commit, digest: tree.digest });
    return NEVER;
  }

  /** Asks it to compare its tree with ours, once our digest is where that settles something. */
  maybeCheck(): void {
    const { links, tree } = this.#host;
    const { digest } = tree;
    const from = this.tree.checkFrom;
    if (digest === undefined || from === null || compareZxid(digest.zxid, from) < 0) return;
    this.tree.checkFrom = null;
    links.send(this.sid, { type: "CHECK", join: this.join, epoch: this.#offered, digest });
  }

  get #offered(): Epoch {
    return must(this.#epoch, "a learner was offered the epoch");
  }
}
