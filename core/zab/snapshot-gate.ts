/** When a learner may be given the leader's tree in the place of its own. */
import type { Learner } from "./learner.ts";
import type { Learners } from "./learners.ts";
import type { RoleHost } from "./role.ts";
import type { Leadership, TreeVerifier } from "./tree-verifier.ts";
import { equalZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/**
 * Holds a SNAP back until it cannot replace a right tree by a wrong one.
 * Invariants: no learner gives a tree that differs up for one that no quorum has confirmed; what relies on a quorum's confirmation is
 * read from a checkpoint of the tree that the quorum has.
 *
 * @source rules ZAB-92, 122, 130, 132; decision 0012
 */
export class SnapshotGate {
  readonly #host: RoleHost;
  readonly #leadership: Leadership;
  readonly #learners: Learners;
  readonly #verifier: TreeVerifier;
  /** the shell is asked for a checkpoint */
  #checkpointing = false;

  constructor(host: RoleHost, leadership: Leadership, learners: Learners, verifier: TreeVerifier) {
    this.#host = host;
    this.#leadership = leadership;
    this.#learners = learners;
    this.#verifier = verifier;
  }

  /** May this learner's tree be replaced by ours? */
  mayReplace({ tree }: Learner): boolean {
    if (tree.differsAt !== null) return this.#verifier.provesAt(tree.differsAt);
    // No digests are reported here, so there is nothing to compare.
    if (this.#host.tree.digest === undefined) return true;
    if (this.#verifier.isProven) return true;
    // It has nothing to lose but its lag, and what it is given is right.
    if (this.#host.snapshot.isConfirmed) return true;
    // While others may still say that ours is the wrong tree they are waited for.
    return tree.copyDue && this.#verifier.differing.length === 0;
  }

  /** Sends the learner a SNAP, or has it wait until nothing stands against it. */
  open(learner: Learner): void {
    if (!this.mayReplace(learner)) {
      learner.holdSnap();
      if (!learner.tree.copyDue) this.#startWaiting(learner);
      return;
    }
    if (this.#needsCheckpoint(learner)) {
      learner.holdSnap();
      return;
    }
    this.#verifier.noteCopy(learner, this.#host.snapshot.isConfirmed || this.#verifier.isProven);
    learner.startSnap();
  }

  /** No quorum has confirmed our tree: those that can say that it is wrong are asked before this learner is given it. */
  #startWaiting({ tree }: Learner): void {
    const { step, self } = this.#host;
    if (tree.waits) return;
    tree.copyAt = step.now + self.timeouts.tickMs;
    tree.copyBy = step.now + self.timeouts.answersMs;
    this.#verifier.askAll();
  }

  /** Learners that wait for a copy wait a tick from now on, at most until their time is over. */
  postpone(): void {
    const { step, self } = this.#host;
    for (const { tree } of this.#learners.all()) tree.postpone(step.now, self.timeouts.tickMs);
  }

  /** Lets in those that have waited long enough. */
  tick(): void {
    const { now } = this.#host.step;
    for (const learner of this.#learners.all()) {
      const { tree } = learner;
      // The last checkpoint may have been read by another.
      if (tree.awaitsCheckpoint) this.#leadership.maybeSynchronize(learner);
      if (now < tree.copyAt) continue;
      if (now < tree.copyBy && this.#verifier.awaitsAnswer) {
        this.postpone();
        continue;
      }
      tree.endWait();
      this.#leadership.maybeSynchronize(learner);
    }
  }

  /**
   * The last checkpoint may be of before the first zxid at which a quorum had our tree, and hold a damaged value that later txns
   * have replaced in memory. One that is made now is of the tree that the quorum has.
   * @returns whether the learner has to wait for that
   */
  #needsCheckpoint({ tree }: Learner): boolean {
    const { snapshot, step } = this.#host;
    const { zxid } = snapshot.position();
    // An empty tree is right.
    const isRight =
      !this.#isProvenTo(tree.differsAt) ||
      snapshot.isConfirmed ||
      equalZxid(zxid, ZXID_ZERO) ||
      this.#verifier.covers(zxid);
    tree.awaitsCheckpoint = !isRight;
    if (isRight) return false;
    if (!this.#checkpointing && !this.#learners.readsSnapshot) {
      this.#checkpointing = true;
      step.push({ type: "checkpoint" });
    }
    return true;
  }

  /** Our tree replaces a learner's because a quorum has confirmed ours, and not only because no learner differs. */
  #isProvenTo(differsAt: Zxid | null): boolean {
    if (this.#host.tree.digest === undefined) return false;
    return differsAt === null ? this.#verifier.isProven : this.#verifier.provesAt(differsAt);
  }

  /** There is a checkpoint of the tree as it is now. */
  checkpointed(): void {
    for (const learner of this.#learners.copy()) {
      if (learner.tree.awaitsCheckpoint) this.#leadership.maybeSynchronize(learner);
    }
    this.#checkpointing = false;
  }
}
