/** The links between members: how long a call takes, and which links stall or lose everything. */
import type { Engine, Range } from "./engine.ts";

/** How links behave. */
export interface NetworkOptions {
  /** members; sids are 1 to this */
  readonly size: number;
  /** one way, ms */
  readonly latencyMs: Range;
  /** chance of its own for the time that returns take; null: they take as long as calls */
  readonly crossing: (() => number) | null;
}

/** One direction between two members, as one number. */
const linkOf = (from: number, to: number): number => from * 16 + to;

/** Invariant: what leaves on a channel later arrives no earlier. */
export class Network {
  readonly #engine: Engine;
  readonly #size: number;
  readonly #usualLatency: Range;
  readonly #crossing: (() => number) | null;
  #latency: Range;
  /** links that lose every call; see {@link linkOf} */
  readonly #cut = new Set<number>();
  /** *map link → until when it holds everything back* */
  readonly #clogged = new Map<number, number>();
  /** *map sid → ms that every call of this member and to it takes longer* */
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

  /** Holds back what goes from one member to the other until this much time has passed; then it arrives, in order. */
  clog(from: number, to: number, ms: number): void {
    this.#clogged.set(linkOf(from, to), this.#engine.now + ms);
  }

  /** Every call of this member and to it takes this much longer. @returns how much longer it took before; ms */
  slow(sid: number, ms: number): number {
    const before = this.#slow.get(sid) ?? 0;
    if (ms === 0) this.#slow.delete(sid);
    else this.#slow.set(sid, ms);
    return before;
  }

  /** Links are as usual again, except for their latency. */
  heal(): void {
    this.#cut.clear();
    this.#clogged.clear();
    this.#slow.clear();
  }

  /** @returns the longest that a call took before; ms */
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

  /** The longest that a call takes when nothing is wrong; ms. */
  get usualMsMax(): number {
    return this.#usualLatency[1];
  }

  /** Whether returns take another time than calls: they overtake calls the other way, and are overtaken by them. */
  get isCrossing(): boolean {
    return this.#crossing !== null;
  }

  /** How long something takes one way; ms. */
  delay(): number {
    return this.#engine.between(this.#latency);
  }

  /** How long a return takes; where returns cross calls, no time or up to four times that of the slowest call; ms. */
  returnDelay(): number {
    const unit = this.#crossing;
    if (unit === null) return this.delay();
    return unit() < 0.5 ? 0 : Math.floor(unit() * 4 * this.#latency[1]);
  }

  /** When something that leaves now arrives. @param last when the one before it on its channel does */
  arrival(from: number, to: number, last: number, delay: number): number {
    let at = this.#engine.now + delay;
    if (this.#slow.size > 0) at += (this.#slow.get(from) ?? 0) + (this.#slow.get(to) ?? 0);
    if (this.#clogged.size > 0) at = Math.max(at, this.#clogged.get(linkOf(from, to)) ?? 0);
    return Math.max(at, last);
  }
}
