/** The order of turns of members and clients. */

/**
 * Events for clients wait until the current effects of all members are run, so that a client's reaction is a turn of its
 * own.
 * Invariant: no event is reported during a turn.
 */
export class Turns {
  /** depth of nested turns */
  #depth = 0;
  readonly #untold: (() => void)[] = [];

  begin(): void {
    this.#depth += 1;
  }

  /** {@link settle} follows. */
  end(): void {
    this.#depth -= 1;
  }

  /** Reports the waiting events, if no turn is running. */
  settle(): void {
    while (this.#depth === 0) {
      const tell = this.#untold.shift();
      if (tell === undefined) return;
      tell();
    }
  }

  /** Calls `tell` now, or once no turn is running. */
  tell(tell: () => void): void {
    if (this.#depth === 0) tell();
    else this.#untold.push(tell);
  }
}
