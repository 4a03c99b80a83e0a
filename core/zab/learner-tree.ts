/** What the leader knows about the tree of one learner, within the learner's stay. */
import type { AckEpoch, DigestAt } from "./messages.ts";
import type { Zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The tree of one learner, as the leader sees it: what the learner has reported about it, and whether it waits to be
 * replaced by the leader's. It ends with the stay; TreeAgreement keeps what outlives the stay.
 * Invariant: `compared` is not set while `differsAt` is.
 */
export class LearnerTree {
  /** whether the learner's version answers CHECK */
  answersCheck = false;
  /** whether its version answers CHECK before UPTODATE too */
  answersEarly = false;
  /** zxid of the learner's tree when it joined; null if it has no tree that could be compared */
  joinedAt: Zxid | null = null;
  /** zxid at which it differs from the leader's; null if not known to differ */
  differsAt: Zxid | null = null;
  /** the learner's digest, kept until the leader has its own digest of the same zxid */
  reported: DigestAt | null = null;
  /** whether it was found equal to the leader's in this stay */
  compared = false;
  /** whether the leader's tree replaces it in this stay */
  copied = false;
  /** a CHECK is sent as soon as the leader's digest is at or above this zxid; null if none is due */
  checkFrom: Zxid | null = null;
  /** when it is replaced although no quorum has confirmed the leader's, ms; infinity if it does not wait for that */
  copyAt = NEVER;
  /** latest value of `copyAt`, however many answers to CHECK are missing; ms */
  copyBy = NEVER;
  /** whether `copyAt` has passed */
  copyDue = false;
  /** whether it waits for a checkpoint that is known to be right */
  awaitsCheckpoint = false;

  /** Records what the learner's ACKEPOCH says about its version and its tree. */
  join(message: AckEpoch): void {
    this.answersCheck = message.digest !== undefined;
    this.answersEarly = this.answersCheck && message.checksEarly === true;
    this.joinedAt = message.digest?.zxid ?? null;
  }

  /** Records that the trees differ. */
  differ(at: Zxid): void {
    this.differsAt = at;
    this.compared = false;
  }

  /** Records that the trees are equal. */
  equal(): void {
    this.differsAt = null;
    this.compared = true;
  }

  /** Records that the leader's tree is being sent. */
  copy(): void {
    this.copyAt = NEVER;
    this.compared = false;
    this.copied = true;
  }

  /** Whether it waits to be replaced, until the learners that could report a difference have answered or their time has passed. */
  get waits(): boolean {
    return this.copyAt !== NEVER;
  }

  /** Waits one tick from now on, at most until `copyBy`. @param now ms */
  postpone(now: number, tickMs: number): void {
    if (this.waits) this.copyAt = Math.max(this.copyAt, Math.min(this.copyBy, now + tickMs));
  }

  /** Ends the wait. */
  endWait(): void {
    this.copyAt = NEVER;
    this.copyDue = true;
  }
}
