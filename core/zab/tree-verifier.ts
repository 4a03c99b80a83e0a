/**
 * Decides whose tree is right: the leader compares its learners' digests with its own, and requests comparisons whose
 * result matters. See docs/decisions/0012-digests-are-confirmed.md.
 */
import { compareWith, TreeAgreement } from "./digests.ts";
import type { Learner } from "./learner.ts";
import type { Learners } from "./learners.ts";
import type { Sid } from "./membership.ts";
import type { AckEpoch, Phase } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { compareZxid, maxZxid, minZxid, type Zxid } from "./zxid.ts";

/** The interface of the leadership to its parts that decide about trees. */
export interface Leadership {
  readonly phase: Phase;
  /** Ends the stay of a learner. */
  drop(sid: Sid): void;
  /** Synchronizes a learner, unless that still has to wait. */
  maybeSynchronize(learner: Learner): void;
}

/**
 * What the leader knows about its learners' trees, and thereby about its own.
 * Invariants: the leader's tree is trusted only while no learner is known to differ, or once a quorum has confirmed it; if
 * a quorum differs, the leadership ends.
 *
 * @source decision 0012; ZooKeeper AdHash digest (reported there, not acted upon)
 */
export class TreeVerifier {
  readonly #host: RoleHost;
  readonly #leadership: Leadership;
  readonly #learners: Learners;
  /** what the learners have reported about the leader's tree, in this leadership */
  readonly #agreement: TreeAgreement;
  #trusted = false;
  /** whether the tree has been trusted in BROADCAST */
  #served = false;
  /** whether a learner's digest waits for the leader's digest at the same zxid */
  #comparing = false;
  /** while trees are in dispute: since when a learner would win the next election; ms */
  #outrankedFrom = 0;

  constructor(host: RoleHost, leadership: Leadership, learners: Learners) {
    this.#host = host;
    this.#leadership = leadership;
    this.#learners = learners;
    this.#agreement = new TreeAgreement(host.self.quorum, host.self.sid);
  }

  /** Whether clients may be served: no learner's tree differs, or a quorum has confirmed the leader's tree. */
  get trusted(): boolean {
    return this.#trusted;
  }

  /** Whether the ensemble has served clients under this leader. */
  get served(): boolean {
    return this.#served;
  }

  /** Whether a learner's digest waits for the leader's digest at the same zxid; see {@link compareAll}. */
  get comparing(): boolean {
    return this.#comparing;
  }

  /** sids whose trees differ from the leader's, ascending. */
  get differing(): readonly Sid[] {
    return this.#agreement.differing;
  }

  /** Whether a quorum, the leader included, has this tree at or above every zxid in dispute. */
  get isProven(): boolean {
    return this.#agreement.proves(this.#agreement.disputed);
  }

  /** Whether a quorum, the leader included, has this tree at or above `zxid`. */
  provesAt(zxid: Zxid): boolean {
    return this.#agreement.proves(zxid);
  }

  /** Whether a checkpoint at this zxid is of the tree that a quorum has. */
  covers(zxid: Zxid): boolean {
    return this.#agreement.covers(zxid);
  }

