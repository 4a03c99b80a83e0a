/** A member's own clock relative to the simulation's: ahead or behind, too fast or too slow, jumping, stopped. */
export class SimClock {
  #offsetMs = 0;
  /** ms of this clock per ms of the simulation */
  #rate = 1;
  #since = 0;
  #frozenAt: number | null = null;
  /** ms gained on the simulation by jumps, as far as a member may count them: at most `JUMP_MAX` each */
  #jumpedMs = 0;
  readonly #jumpMaxMs: number;

  /** @param jumpMaxMs maximum of a forward jump that a member counts as time; ms */
  constructor(jumpMaxMs = Number.POSITIVE_INFINITY) {
    this.#jumpMaxMs = jumpMaxMs;
  }

  /**
   * Time that a member which sees every input may have counted until now. Only differences are meaningful; the excess over
   * the simulation's time is a fault of the clock.
   */
  countedAt(now: number): number {
    return this.#ranMs + (now - this.#since) * Math.max(1, this.#rate) + this.#jumpedMs;
  }

  #ranMs = 0;

  #leap(ms: number, isSeen = true): void {
    this.#jumpedMs += Math.max(0, isSeen ? Math.min(ms, this.#jumpMaxMs) : ms);
  }

  /** Time of this clock. @param now ms of the simulation */
  at(now: number): number {
    if (this.#frozenAt !== null) return this.#frozenAt;
    return Math.floor(this.#since + this.#offsetMs + (now - this.#since) * this.#rate);
  }

  /** When this clock will show `local`, if it is not changed. A frozen clock shows it once it is thawed. */
  whenShows(local: number, now: number): number {
    return now + Math.max(0, Math.ceil((local - this.at(now)) / this.#rate));
  }

  /** Whether it is stopped, or runs too fast or too slow. */
  get odd(): boolean {
    return this.#frozenAt !== null || this.#rate !== 1;
  }

  /** Sets the clock forward or back. @param isSeen whether a running member can recognise the jump */
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
