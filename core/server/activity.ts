/** How busy the clients of this member are. */

/**
 * When a client last asked something, and how many are connected. It decides how soon a commit must be known here, and when the
 * ensemble may fall asleep. All times are the member's, ms.
 *
 * Invariant: requests in the background never make it look less idle.
 */
export class Activity {
  /** when a client asked last; what asks in the background does not count */
  #askedAt = 0;
  /** when a client read last */
  #readAt = Number.NEGATIVE_INFINITY;
  /** clients that are connected */
  #clients = 0;

  /** @returns whether the number has changed */
  connected(count: number): boolean {
    const isChanged = count !== this.#clients;
    this.#clients = count;
    return isChanged;
  }

  /** A client asks something, in the foreground. */
  asked(now: number): void {
    this.#askedAt = now;
  }

  /** A client reads. */
  read(now: number): void {
    this.#readAt = now;
  }

  /** Since when there is no client, if this is the last sign of one; null while one is connected. */
  idleSince(now: number): number | null {
    return this.#clients > 0 ? null : now;
  }

  /** No client is connected, and none has asked for `ms`. */
  isIdle(now: number, ms: number): boolean {
    return this.#clients === 0 && now - this.#askedAt >= ms;
  }

  /** Has a client read in the last `withinMs`? */
  hasRead(now: number, withinMs: number): boolean {
    return now - this.#readAt < withinMs;
  }
}
