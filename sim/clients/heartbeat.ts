/** The times of a client's heartbeats. */
import type { Chance } from "../random.ts";

/** Shares of the timeout after which a client sends a heartbeat during calm; 0: it sends none. */
const VIGILS = [0, 0, 0.8, 0.9, 0.97, 1] as const;

/** Times are ms of virtual time. Invariant: a heartbeat is due relative to the client's last request, not to an answer. */
export class Heartbeat {
  readonly #chance: Chance;
  readonly #timeoutMs: number;
  /** share of the timeout after which an idle client sends a heartbeat */
  readonly #patience: number;
  /** see {@link VIGILS} */
  #vigil: number;
  #lastSign = 0;

  /** @param timeoutMs timeout of the client's sessions */
  constructor(chance: Chance, timeoutMs: number) {
    this.#chance = chance;
    this.#timeoutMs = timeoutMs;
    this.#patience = chance.oneOf([0.33, 0.6, 0.9]);
    this.#vigil = chance.oneOf(VIGILS);
  }

  /** Records a heartbeat or request of the client. */
  shown(now: number): void {
    this.#lastSign = now;
  }

  isDue(now: number): boolean {
    return now - this.#lastSign >= this.#timeoutMs * this.#patience;
  }

  /** Time until the next heartbeat is due, ms; at least 1. */
  nextMs(now: number): number {
    return Math.max(1, Math.ceil(this.#lastSign + this.#timeoutMs * this.#patience - now));
  }

  /** Time until the next heartbeat is due during calm, ms; ≤ 0: now; undefined if it sends none. */
  vigilMs(now: number): number | undefined {
    if (this.#vigil === 0) return undefined;
    return this.#lastSign + this.#vigil * this.#timeoutMs - now;
  }

  /** Chooses the behaviour during the next calm. */
  redraw(): void {
    this.#vigil = this.#chance.oneOf(VIGILS);
  }
}
