/** Activity of this member's clients. */

/**
 * The time of the last client request, and the number of connected clients. They determine how long a COMMIT may be held
 * back for this member, and when the ensemble may fall asleep. All times are the member's, ms.
 *
 * Invariant: background requests never make the member less idle.
 */
export class Activity {
  /** when the last client request came; background requests do not count */
  #askedAt = 0;
  /** when a client last read */
  #readAt = Number.NEGATIVE_INFINITY;
  /** number of connected clients */
  #clients = 0;

  /** Sets the number of connected clients. @returns whether it has changed */
  connected(count: number): boolean {
    const isChanged = count !== this.#clients;
    this.#clients = count;
    return isChanged;
  }

  /** Whether a client is connected. */
  get hasClients(): boolean {
    return this.#clients > 0;
  }

  /** Records a foreground request. */
  asked(now: number): void {
    this.#askedAt = now;
  }

  /** Records a read. */
  read(now: number): void {
    this.#readAt = now;
  }

  /** Since when the member has had no client; null while one is connected. */
  idleSince(now: number): number | null {
    return this.#clients > 0 ? null : now;
  }

  /** Whether no client is connected, and none has sent a request for `ms`. */
  isIdle(now: number, ms: number): boolean {
    return this.#clients === 0 && now - this.#askedAt >= ms;
  }

  /** Whether a client has read in the last `withinMs`. */
  hasRead(now: number, withinMs: number): boolean {
    return now - this.#readAt < withinMs;
  }
}
