/** Group commit: when the writes that wait leave. */
import { assert } from "../assert.ts";
import { GATHER_THIN_MAX } from "./config.ts";
import type { EffectList } from "./effect-list.ts";

/** Weight of earlier batches, when one is sent. */
const FADE = 0.7;

/**
 * Decides whether writes leave at once, as they do while the traffic is thin, or after a turn of I/O that lets more of them come
 * together. One batch costs one row and one message to each peer, however many writes it has.
 *
 * Invariant: while a turn is asked for, nothing leaves; the shell feeds `yielded` after it.
 *
 * @source ZooKeeper `SyncRequestProcessor` (group commit)
 */
export class Gather {
  readonly #effects: EffectList;
  /** size of recent batches, fading */
  #recent = 0;
  #isYielding = false;

  constructor(effects: EffectList) {
    this.#effects = effects;
  }

  /** A turn of I/O was asked for, and is not over. */
  get isYielding(): boolean {
    return this.#isYielding;
  }

  /** @param waiting number of writes, > 0. @returns whether they leave now; otherwise a turn of I/O comes first */
  mayLeave(waiting: number): boolean {
    assert(waiting > 0, "an empty batch does not leave");
    if (this.#isYielding) return false;
    if (waiting <= GATHER_THIN_MAX && this.#recent <= GATHER_THIN_MAX) return true;
    this.#isYielding = true;
    this.#effects.push({ type: "yield" });
    return false;
  }

  /** The turn of I/O is over. */
  yielded(): void {
    this.#isYielding = false;
  }

  /** A batch leaves. */
  sent(count: number): void {
    this.#recent = Math.max(count, this.#recent * FADE);
  }

  /** The role has changed: earlier traffic took another way. */
  reset(): void {
    this.#recent = 0;
  }
}
