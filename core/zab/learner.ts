/** One learner, as its leader sees it: the stage of its stay, and the pump that sends the entries that its log lacks. */
import { assert, must } from "../assert.ts";
import { knows } from "../version.ts";
import { CommitNotice } from "./commit-notice.ts";
import { LATE_MS, LATE_ROUND_TRIPS } from "./config.ts";
import { HeldProposals } from "./held-proposals.ts";
import { LearnerTree } from "./learner-tree.ts";
import type { LogEntry } from "./log-entry.ts";
import type { Sid } from "./membership.ts";
import type { Ack, AckEpoch, FollowerInfo, LeaderAck, LogPosition, Position } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { SnapshotSender } from "./snapshot-sender.ts";
import { countTxns } from "./txn-batch.ts";
import type { LogSlice } from "./txn-log.ts";
import { compareZxid, type Epoch, equalZxid, minZxid, type Zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** The stage of a learner's stay. Stages only advance, except that a learner whose SNAP has to wait returns to PROMISED. */
export type LearnerStage =
  /** FOLLOWERINFO was received */
  | "CONNECTED"
  /** LEADERINFO was sent */
  | "PROMISING"
  /** ACKEPOCH was received; the learner waits for synchronization */
  | "PROMISED"
  /** TRUNC was sent */
  | "TRUNCATING"
  /** SNAP is being sent */
  | "SNAPSHOT"
  /** the PROPOSALs sent are staged at the learner */
  | "STAGING"
  /** NEWLEADER was sent */
  | "CLOSING"
  /** NEWLEADER was acked: the learner is in the active set */
  | "ACTIVE";

/** Effect of an ack: none, as it does not fit the stage; it ended the synchronization; or it acknowledged entries. */
export type AckOutcome = "MISFIT" | "ACTIVATED" | "ADVANCED";

/**
 * The stay of one learner with this leader. The same pump sends the synchronization and, later, new proposals.
 * Invariants: acked ≤ sent ≤ lastLoggedZxid; commitSent ≤ sent; at most learnerInFlightMax PROPOSALs and one SNAPCHUNK are
 * unanswered; entries are sent once and in order; proposals are held back only for a learner that serves.
 *
 * @source ZooKeeper LearnerHandler; etcd-raft tracker.Progress
 */
export class Learner {
  readonly #host: RoleHost;
  readonly sid: Sid;
  /** number that the learner gave to this stay */
  readonly join: number;
  readonly acceptedEpoch: Epoch;
  /** whether it counts in quorums */
  readonly initialized: boolean;
  readonly tree = new LearnerTree();
  /** whether proposals may be held back for it: no quorum relies on it */
  mayWait = false;
  readonly #held = new HeldProposals();
  #stage: LearnerStage = "CONNECTED";
  #epoch: Epoch | null = null;
  /** end of its log as it reported, used to choose the synchronization */
  #position: LogPosition | null = null;
  #needSnap = false;
  /** last zxid sent; meaningful from STAGING on */
  #sent: Zxid;
  /** last zxid acknowledged; null before it is ACTIVE */
  #acked: Zxid | null = null;
  /** number of unanswered PROPOSALs and chunks */
  #inFlight = 0;
  /** the SNAP that is being sent */
  #snapshot: SnapshotSender | null = null;
  #upToDate = false;
  readonly #commit: CommitNotice;
  /** how long PROPOSALs and COMMITs for it may be held back, as its last ACK said; ms */
  #patienceMs = 0;
  /** when it will be offered the epoch, ms; infinity if no time is set */
  #admitAt = NEVER;
  /** when the last message came from it; ms */
  #heardAt: number;
  /** when it last acked a new entry, or was sent an entry after it had acked all earlier ones; ms */
  #ackedAt: number;

  constructor(host: RoleHost, sid: Sid, info: FollowerInfo) {
    this.#host = host;
    this.sid = sid;
    this.join = info.join;
    this.acceptedEpoch = info.acceptedEpoch;
    this.initialized = info.initialized;
    this.#sent = host.history.lastLogged.zxid;
    this.#commit = new CommitNotice(host.history.lastCommittedZxid);
    this.#heardAt = host.step.now;
    this.#ackedAt = host.step.now;
  }

  /** Stage of its stay. */
  get stage(): LearnerStage {
    return this.#stage;
  }

  /** Last zxid sent to it. */
  get sent(): Zxid {
    return this.#sent;
  }

  /** Last zxid that it acknowledged; null until it acks NEWLEADER. */
  get acked(): Zxid | null {
    return this.#acked;
  }

  /** Whether it has acked NEWLEADER, and so adopted this leader's history. */
  get isActive(): boolean {
    return this.#acked !== null;
  }

  /** Whether UPTODATE was sent to it. */
  get upToDate(): boolean {
    return this.#upToDate;
  }

  /** Whether it is being sent a history that is not complete there yet. */
  get isStaging(): boolean {
    return this.#stage === "SNAPSHOT" || this.#stage === "STAGING";
  }

  /** End of its history, or of the history that it will have once it acks NEWLEADER; undefined before NEWLEADER is sent. */
  get caughtUpTo(): Zxid | undefined {
    if (this.#stage !== "ACTIVE" && this.#stage !== "CLOSING") return undefined;
    return this.#acked ?? this.#sent;
  }

  /** Whether an entry sent in the active set is not acknowledged yet. */
  get #owesAck(): boolean {
    return this.#acked !== null && compareZxid(this.#acked, this.#sent) < 0;
  }

  /** How long PROPOSALs and COMMITs for it may be held back, as its last ACK said; ms. */
  get patienceMs(): number {
    return this.#patienceMs;
  }

  /** Whether it has owed an ack for longer than {@link LATE_MS} and its round trips. */
  get isLate(): boolean {
    const { step, links } = this.#host;
    const roundTripMs = links.of(this.sid).rttMs ?? 0;
    return this.#owesAck && step.now - this.#ackedAt >= LATE_MS + LATE_ROUND_TRIPS * roundTripMs;
  }

  /** Whether proposals are held back for it. */
  get isHeld(): boolean {
    return this.#held.any;
  }

  /** When to look again at the proposals held back for it; infinity if there are none; ms. */
  get heldUntil(): number {
    return this.#held.wakeAt(this.#host.step.now);
  }

  /**
   * Since when it has sent nothing, or has not acknowledged an outstanding entry; ms. (If acks are lost while pings are
   * answered, its window stays full.)
   */
  get silentSince(): number {
    return this.#owesAck ? Math.min(this.#heardAt, this.#ackedAt) : this.#heardAt;
  }

  /** Whether it serves, has acknowledged all entries, has received the commit index, and is due no CHECK. */
  get isSettled(): boolean {
    const { zxid } = this.#host.history.lastLogged;
    if (this.#stage !== "ACTIVE" || !this.#upToDate || this.#acked === null) return false;
    if (this.#inFlight > 0 || this.tree.checkFrom !== null) return false;
    return equalZxid(this.#acked, zxid) && equalZxid(this.#commit.sent, zxid);
  }

  /** Extends the deadlines by the time for which this peer was suspended, since the learner was not silent then. */
  extendDeadlines(suspendedMs: number): void {
    const { now } = this.#host.step;
    this.#heardAt = Math.min(this.#heardAt + suspendedMs, now);
    this.#ackedAt = Math.min(this.#ackedAt + suspendedMs, now);
  }

  /** Records that a message came from it. */
  heard(): void {
    this.#heardAt = this.#host.step.now;
  }

  /** When the last message came from it; ms. */
  get heardAt(): number {
    return this.#heardAt;
  }

  // ── discovery ────────────────────────────────────────────────────────────

  /** When it will be offered the epoch, ms; infinity if no time is set. */
  get admitAt(): number {
    return this.#admitAt;
  }

  /** Sets when it will be offered the epoch, ms; a past time means at once. */
  waitUntil(at: number): void {
    this.#admitAt = at > this.#host.step.now ? at : NEVER;
  }

  /** Ends its wait for the epoch, if it waits. */
  endWait(): void {
    if (this.#admitAt !== NEVER) this.#admitAt = this.#host.step.now;
  }

  /** Sends LEADERINFO. */
  offerEpoch(epoch: Epoch): void {
    this.#stage = "PROMISING";
    this.#epoch = epoch;
    this.#host.links.send(this.sid, { type: "LEADERINFO", join: this.join, epoch });
  }

  /** Records its promise of the epoch. */
  promised(message: AckEpoch): void {
    assert(this.#stage === "PROMISING", "a learner promises the epoch that it was offered");
    this.#stage = "PROMISED";
    this.#position = message.last;
    this.#needSnap = message.needSnap;
  }

  // ── synchronization ──────────────────────────────────────────────────────

  /** The last entry of its log, as it last reported. */
  get position(): LogPosition {
    return must(this.#position, "a learner that is synchronized has reported its position");
  }

  /** Whether only a SNAP can synchronize it: its history is unusable, or its tree differs. */
  get needSnap(): boolean {
    return this.#needSnap || this.tree.differsAt !== null;
  }

  /** Sends the entries after `from`, where its history ends. @returns false: see {@link pump} */
  startDiff(from: LogPosition): boolean {
    const { step, links } = this.#host;
    const epoch = this.#offered;
    this.#stage = "STAGING";
    this.#sent = from.zxid;
    step.trace({ type: "sync", to: this.sid, mode: "DIFF", zxid: this.#sent });
    links.send(this.sid, { type: "DIFF", join: this.join, epoch, from: this.#sent });
    return this.pump();
  }

  /** Sends TRUNC to `to`, or to the nearest entry before it; the learner answers with the entry. */
  startTrunc(to: Zxid): void {
    const { step, links } = this.#host;
    const epoch = this.#offered;
    this.#stage = "TRUNCATING";
    step.trace({ type: "sync", to: this.sid, mode: "TRUNC", zxid: to });
    links.send(this.sid, { type: "TRUNC", join: this.join, epoch, to });
  }

  /** Handles the answer to TRUNC. @returns false if no TRUNC is unanswered */
  truncated(message: Position): boolean {
    if (this.#stage !== "TRUNCATING") return false;
    this.#position = message.last;
    this.#needSnap = message.needSnap;
    return true;
  }

  /** Returns to PROMISED, because a SNAP has to wait. */
  holdSnap(): void {
    this.#stage = "PROMISED";
  }

  /** Begins to send the checkpoint. */
  startSnap(): void {
    const { step, links, snapshot } = this.#host;
    const epoch = this.#offered;
    const at = snapshot.position();
    this.#stage = "SNAPSHOT";
    this.#snapshot = new SnapshotSender(this.#host, this.sid, this.join, epoch);
    this.#sent = at.zxid;
    step.trace({ type: "sync", to: this.sid, mode: "SNAP", zxid: at.zxid });
    links.send(this.sid, { type: "SNAP", join: this.join, epoch, at });
    this.#pumpSnapshot(this.#snapshot);
  }

  /** Handles its receipt of a chunk or a proposal. @returns false if none was outstanding */
  staged(): boolean {
    if (this.#inFlight === 0) return false;
    this.#inFlight -= 1;
    return true;
  }

  /**
   * Continues a synchronization.
   * @param isPaced whether a chunk that is not due yet waits for {@link sendDueChunk}
   * @returns false: see {@link pump}
   */
  continueSync(isPaced: boolean): boolean {
    if (this.#snapshot === null) return this.#stage === "STAGING" ? this.pump() : true;
    return isPaced ? this.sendDueChunk() : this.#pumpSnapshot(this.#snapshot);
  }

  /** When the next chunk of a SNAP is to be sent, ms; infinity if none is waiting. */
  get chunkDueAt(): number {
    return this.#snapshot === null || this.#inFlight > 0 ? NEVER : this.#snapshot.dueAt;
  }

  /** Sends the next chunk of a SNAP if it is due. @returns false: see {@link pump} */
  sendDueChunk(): boolean {
    if (this.#snapshot === null || this.#host.step.now < this.chunkDueAt) return true;
    return this.#pumpSnapshot(this.#snapshot);
  }

  /** Sends one chunk at a time, so that each turn of the sender is short and the receiver limits the rate. */
  #pumpSnapshot(snapshot: SnapshotSender): boolean {
    if (this.#inFlight > 0) return true;
    if (snapshot.isDone) {
      this.#snapshot = null;
      this.#stage = "STAGING";
      return this.pump();
    }
    snapshot.send();
    this.#inFlight += 1;
    return true;
  }

  /**
   * Sends the entries that its log lacks, as far as its window allows, and NEWLEADER once the synchronization is complete.
   * @returns false if the log no longer contains the next entry, so that the learner needs a new stay and a SNAP
   */
  pump(): boolean {
    const { self, step, links, history } = this.#host;
    if (compareZxid(this.#sent, history.log.base.zxid) < 0) return false;
    while (this.#inFlight < self.config.learnerInFlightMax) {
      // Send many rows at once: row by row, a learner with a high latency would never catch up with a busy leader.
      const slice = history.log.read(this.#sent, self.config.batchBytesMax);
      if (slice === undefined) break;
      this.#sendProposal(slice);
      if (!this.#upToDate || step.tracing !== true) continue;
      step.trace({ type: "propose", zxid: slice.last, count: countTxns(slice.batch), to: [this.sid] });
    }
    // A batch proposed in this step is not in the log yet: it stays due.
    const isAllSent = equalZxid(this.#sent, history.lastLogged.zxid);
    if (isAllSent || this.#inFlight >= self.config.learnerInFlightMax) this.#held.clear();
    if (this.#stage === "STAGING" && isAllSent) {
      this.#stage = "CLOSING";
      links.send(this.sid, { type: "NEWLEADER", join: this.join, epoch: this.#offered, last: this.#sent });
    }
    return true;
  }

  // ── broadcast ────────────────────────────────────────────────────────────

  /**
   * Sends a new proposal if it is the next entry for this learner and its window has room; otherwise the pump will. A proposal for
   * a learner that may wait is held back.
   * @returns whether it was sent
   */
  propose(prev: LogPosition, { batch, last }: LogEntry): boolean {
    const { step, self } = this.#host;
    if (this.#stage !== "ACTIVE" && this.#stage !== "CLOSING") return false;
    if (this.#held.any && !this.mayWait) this.pump();
    if (this.#held.any || (this.mayWait && this.#upToDate && equalZxid(this.#sent, prev.zxid))) {
      this.#held.hold(last, batch.length, step.now, this.#patienceMs);
      return false;
    }
    if (!equalZxid(this.#sent, prev.zxid) || this.#inFlight >= self.config.learnerInFlightMax) return false;
    this.#sendProposal({ prev, batch, last });
    return true;
  }

  /** Sends the proposals held back for it, if they are due. @returns as {@link pump} does */
  sendHeld(): boolean {
    if (!this.#held.any) return true;
    const { step, history } = this.#host;
    const isDue = !this.mayWait || this.#held.isDue(step.now, history.lastCommittedZxid);
    return isDue ? this.pump() : true;
  }

  /** Continues after an ack: sends the entries that its log lacks, unless they are held back. @returns as {@link pump} does */
  continueBroadcast(): boolean {
    return this.#held.any ? this.sendHeld() : this.pump();
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
      this.#commit.carried(commit, history.lastCommittedZxid);
    }
  }

  /** Handles an ack. */
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
    // Once everything is acknowledged nothing is in flight, even if a return was lost.
    this.#inFlight = this.#owesAck ? Math.max(0, this.#inFlight - 1) : 0;
    return "ADVANCED";
  }

  /** Marks the learner as up to date, just before UPTODATE is sent. */
  markUpToDate(): void {
    this.#upToDate = true;
    const { lastCommittedZxid } = this.#host.history;
    this.#commit.carried(minZxid(lastCommittedZxid, this.#sent), lastCommittedZxid);
  }

  /** Sends UPTODATE: the learner may serve. @param check whether it has to answer a CHECK, which follows, before it serves */
  sendUpToDate(check: boolean): void {
    assert(this.#upToDate, "a learner is marked before UPTODATE is sent");
    const upToDate = {
      type: "UPTODATE" as const,
      join: this.join,
      epoch: this.#offered,
      commit: this.#commit.sent,
    };
    this.#host.links.send(this.sid, check ? { ...upToDate, check } : upToDate);
  }

  /** Records that a client of this learner waits for a commit. */
  expectCommit(): void {
    this.#patienceMs = 0;
  }

  /**
   * The answer to a REQUEST of which all writes are proposed: how far they are durable here. The return that carries it is held until
   * that is so.
   * @returns undefined if it learns of the commit by a COMMIT: its version does not know LEADERACK, or it is no quorum with this peer
   */
  ackRequest(): LeaderAck | undefined {
    const { self, links, history } = this.#host;
    if (!knows(Math.min(self.version, links.of(this.sid).version), "leaderAcks")) return undefined;
    if (!this.#upToDate || !self.quorum.contains([self.sid, this.sid])) return undefined;
    const { zxid } = history.lastLogged;
    this.#commit.acked(zxid);
    return { type: "LEADERACK", join: this.join, epoch: this.#offered, zxid };
  }

  /**
   * Sends the commit index, unless a proposal has carried it. If no client of the learner waits for it, it may be held back
   * and sent with the next PROPOSAL, which saves a call per write.
   * @returns when a COMMIT that is held back is due, ms; infinity if none is
   */
  flushCommit(): number {
    const { step, links, history, tree } = this.#host;
    const zxid = history.lastCommittedZxid;
    if (!this.#upToDate || compareZxid(this.#commit.sent, zxid) >= 0) return NEVER;
    // Never above what was sent: the learner would not have the entry.
    if (compareZxid(this.#sent, zxid) < 0) return NEVER;
    if (!this.#commit.isDue(step.now, zxid, this.#patienceMs)) return this.#commit.dueAt;
    const commit = { type: "COMMIT" as const, join: this.join, epoch: this.#offered, zxid };
    links.send(this.sid, tree.digest === undefined ? commit : { ...commit, digest: tree.digest });
    return NEVER;
  }

  /** Sends the CHECK that is due, once the leader's digest has reached the zxid that it needs. */
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
