/** State that a checker keeps for each incarnation of a run. */
import { must } from "../../core/assert.ts";
import type { LifeView } from "./view.ts";

/** *map life → state*. An array by the number of the life in the run: steps are many, and a hash table shows in their cost. */
export class PerLife<T> {
  readonly #states: T[] = [];

  /** The state of a life that has started. */
  of(life: LifeView): T {
    return must(this.#states[life.index], "a life is known from its start");
  }

  set(life: LifeView, state: T): void {
    this.#states[life.index] = state;
  }
}
