/**
 * A member that leads: from winning an election until it gives up.
 *
 *   DISCOVERY ──quorum of ACKEPOCH──▶ SYNCHRONIZATION ──quorum of NEWLEADER acks──▶ BROADCAST
 *
 * Learners come and go in every phase; {@link Learner} is what the leader knows of one. One pump per learner sends what
 * its log lacks, whether that is a synchronization or the latest proposal.
 *
 * @source Zab, DSN 2011, phases 1–3 (leader); ZooKeeper Leader, LearnerHandler
 */
import { assert, must } from "../assert.ts";
import { compareWith, TreeAgreement } from "./digests.ts";
import { type LogEntry, makeEntry } from "./log-entry.ts";
import type { Sid } from "./membership.ts";
import type {
  Ack,
  AckEpoch,
  DigestAt,
  FollowerInfo,
  LearnerMessage,
  LogPosition,
  Notification,
  Phase,
  Ping,
  Position,
} from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { chooseSync } from "./synchronization.ts";
import {
  asEpoch,
  compareZxid,
  type Epoch,
  equalZxid,
  maxZxid,
  minZxid,
  ZXID_ZERO,
  type Zxid,
} from "./zxid.ts";

/** Where a learner is: it only moves downwards. */
type LearnerStage =
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

/** What the leader knows of one learner. Shape: sid → stage, end of what was sent, end of what is durable there. */
interface Learner {
  readonly sid: Sid;
  readonly join: number;
  readonly acceptedEpoch: Epoch;
  readonly initialized: boolean;
  stage: LearnerStage;
  /** its history as it said, until synchronization begins */
  position: LogPosition | null;
  needSnap: boolean;
  /** where its tree differs from ours; null: not known to differ */
  differsAt: Zxid | null;
  /** its digest, until ours of the same zxid is known */
  digest: DigestAt | null;
  /** it is of a version that answers CHECK */
  confirms: boolean;
  /** of one that does so before UPTODATE too */
  checksEarly: boolean;
  /** the zxid at which its tree stood when it joined; null: it has no tree that could be compared */
  treeAt: Zxid | null;
  /** its tree was found equal to ours in this stay */
  compared: boolean;
  /** it is to be sent a CHECK as soon as our digest is at or above this */
  checkFrom: Zxid | null;
  /** when it is taken in; infinity: it is, or waits for something else */
  admitAt: number;
  /** when it is given SNAP though no quorum has confirmed our tree; infinity: it does not wait for that */
  copyAt: number;
  /** when it no longer waits for answers to CHECK before that */
  copyBy: number;
  /** that time is over */
  copyDue: boolean;
  /** it is given SNAP once there is a checkpoint that is known to be right */
  awaitsCheckpoint: boolean;
  /** end of what is on its way; meaningful from STAGING on */
  sent: Zxid;
  /** end of what it has acknowledged; null before it is ACTIVE */
  acked: Zxid | null;
  /** PROPOSALs and chunks that it has not answered */
  inFlight: number;
  snapshot: { cursor: string | undefined; index: number } | null;
  /** its tree is replaced by ours in this stay */
  copied: boolean;
  upToDate: boolean;
  /** the commit index it was last told */
  commitSent: Zxid;
  /** how long it can do without a COMMIT, as its last ACK said; ms */
  patienceMs: number;
  /** when a COMMIT that is held back goes */
  commitDueAt: number;
  heardAt: number;
  /** when it last acked something new, or was sent something while it had acked everything */
  ackedAt: number;
}

/** Something that a learner in the active set was sent awaits its ack. */
const owesAck = ({ acked, sent }: Learner): boolean => acked !== null && compareZxid(acked, sent) < 0;

export class Leader {
  readonly #host: RoleHost;
  phase: Phase = "DISCOVERY";
  epoch: Epoch | null = null;
  /** the epoch whose history ours begins with: our currentEpoch before this one */
  continues: Epoch | null = null;
  readonly #learners = new Map<Sid, Learner>();
  readonly #epochAcks = new Set<Sid>();
  /** what the learners have said of our tree, in this leadership */
  readonly #agreement: TreeAgreement;
  /** nothing is known against our tree, or a quorum has confirmed it */
  #trusted = false;
  /** has been trusted in BROADCAST: the ensemble has worked under this leader */
  #served = false;
  /** some learner's digest awaits ours */
  #comparing = false;
  /** the shell is asked for a checkpoint */
  #checkpointing = false;
  /** number of the persist effect that made our own currentEpoch durable */
  #ownEpochSeq: number | null = null;
  #establishDeadline: number;
  /** while fewer than a quorum follow, before BROADCAST: when we give up */
  #aloneDeadline: number;
  /** before BROADCAST: when our notification is sent again */
  #resendAt: number;
  /** peers that follow another, as they have said since we were elected */
  readonly #elsewhere = new Set<Sid>();
  #counter = 0;
  /** while trees are in dispute: since when a learner would win the next election */
  #outrankedFrom = 0;
  /** when a quorum of the active set was heard last, ours included. That members answer is not enough: they may follow another. */
  #quorumAt = 0;
  /** last entry of each batch that is proposed and not committed */
  #outstanding: Zxid[] = [];
  /** when `released` comes, where COMMITs are held back */
  #releaseAt = Number.POSITIVE_INFINITY;

  constructor(host: RoleHost) {
    this.#host = host;
    const { self, step } = host;
    this.#agreement = new TreeAgreement(self.quorum, self.sid);
    this.#establishDeadline = step.now + self.timeouts.initMs;
    this.#aloneDeadline = step.now + self.timeouts.tickMs;
    this.#resendAt = step.now + self.config.electionRetryMs;
  }

