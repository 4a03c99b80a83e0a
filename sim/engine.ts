/** Virtual time and random choices: one event at a time, and the same seed gives the same run. */
import { must } from "../core/assert.ts";
import { random } from "../core/prng.ts";
import { EventQueue } from "./event-queue.ts";

/** From least to most, both included. */
export type Range = readonly [least: number, most: number];

/** Maximum of events in a row that take no time; more indicate a loop. */
const STUCK_EVENTS = 50_000;

/**
 * The clock of a run, its event queue, and its random numbers. All simulated parts use it for delays and random choices.
 * Invariant: `now` never goes back.
 */
export class Engine {
  readonly seed: number;
  readonly #queue = new EventQueue();
  readonly #random: () => number;
  readonly #describe: () => string;
  /** virtual time, ms */
  now: number;
  /** events run so far */
  events = 0;
  /** events in a row that took no time */
  #stuck = 0;
  #hash = 0;

  /** @param startAt ms @param describe describes the state of the run, for failures */
  constructor(seed: number, startAt: number, describe: () => string) {
    this.seed = seed;
    this.now = startAt;
    this.#random = random(seed);
    this.#describe = describe;
  }

  // ── chance ───────────────────────────────────────────────────────────────

  /** A random number of [0, 1). */
  chance(): number {
    return this.#random();
  }

  /** A random whole number of this range. */
  between([least, most]: Range): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  /** Whether an event of this probability happens; draws no number if it cannot. */
  happens(probability: number): boolean {
    return probability > 0 && this.#random() < probability;
  }

  /** Hash of everything that has happened so far: equal runs have equal hashes. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  /** Adds an event to the hash. */
  mix(word: number): void {
    this.#hash = (Math.imul(this.#hash ^ word, 0x9e3779b1) + 0x7f4a7c15) | 0;
    this.#hash ^= this.#hash >>> 15;
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Schedules an event, after those already scheduled for the same time. @param at ms of virtual time */
  at(at: number, run: () => void): void {
    this.#queue.push(at, run);
  }

  /** Schedules an event after `ms`. */
  after(ms: number, run: () => void): void {
    this.#queue.push(this.now + ms, run);
  }

  /** Runs until the condition holds. @throws Error if it does not within `limitMs` of virtual time */
  runUntil(condition: () => boolean, limitMs: number, what: string): void {
    const end = this.now + limitMs;
    while (!condition()) {
      if (this.now > end || this.#queue.length === 0) {
        throw new Error(`${what} does not hold after ${limitMs} ms; ${this.#describe()}`);
      }
      this.#next();
    }
  }

  /** Runs all events of the next `ms`. */
  runFor(ms: number): void {
    const end = this.now + ms;
    while (this.#queue.nextAt <= end) this.#next();
    this.now = end;
  }

  #next(): void {
    const event = must(this.#queue.pop(), "an event is left");
    this.#stuck = event.at > this.now ? 0 : this.#stuck + 1;
    if (this.#stuck > STUCK_EVENTS)
      throw new Error(`time stands still; ${this.#describe()} (seed ${this.seed})`);
    this.now = Math.max(this.now, event.at);
    this.events += 1;
    event.run();
  }
}
