/** The time of a member, which serves liveness only: timeouts, session expiry, and the time that a txn carries. */

/**
 * A member's own time, ms since 1970: what its clock shows, except that it never goes back.
 * After the clock was set back, time continues from its highest value; otherwise every wait would be that much longer.
 *
 * Invariant: `now` = last clock reading + `#aheadMs`, and never decreases.
 */
export class MemberClock {
  #now = 0;
  /** how far the member's time is ahead of its clock; ms, ≥ 0 */
  #aheadMs = 0;

  /** At the last reading; ms since 1970. */
  get now(): number {
    return this.#now;
  }

  /** Takes a reading of the clock. @returns ms that have passed since the reading before, ≥ 0 */
  read(clockMs: number): number {
    if (clockMs + this.#aheadMs < this.#now) this.#aheadMs = this.#now - clockMs;
    const passedMs = clockMs + this.#aheadMs - this.#now;
    this.#now += passedMs;
    return passedMs;
  }

  /** What the clock will show at `ms` of the member's time. */
  toClock(ms: number): number {
    return ms - this.#aheadMs;
  }
}
