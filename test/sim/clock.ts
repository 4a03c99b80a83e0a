/** A member's own clock over the simulation's: ahead or behind, too fast or too slow, jumping, standing still. */
export class SimClock {
  #offsetMs = 0;
  /** ms of this clock per ms of the simulation */
  #rate = 1;
  #since = 0;
  #frozenAt: number | null = null;

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

  jump(byMs: number, now: number): void {
    this.#settle(now);
    this.#offsetMs += byMs;
  }

  setRate(rate: number, now: number): void {
    this.#settle(now);
    this.#rate = rate;
  }

  freeze(now: number): void {
    this.#frozenAt ??= this.at(now);
  }

  thaw(): void {
    this.#frozenAt = null;
  }

  #settle(now: number): void {
    this.#offsetMs = this.#since + this.#offsetMs + (now - this.#since) * this.#rate - now;
    this.#since = now;
  }
}
