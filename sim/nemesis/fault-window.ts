/** The time in which faults happen. */
import type { Engine } from "../engine.ts";

/** The window of one run. Invariant: once closed, nothing scheduled with it is run. */
export class FaultWindow {
  readonly #engine: Engine;
  #isOver = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Schedules the end or a part of a fault after `ms`, unless everything is healed before. */
  after(ms: number, run: () => void): void {
    this.#engine.after(ms, () => {
      if (!this.#isOver) run();
    });
  }

  /** Closes the window, because everything is healed. */
  close(): void {
    this.#isOver = true;
  }
}
