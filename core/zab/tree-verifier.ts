/**
 * Whose tree is right: the leader compares its learners' digests with its own, and asks for comparisons that may settle
 * something. See docs/decisions/0012-digests-are-confirmed.md.
 */
import { compareWith, TreeAgreement } from "./digests.ts";
import type { Learner } from "./learner.ts";
import type { Learners } from "./learners.ts";
import type { Sid } from "./membership.ts";
import type { AckEpoch, Phase } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { compareZxid, maxZxid, minZxid, type Zxid } from "./zxid.ts";

/** The leadership, as the parts of it that decide about trees see it. */
export interface Leadership {
  readonly phase: Phase;
  /** Ends the stay of a learner. */
  drop(sid: Sid): void;
  /** Synchronizes a learner, if nothing stands against it any more. */
  maybeSynchronize(learner: Learner): void;
}

/**
 * What the leader knows of the trees of its learners, and of its own by that.
 * Invariants: the tree is trusted only while nothing known speaks against it, or a quorum has confirmed it; once a quorum differs,
 * the leadership is over.
 *
 * @source decision 0012; ZooKeeper AdHash digest (reported there, not acted upon)
 */
export class TreeVerifier {
  readonly #host: RoleHost;
  readonly #leadership: Leadership;
  readonly #learners: Learners;
  /** what the learners have said of our tree, in this leadership */
  readonly #agreement: TreeAgreement;
  #trusted = false;
  /** has been trusted in BROADCAST */
  #served = false;
  /** some learner's digest awaits ours */
  #comparing = false;
  /** while trees are in dispute: since when a learner would win the next election; ms */
  #outrankedFrom = 0;

  constructor(host: RoleHost, leadership: Leadership, learners: Learners) {
    this.#host = host;
    this.#leadership = leadership;
    this.#learners = learners;
    this.#agreement = new TreeAgreement(host.self.quorum, host.self.sid);
  }

  /** No learner's tree speaks against ours, or a quorum has confirmed it: clients may be served. */
  get trusted(): boolean {
    return this.#trusted;
  }

  /** The ensemble has worked under this leader. */
  get served(): boolean {
    return this.#served;
  }

  /** A learner's digest awaits ours; see {@link compareAll}. */
  get comparing(): boolean {
    return this.#comparing;
  }

  /** sids whose trees differ from ours, ascending. */
  get differing(): readonly Sid[] {
    return this.#agreement.differing;
  }

  /** A quorum, ourselves included, has our tree at or above everything in dispute. */
  get isProven(): boolean {
    return this.#agreement.proves(this.#agreement.disputed);
  }

  /** The same, at or above this zxid. */
  provesAt(zxid: Zxid): boolean {
    return this.#agreement.proves(zxid);
  }

  /** A checkpoint at this zxid is of the tree that a quorum has. */
  covers(zxid: Zxid): boolean {
    return this.#agreement.covers(zxid);
  }

