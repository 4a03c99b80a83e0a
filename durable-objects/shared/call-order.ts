/**
 * Restores the order of the calls of one link. workerd promises order on one stub, but a call that is made while a
 * write is pending waits at the output gate, and one that is made just as the gate opens may overtake it (observed on
 * the built runtime: 53 before 52). A call whose predecessor is missing waits for it for a limited time; then the
 * core detects the gap and ends the stay.
 */

/** Runs a function later. @returns a function that cancels it */
export type Later = (ms: number, run: () => void) => () => void;

const later: Later = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/**
 * The order of one link's calls, at the callee.
 * Invariant: calls of a generation are handled by number; a later generation, or incarnation, ends all waits of earlier ones.
 * @source decision 0004
 */
export class CallOrder {
  readonly #waitMs: number;
  readonly #later: Later;
  #boot = 0;
  #generation = 0;
  /** number of the next call of the current link */
  #next = 0;
  /** *map number → continues the call* */
  readonly #waiting = new Map<number, () => void>();

  /** @param waitMs longest that a call waits for its predecessor, ms */
  constructor(waitMs: number, after: Later = later) {
    this.#waitMs = waitMs;
    this.#later = after;
  }

  /** Whether it is this call's turn. If not, it has to {@link wait}. */
  isTurn(boot: number, generation: number, seq: number): boolean {
    if (boot > this.#boot || (boot === this.#boot && generation > this.#generation)) {
      this.#boot = boot;
      this.#generation = generation;
      this.#next = 0;
      this.#releaseAll();
    }
    return boot !== this.#boot || generation !== this.#generation || seq <= this.#next;
  }

  /** Calls `go` once: when it is the turn of a call that arrived too early, or after `waitMs` without its predecessor. */
  wait(seq: number, go: () => void): void {
    const cancel = this.#later(this.#waitMs, () => {
      this.#waiting.delete(seq);
      go();
    });
    this.#waiting.set(seq, () => {
      cancel();
      go();
    });
  }

  /** Records that the call was handled, so that its successor may continue. */
  done(boot: number, generation: number, seq: number): void {
    if (boot !== this.#boot || generation !== this.#generation || seq < this.#next) return;
    this.#next = seq + 1;
    if (this.#waiting.size === 0) return;
    const go = this.#waiting.get(this.#next);
    this.#waiting.delete(this.#next);
    go?.();
  }

  #releaseAll(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const go of waiting) go();
  }
}
