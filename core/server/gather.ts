/** Group commit: decides when waiting writes are sent. */
import { assert } from "../assert.ts";
import { GATHER_THIN_MAX } from "./config.ts";
import type { EffectList } from "./effect-list.ts";

/** Weight of earlier batches in the moving average. */
const FADE = 0.7;

/**
 * Decides whether writes are sent at once, as they are while the traffic is thin, or after a turn of I/O, so that more of
 * them form one batch. One batch costs one row and one message to each peer, however many writes it has.
 *
 * Invariant: while a turn is requested, no write is sent; the shell feeds `yielded` after it.
 *
 * @source ZooKeeper `SyncRequestProcessor` (group commit)
 */
export class Gather {
  readonly #effects: EffectList;
  /** moving average of the size of recent batches */
  #recent = 0;
  #isYielding = false;

  constructor(effects: EffectList) {
    this.#effects = effects;
  }

  /** Whether a turn of I/O was requested and has not ended. */
  get isYielding(): boolean {
    return this.#isYielding;
  }

  /** @param waiting number of writes, > 0. @returns whether they are sent now; otherwise after a turn of I/O */
  mayLeave(waiting: number): boolean {
    assert(waiting > 0, "a batch is not empty");
    if (this.#isYielding) return false;
    if (waiting <= GATHER_THIN_MAX && this.#recent <= GATHER_THIN_MAX) return true;
    this.#isYielding = true;
    this.#effects.push({ type: "yield" });
    return false;
  }

  /** Handles the end of the turn of I/O. */
  yielded(): void {
    this.#isYielding = false;
  }

  /** Records a batch that is sent. */
  sent(count: number): void {
    this.#recent = Math.max(count, this.#recent * FADE);
  }

  /** Forgets earlier traffic, because the role has changed. */
  reset(): void {
    this.#recent = 0;
  }
}
