/** When clients hear what members tell them. */

/**
 * What a member tells a client waits until the effects at hand are run, of all members: what the client does of it is a turn of
 * its own. Invariant: no event is reported while a turn is under way.
 */
export class Turns {
  /** turns under way, one within the other */
  #depth = 0;
  readonly #untold: (() => void)[] = [];

  begin(): void {
    this.#depth += 1;
  }

  /** {@link settle} follows. */
  end(): void {
    this.#depth -= 1;
  }

  /** Tells what waits, if no turn is under way. */
  settle(): void {
    while (this.#depth === 0) {
      const tell = this.#untold.shift();
      if (tell === undefined) return;
      tell();
    }
  }

  /** Calls `tell` now, or once no turn is under way. */
  tell(tell: () => void): void {
    if (this.#depth === 0) tell();
    else this.#untold.push(tell);
  }
}