  /** Why the ensemble does not serve although learners have joined; empty if there is no reason. */
  get reason(): string {
    const { differing } = this.#agreement;
    if (this.#trusted || differing.length === 0) return "";
    const nodes = differing.length === 1 ? "node" : "nodes";
    return `the tree here differs from that of ${nodes} ${differing.join(", ")}, and no quorum has confirmed either`;
  }

  // ── reports of learners ──────────────────────────────────────────────────

  /** Handles FOLLOWERINFO of a peer without memory, which has no tree left to protect. */
  noteWithoutMemory(sid: Sid): void {
    if (this.#agreement.abandon(sid)) this.review();
  }

  /** Handles what a learner's ACKEPOCH says about its tree. @returns false if a quorum differs, so this leadership has ended */
  noteJoined(learner: Learner, message: AckEpoch): boolean {
    const { sid, tree } = learner;
    tree.join(message);
    if (tree.answersCheck) this.#agreement.noteWithDigests(sid);
    else this.#agreement.noteWithoutDigests(sid);
    // An unusable tree counts neither for nor against the leader's, and needs no protection.
    if (message.needSnap && this.#agreement.abandon(sid)) this.review();
    if (message.diverged && !message.needSnap) {
      const { zxid } = this.#host.history.lastLogged;
      return this.#differs(learner, message.divergedAt ?? minZxid(message.last.zxid, zxid));
    }
    if (message.digest !== undefined && message.digest !== null) {
      tree.reported = message.digest;
      return this.#compare(learner);
    }
    return true;
  }

  /** Compares a learner's digest with the leader's, if both are of one zxid. @returns false if this leadership has ended */
  #compare(learner: Learner): boolean {
    const { digests, digest: ours } = this.#host.tree;
    const theirs = learner.tree.reported;
    if (theirs === null || ours === undefined) return true;
    const outcome = compareWith(digests, theirs);
    if (outcome === undefined) {
      // If the leader has passed that zxid and does not remember its digest, the learner must compare a later one instead.
      if (compareZxid(theirs.zxid, ours.zxid) <= 0) learner.tree.reported = null;
      else this.#comparing = true;
      return true;
    }
    learner.tree.reported = null;
    if (outcome === "DIFFERENT") return this.#differs(learner, theirs.zxid);
    this.#equals(learner, theirs.zxid);
    return true;
  }

  /** Compares digests that learners reported for zxids that the own tree has now reached. */
  compareAll(): void {
    this.#comparing = false;
    for (const learner of this.#learners.copy()) if (!this.#compare(learner)) return;
  }

  /** Handles a learner's report that the trees are equal at `zxid`, which makes a CHECK for it unnecessary. */
  confirmed(learner: Learner, zxid: Zxid): void {
    if (compareZxid(zxid, this.#agreement.disputed) >= 0) learner.tree.checkFrom = null;
    this.#equals(learner, zxid);
  }

  #equals(learner: Learner, zxid: Zxid): void {
    learner.tree.equal();
    const isNew = compareZxid(this.#agreement.confirmedBy(learner.sid), zxid) < 0;
    this.#agreement.confirm(learner.sid, zxid);
    if (isNew || !this.#trusted) this.review();
  }

  /** Records a difference. @returns false if a quorum differs, so this leadership has ended */
  #differs(learner: Learner, zxid: Zxid): boolean {
    const { history } = this.#host;
    learner.tree.differ(zxid);
    this.#agreement.differ(learner.sid, zxid);
    if (this.#agreement.refuted) {
      history.requireSnap();
      this.#host.becomeLooking("a quorum's digest differs from ours");
      return false;
    }
    this.askAll();
    this.review();
    return true;
  }

  // ── copies of the leader's tree ──────────────────────────────────────────

  /** Records that the learner is being sent the leader's tree. @param proven whether what is sent is known to be right */
  noteCopy(learner: Learner, proven: boolean): void {
    learner.tree.copy();
    this.#agreement.copy(learner.sid, proven);
  }

  /** Handles the ack of NEWLEADER: the learner has the leader's history, and after a SNAP its tree too. */
  noteActive({ sid, tree }: Learner): void {
    // A learner that was found to differ while it received DIFF still has its own tree.
    if (!tree.copied) return;
    this.#agreement.replaced(sid);
    tree.differsAt = null;
  }

  /**
   * Whether the learner is being sent an unconfirmed copy while another learner differs. Before NEWLEADER it still has its
   * own tree.
   */
  #isCopiedInDispute({ sid, isStaging }: Learner): boolean {
    return isStaging && this.differing.length > 0 && this.#agreement.isUnprovenCopy(sid) && !this.isProven;
  }

  // ── CHECKs ───────────────────────────────────────────────────────────────

  /**
   * Sends a CHECK to a learner if its answer matters: to one that serves, and to one that has the leader's history before
   * BROADCAST, because BROADCAST, or a copy for another learner, may depend on the answer.
   */
  ask(learner: Learner): void {
    const { tree } = learner;
    const mayAsk = learner.upToDate ? tree.answersCheck : tree.answersEarly && learner.isActive;
    if (!mayAsk) return;
    const { disputed } = this.#agreement;
    const isDisputed = compareZxid(this.#agreement.confirmedBy(learner.sid), disputed) < 0;
    if (isDisputed || (this.#copyWaits && this.owesAnswer(learner))) {
      tree.checkFrom = maxZxid(tree.checkFrom ?? disputed, disputed);
    }
  }

  askAll(): void {
    for (const learner of this.#learners.all()) this.ask(learner);
  }

  /**
   * Prepares the CHECK of a learner that is about to serve.
   * @returns whether a CHECK follows; never without a digest of the leader's
   */
  askOfServing(learner: Learner): boolean {
    const { history, tree } = this.#host;
    // The tree was not compared yet, or is a new copy.
    if (learner.tree.answersCheck && !learner.tree.compared) {
      learner.tree.checkFrom = history.lastCommittedZxid;
    }
    this.ask(learner);
    return learner.tree.checkFrom !== null && tree.digest !== undefined;
  }

  /** Whether a learner waits to be sent the leader's tree although no quorum has confirmed it. */
  get #copyWaits(): boolean {
    for (const { tree } of this.#learners.all()) if (tree.waits) return true;
    return false;
  }

  /** Whether this learner has the leader's history and its own tree, can compare the trees, and has not reported the result yet. */
  owesAnswer({ isActive, upToDate, tree }: Learner): boolean {
    const { digest } = this.#host.tree;
    if (!isActive || tree.compared || tree.copied || tree.joinedAt === null || digest === undefined)
      return false;
    // It may not remember the digest of a zxid that it had passed when it joined.
    return (upToDate || tree.answersEarly) && compareZxid(tree.joinedAt, digest.zxid) <= 0;
  }

  /** Whether any learner owes such an answer. */
  get awaitsAnswer(): boolean {
    for (const learner of this.#learners.all()) if (this.owesAnswer(learner)) return true;
    return false;
  }

  // ── consequences ─────────────────────────────────────────────────────────

  /** Reevaluates trust, CHECKs and waiting synchronizations after a new report, or after another learner joined. */
  review(): void {
    const { self, tree } = this.#host;
    const active = this.#learners.activeSet.filter((sid) => sid !== self.sid);
    this.#trusted = tree.digest === undefined || this.#agreement.allowsWrites(active);
    if (this.isProven) tree.confirmedByQuorum = true;
    else if (this.differing.length > 0) tree.confirmedByQuorum = false;
    if (this.#trusted && this.#leadership.phase === "BROADCAST") this.#served = true;
    for (const learner of this.#learners.copy()) {
      if (this.#isCopiedInDispute(learner)) this.#leadership.drop(learner.sid);
      else this.#leadership.maybeSynchronize(learner);
    }
  }

  /** Whether the synchronization of this learner waits until a quorum has confirmed a tree. */
  isDisputed(learner: Learner): boolean {
    return learner.stage === "PROMISED" && this.differing.length > 0;
  }

  /** Whether the synchronization of any learner waits for that. */
  get hasDispute(): boolean {
    if (this.differing.length === 0) return false;
    for (const learner of this.#learners.all()) if (this.isDisputed(learner)) return true;
    return false;
  }

  /**
   * Called while trees are in dispute.
   * @returns whether, for syncLimit, a learner could have won the next election and compared the trees
   */
  mustYield(): boolean {
    const { now } = this.#host.step;
    if (!this.#isOutranked) this.#outrankedFrom = now;
    return now - this.#outrankedFrom >= this.#host.self.timeouts.syncMs;
  }

  /**
   * Whether a learner with a higher sid, and by now the same history and epoch, would win the next election. If its version
   * accepts no CHECK before UPTODATE, it cannot compare its tree under this leader, which commits nothing; as leader it
   * can. The leader's sid rises each time, so this ends.
   */
  get #isOutranked(): boolean {
    for (const { sid, isActive, tree } of this.#learners.all())
      if (isActive && !tree.answersEarly && sid > this.#host.self.sid) return true;
    return false;
  }
}
