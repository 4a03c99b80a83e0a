/** The time of a member, which affects liveness only: timeouts, session expiry, and the timestamps of txns. */

/**
 * A member's own time, ms since 1970: the time of its clock, except that it never goes back. If the clock is set back, time
 * continues from its highest value; otherwise every wait would become longer.
 *
 * Invariant: `now` = last clock reading + `#aheadMs`, and never decreases.
 */
export class MemberClock {
  #now = 0;
  /** difference between the member's time and its clock; ms, ≥ 0 */
  #aheadMs = 0;

  /** The member's time at the last reading; ms since 1970. */
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

  /** Converts the member's time to the time of the clock. */
  toClock(ms: number): number {
    return ms - this.#aheadMs;
  }
}
