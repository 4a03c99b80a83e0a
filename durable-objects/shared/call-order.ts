/**
 * Puts the calls of one link back in order. workerd promises order on one stub, but a call made while a write is pending
 * waits at the output gate, and one made just as the gate opens may overtake it (seen on the built runtime: 53 before 52).
 * A call whose predecessor is missing waits for it, for a moment; then the core is told of the gap and ends the stay.
 */
export class CallOrder {
  readonly #waitMs: number;
  #boot = 0;
  #generation = 0;
  /** number of the next call of the link that speaks now */
  #next = 0;
  /** *map number → lets the call go on* */
  readonly #waiting = new Map<number, () => void>();

  /** @param waitMs longest that a call waits for its predecessor, ms */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /** Undefined: it is this call's turn. Else its turn comes when the promise resolves. */
  turn(boot: number, generation: number, seq: number): Promise<void> | undefined {
    if (boot > this.#boot || (boot === this.#boot && generation > this.#generation)) {
      this.#boot = boot;
      this.#generation = generation;
      this.#next = 0;
      this.#releaseAll();
    }
    if (boot !== this.#boot || generation !== this.#generation || seq <= this.#next) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(seq);
        resolve();
      }, this.#waitMs);
      this.#waiting.set(seq, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The call was handled: the one that follows it may go on. */
  done(boot: number, generation: number, seq: number): void {
    if (boot !== this.#boot || generation !== this.#generation || seq < this.#next) return;
    this.#next = seq + 1;
    if (this.#waiting.size === 0) return;
    const go = this.#waiting.get(this.#next);
    this.#waiting.delete(this.#next);
    go?.();
  }

  #releaseAll(): void {
    for (const go of this.#waiting.values()) go();
    this.#waiting.clear();
  }
}
