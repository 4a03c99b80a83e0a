/** Proposals held back for one learner. */
import { HELD_BYTES_MAX, LATE_MS } from "./config.ts";
import { compareZxid, type Zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * When the proposals held back for one learner are due, and how many bytes they have. The entries themselves are in the log.
 *
 * They are due once the learner's patience is over and the first of them is committed, so that the commit index goes with them;
 * {@link LATE_MS} after the first of them at the latest.
 *
 * @source ZooKeeper SyncRequestProcessor (group commit), applied to a learner for which no client waits
 */
export class HeldProposals {
  /** end of the first of them; null if there are none */
  #first: Zxid | null = null;
  /** when the patience is over; ms */
  #patientUntil = NEVER;
  /** when they have to be sent in any case; ms */
  #latestAt = NEVER;
  #bytes = 0;

  /** Whether any proposal is held back. */
  get any(): boolean {
    return this.#first !== null;
  }

  /** When to look at them again; infinity if there are none; ms. */
  wakeAt(now: number): number {
    return now < this.#patientUntil ? this.#patientUntil : this.#latestAt;
  }

  /** Adds a proposal. @param bytes of its batch @param patienceMs how long the learner's clients can do without it; ms */
  hold(last: Zxid, bytes: number, now: number, patienceMs: number): void {
    this.#bytes += bytes;
    this.#patientUntil = Math.min(this.#patientUntil, now + patienceMs);
    if (this.#first !== null) return;
    this.#first = last;
    this.#latestAt = now + Math.max(LATE_MS, patienceMs);
  }

  /** Whether they are to be sent now. @param committed the commit index */
  isDue(now: number, committed: Zxid): boolean {
    if (this.#first === null) return false;
    if (this.#bytes >= HELD_BYTES_MAX || now >= this.#latestAt) return true;
    return now >= this.#patientUntil && compareZxid(committed, this.#first) >= 0;
  }

  /** Removes all: they are sent, or the learner's window is full. */
  clear(): void {
    this.#first = null;
    this.#patientUntil = NEVER;
    this.#latestAt = NEVER;
    this.#bytes = 0;
  }
}