  get deadline(): number {
    const { timeouts } = this.#host.self;
    if (this.#isAlone) return Math.min(this.#aloneDeadline, this.#establishDeadline, this.#resendAt);
    let copyAt = Number.POSITIVE_INFINITY;
    for (const learner of this.#learners.values()) {
      copyAt = Math.min(copyAt, learner.copyAt, learner.admitAt);
    }
    if (this.phase !== "BROADCAST") return Math.min(copyAt, this.#establishDeadline, this.#resendAt);
    let earliest = Number.POSITIVE_INFINITY;
    for (const learner of this.#learners.values()) {
      earliest = Math.min(earliest, learner.heardAt);
      if (owesAck(learner)) earliest = Math.min(earliest, learner.ackedAt);
    }
    if (!this.#host.self.quorum.contains(this.activeSet)) earliest = Math.min(earliest, this.#quorumAt);
    return Math.min(copyAt, earliest + timeouts.syncMs + 1);
  }

  /**
   * Before BROADCAST, and fewer than a quorum follow: it was elected in a round that the others have left, or has lost them.
   * Nobody joins a leader that no quorum follows.
   */
  get #isAlone(): boolean {
    const { quorum, sid } = this.#host.self;
    return this.phase !== "BROADCAST" && !quorum.contains([sid, ...this.#learners.keys()]);
  }

  /** sids that have acked NEWLEADER, ours included, ascending */
  get activeSet(): readonly Sid[] {
    const active = [...this.#learners.values()].filter((l) => l.acked !== null).map((l) => l.sid);
    return [...active, this.#host.self.sid].sort((a, b) => a - b);
  }

  /** A learner is being brought up: the checkpoint must stay as it is, and with it the log that continues it. */
  get readsSnapshot(): boolean {
    for (const { stage } of this.#learners.values())
      if (stage === "SNAPSHOT" || stage === "STAGING") return true;
    return false;
  }

  /** What the slowest learner has that is in the active set, or about to be; undefined without one. */
  get slowest(): Zxid | undefined {
    let slowest: Zxid | undefined;
    for (const { stage, acked, sent } of this.#learners.values()) {
      if (stage !== "ACTIVE" && stage !== "CLOSING") continue;
      slowest = minZxid(slowest ?? sent, acked ?? sent);
    }
    return slowest;
  }

  /** zxid of the next txn. */
  get nextZxid(): Zxid {
    return { epoch: must(this.epoch, "a zxid is given in broadcast"), counter: this.#counter + 1 };
  }

  /** May another batch be proposed? */
  get mayPropose(): boolean {
    const { batchesInFlightMax } = this.#host.self.config;
    if (this.phase !== "BROADCAST" || !this.#trusted || this.exhausted) return false;
    return this.#outstanding.length < batchesInFlightMax;
  }

  /** No learner's tree speaks against ours, or a quorum has confirmed it: clients may be served. */
  get trusted(): boolean {
    return this.#trusted;
  }

  /** A quorum has this tree, ours included, and not because we copied it there. */
  get confirmedByQuorum(): boolean {
    return this.#trusted && this.phase === "BROADCAST" && this.#agreement.proves(this.#agreement.disputed);
  }

  /** The ensemble has worked under this leader. */
  get served(): boolean {
    return this.#served;
  }

  /** A learner's digest awaits ours; see {@link compareTrees}. */
  get comparing(): boolean {
    return this.#comparing;
  }

  /** Why the ensemble does not serve although learners are here; empty: there is no such reason. */
  get reason(): string {
    const { differing } = this.#agreement;
    if (this.#trusted || differing.length === 0) return "";
    const nodes = differing.length === 1 ? "node" : "nodes";
    return `the tree here differs from that of ${nodes} ${differing.join(", ")}, and no quorum has confirmed either`;
  }

  /** The current stay of a learner, for messages that come beside Zab's. */
  joinOf(sid: Sid): number | undefined {
    return this.#learners.get(sid)?.join;
  }

  /** A client of this learner waits for a commit. */
  expectCommit(sid: Sid): void {
    const learner = this.#learners.get(sid);
    if (learner !== undefined) learner.patienceMs = 0;
  }

  isServing(sid: Sid): boolean {
    return this.#learners.get(sid)?.upToDate === true;
  }

  /** Leads alone, or waits for the others. */
  start(): void {
    this.#maybeChooseEpoch();
  }

  /** This member stood still for so long: that is no silence of its learners. */
  excuse(stoodMs: number): void {
    const { now } = this.#host.step;
    for (const learner of this.#learners.values()) {
      learner.heardAt = Math.min(learner.heardAt + stoodMs, now);
      learner.ackedAt = Math.min(learner.ackedAt + stoodMs, now);
    }
    this.#quorumAt = Math.min(this.#quorumAt + stoodMs, now);
  }

  heard(sid: Sid): void {
    const learner = this.#learners.get(sid);
    if (learner !== undefined) learner.heardAt = this.#host.step.now;
  }

  /** Nothing is under way: a quorum follows, every learner serves, and has acknowledged and been told all there is. */
  get settled(): boolean {
    const { lastLogged } = this.#host.history;
    const { quorum } = this.#host.self;
    if (this.phase !== "BROADCAST" || this.#outstanding.length > 0) return false;
    if (!this.#trusted || !quorum.contains(this.activeSet)) return false;
    for (const { stage, upToDate, acked, commitSent, inFlight, checkFrom } of this.#learners.values()) {
      if (checkFrom !== null) return false;
      if (stage !== "ACTIVE" || !upToDate || acked === null || inFlight > 0) return false;
      if (!equalZxid(acked, lastLogged.zxid) || !equalZxid(commitSent, lastLogged.zxid)) return false;
    }
    return true;
  }

  /**
   * Takes a vote, or what a peer says of its leader. Two may be elected, in elections that crossed: the one from which a quorum
   * says that it follows another returns to LOOKING at once; never both, since a quorum follows one only. A return may be
   * overtaken by a later call, so it ends no stay.
   */
  notice(from: Sid, note: Notification, isCall: boolean): void {
    const { self } = this.#host;
    if (this.phase !== "BROADCAST") {
      if (note.role !== "LOOKING" && note.vote.leader !== self.sid) this.#elsewhere.add(from);
      else this.#elsewhere.delete(from);
      if (self.quorum.contains(this.#elsewhere)) {
        this.#host.becomeLooking("a quorum follows another");
        return;
      }
    }
    if (isCall && note.role === "LOOKING") this.drop(from);
  }

  /** Adds to a PING what a learner needs to know of its stay, and of our tree. */
  addToPing(to: Sid, ping: Ping): Ping {
    const join = this.joinOf(to);
    const { digest } = this.#host.tree;
    if (join === undefined) return ping;
    if (this.isDisputed(to)) return { ...ping, join, disputed: true };
    if (digest === undefined || !this.isServing(to)) return { ...ping, join };
    const confirmed = this.confirmedByQuorum;
    return { ...ping, join, digest, ...(confirmed && { confirmed }) };
  }

  /** The learner has left, or its link broke. */
  drop(sid: Sid): void {
    const learner = this.#learners.get(sid);
    if (learner === undefined) return;
    const wasAlone = this.#isAlone;
    this.#noteQuorum();
    this.#learners.delete(sid);
    const { now } = this.#host.step;
    if (this.#isAlone && !wasAlone) this.#aloneDeadline = now + this.#host.self.timeouts.tickMs;
    this.#host.step.push({ type: "learnerLeft", sid });
    if (learner.acked === null) return;
    // It may have left because its tree differs, and say so when it comes back.
    if (this.#owesAnswer(learner)) this.#postponeCopies();
    this.#traceActive();
    if (this.#worksWithout) return;
    for (const other of this.#learners.values())
      if (other.admitAt !== Number.POSITIVE_INFINITY) other.admitAt = now;
  }

  /** A later life of this member was seen: what the earlier one promised it may have forgotten. */
  forgetIncarnation(sid: Sid): void {
    if (this.phase === "DISCOVERY") this.#epochAcks.delete(sid);
    this.drop(sid);
  }

  tick(): void {
    const { now } = this.#host.step;
    const { timeouts, quorum } = this.#host.self;
    if (this.phase !== "BROADCAST" && now >= this.#resendAt) {
      // Peers that follow another answer that; peers that wait for us send FOLLOWERINFO again.
      this.#resendAt = now + this.#host.self.config.electionRetryMs;
      this.#host.notifyAll();
    }
    for (const learner of this.#learners.values()) {
      // The last checkpoint may have been read by another.
      if (learner.awaitsCheckpoint) this.#maybeSynchronize(learner);
      if (now < learner.copyAt) continue;
      if (now < learner.copyBy && this.#awaitsAnswer) {
        this.#postponeCopies();
        continue;
      }
      learner.copyAt = Number.POSITIVE_INFINITY;
      learner.copyDue = true;
      this.#maybeSynchronize(learner);
    }
    if (this.phase !== "BROADCAST") {
      // The next election would choose us again, and cost an epoch: we wait for members that can tell which tree is right.
      if (this.#awaitsProof) {
        if (!this.#isOutranked) this.#outrankedFrom = now;
        else if (now - this.#outrankedFrom >= timeouts.syncMs) {
          this.#host.becomeLooking("a member with the same history, and perhaps another tree, can lead");
          return;
        }
        this.#establishDeadline = now + timeouts.initMs;
      }
      if (now >= this.#establishDeadline) this.#host.becomeLooking("no quorum followed in time");
      else if (this.#isAlone && now >= this.#aloneDeadline) this.#host.becomeLooking("no quorum follows");
      return;
    }
    const silence = timeouts.syncMs;
    this.#noteQuorum();
    for (const learner of [...this.#learners.values()]) {
      // An ack that is lost while pings go on would fill the learner's window for ever.
      const isStuck = owesAck(learner) && now - learner.ackedAt > silence;
      if (isStuck || now - learner.heardAt > silence) this.drop(learner.sid);
    }
    if (!quorum.contains(this.activeSet) && now - this.#quorumAt > silence) {
      this.#host.becomeLooking("a quorum no longer follows");
      return;
    }
    for (const learner of this.#learners.values()) if (now >= learner.admitAt) this.#admit(learner);
  }

  /** A quorum was heard when the last of it was: the silence of a learner that is dropped counts from its last sign of life. */
  #noteQuorum(): void {
    const { now } = this.#host.step;
    const { quorum } = this.#host.self;
    if (this.phase !== "BROADCAST") return;
    const heard = [...this.#learners.values()].filter((learner) => learner.acked !== null);
    heard.sort((a, b) => b.heardAt - a.heardAt);
    const sids = [this.#host.self.sid];
    let at = now;
    while (!quorum.contains(sids)) {
      const next = heard.shift();
      if (next === undefined) return;
      sids.push(next.sid);
      at = next.heardAt;
    }
    this.#quorumAt = Math.max(this.#quorumAt, at);
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
        return this.#handlePosition(learner, message);
      case "STAGED":
        return this.#handleStaged(learner);
      case "ACK":
        return this.#handleAck(learner, message);
      case "CONFIRM":
        this.#hasConfirmed(learner, message.zxid);
        return true;
    }
  }

  #handleFollowerInfo(from: Sid, message: FollowerInfo): void {
    const host = this.#host;
    const known = this.#learners.get(from);
    if (known !== undefined && known.join === message.join) return;
    this.drop(from);
    if (this.epoch !== null && message.acceptedEpoch > this.epoch) {
      this.#hearHigherPromise(message);
      return;
    }
    const learner: Learner = {
      sid: from,
      join: message.join,
      acceptedEpoch: message.acceptedEpoch,
      initialized: message.initialized,
      stage: "CONNECTED",
      position: null,
      needSnap: false,
      differsAt: null,
      digest: null,
      confirms: false,
      checksEarly: false,
      treeAt: null,
      compared: false,
      checkFrom: null,
      admitAt: Number.POSITIVE_INFINITY,
      copyAt: Number.POSITIVE_INFINITY,
      copyBy: Number.POSITIVE_INFINITY,
      copyDue: false,
      awaitsCheckpoint: false,
      sent: host.history.lastLogged.zxid,
      acked: null,
      inFlight: 0,
      snapshot: null,
      copied: false,
      upToDate: false,
      commitSent: host.history.lastCommittedZxid,
      patienceMs: 0,
      commitDueAt: Number.POSITIVE_INFINITY,
      heardAt: host.step.now,
      ackedAt: host.step.now,
    };
    this.#learners.set(from, learner);
    // Before anything it says counts: that an older life of it counts no more.
    host.step.persistDeferred();
    if (this.epoch === null) this.#maybeChooseEpoch();
    else this.#admit(learner);
    // Without memory it counts for nothing before it has synchronized: it has no tree left that needs protection.
    if (!message.initialized && this.#agreement.abandon(from)) this.#review();
  }

  /**
   * A learner has promised a higher epoch than ours, and cannot join before there is an epoch above it. Our next epoch is
   * above it. If the learner counts in quorums, we step down at once, but only once: we store its promise as our own, given
   * to no candidate, so the next leader of our quorum goes above it too. For a learner that counts in none we do not step down.
   */
  #hearHigherPromise({ acceptedEpoch, initialized }: FollowerInfo): void {
    const host = this.#host;
    host.epochs.noteRefused(acceptedEpoch);
    if (!initialized) return;
    host.epochs.promise(acceptedEpoch, null);
    this.#host.becomeLooking("a learner has promised a higher epoch");
  }

  /** DISCOVERY: a quorum has told what it promised, so the next epoch is above all of it. */
  #maybeChooseEpoch(): void {
    const host = this.#host;
    if (this.epoch !== null) return;
    const voters = [...this.#learners.values()].filter((learner) => learner.initialized);
    if (!host.self.quorum.contains([host.self.sid, ...voters.map((l) => l.sid)])) return;
    const highest = Math.max(host.epochs.highestKnown, ...voters.map((l) => l.acceptedEpoch));
    this.epoch = asEpoch(highest + 1);
    host.epochs.promise(this.epoch, host.self.sid);
    this.#epochAcks.add(host.self.sid);
    for (const learner of this.#learners.values()) this.#sendLeaderInfo(learner);
    this.#maybeEndDiscovery();
  }

  /** While the ensemble works without it, a learner whose lives keep ending waits; see {@link PeerContext.admitAt}. */
  #admit(learner: Learner): void {
    const host = this.#host;
    const at = this.#worksWithout ? host.links.admitAt(learner.sid) : host.step.now;
    learner.admitAt = at > host.step.now ? at : Number.POSITIVE_INFINITY;
    if (at <= host.step.now) this.#sendLeaderInfo(learner);
  }

  /** The active set is a quorum: the ensemble works without the learners that are not in it. */
  get #worksWithout(): boolean {
    return this.phase === "BROADCAST" && this.#host.self.quorum.contains(this.activeSet);
  }

  #sendLeaderInfo(learner: Learner): void {
    // A member without memory counts for nothing until an ensemble that works without it has brought it up.
    if (!learner.initialized && this.phase !== "BROADCAST") return;
    learner.stage = "PROMISING";
    const epoch = must(this.epoch, "the epoch is chosen");
    this.#host.links.send(learner.sid, { type: "LEADERINFO", join: learner.join, epoch });
  }

  #handleAckEpoch(learner: Learner, message: AckEpoch): void {
    const host = this.#host;
    if (learner.stage !== "PROMISING") return;
    learner.stage = "PROMISED";
    learner.position = message.last;
    learner.needSnap = message.needSnap;
    if (!this.#noteTree(learner, message)) return;
    if (this.phase === "DISCOVERY") {
      const better =
        message.currentEpoch - host.epochs.currentEpoch ||
        compareZxid(message.last.zxid, host.history.lastLogged.zxid);
      if (better > 0 && !message.needSnap) {
        this.#host.becomeLooking("a learner has a newer history");
        return;
      }
      // It cannot lead, but what it has acked and we lack may be committed: it does not vouch for our history.
      if (better > 0) return;
    }
    if (message.counted && learner.initialized) this.#epochAcks.add(learner.sid);
    this.#maybeEndDiscovery();
    this.#maybeSynchronize(learner);
  }

  // ── whose tree is right ──────────────────────────────────────────────────

  /** What a learner says of its tree when it joins. @returns false when so many differ that it is us who is wrong */
  #noteTree(learner: Learner, message: AckEpoch): boolean {
    const host = this.#host;
    const { sid } = learner;
    learner.confirms = message.digest !== undefined;
    learner.checksEarly = learner.confirms && message.checksEarly === true;
    learner.treeAt = message.digest?.zxid ?? null;
    if (learner.confirms) this.#agreement.speaks(sid);
    else this.#agreement.silence(sid);
    // A tree that is of no use speaks neither for ours nor against it, and needs no protection.
    if (message.needSnap && this.#agreement.abandon(sid)) this.#review();
    if (message.diverged && !message.needSnap) {
      return this.#differs(
        learner,
        message.divergedAt ?? minZxid(message.last.zxid, host.history.lastLogged.zxid),
      );
    }
    if (message.digest !== undefined && message.digest !== null) {
      learner.digest = message.digest;
      return this.#compare(learner);
    }
    return true;
  }

  /** Compares a learner's digest with ours, once both are of one zxid. @returns false when this leadership is over */
  #compare(learner: Learner): boolean {
    const { digests, digest: ours } = this.#host.tree;
    const theirs = learner.digest;
    if (theirs === null || ours === undefined) return true;
    const outcome = compareWith(digests, theirs);
    if (outcome === undefined) {
      // Of a zxid that we have passed and do not remember we never will: it is asked to compare ours.
      if (compareZxid(theirs.zxid, ours.zxid) <= 0) learner.digest = null;
      else this.#comparing = true;
      return true;
    }
    learner.digest = null;
    if (outcome === "DIFFERENT") return this.#differs(learner, theirs.zxid);
    this.#confirmed(learner, theirs.zxid);
    return true;
  }

  /** Our tree has advanced: digests that learners reported for later zxids can be compared with ours now. */
  compareTrees(): void {
    this.#comparing = false;
    for (const learner of [...this.#learners.values()]) if (!this.#compare(learner)) return;
  }

  /** The learner has our tree at `zxid`. */
  confirmed(sid: Sid, join: number, zxid: Zxid): void {
    const learner = this.#learners.get(sid);
    if (learner?.join === join && learner.upToDate) this.#hasConfirmed(learner, zxid);
  }

  /** The learner has compared, and needs no CHECK for that any more. */
  #hasConfirmed(learner: Learner, zxid: Zxid): void {
    if (compareZxid(zxid, this.#agreement.disputed) >= 0) learner.checkFrom = null;
    this.#confirmed(learner, zxid);
  }

  #confirmed(learner: Learner, zxid: Zxid): void {
    learner.differsAt = null;
    learner.compared = true;
    const isNew = compareZxid(this.#agreement.confirmedBy(learner.sid), zxid) < 0;
    this.#agreement.confirm(learner.sid, zxid);
    if (isNew || !this.#trusted) this.#review();
  }

  /** @returns false when so many differ that it is us who is wrong: this leadership is over */
  #differs(learner: Learner, zxid: Zxid): boolean {
    const host = this.#host;
    learner.differsAt = zxid;
    learner.compared = false;
    this.#agreement.differ(learner.sid, zxid);
    if (this.#agreement.refuted) {
      host.history.giveUp();
      this.#host.becomeLooking("a quorum's digest differs from ours");
      return false;
    }
    for (const other of this.#learners.values()) this.#ask(other);
    this.#review();
    return true;
  }

  /**
   * A learner that serves is asked for its word, where that may settle something; so is one that has our history while we wait
   * to broadcast, for that may depend on its word, or the copy that another is to be given.
   */
  #ask(learner: Learner): void {
    const mayAsk = learner.upToDate ? learner.confirms : learner.checksEarly && learner.acked !== null;
    if (!mayAsk) return;
    const { disputed } = this.#agreement;
    const isDisputed = compareZxid(this.#agreement.confirmedBy(learner.sid), disputed) < 0;
    if (isDisputed || (this.#copyWaits && this.#owesAnswer(learner))) {
      learner.checkFrom = maxZxid(learner.checkFrom ?? disputed, disputed);
    }
  }

  /** A learner waits to be given our tree though no quorum has confirmed it. */
  get #copyWaits(): boolean {
    for (const { copyAt } of this.#learners.values()) if (copyAt !== Number.POSITIVE_INFINITY) return true;
    return false;
  }

  /** A learner that has our history and a tree of its own can compare that with ours, and has not said yet whether it is equal. */
  #owesAnswer({ acked, compared, copied, treeAt, upToDate, checksEarly }: Learner): boolean {
    const { digest } = this.#host.tree;
    if (acked === null || compared || copied || treeAt === null || digest === undefined) return false;
    // Of a zxid that it had passed when it joined it may not remember its digest.
    return (upToDate || checksEarly) && compareZxid(treeAt, digest.zxid) <= 0;
  }

  get #awaitsAnswer(): boolean {
    for (const learner of this.#learners.values()) if (this.#owesAnswer(learner)) return true;
    return false;
  }

  /** Who waits for a copy waits a tick from now on, at most until its time is over. */
  #postponeCopies(): void {
    const { now } = this.#host.step;
    for (const learner of this.#learners.values()) {
      if (learner.copyAt === Number.POSITIVE_INFINITY) continue;
      learner.copyAt = Math.max(
        learner.copyAt,
        Math.min(learner.copyBy, now + this.#host.self.timeouts.tickMs),
      );
    }
  }

  #maybeCheck(learner: Learner): void {
    const { digest } = this.#host.tree;
    const from = learner.checkFrom;
    if (digest === undefined || from === null || compareZxid(digest.zxid, from) < 0) return;
    learner.checkFrom = null;
    const epoch = must(this.epoch, "the epoch is chosen");
    this.#host.links.send(learner.sid, { type: "CHECK", join: learner.join, epoch, digest });
  }

  /** There are new reports about our tree, or more members that report: learners that wait for them may continue. */
  #review(): void {
    const host = this.#host;
    const active = this.activeSet.filter((sid) => sid !== host.self.sid);
    this.#trusted = host.tree.digest === undefined || this.#agreement.allowsWrites(active);
    if (this.#agreement.proves(this.#agreement.disputed)) host.tree.confirmedByQuorum = true;
    else if (this.#agreement.differing.length > 0) host.tree.confirmedByQuorum = false;
    if (this.#trusted && this.phase === "BROADCAST") this.#served = true;
    for (const learner of [...this.#learners.values()]) {
      if (this.#isCopiedInDispute(learner)) this.drop(learner.sid);
      else this.#maybeSynchronize(learner);
    }
  }

  /** It is being sent our tree without any confirmation, and now a member differs. Before NEWLEADER it still has its own tree. */
  #isCopiedInDispute({ sid, stage }: Learner): boolean {
    if (stage !== "SNAPSHOT" && stage !== "STAGING") return false;
    const { differing, disputed } = this.#agreement;
    return differing.length > 0 && this.#agreement.isUnprovenCopy(sid) && !this.#agreement.proves(disputed);
  }

  /** May this learner's tree be replaced by ours? */
  #mayCopyTo(learner: Learner): boolean {
    const host = this.#host;
    if (learner.differsAt !== null) return this.#agreement.proves(learner.differsAt);
    // No digests are reported here, so there is nothing to compare.
    if (host.tree.digest === undefined) return true;
    if (this.#agreement.proves(this.#agreement.disputed)) return true;
    // It has nothing to lose but its lag, and what it is given is right.
    if (host.snapshot.isConfirmed) return true;
    // While others may still say that ours is the wrong tree they are waited for.
    return learner.copyDue && this.#agreement.differing.length === 0;
  }

  /** Our tree replaces this learner's because a quorum has confirmed ours, and not only because no member differs. */
  #isProvenTo({ differsAt }: Learner): boolean {
    if (this.#host.tree.digest === undefined) return false;
    return this.#agreement.proves(differsAt ?? this.#agreement.disputed);
  }

  /**
   * The last checkpoint may be of before the first zxid at which a quorum had our tree, and hold a damaged value that later txns
   * have replaced in memory. One that is made now is of the tree that the quorum has.
   * @returns whether the learner has to wait for that
   */
  #needsCheckpoint(learner: Learner): boolean {
    const { zxid } = this.#host.snapshot.position();
    // An empty tree is right.
    const isRight =
      !this.#isProvenTo(learner) ||
      this.#host.snapshot.isConfirmed ||
      equalZxid(zxid, ZXID_ZERO) ||
      this.#agreement.covers(zxid);
    learner.awaitsCheckpoint = !isRight;
    if (isRight) return false;
    if (!this.#checkpointing && !this.readsSnapshot) {
      this.#checkpointing = true;
      this.#host.step.push({ type: "checkpoint" });
    }
    return true;
  }

  /** There is a checkpoint of the tree as it is now. */
  checkpointed(): void {
    for (const learner of [...this.#learners.values()]) {
      if (learner.awaitsCheckpoint) this.#maybeSynchronize(learner);
    }
    this.#checkpointing = false;
  }

  /** A quorum is here, and its trees differ: no election helps before more members come. */
  get #awaitsProof(): boolean {
    if (this.phase !== "SYNCHRONIZATION") return false;
    const { quorum, sid } = this.#host.self;
    if (!quorum.contains([sid, ...this.#learners.keys()])) return false;
    if (this.#agreement.differing.length === 0) return false;
    for (const learner of this.#learners.values()) if (this.isDisputed(learner.sid)) return true;
    return false;
  }

  /**
   * A learner whose history and epoch are ours by now would win the next election. If its version takes no CHECK before
   * UPTODATE, it cannot compare its tree under us, since nothing is committed here; under it, it can. The sid only rises, so
   * this ends.
   */
  get #isOutranked(): boolean {
    for (const { sid, acked, checksEarly } of this.#learners.values())
      if (acked !== null && !checksEarly && sid > this.#host.self.sid) return true;
    return false;
  }

  /** The synchronization of this learner waits for a quorum to confirm a tree. */
  isDisputed(sid: Sid): boolean {
    const learner = this.#learners.get(sid);
    return learner?.stage === "PROMISED" && this.#agreement.differing.length > 0;
  }

  #maybeEndDiscovery(): void {
    const host = this.#host;
    if (this.phase !== "DISCOVERY" || !host.self.quorum.contains(this.#epochAcks)) return;
    const epoch = must(this.epoch, "the epoch is chosen");
    this.continues = host.epochs.currentEpoch;
    this.#ownEpochSeq = host.step.persist([host.epochs.enter(epoch)]);
    host.step.trace({ type: "epoch", epoch, kind: "current" });
    this.#setPhase("SYNCHRONIZATION");
    for (const learner of this.#learners.values()) this.#maybeSynchronize(learner);
    this.#maybeEstablish();
  }

  #maybeSynchronize(learner: Learner): void {
    if (this.phase === "DISCOVERY" || learner.stage !== "PROMISED") return;
    // Nobody gives its tree up for a leader whose digest no quorum shares.
    if (learner.differsAt !== null && !this.#mayCopyTo(learner)) return;
    this.#synchronize(learner);
  }

  #synchronize(learner: Learner): void {
    const host = this.#host;
    const epoch = must(this.epoch, "the epoch is chosen");
    const position = must(learner.position, "the learner told its position");
    const needSnap = learner.needSnap || learner.differsAt !== null;
    const choice = chooseSync(host.history.log, position, needSnap, host.self.config.diffBytesMax);
    const { join } = learner;
    switch (choice.mode) {
      case "DIFF":
        learner.stage = "STAGING";
        learner.sent = choice.from.zxid;
        host.step.trace({ type: "sync", to: learner.sid, mode: "DIFF", zxid: learner.sent });
        host.links.send(learner.sid, { type: "DIFF", join, epoch, from: learner.sent });
        this.#pump(learner);
        return;
      case "TRUNC":
        learner.stage = "TRUNCATING";
        host.step.trace({ type: "sync", to: learner.sid, mode: "TRUNC", zxid: choice.to });
        host.links.send(learner.sid, { type: "TRUNC", join, epoch, to: choice.to });
        return;
      case "SNAP": {
        if (!this.#mayCopyTo(learner)) {
          learner.stage = "PROMISED";
          if (!learner.copyDue) this.#startWaiting(learner);
          return;
        }
        if (this.#needsCheckpoint(learner)) {
          learner.stage = "PROMISED";
          return;
        }
        learner.copyAt = Number.POSITIVE_INFINITY;
        learner.compared = false;
        learner.copied = true;
        this.#agreement.copy(
          learner.sid,
          host.snapshot.isConfirmed || this.#agreement.proves(this.#agreement.disputed),
        );
        const at = host.snapshot.position();
        learner.stage = "SNAPSHOT";
        learner.snapshot = { cursor: "", index: 0 };
        learner.sent = at.zxid;
        host.step.trace({ type: "sync", to: learner.sid, mode: "SNAP", zxid: at.zxid });
        host.links.send(learner.sid, { type: "SNAP", join, epoch, at });
        this.#pumpSnapshot(learner);
        return;
      }
    }
  }

  /** No quorum has confirmed our tree: those that can say that it is wrong are asked before this learner is given it. */
  #startWaiting(learner: Learner): void {
    const { now } = this.#host.step;
    const { timeouts } = this.#host.self;
    if (learner.copyAt !== Number.POSITIVE_INFINITY) return;
    learner.copyAt = now + timeouts.tickMs;
    // Shorter than the learner itself waits.
    learner.copyBy = now + timeouts.answersMs;
    for (const other of this.#learners.values()) this.#ask(other);
  }

  #handlePosition(learner: Learner, message: Position): boolean {
    if (learner.stage !== "TRUNCATING") return false;
    learner.position = message.last;
    learner.needSnap = message.needSnap;
    this.#synchronize(learner);
    return true;
  }

  #handleStaged(learner: Learner): boolean {
    if (learner.inFlight === 0) return false;
    learner.inFlight -= 1;
    // The limit is on standing still: a quorum that needs a large SNAP may take its time.
    this.#establishDeadline = this.#host.step.now + this.#host.self.timeouts.initMs;
    if (learner.stage === "SNAPSHOT") this.#pumpSnapshot(learner);
    else if (learner.stage === "STAGING") this.#pump(learner);
    return true;
  }

  /** Chunks go one at a time: each turn of the sender is short, and the receiver sets the pace. */
  #pumpSnapshot(learner: Learner): void {
    const host = this.#host;
    const reading = must(learner.snapshot, "a snapshot is being read");
    if (learner.inFlight > 0) return;
    if (reading.cursor === undefined) {
      learner.snapshot = null;
      learner.stage = "STAGING";
      this.#pump(learner);
      return;
    }
    const { bytes, next } = host.snapshot.read(
      reading.cursor,
      host.self.config.snapChunkBytesMax,
      Math.min(host.self.version, host.links.of(learner.sid).version),
    );
    host.links.send(learner.sid, {
      type: "SNAPCHUNK",
      join: learner.join,
      epoch: must(this.epoch, "the epoch is chosen"),
      index: reading.index,
      bytes,
      done: next === undefined,
    });
    learner.inFlight += 1;
    reading.cursor = next;
    reading.index += 1;
  }

  /** Sends what the learner's log lacks, as far as its window allows, and ends a synchronization that is complete. */
  #pump(learner: Learner): void {
    const host = this.#host;
    const epoch = must(this.epoch, "the epoch is chosen");
    if (compareZxid(learner.sent, host.history.log.base.zxid) < 0) {
      // It lags so far that the log has been cut before it: it has to come back for a SNAP.
      this.drop(learner.sid);
      return;
    }
    while (learner.inFlight < host.self.config.learnerInFlightMax) {
      // A learner that lags gets many rows at once: row by row, one with a high latency would never catch up with a busy leader.
      const slice = host.history.log.read(learner.sent, host.self.config.batchBytesMax);
      if (slice === undefined) break;
      this.#sendProposal(learner, { ...slice, epoch });
    }
    if (learner.stage === "STAGING" && equalZxid(learner.sent, host.history.lastLogged.zxid)) {
      learner.stage = "CLOSING";
      host.links.send(learner.sid, { type: "NEWLEADER", join: learner.join, epoch, last: learner.sent });
    }
  }

  #sendProposal(
    learner: Learner,
    slice: { prev: LogPosition; batch: Uint8Array; last: Zxid; epoch: Epoch },
  ): void {
    const host = this.#host;
    const { digest } = host.tree;
    const commit = minZxid(host.history.lastCommittedZxid, slice.last);
    const proposal = {
      type: "PROPOSAL" as const,
      join: learner.join,
      epoch: slice.epoch,
      prev: slice.prev,
      batch: slice.batch,
      last: slice.last,
      commit,
    };
    host.links.send(learner.sid, digest === undefined ? proposal : { ...proposal, digest });
    if (!owesAck(learner)) learner.ackedAt = host.step.now;
    learner.sent = slice.last;
    learner.inFlight += 1;
    if (learner.upToDate) {
      learner.commitSent = commit;
      if (equalZxid(commit, host.history.lastCommittedZxid)) learner.commitDueAt = Number.POSITIVE_INFINITY;
    }
  }

  #handleAck(learner: Learner, message: Ack): boolean {
    const host = this.#host;
    if (compareZxid(message.zxid, learner.sent) > 0) return false;
    learner.patienceMs = message.patienceMs;
    if (learner.stage === "CLOSING" && learner.acked === null) {
      learner.stage = "ACTIVE";
      learner.acked = message.zxid;
      learner.ackedAt = host.step.now;
      // One that was found to differ while it took DIFF still has its own tree.
      if (learner.copied) {
        this.#agreement.replaced(learner.sid);
        learner.differsAt = null;
      }
      this.#traceActive();
      if (this.phase === "BROADCAST") {
        // Its history may hold the very ack that an outstanding entry lacked.
        this.#maybeCommit();
        this.#sendUpToDate(learner);
        this.#review();
      } else {
        this.#ask(learner);
        this.#maybeEstablish();
      }
    } else if (learner.stage === "ACTIVE" && learner.acked !== null) {
      if (compareZxid(message.zxid, learner.acked) > 0) {
        learner.acked = message.zxid;
        learner.ackedAt = host.step.now;
      }
      // A learner that has acknowledged everything owes no return, even if a return was lost.
      learner.inFlight = owesAck(learner) ? Math.max(0, learner.inFlight - 1) : 0;
      host.step.trace({ type: "ack", from: learner.sid, zxid: message.zxid });
      this.#maybeCommit();
    } else return false;
    this.#pump(learner);
    return true;
  }

  /** SYNCHRONIZATION is over once a quorum has made our history its own. */
  #maybeEstablish(): void {
    const host = this.#host;
    if (this.phase !== "SYNCHRONIZATION") return;
    if (this.#ownEpochSeq === null || !host.step.isDurable(this.#ownEpochSeq)) return;
    if (!host.self.quorum.contains(this.activeSet)) return;
    this.#setPhase("BROADCAST");
    host.tree.differs = null;
    this.#quorumAt = host.step.now;
    this.#maybeCommit();
    for (const learner of this.#learners.values()) {
      if (learner.acked !== null) this.#sendUpToDate(learner);
      else if (learner.stage === "CONNECTED") this.#sendLeaderInfo(learner);
      else this.#maybeSynchronize(learner);
    }
    this.#review();
  }

  #sendUpToDate(learner: Learner): void {
    const host = this.#host;
    learner.upToDate = true;
    learner.commitSent = minZxid(host.history.lastCommittedZxid, learner.sent);
    // Its tree was not compared yet, or is a copy that was made just now.
    if (learner.confirms && !learner.compared) learner.checkFrom = host.history.lastCommittedZxid;
    this.#ask(learner);
    const upToDate = {
      type: "UPTODATE" as const,
      join: learner.join,
      epoch: must(this.epoch, "the epoch is chosen"),
      commit: learner.commitSent,
    };
    // Without a digest of ours no CHECK follows.
    const check = learner.checkFrom !== null && host.tree.digest !== undefined;
    host.links.send(learner.sid, check ? { ...upToDate, check } : upToDate);
  }

  /** Our own writes are durable up to where the context says. */
  persisted(): void {
    this.#maybeEstablish();
    if (this.phase === "BROADCAST") this.#maybeCommit();
  }

  /**
   * Proposes a batch of txns with the zxids that {@link nextZxid} gave. The proposal leaves before our own write; we
   * count ourselves only once that is durable.
   */
  propose(batch: Uint8Array): LogEntry {
    const host = this.#host;
    const epoch = must(this.epoch, "the epoch is chosen");
    assert(this.mayPropose, "only a leader in broadcast proposes, within its window");
    const prev = host.history.lastLogged;
    const entry = must(makeEntry(prev, batch), "a proposal continues the log");
    assert(entry.first.epoch === epoch, "a leader proposes in its own epoch");
    this.#counter = entry.last.counter;
    this.#outstanding.push(entry.last);
    const to: Sid[] = [];
    for (const learner of this.#learners.values()) {
      const follows = learner.stage === "ACTIVE" || learner.stage === "CLOSING";
      if (!follows || !equalZxid(learner.sent, prev.zxid)) continue;
      if (learner.inFlight >= host.self.config.learnerInFlightMax) continue;
      this.#sendProposal(learner, { prev, batch, last: entry.last, epoch });
      to.push(learner.sid);
    }
    host.step.persist([host.history.append(entry)]);
    host.step.trace({ type: "propose", zxid: entry.last, count: entry.count, to });
    return entry;
  }

  #maybeCommit(): void {
    const host = this.#host;
    const acked = new Map<Sid, Zxid>([[host.self.sid, host.history.lastDurableZxid]]);
    for (const learner of this.#learners.values())
      if (learner.acked !== null) acked.set(learner.sid, learner.acked);
    const zxid = host.self.quorum.highestAcked(acked);
    if (compareZxid(zxid, host.history.lastCommittedZxid) > 0) {
      host.step.trace({ type: "commit", zxid });
      this.#outstanding = this.#outstanding.filter((last) => compareZxid(last, zxid) > 0);
      host.history.commitUpTo(zxid);
    } else host.history.deliver();
  }

  /**
   * Tells the learners what is committed, where no proposal of this turn has done so. A learner at which nobody waits is
   * told by the next PROPOSAL, if one comes soon: a call less for each write that follows another.
   */
  flushCommits(): void {
    const host = this.#host;
    const { now } = host.step;
    if (this.epoch === null) return;
    if (this.phase !== "BROADCAST") {
      for (const learner of this.#learners.values()) this.#maybeCheck(learner);
      return;
    }
    let earliest = Number.POSITIVE_INFINITY;
    for (const learner of this.#learners.values()) {
      if (learner.checkFrom !== null) this.#maybeCheck(learner);
      if (!learner.upToDate || compareZxid(learner.commitSent, host.history.lastCommittedZxid) >= 0) continue;
      // Never more than it has been sent: it would not know the entry.
      if (compareZxid(learner.sent, host.history.lastCommittedZxid) < 0) continue;
      learner.commitDueAt = Math.min(learner.commitDueAt, now + learner.patienceMs);
      if (now < learner.commitDueAt) {
        earliest = Math.min(earliest, learner.commitDueAt);
        continue;
      }
      learner.commitDueAt = Number.POSITIVE_INFINITY;
      learner.commitSent = host.history.lastCommittedZxid;
      const commit = {
        type: "COMMIT" as const,
        join: learner.join,
        epoch: this.epoch,
        zxid: host.history.lastCommittedZxid,
      };
      host.links.send(
        learner.sid,
        host.tree.digest === undefined ? commit : { ...commit, digest: host.tree.digest },
      );
    }
    this.#holdUntil(earliest);
  }

  /** One hold for all: a clock that stands still must not make more of them each time. */
  #holdUntil(at: number): void {
    const host = this.#host;
    if (at >= this.#releaseAt) return;
    this.#releaseAt = at;
    host.step.push({ type: "hold", ms: at - host.step.now });
  }

  /** The time of a hold is over: what is due goes. */
  release(): void {
    this.#releaseAt = Number.POSITIVE_INFINITY;
    this.flushCommits();
  }

  /** The counter of this epoch is used up. */
  get exhausted(): boolean {
    return this.#counter >= this.#host.self.config.counterMax;
  }

  #setPhase(phase: Phase): void {
    this.phase = phase;
    this.#host.phaseChanged("LEADING", phase);
  }

  #traceActive(): void {
    this.#host.step.trace({ type: "active", sids: this.activeSet });
  }
}
