/** When a client shows that its session lives. */
import type { Chance } from "../random.ts";

/** Shares of the timeout after which a client that asks nothing shows that it lives; 0: it does not. */
const VIGILS = [0, 0, 0.8, 0.9, 0.97, 1] as const;

/** Times are ms of virtual time. Invariant: a heartbeat is due by what the client did last, not by what it was answered. */
export class Heartbeat {
  readonly #chance: Chance;
  readonly #timeoutMs: number;
  /** share of the timeout after which a silent client shows that it lives */
  readonly #patience: number;
  /** see {@link VIGILS} */
  #vigil: number;
  #lastSign = 0;

  /** @param timeoutMs of the client's sessions */
  constructor(chance: Chance, timeoutMs: number) {
    this.#chance = chance;
    this.#timeoutMs = timeoutMs;
    this.#patience = chance.oneOf([0.33, 0.6, 0.9]);
    this.#vigil = chance.oneOf(VIGILS);
  }

  /** The client has shown that it lives. */
  shown(now: number): void {
    this.#lastSign = now;
  }

  isDue(now: number): boolean {
    return now - this.#lastSign >= this.#timeoutMs * this.#patience;
  }

  /** How long until the next sign is due; at least 1. */
  nextMs(now: number): number {
    return Math.max(1, Math.ceil(this.#lastSign + this.#timeoutMs * this.#patience - now));
  }

  /** How long until the next sign is due while nobody asks anything; ≤ 0: now; undefined: it keeps no vigil. */
  vigilMs(now: number): number | undefined {
    if (this.#vigil === 0) return undefined;
    return this.#lastSign + this.#vigil * this.#timeoutMs - now;
  }

  /** Chooses how the next vigil is kept. */
  redraw(): void {
    this.#vigil = this.#chance.oneOf(VIGILS);
  }
}
