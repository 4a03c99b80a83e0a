/** A member's own clock over the simulation's: ahead or behind, too fast or too slow, jumping, standing still. */
export class SimClock {
  #offsetMs = 0;
  /** ms of this clock per ms of the simulation */
  #rate = 1;
  #since = 0;
  #frozenAt: number | null = null;
  /** ms that it has gained on the simulation by jumps, as far as a member may count them: no more than `JUMP_MAX` each */
  #jumpedMs = 0;
  readonly #jumpMaxMs: number;

  /** @param jumpMaxMs a jump forward is time to a member up to this; ms */
  constructor(jumpMaxMs = Number.POSITIVE_INFINITY) {
    this.#jumpMaxMs = jumpMaxMs;
  }

  /**
   * Time that a member which sees every input may have counted by now. Only differences mean anything: what it exceeds the
   * simulation's by is a fault of the clock.
   */
  countedAt(now: number): number {
    return this.#ranMs + (now - this.#since) * Math.max(1, this.#rate) + this.#jumpedMs;
  }

  #ranMs = 0;

  #leap(ms: number, isSeen = true): void {
    this.#jumpedMs += Math.max(0, isSeen ? Math.min(ms, this.#jumpMaxMs) : ms);
  }

  /** What this clock shows. @param now ms of the simulation */
  at(now: number): number {
    if (this.#frozenAt !== null) return this.#frozenAt;
    return Math.floor(this.#since + this.#offsetMs + (now - this.#since) * this.#rate);
  }

  /** When this clock will show `local`, if nothing happens to it. A frozen one shows it once it is set free. */
  whenShows(local: number, now: number): number {
    return now + Math.max(0, Math.ceil((local - this.at(now)) / this.#rate));
  }

  /** It stands still, or runs too fast or too slow. */
  get odd(): boolean {
    return this.#frozenAt !== null || this.#rate !== 1;
  }

  /** @param isSeen whether a member runs that can see that this is a jump */
  jump(byMs: number, now: number, isSeen = true): void {
    this.#settle(now);
    this.#leap(byMs, isSeen);
    this.#offsetMs += byMs;
  }

  setRate(rate: number, now: number): void {
    this.#settle(now);
    this.#rate = rate;
  }

  freeze(now: number): void {
    this.#frozenAt ??= this.at(now);
  }

  /** @param now ms of the simulation */
  thaw(now: number): void {
    const before = this.at(now);
    if (this.#frozenAt === null) return;
    this.#frozenAt = null;
    this.#leap(this.at(now) - before);
  }

  #settle(now: number): void {
    this.#ranMs += (now - this.#since) * Math.max(1, this.#rate);
    this.#offsetMs = this.#since + this.#offsetMs + (now - this.#since) * this.#rate - now;
    this.#since = now;
  }
}
