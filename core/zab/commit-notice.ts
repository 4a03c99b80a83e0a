/** When a learner is sent the commit index by a message of its own. */
import { LATE_MS } from "./config.ts";
import { compareZxid, equalZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The commit index as one learner knows it. A proposal carries it; a COMMIT is due only if none does so within the learner's
 * patience.
 * Invariant: the learner was sent the entry of every commit index in `sent`.
 *
 * @source ZooKeeper Leader.commit, but held back
 */
export class CommitNotice {
  /** the last commit index sent */
  #sent: Zxid;
  /** zxid of the last LEADERACK: up to here the learner concludes by itself what is committed */
  #ackedTo = ZXID_ZERO;
  /** when a COMMIT that is held back is sent; ms */
  #dueAt = NEVER;

  /** @param sent the commit index that the learner needs no message for */
  constructor(sent: Zxid) {
    this.#sent = sent;
  }

  /** The last commit index sent. */
  get sent(): Zxid {
    return this.#sent;
  }

  /** Records what UPTODATE or a proposal carries. @param current the commit index */
  carried(commit: Zxid, current: Zxid): void {
    this.#sent = commit;
    if (equalZxid(commit, current)) this.#dueAt = NEVER;
  }

  /** Records that the learner is told that everything up to `zxid` is durable at the leader. */
  acked(zxid: Zxid): void {
    this.#ackedTo = zxid;
  }

  /**
   * Whether a COMMIT is to be sent now; the caller then sends it. What the learner concludes from a LEADERACK is repeated after
   * {@link LATE_MS}, in case that was lost.
   */
  isDue(now: number, current: Zxid, patienceMs: number): boolean {
    const heldMs = compareZxid(current, this.#ackedTo) <= 0 ? LATE_MS : patienceMs;
    this.#dueAt = Math.min(this.#dueAt, now + heldMs);
    if (now < this.#dueAt) return false;
    this.carried(current, current);
    return true;
  }

  /** When a COMMIT that is held back is due; infinity if none is; ms. */
  get dueAt(): number {
    return this.#dueAt;
  }
}
