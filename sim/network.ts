/** The links between members: delays of calls, and links that stall or lose everything. */
import type { Engine, Range } from "./engine.ts";

/** How links behave. */
export interface NetworkOptions {
  /** number of members; sids are 1 to `size` */
  readonly size: number;
  /** one way, ms */
  readonly latencyMs: Range;
  /** random numbers for the delays of returns; null if they take as long as calls */
  readonly crossing: (() => number) | null;
}

/** One direction between two members, as one number. */
const linkOf = (from: number, to: number): number => from * 16 + to;

/** The network of one ensemble. Invariant: a later message on a channel does not arrive earlier. */
export class Network {
  readonly #engine: Engine;
  readonly #size: number;
  readonly #usualLatency: Range;
  readonly #crossing: (() => number) | null;
  #latency: Range;
  /** links that lose every call; see {@link linkOf} */
  readonly #cut = new Set<number>();
  /** *map link → until when it stalls* */
  readonly #clogged = new Map<number, number>();
  /** *map sid → additional delay of every call from and to this member*, ms */
  readonly #slow = new Map<number, number>();

  constructor(engine: Engine, { size, latencyMs, crossing }: NetworkOptions) {
    this.#engine = engine;
    this.#size = size;
    this.#usualLatency = latencyMs;
    this.#latency = latencyMs;
    this.#crossing = crossing;
  }

  // ── faults ───────────────────────────────────────────────────────────────

  /** Loses every call from one member to the other, and the returns of the calls the other way. */
  cut(from: number, to: number): void {
    this.#cut.add(linkOf(from, to));
  }

  /** Cuts a member off from all others, both ways. */
  isolate(sid: number): void {
    for (let other = 1; other <= this.#size; other++) {
      if (other === sid) continue;
      this.cut(sid, other);
      this.cut(other, sid);
    }
  }

  isCut(from: number, to: number): boolean {
    return this.#cut.has(linkOf(from, to));
  }

  healCuts(): void {
    this.#cut.clear();
  }

  /** Stalls messages from one member to the other for `ms`; then they arrive, in order. */
  clog(from: number, to: number, ms: number): void {
    this.#clogged.set(linkOf(from, to), this.#engine.now + ms);
  }

  /** Delays every call from and to this member by `ms` more. @returns the previous additional delay; ms */
  slow(sid: number, ms: number): number {
    const before = this.#slow.get(sid) ?? 0;
    if (ms === 0) this.#slow.delete(sid);
    else this.#slow.set(sid, ms);
    return before;
  }

  /** Ends all faults of links, except for their latency. */
  heal(): void {
    this.#cut.clear();
    this.#clogged.clear();
    this.#slow.clear();
  }

  /** Sets the latency. @returns the previous maximum; ms */
  setLatency(latencyMs: Range): number {
    const before = this.#latency[1];
    this.#latency = latencyMs;
    return before;
  }

  /** Whether some call takes longer than usual, or never arrives. */
  get isDisturbed(): boolean {
    return this.#latency !== this.#usualLatency || this.#slow.size > 0 || this.#cut.size > 0;
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Longest undisturbed delay of a call; ms. */
  get usualMsMax(): number {
    return this.#usualLatency[1];
  }

  /** Whether returns have other delays than calls, so that they overtake calls in the other direction and vice versa. */
  get isCrossing(): boolean {
    return this.#crossing !== null;
  }

  /** A random delay one way; ms. */
  delay(): number {
    return this.#engine.between(this.#latency);
  }

  /** A random delay of a return, ms; if returns cross calls, from zero up to four times that of the slowest call. */
  returnDelay(): number {
    const unit = this.#crossing;
    if (unit === null) return this.delay();
    return unit() < 0.5 ? 0 : Math.floor(unit() * 4 * this.#latency[1]);
  }

  /** Arrival time of a message sent now. @param last arrival of the previous one on its channel */
  arrival(from: number, to: number, last: number, delay: number): number {
    let at = this.#engine.now + delay;
    if (this.#slow.size > 0) at += (this.#slow.get(from) ?? 0) + (this.#slow.get(to) ?? 0);
    if (this.#clogged.size > 0) at = Math.max(at, this.#clogged.get(linkOf(from, to)) ?? 0);
    return Math.max(at, last);
  }
}
