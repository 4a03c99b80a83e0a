/** When somebody acts next. */
import type { Engine } from "../engine.ts";

/** Runs a turn at the earliest moment that was asked for since the last one. Invariant: one turn is planned at most. */
export class NextTurn {
  readonly #engine: Engine;
  readonly #run: () => void;
  #at = Number.POSITIVE_INFINITY;

  constructor(engine: Engine, run: () => void) {
    this.#engine = engine;
    this.#run = run;
  }

  /** The next turn comes in so much time, or earlier if that was asked for already. */
  in(ms: number): void {
    const at = this.#engine.now + ms;
    if (at >= this.#at) return;
    this.#at = at;
    this.#engine.after(ms, () => {
      if (this.#at !== at) return;
      this.#at = Number.POSITIVE_INFINITY;
      this.#run();
    });
  }
}