  /** Why the ensemble does not serve although learners are here; empty: there is no such reason. */
  get reason(): string {
    const { differing } = this.#agreement;
    if (this.#trusted || differing.length === 0) return "";
    const nodes = differing.length === 1 ? "node" : "nodes";
    return `the tree here differs from that of ${nodes} ${differing.join(", ")}, and no quorum has confirmed either`;
  }

  // ── what learners say ────────────────────────────────────────────────────

  /** A peer without memory asks to be taken in: it has no tree left that needs protection. */
  noteWithoutMemory(sid: Sid): void {
    if (this.#agreement.abandon(sid)) this.review();
  }

  /** What a learner says of its tree when it joins. @returns false when so many differ that this leadership is over */
  noteJoined(learner: Learner, message: AckEpoch): boolean {
    const { sid, tree } = learner;
    tree.join(message);
    if (tree.answersCheck) this.#agreement.speaks(sid);
    else this.#agreement.silence(sid);
    // A tree that is of no use speaks neither for ours nor against it, and needs no protection.
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

  /** Compares a learner's digest with ours, once both are of one zxid. @returns false when this leadership is over */
  #compare(learner: Learner): boolean {
    const { digests, digest: ours } = this.#host.tree;
    const theirs = learner.tree.reported;
    if (theirs === null || ours === undefined) return true;
    const outcome = compareWith(digests, theirs);
    if (outcome === undefined) {
      // Of a zxid that we have passed and do not remember we never will: it is asked to compare ours.
      if (compareZxid(theirs.zxid, ours.zxid) <= 0) learner.tree.reported = null;
      else this.#comparing = true;
      return true;
    }
    learner.tree.reported = null;
    if (outcome === "DIFFERENT") return this.#differs(learner, theirs.zxid);
    this.#equals(learner, theirs.zxid);
    return true;
  }

  /** Our tree has advanced: digests that learners reported for later zxids can be compared with ours now. */
  compareAll(): void {
    this.#comparing = false;
    for (const learner of this.#learners.copy()) if (!this.#compare(learner)) return;
  }

  /** The learner has compared its tree with ours at `zxid`, and needs no CHECK for that any more. */
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

  /** @returns false when so many differ that it is us who is wrong: this leadership is over */
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

  // ── copies of our tree ───────────────────────────────────────────────────

  /** The learner is being given our tree. @param proven what it is given is right */
  noteCopy(learner: Learner, proven: boolean): void {
    learner.tree.copy();
    this.#agreement.copy(learner.sid, proven);
  }

  /** The learner has taken over our history; with a SNAP it has our tree too. */
  noteActive({ sid, tree }: Learner): void {
    // One that was found to differ while it took DIFF still has its own tree.
    if (!tree.copied) return;
    this.#agreement.replaced(sid);
    tree.differsAt = null;
  }

  /** It is being sent our tree without any confirmation, and now another learner differs. Before NEWLEADER it still has its own tree. */
  #isCopiedInDispute({ sid, isStaging }: Learner): boolean {
    return isStaging && this.differing.length > 0 && this.#agreement.isUnprovenCopy(sid) && !this.isProven;
  }

  // ── asking ───────────────────────────────────────────────────────────────

  /**
   * A learner that serves is asked for its word, where that may settle something; so is one that has our history while we wait
   * to broadcast, for that may depend on its word, or the copy that another is to be given.
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

  /** The learner begins to serve. @returns whether a CHECK follows: without a digest of ours none does */
  askOfServing(learner: Learner): boolean {
    const { history, tree } = this.#host;
    // Its tree was not compared yet, or is a copy that was made just now.
    if (learner.tree.answersCheck && !learner.tree.compared) {
      learner.tree.checkFrom = history.lastCommittedZxid;
    }
    this.ask(learner);
    return learner.tree.checkFrom !== null && tree.digest !== undefined;
  }

  /** A learner waits to be given our tree though no quorum has confirmed it. */
  get #copyWaits(): boolean {
    for (const { tree } of this.#learners.all()) if (tree.waits) return true;
    return false;
  }

  /** A learner that has our history and a tree of its own can compare that with ours, and has not said yet whether it is equal. */
  owesAnswer({ isActive, upToDate, tree }: Learner): boolean {
    const { digest } = this.#host.tree;
    if (!isActive || tree.compared || tree.copied || tree.joinedAt === null || digest === undefined)
      return false;
    // Of a zxid that it had passed when it joined it may not remember its digest.
    return (upToDate || tree.answersEarly) && compareZxid(tree.joinedAt, digest.zxid) <= 0;
  }

  /** Some learner does. */
  get awaitsAnswer(): boolean {
    for (const learner of this.#learners.all()) if (this.owesAnswer(learner)) return true;
    return false;
  }

  // ── what follows ─────────────────────────────────────────────────────────

  /** There are new reports about our tree, or more learners that report: learners that wait for them may continue. */
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

  /** The synchronization of this learner waits for a quorum to confirm a tree. */
  isDisputed(learner: Learner): boolean {
    return learner.stage === "PROMISED" && this.differing.length > 0;
  }

  /** A learner's synchronization does. */
  get hasDispute(): boolean {
    if (this.differing.length === 0) return false;
    for (const learner of this.#learners.all()) if (this.isDisputed(learner)) return true;
    return false;
  }

  /** Trees are in dispute. @returns whether a learner has been able to win the next election, and to compare then, for syncLimit */
  mustYield(): boolean {
    const { now } = this.#host.step;
    if (!this.#isOutranked) this.#outrankedFrom = now;
    return now - this.#outrankedFrom >= this.#host.self.timeouts.syncMs;
  }

  /**
   * A learner whose history and epoch are ours by now would win the next election. If its version takes no CHECK before
   * UPTODATE, it cannot compare its tree under us, since nothing is committed here; under it, it can. The sid only rises, so
   * this ends.
   */
  get #isOutranked(): boolean {
    for (const { sid, isActive, tree } of this.#learners.all())
      if (isActive && !tree.answersEarly && sid > this.#host.self.sid) return true;
    return false;
  }
}
