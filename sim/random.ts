/** Random numbers from a seed: the same seed gives the same numbers. */

import { must } from "../core/assert.ts";
import { random } from "../core/prng.ts";

/** Source of the random choices of a run. */
export class Chance {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = random(seed);
  }

  /** A number of [0, 1). */
  unit(): number {
    return this.#next();
  }

  /** A whole number of [0, n). */
  below(n: number): number {
    return Math.floor(this.#next() * n);
  }

  /** A whole number of [least, most]. */
  between(least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1));
  }

  /** True with probability 1/n. */
  oneIn(n: number): boolean {
    return this.#next() * n < 1;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.#next() < probability;
  }

  oneOf<T>(items: readonly T[]): T {
    return must(items[this.below(items.length)], "there is something to choose");
  }

  /** The same items in a random order. */
  shuffled<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const a = out[i] as T;
      out[i] = out[j] as T;
      out[j] = a;
    }
    return out;
  }
}
