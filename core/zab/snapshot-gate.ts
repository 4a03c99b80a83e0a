/** Decides when the leader's tree may replace a learner's. */
import type { Learner } from "./learner.ts";
import type { Learners } from "./learners.ts";
import type { RoleHost } from "./role.ts";
import type { Leadership, TreeVerifier } from "./tree-verifier.ts";
import { equalZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/**
 * Holds back a SNAP until it cannot replace a right tree by a wrong one.
 * Invariants: a tree that differs from the leader's is replaced only by one that a quorum has confirmed; a SNAP that relies
 * on that confirmation is read from a checkpoint of the confirmed tree.
 *
 * @source rules ZAB-92, 122, 130, 132; decision 0012
 */
export class SnapshotGate {
  readonly #host: RoleHost;
  readonly #leadership: Leadership;
  readonly #learners: Learners;
  readonly #verifier: TreeVerifier;
  /** a checkpoint was requested from the shell */
  #checkpointing = false;

  constructor(host: RoleHost, leadership: Leadership, learners: Learners, verifier: TreeVerifier) {
    this.#host = host;
    this.#leadership = leadership;
    this.#learners = learners;
    this.#verifier = verifier;
  }

  /** Whether the leader's tree may replace this learner's. */
  mayReplace({ tree }: Learner): boolean {
    if (tree.differsAt !== null) return this.#verifier.provesAt(tree.differsAt);
    // The server reports no digests, so there is nothing to compare.
    if (this.#host.tree.digest === undefined) return true;
    if (this.#verifier.isProven) return true;
    // The learner's tree merely lags, and the checkpoint is known to be right.
    if (this.#host.snapshot.isConfirmed) return true;
    // Wait for learners that may still report that the leader's tree is the wrong one.
    return tree.copyDue && this.#verifier.differing.length === 0;
  }

  /** Sends the learner a SNAP, or makes it wait until one may be sent. */
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

  /** Starts the wait: no quorum has confirmed the leader's tree, so learners that could report a difference are asked first. */
  #startWaiting({ tree }: Learner): void {
    const { step, self } = this.#host;
    if (tree.waits) return;
    tree.copyAt = step.now + self.timeouts.tickMs;
    tree.copyBy = step.now + self.timeouts.answersMs;
    this.#verifier.askAll();
  }

  /** Makes learners that wait for a copy wait one tick from now on, at most until their `copyBy`. */
  postpone(): void {
    const { step, self } = this.#host;
    for (const { tree } of this.#learners.all()) tree.postpone(step.now, self.timeouts.tickMs);
  }

  /** Synchronizes the learners whose wait has ended. */
  tick(): void {
    const { now } = this.#host.step;
    for (const learner of this.#learners.all()) {
      const { tree } = learner;
      // Another learner's SNAP may have prevented the checkpoint.
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
   * Requests a checkpoint if the last one may be older than the first zxid at which a quorum had this tree: it could hold a
   * damaged value that later txns replaced in memory. A new checkpoint is of the tree that the quorum has.
   * @returns whether the learner has to wait for it
   */
  #needsCheckpoint({ tree }: Learner): boolean {
    const { snapshot, step } = this.#host;
    const { zxid } = snapshot.position();
    // An empty tree is always right.
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

  /** Whether a quorum has confirmed the leader's tree, rather than no learner having reported a difference. */
  #isProvenTo(differsAt: Zxid | null): boolean {
    if (this.#host.tree.digest === undefined) return false;
    return differsAt === null ? this.#verifier.isProven : this.#verifier.provesAt(differsAt);
  }

  /** Handles a finished checkpoint of the current tree. */
  checkpointed(): void {
    for (const learner of this.#learners.copy()) {
      if (learner.tree.awaitsCheckpoint) this.#leadership.maybeSynchronize(learner);
    }
    this.#checkpointing = false;
  }
}
