/**
 * LEADING: from winning an election until this peer steps down.
 *
 *   DISCOVERY ──quorum of ACKEPOCH──▶ SYNCHRONIZATION ──quorum of NEWLEADER acks──▶ BROADCAST
 *
 * Learners join and leave in every phase. The phases are in discovery.ts, synchronization.ts with learner.ts, and
 * broadcast.ts; tree-verifier.ts compares trees. This file decides when a phase ends, and when the leadership ends.
 */
import { assert } from "../assert.ts";
import { Broadcast } from "./broadcast.ts";
import { Discovery } from "./discovery.ts";
import { Learner } from "./learner.ts";
import { Learners } from "./learners.ts";
import type { LogEntry } from "./log-entry.ts";
import type { Sid } from "./membership.ts";
import type {
  Ack,
  AckEpoch,
  FollowerInfo,
  LeaderAck,
  LearnerMessage,
  Notification,
  Phase,
  Ping,
} from "./messages.ts";
import { QuorumCheck } from "./quorum-check.ts";
import type { RoleHost } from "./role.ts";
import { SnapshotGate } from "./snapshot-gate.ts";
import { Synchronization } from "./synchronization.ts";
import { type Leadership, TreeVerifier } from "./tree-verifier.ts";
import type { Epoch, Zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * A peer that was elected, from discovery on.
 * Invariants: it enters its epoch once a quorum has promised it, and broadcasts once a quorum has acked NEWLEADER and its
 * own currentEpoch is durable; in BROADCAST it has heard from a quorum of its active set within the last syncLimit ticks.
 *
 * @source Zab, DSN 2011, phases 1–3 (leader); ZooKeeper Leader
 */
export class Leader implements Leadership {
  readonly #host: RoleHost;
  readonly #learners: Learners;
  readonly #discovery: Discovery;
  /** comparison of the learners' trees with its own */
  readonly trees: TreeVerifier;
  readonly #snapshots: SnapshotGate;
  readonly #synchronization: Synchronization;
  readonly #broadcast: Broadcast;
  readonly #quorumCheck: QuorumCheck;
  phase: Phase = "DISCOVERY";
  /** currentEpoch before this leadership: the epoch whose history this leader's history begins with */
  continues: Epoch | null = null;
  /** number of the persist effect that made our own currentEpoch durable */
  #ownEpochSeq: number | null = null;
  /** before BROADCAST: when the own notification is sent again; ms */
  #resendAt: number;

  constructor(host: RoleHost) {
    const { self, step } = host;
    this.#host = host;
    this.#learners = new Learners(self.sid);
    this.#discovery = new Discovery(host);
    this.trees = new TreeVerifier(host, this, this.#learners);
    this.#snapshots = new SnapshotGate(host, this, this.#learners, this.trees);
    this.#synchronization = new Synchronization(host, this, this.#snapshots);
    this.#broadcast = new Broadcast(host, this.#learners);
    this.#quorumCheck = new QuorumCheck(host, this.#learners);
    this.#resendAt = step.now + self.config.electionRetryMs;
  }

  // ── state, as the server and the roles read it ───────────────────────────

  /** The epoch of this leadership; null if not chosen yet. */
  get epoch(): Epoch | null {
    return this.#discovery.epoch;
  }

  /** sids that have acked NEWLEADER, own sid included, ascending */
  get activeSet(): readonly Sid[] {
    return this.#learners.activeSet;
  }

  /** Whether a learner is being sent a SNAP, so the checkpoint and the log that continues it must be kept. */
  get readsSnapshot(): boolean {
    return this.#learners.readsSnapshot;
  }

  /** The lowest zxid that a learner in the active set, or about to join it, has; undefined if there is no such learner. */
  get slowest(): Zxid | undefined {
    return this.#learners.slowest;
  }

  /** zxid of the next txn. */
  get nextZxid(): Zxid {
    return this.#broadcast.nextZxid;
  }

  /** Whether another batch may be proposed. */
  get mayPropose(): boolean {
    return this.phase === "BROADCAST" && this.trees.trusted && this.#broadcast.hasRoom;
  }

  /** Whether the counter of this epoch is used up. */
  get exhausted(): boolean {
    return this.#broadcast.isExhausted;
  }

  /** Whether clients may be served: no learner's tree differs, or a quorum has confirmed this leader's tree. */
  get trusted(): boolean {
    return this.trees.trusted;
  }

  /** Whether a quorum, this leader included, has this tree, not counting copies that this leader sent. */
  get confirmedByQuorum(): boolean {
    return this.trusted && this.phase === "BROADCAST" && this.trees.isProven;
  }

  /** Whether a learner's digest waits for the leader's digest at the same zxid; see {@link compareTrees}. */
  get comparing(): boolean {
    return this.trees.comparing;
  }

  /** `join` of a learner's current stay, for messages outside of Zab. */
  joinOf(sid: Sid): number | undefined {
    return this.#learners.get(sid)?.join;
  }

  /** Whether this learner was sent UPTODATE. */
  isServing(sid: Sid): boolean {
    return this.#learners.get(sid)?.upToDate === true;
  }

  /** Records that a client of this learner waits for a commit. */
  expectCommit(sid: Sid): void {
    this.#learners.get(sid)?.expectCommit();
  }

  /** The answer to a REQUEST of this learner; see {@link Learner.ackRequest}. */
  ackRequest(sid: Sid): LeaderAck | undefined {
    return this.#learners.get(sid)?.ackRequest();
  }

  /**
   * Whether nothing is in flight: a quorum follows, and every learner serves, has acknowledged all entries and received the
   * commit index.
   */
  get settled(): boolean {
    if (this.phase !== "BROADCAST" || !this.#broadcast.isIdle) return false;
    if (!this.trusted || !this.#quorumCheck.hasActiveQuorum) return false;
    for (const { isSettled } of this.#learners.all()) if (!isSettled) return false;
    return true;
  }

  // ── contact with a quorum ────────────────────────────────────────────────

  /** When `tick` is to be called, at the latest; ms. */
  get deadline(): number {
    const isEstablishing = this.phase !== "BROADCAST";
    if (isEstablishing && this.#quorumCheck.isAlone)
      return Math.min(this.#quorumCheck.establishDeadline, this.#resendAt);
    let at = NEVER;
    for (const { tree, admitAt } of this.#learners.all()) at = Math.min(at, tree.copyAt, admitAt);
    if (isEstablishing) return Math.min(at, this.#quorumCheck.establishDeadline, this.#resendAt);
    let earliest = this.#quorumCheck.lostSince;
    for (const { silentSince } of this.#learners.all()) earliest = Math.min(earliest, silentSince);
    return Math.min(at, earliest + this.#host.self.timeouts.syncMs + 1);
  }

  /** Whether the ensemble works without the learners that are not in the active set. */
  get #worksWithout(): boolean {
    return this.phase === "BROADCAST" && this.#quorumCheck.hasActiveQuorum;
  }

  /** Extends the deadlines by the time for which this peer was suspended, since its learners were not silent then. */
  extendDeadlines(suspendedMs: number): void {
    for (const learner of this.#learners.all()) learner.extendDeadlines(suspendedMs);
    this.#quorumCheck.extendDeadlines(suspendedMs);
  }

  /** Records that a message came from a peer. */
  heard(sid: Sid): void {
    this.#learners.get(sid)?.heard();
  }

  /** Handles expired deadlines: of a wait for a copy, of a silent learner, of the leadership. */
  tick(): void {
    const { step, self } = this.#host;
    if (this.phase !== "BROADCAST" && step.now >= this.#resendAt) {
      // Peers that follow another leader answer with that; peers that wait for this one send FOLLOWERINFO again.
      this.#resendAt = step.now + self.config.electionRetryMs;
      this.#host.notifyAll();
    }
    this.#snapshots.tick();
    if (this.phase === "BROADCAST") this.#tickBroadcast();
    else this.#tickEstablishing();
  }

  #tickEstablishing(): void {
    // The next election would elect this peer again and cost an epoch: wait for peers whose digests settle which tree is right.
    if (this.#awaitsProof) {
      if (this.trees.mustYield()) {
        this.#host.becomeLooking("another member with the same history can lead and compare the trees");
        return;
      }
      this.#quorumCheck.noteProgress();
    }
    const { failure } = this.#quorumCheck;
    if (failure !== undefined) this.#host.becomeLooking(failure);
  }

  #tickBroadcast(): void {
    const { now } = this.#host.step;
    const silence = this.#host.self.timeouts.syncMs;
    this.#quorumCheck.note();
    for (const learner of this.#learners.copy()) {
      if (now - learner.silentSince > silence) this.drop(learner.sid);
    }
    if (now - this.#quorumCheck.lostSince > silence) {
      this.#host.becomeLooking("a quorum no longer follows");
      return;
    }
    for (const learner of this.#learners.all()) if (now >= learner.admitAt) this.#admit(learner);
  }

  /** Whether a quorum has joined and its trees differ, so that no election helps until more peers join. */
  get #awaitsProof(): boolean {
    return this.phase === "SYNCHRONIZATION" && !this.#quorumCheck.isAlone && this.trees.hasDispute;
  }

  /** Handles the notification of a peer. A later call may overtake a return, so a return ends no stay. */
  notice(from: Sid, note: Notification, isCall: boolean): void {
    if (this.phase !== "BROADCAST" && this.#quorumCheck.quorumFollowsAnother(from, note)) {
      this.#host.becomeLooking("a quorum follows another");
      return;
    }
    if (isCall && note.role === "LOOKING") this.drop(from);
  }

  /** Adds to a PING the state of the learner's stay and of the leader's tree. */
  addToPing(to: Sid, ping: Ping): Ping {
    const learner = this.#learners.get(to);
    const { digest } = this.#host.tree;
    if (learner === undefined) return ping;
    const { join } = learner;
    if (this.trees.isDisputed(learner)) return { ...ping, join, disputed: true };
    if (digest === undefined || !learner.upToDate) return { ...ping, join };
    const confirmed = this.confirmedByQuorum;
    return { ...ping, join, digest, ...(confirmed && { confirmed }) };
  }

  // ── learners join and leave ──────────────────────────────────────────────

  /** Ends the stay of a learner that left or whose link broke. */
  drop(sid: Sid): void {
    const { step } = this.#host;
    const learner = this.#learners.get(sid);
    if (learner === undefined) return;
    const wasAlone = this.#quorumCheck.isAlone;
    if (this.phase === "BROADCAST") this.#quorumCheck.note();
    this.#learners.remove(learner);
    if (this.#quorumCheck.isAlone && !wasAlone) this.#quorumCheck.noteQuorumLost();
    step.push({ type: "learnerLeft", sid });
    if (!learner.isActive) return;
    // The learner may have left because its tree differs, and report that when it joins again.
    if (this.trees.owesAnswer(learner)) this.#snapshots.postpone();
    this.#traceActive();
    if (this.#worksWithout) return;
    for (const other of this.#learners.all()) other.endWait();
  }

  /** Handles a later incarnation of a peer, which may have forgotten what the earlier one promised. */
  forgetIncarnation(sid: Sid): void {
    if (this.phase === "DISCOVERY") this.#discovery.withdraw(sid);
    this.drop(sid);
  }

  /** Handles a message of a learner. @returns false if it does not fit the learner's stay */
  receive(from: Sid, message: LearnerMessage): boolean {
    if (message.type === "FOLLOWERINFO") {
      this.#handleFollowerInfo(from, message);
      return true;
    }
    const learner = this.#learners.get(from);
    if (learner === undefined || learner.join !== message.join || message.epoch !== this.epoch) return false;
    switch (message.type) {
      case "ACKEPOCH":
        this.#handleAckEpoch(learner, message);
        return true;
      case "POSITION":
        return this.#synchronization.truncated(learner, message);
      case "STAGED":
        if (!this.#synchronization.staged(learner)) return false;
        this.#quorumCheck.noteProgress();
        return true;
      case "ACK":
        return this.#handleAck(learner, message);
      case "CONFIRM":
        this.trees.confirmed(learner, message.zxid);
        return true;
    }
  }

  #handleFollowerInfo(from: Sid, message: FollowerInfo): void {
    const { step } = this.#host;
    if (this.joinOf(from) === message.join) return;
    this.drop(from);
    if (this.epoch !== null && message.acceptedEpoch > this.epoch) {
      this.#discovery.refuse(message);
      return;
    }
    const learner = new Learner(this.#host, from, message);
    this.#learners.add(learner);
    // The learner's incarnation must be durable before any of its messages counts.
    step.persistDeferred();
    if (this.epoch === null) this.start();
    else this.#admit(learner);
    if (!message.initialized) this.trees.noteWithoutMemory(from);
  }

  /** Accepts a learner. If its incarnations keep ending and the ensemble works without it, it has to wait; see `Links.admitAt`. */
  #admit(learner: Learner): void {
    const { step, links } = this.#host;
    const at = this.#worksWithout ? links.admitAt(learner.sid) : step.now;
    learner.waitUntil(at);
    if (at <= step.now) this.#offerEpoch(learner);
  }

  #offerEpoch(learner: Learner): void {
    // A peer without memory is synchronized only by an ensemble that works without it.
    if (!learner.initialized && this.phase !== "BROADCAST") return;
    learner.offerEpoch(this.#discovery.chosen);
  }

  // ── discovery ────────────────────────────────────────────────────────────

  /** Chooses the epoch and offers it to the learners, if a quorum has joined. In an ensemble of one, this peer is that quorum. */
  start(): void {
    if (!this.#discovery.maybeChoose(this.#learners)) return;
    for (const learner of this.#learners.all()) this.#offerEpoch(learner);
    this.#maybeEndDiscovery();
  }

  #handleAckEpoch(learner: Learner, message: AckEpoch): void {
    if (learner.stage !== "PROMISING") return;
    learner.promised(message);
    if (!this.trees.noteJoined(learner, message)) return;
    if (this.phase === "DISCOVERY" && this.#discovery.hasNewerHistory(message)) {
      if (!message.needSnap) this.#host.becomeLooking("a learner has a newer history");
      // A learner that needs a SNAP cannot lead, but may have acked a committed txn that this leader lacks, so its promise
      // does not count.
      return;
    }
    this.#discovery.count(learner, message);
    this.#maybeEndDiscovery();
    this.maybeSynchronize(learner);
  }

  #maybeEndDiscovery(): void {
    const { step, epochs } = this.#host;
    if (this.phase !== "DISCOVERY" || !this.#discovery.isComplete) return;
    const epoch = this.#discovery.chosen;
    this.continues = epochs.currentEpoch;
    this.#ownEpochSeq = step.persist([epochs.enter(epoch)]);
    step.trace({ type: "epoch", epoch, kind: "current" });
    this.#setPhase("SYNCHRONIZATION");
    for (const learner of this.#learners.all()) this.maybeSynchronize(learner);
    this.#maybeEstablish();
  }

  // ── synchronization ──────────────────────────────────────────────────────

  /** Synchronizes a learner that has promised the epoch, unless the synchronization has to wait. */
  maybeSynchronize(learner: Learner): void {
    this.#synchronization.maybeBegin(learner);
  }

  /** Ends SYNCHRONIZATION once a quorum has acked NEWLEADER. */
  #maybeEstablish(): void {
    const { step, tree } = this.#host;
    if (this.phase !== "SYNCHRONIZATION") return;
    if (this.#ownEpochSeq === null || !step.isDurable(this.#ownEpochSeq)) return;
    if (!this.#quorumCheck.hasActiveQuorum) return;
    this.#broadcast.begin(this.#discovery.chosen);
    this.#setPhase("BROADCAST");
    tree.differs = null;
    this.#quorumCheck.begin();
    this.#broadcast.maybeCommit();
    for (const learner of this.#learners.all()) {
      if (learner.isActive) this.#sendUpToDate(learner);
      else if (learner.stage === "CONNECTED") this.#offerEpoch(learner);
      else this.maybeSynchronize(learner);
    }
    this.trees.review();
  }

  #sendUpToDate(learner: Learner): void {
    learner.markUpToDate();
    learner.sendUpToDate(this.trees.askOfServing(learner));
  }

  // ── broadcast ────────────────────────────────────────────────────────────

  /** Proposes a batch; see {@link Broadcast.propose}. */
  propose(batch: Uint8Array): LogEntry {
    assert(this.mayPropose, "only a leader in broadcast proposes, within its window");
    return this.#broadcast.propose(batch);
  }

  #handleAck(learner: Learner, message: Ack): boolean {
    switch (learner.ack(message)) {
      case "MISFIT":
        return false;
      case "ADVANCED":
        this.#host.step.trace({ type: "ack", from: learner.sid, zxid: message.zxid });
        this.#broadcast.maybeCommit();
        break;
      case "ACTIVATED":
        this.#learnerActivated(learner);
        break;
    }
    if (!learner.continueBroadcast()) this.drop(learner.sid);
    return true;
  }

  /** Handles the ack of NEWLEADER by a learner. */
  #learnerActivated(learner: Learner): void {
    this.trees.noteActive(learner);
    this.#traceActive();
    if (this.phase === "BROADCAST") {
      // Its ack may complete the quorum of an outstanding entry.
      this.#broadcast.maybeCommit();
      this.#sendUpToDate(learner);
      this.trees.review();
    } else {
      this.trees.ask(learner);
      this.#maybeEstablish();
    }
  }

  /** Handles the durability of own writes, up to the history's lastDurableZxid. */
  persisted(): void {
    this.#maybeEstablish();
    if (this.phase === "BROADCAST") this.#broadcast.maybeCommit();
  }

  /** Sends the learners what is due; see {@link Broadcast.flush}. */
  flushCommits(): void {
    if (this.epoch === null) return;
    if (this.phase === "BROADCAST") for (const { sid } of this.#broadcast.flush()) this.drop(sid);
    else for (const learner of this.#learners.all()) learner.maybeCheck();
  }

  /** Ends a hold: sends the COMMITs that are due. */
  release(): void {
    this.#broadcast.release();
    this.flushCommits();
  }

  // ── trees ────────────────────────────────────────────────────────────────

  /** Compares digests that learners reported for zxids that the own tree has now reached. */
  compareTrees(): void {
    this.trees.compareAll();
  }

  /** Handles a learner's report that its digest at `zxid` equals the leader's. */
  confirmed(sid: Sid, join: number, zxid: Zxid): void {
    const learner = this.#learners.get(sid);
    if (learner?.join === join && learner.upToDate) this.trees.confirmed(learner, zxid);
  }

  /** Handles a finished checkpoint of the current tree. */
  checkpointed(): void {
    this.#snapshots.checkpointed();
  }

  #setPhase(phase: Phase): void {
    this.phase = phase;
    this.#host.phaseChanged("LEADING", phase);
  }

  #traceActive(): void {
    this.#host.step.trace({ type: "active", sids: this.activeSet });
  }
}
