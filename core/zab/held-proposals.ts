/** Proposals held back for one learner. */
import { HELD_BYTES_MAX } from "./config.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * When the proposals held back for one learner are due, and how many bytes they have. The entries themselves are in the log.
 * Invariant: they are due within the patience that the learner had when the first of them was proposed.
 *
 * @source ZooKeeper SyncRequestProcessor (group commit), applied to a learner for which no client waits
 */
export class HeldProposals {
  #dueAt = NEVER;
  #bytes = 0;

  /** Whether any proposal is held back. */
  get any(): boolean {
    return this.#dueAt !== NEVER;
  }

  /** When they have to be sent; infinity if there are none; ms. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** Adds a proposal. @param bytes of its batch @param dueAt when it has to be sent; ms */
  hold(bytes: number, dueAt: number): void {
    this.#bytes += bytes;
    this.#dueAt = Math.min(this.#dueAt, dueAt);
  }

  /** Whether they are to be sent now. */
  isDue(now: number): boolean {
    return now >= this.#dueAt || this.#bytes >= HELD_BYTES_MAX;
  }

  /** Removes all: they are sent, or the learner's window is full. */
  clear(): void {
    this.#dueAt = NEVER;
    this.#bytes = 0;
  }
}
