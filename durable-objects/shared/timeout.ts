/** Waits with a timeout. */

/** A call did not answer within its timeout. Its outcome is unknown. */
export class CallTimeout extends Error {
  override readonly name = "CallTimeout";
}

/**
 * Resolves or rejects as `call` does. The call itself continues after the timeout.
 * @throws CallTimeout after `ms`
 */
export function withTimeout<T>(call: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new CallTimeout(`no answer within ${ms} ms`)), ms);
    call.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Resolves after `ms`. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Callers that wait for a change.
 * Invariant: a wait that has ended leaves no timer behind.
 */
export class Waiters {
  readonly #waiting = new Set<() => void>();

  /** Ends all waits. */
  wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Resolves as `call` does, or with undefined at the next {@link wake} or after `ms`; no timer is left behind. */
  or<T>(call: Promise<T>, ms: number): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
      };
      const wake = (): void => {
        done();
        resolve(undefined);
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
      call.then(resolve, reject).finally(done);
    });
  }

  /** Resolves at the next {@link wake} or after `ms`. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }
}
