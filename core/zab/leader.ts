/**
 * LEADING: from winning an election until this peer gives up.
 *
 *   DISCOVERY ──quorum of ACKEPOCH──▶ SYNCHRONIZATION ──quorum of NEWLEADER acks──▶ BROADCAST
 *
 * Learners come and go in every phase. What a phase does is in discovery.ts, synchronization.ts with learner.ts, and
 * broadcast.ts; whose tree is right, in tree-verifier.ts. Here is when a phase ends, and when the leadership does.
 */
import { assert } from "../assert.ts";
import { Broadcast } from "./broadcast.ts";
import { Discovery } from "./discovery.ts";
import { Learner } from "./learner.ts";
import { Learners } from "./learners.ts";
import type { LogEntry } from "./log-entry.ts";
import type { Sid } from "./membership.ts";
import type { Ack, AckEpoch, FollowerInfo, LearnerMessage, Notification, Phase, Ping } from "./messages.ts";
import { QuorumCheck } from "./quorum-check.ts";
import type { RoleHost } from "./role.ts";
import { SnapshotGate } from "./snapshot-gate.ts";
import { Synchronization } from "./synchronization.ts";
import { type Leadership, TreeVerifier } from "./tree-verifier.ts";
import type { Epoch, Zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * A peer that leads, or is about to.
 * Invariants: it enters its epoch once a quorum has promised it, and broadcasts once a quorum has taken over its history and its own
 * currentEpoch is durable; in BROADCAST it was in touch with a quorum of its active set within the last syncLimit ticks.
 *
 * @source Zab, DSN 2011, phases 1–3 (leader); ZooKeeper Leader
 */
export class Leader implements Leadership {
  readonly #host: RoleHost;
  readonly #learners: Learners;
  readonly #discovery: Discovery;
  /** what it knows of the trees */
  readonly trees: TreeVerifier;
  readonly #snapshots: SnapshotGate;
  readonly #synchronization: Synchronization;
  readonly #broadcast: Broadcast;
  readonly #quorumCheck: QuorumCheck;
  phase: Phase = "DISCOVERY";
  /** the epoch whose history ours begins with: our currentEpoch before this one */
  continues: Epoch | null = null;
  /** number of the persist effect that made our own currentEpoch durable */
  #ownEpochSeq: number | null = null;
  /** before BROADCAST: when our notification is sent again; ms */
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

  // ── what others ask ──────────────────────────────────────────────────────

  /** The epoch that it leads; null: not chosen yet. */
  get epoch(): Epoch | null {
    return this.#discovery.epoch;
  }

  /** sids that have acked NEWLEADER, ours included, ascending */
  get activeSet(): readonly Sid[] {
    return this.#learners.activeSet;
  }

  /** A learner is being brought up to date: the checkpoint must stay as it is, and with it the log that continues it. */
  get readsSnapshot(): boolean {
    return this.#learners.readsSnapshot;
  }

  /** What the slowest learner has that is in the active set, or about to be; undefined without one. */
  get slowest(): Zxid | undefined {
    return this.#learners.slowest;
  }

  /** zxid of the next txn. */
  get nextZxid(): Zxid {
    return this.#broadcast.nextZxid;
  }

  /** May another batch be proposed? */
  get mayPropose(): boolean {
    return this.phase === "BROADCAST" && this.trees.trusted && this.#broadcast.hasRoom;
  }

  /** The counter of this epoch is used up. */
  get exhausted(): boolean {
    return this.#broadcast.isExhausted;
  }

  /** No learner's tree speaks against ours, or a quorum has confirmed it: clients may be served. */
  get trusted(): boolean {
    return this.trees.trusted;
  }

  /** A quorum has this tree, ours included, and not because we copied it there. */
  get confirmedByQuorum(): boolean {
    return this.trusted && this.phase === "BROADCAST" && this.trees.isProven;
  }

  /** A learner's digest awaits ours; see {@link compareTrees}. */
  get comparing(): boolean {
    return this.trees.comparing;
  }

  /** The current stay of a learner, for messages that come beside Zab's. */
  joinOf(sid: Sid): number | undefined {
    return this.#learners.get(sid)?.join;
  }

  /** This learner serves. */
  isServing(sid: Sid): boolean {
    return this.#learners.get(sid)?.upToDate === true;
  }

  /** A client of this learner waits for a commit. */
  expectCommit(sid: Sid): void {
    this.#learners.get(sid)?.expectCommit();
  }

  /** Nothing is under way: a quorum follows, every learner serves, has acknowledged everything, and knows that it is committed. */
  get settled(): boolean {
    if (this.phase !== "BROADCAST" || !this.#broadcast.isIdle) return false;
    if (!this.trusted || !this.#quorumCheck.hasActiveQuorum) return false;
    for (const { isSettled } of this.#learners.all()) if (!isSettled) return false;
    return true;
  }

  // ── in touch with a quorum ───────────────────────────────────────────────

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

  /** The ensemble works without the learners that are not in the active set. */
  get #worksWithout(): boolean {
    return this.phase === "BROADCAST" && this.#quorumCheck.hasActiveQuorum;
  }

  /** This peer was suspended for so long: that is no silence of its learners. */
  excuse(suspendedMs: number): void {
    for (const learner of this.#learners.all()) learner.excuse(suspendedMs);
    this.#quorumCheck.excuse(suspendedMs);
  }

  /** Something came from a peer. */
  heard(sid: Sid): void {
    this.#learners.get(sid)?.heard();
  }

  /** Ends what takes too long: the wait for a copy, the stay of a silent learner, the leadership. */
  tick(): void {
    const { step, self } = this.#host;
    if (this.phase !== "BROADCAST" && step.now >= this.#resendAt) {
      // Peers that follow another answer that; peers that wait for us send FOLLOWERINFO again.
      this.#resendAt = step.now + self.config.electionRetryMs;
      this.#host.notifyAll();
    }
    this.#snapshots.tick();
    if (this.phase === "BROADCAST") this.#tickBroadcast();
    else this.#tickEstablishing();
  }

  #tickEstablishing(): void {
    // The next election would choose us again, and cost an epoch: we wait for peers that can tell which tree is right.
    if (this.#awaitsProof) {
      if (this.trees.mustYield()) {
        this.#host.becomeLooking("a member with the same history, and perhaps another tree, can lead");
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

  /** A quorum is here, and its trees differ: no election helps before more peers come. */
  get #awaitsProof(): boolean {
    return this.phase === "SYNCHRONIZATION" && !this.#quorumCheck.isAlone && this.trees.hasDispute;
  }

  /** Takes a vote, or what a peer says of its leader. A return may be overtaken by a later call, so it ends no stay. */
  notice(from: Sid, note: Notification, isCall: boolean): void {
    if (this.phase !== "BROADCAST" && this.#quorumCheck.isDeserted(from, note)) {
      this.#host.becomeLooking("a quorum follows another");
      return;
    }
    if (isCall && note.role === "LOOKING") this.drop(from);
  }

  /** Adds to a PING what a learner needs to know of its stay, and of our tree. */
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

  // ── learners come and go ─────────────────────────────────────────────────

  /** The learner has left, or its link broke. */
  drop(sid: Sid): void {
    const { step } = this.#host;
    const learner = this.#learners.get(sid);
    if (learner === undefined) return;
    const wasAlone = this.#quorumCheck.isAlone;
    if (this.phase === "BROADCAST") this.#quorumCheck.note();
    this.#learners.remove(learner);
    if (this.#quorumCheck.isAlone && !wasAlone) this.#quorumCheck.noteAlone();
    step.push({ type: "learnerLeft", sid });
    if (!learner.isActive) return;
    // It may have left because its tree differs, and say so when it comes back.
    if (this.trees.owesAnswer(learner)) this.#snapshots.postpone();
    this.#traceActive();
    if (this.#worksWithout) return;
    for (const other of this.#learners.all()) other.endWait();
  }

  /** A later incarnation of this peer was seen: what the earlier one promised it may have forgotten. */
  forgetIncarnation(sid: Sid): void {
    if (this.phase === "DISCOVERY") this.#discovery.withdraw(sid);
    this.drop(sid);
  }

  /** Handles a message of a learner. @returns false when it does not belong to its stay */
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
    // Before anything it says counts: that an older incarnation of it counts no more.
    step.persistDeferred();
    if (this.epoch === null) this.start();
    else this.#admit(learner);
    if (!message.initialized) this.trees.noteWithoutMemory(from);
  }

  /** While the ensemble works without it, a learner whose incarnations keep ending waits; see `Links.admitAt`. */
  #admit(learner: Learner): void {
    const { step, links } = this.#host;
    const at = this.#worksWithout ? links.admitAt(learner.sid) : step.now;
    learner.waitUntil(at);
    if (at <= step.now) this.#offerEpoch(learner);
  }

  #offerEpoch(learner: Learner): void {
    // A peer without memory counts for nothing until an ensemble that works without it has brought it up to date.
    if (!learner.initialized && this.phase !== "BROADCAST") return;
    learner.offerEpoch(this.#discovery.chosen);
  }

  // ── discovery ────────────────────────────────────────────────────────────

  /** Leads alone, or waits for the others: chooses the epoch once a quorum is here. */
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
      // One that needs a SNAP cannot lead, but what it has acked and we lack may be committed: it does not vouch for our history.
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

  /** Synchronizes a learner that has promised the epoch, if nothing stands against it. */
  maybeSynchronize(learner: Learner): void {
    this.#synchronization.maybeBegin(learner);
  }

  /** SYNCHRONIZATION is over once a quorum has made our history its own. */
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
    if (!learner.pump()) this.drop(learner.sid);
    return true;
  }

  /** A learner has taken over our history. */
  #learnerActivated(learner: Learner): void {
    this.trees.noteActive(learner);
    this.#traceActive();
    if (this.phase === "BROADCAST") {
      // Its history may hold the very ack that an outstanding entry lacked.
      this.#broadcast.maybeCommit();
      this.#sendUpToDate(learner);
      this.trees.review();
    } else {
      this.trees.ask(learner);
      this.#maybeEstablish();
    }
  }

  /** Our own writes are durable up to where the history says. */
  persisted(): void {
    this.#maybeEstablish();
    if (this.phase === "BROADCAST") this.#broadcast.maybeCommit();
  }

  /** Sends the learners the commit index where no proposal has carried it, and the CHECKs that are due. */
  flushCommits(): void {
    if (this.epoch === null) return;
    if (this.phase === "BROADCAST") this.#broadcast.flush();
    else for (const learner of this.#learners.all()) learner.maybeCheck();
  }

  /** The time of a hold is over: what is due is sent. */
  release(): void {
    this.#broadcast.release();
    this.flushCommits();
  }

  // ── trees ────────────────────────────────────────────────────────────────

  /** Our tree has advanced: digests that learners reported for later zxids can be compared with ours now. */
  compareTrees(): void {
    this.trees.compareAll();
  }

  /** A learner has found our digest at `zxid` equal to its own. */
  confirmed(sid: Sid, join: number, zxid: Zxid): void {
    const learner = this.#learners.get(sid);
    if (learner?.join === join && learner.upToDate) this.trees.confirmed(learner, zxid);
  }

  /** There is a checkpoint of the tree as it is now. */
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
