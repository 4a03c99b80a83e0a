/** What the leader knows of the tree of one learner, within the learner's stay. */
import type { AckEpoch, DigestAt } from "./messages.ts";
import type { Zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The tree of one learner, as the leader sees it: what the learner has said of it, and whether it waits to be replaced by the
 * leader's. Ends with the stay; what outlives it is in TreeAgreement.
 * Invariant: a tree that is known to differ is not known to be equal.
 */
export class LearnerTree {
  /** the learner is of a version that answers CHECK */
  answersCheck = false;
  /** of one that does so before UPTODATE too */
  answersEarly = false;
  /** the zxid at which the tree stood when the learner joined; null: it has no tree that could be compared */
  joinedAt: Zxid | null = null;
  /** where it differs from the leader's; null: not known to differ */
  differsAt: Zxid | null = null;
  /** its digest, until the leader's of the same zxid is known */
  reported: DigestAt | null = null;
  /** it was found equal to the leader's in this stay */
  compared = false;
  /** it is replaced by the leader's in this stay */
  copied = false;
  /** the learner is to be sent a CHECK as soon as the leader's digest is at or above this */
  checkFrom: Zxid | null = null;
  /** when it is replaced though no quorum has confirmed the leader's; infinity: it does not wait for that. ms */
  copyAt = NEVER;
  /** when it no longer waits for answers to CHECK before that; ms */
  copyBy = NEVER;
  /** that time is over */
  copyDue = false;
  /** it is replaced once there is a checkpoint that is known to be right */
  awaitsCheckpoint = false;

  /** Takes what the learner says of its version and its tree when it joins. */
  join(message: AckEpoch): void {
    this.answersCheck = message.digest !== undefined;
    this.answersEarly = this.answersCheck && message.checksEarly === true;
    this.joinedAt = message.digest?.zxid ?? null;
  }

  /** It was found different. */
  differ(at: Zxid): void {
    this.differsAt = at;
    this.compared = false;
  }

  /** It was found equal. */
  equal(): void {
    this.differsAt = null;
    this.compared = true;
  }

  /** It is being replaced by the leader's. */
  copy(): void {
    this.copyAt = NEVER;
    this.compared = false;
    this.copied = true;
  }

  /** It waits to be replaced until members that could object have answered, or their time is over. */
  get waits(): boolean {
    return this.copyAt !== NEVER;
  }

  /** It waits a tick from now on, at most until its time is over. @param now ms */
  postpone(now: number, tickMs: number): void {
    if (this.waits) this.copyAt = Math.max(this.copyAt, Math.min(this.copyBy, now + tickMs));
  }

  /** It has waited long enough. */
  endWait(): void {
    this.copyAt = NEVER;
    this.copyDue = true;
  }
}
