/** The next turn of a client. */
import type { Engine } from "../engine.ts";

/** Runs a turn at the earliest time requested since the last turn. Invariant: at most one turn is scheduled. */
export class NextTurn {
  readonly #engine: Engine;
  readonly #run: () => void;
  #at = Number.POSITIVE_INFINITY;

  constructor(engine: Engine, run: () => void) {
    this.#engine = engine;
    this.#run = run;
  }

  /** Requests the next turn after `ms`, or earlier if that was requested already. */
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
