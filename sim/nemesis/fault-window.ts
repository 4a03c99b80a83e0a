/** The time in which faults happen. */
import type { Engine } from "../engine.ts";

/** Invariant: once closed, nothing that it was to run is run. */
export class FaultWindow {
  readonly #engine: Engine;
  #isOver = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Runs what ends a fault, or is part of it, in so much time, unless everything is healed before. */
  after(ms: number, run: () => void): void {
    this.#engine.after(ms, () => {
      if (!this.#isOver) run();
    });
  }

  /** Everything is healed. */
  close(): void {
    this.#isOver = true;
  }
}
