/**
 * Pauses between attempts to connect: exponential, limited, and with jitter, so that the clients of a dead node do
 * not return at the same time.
 */

const MS = { first: 50, max: 1_000 } as const;

/**
 * @param attempt from 0
 * @param random in [0, 1)
 * @returns ms; the first attempt follows almost at once
 */
export const backoffMs = (attempt: number, random: number): number =>
  attempt === 0 ? random * MS.first : Math.min(MS.first * 2 ** attempt, MS.max) * (0.5 + random / 2);

/** Resolves after `ms`, or as soon as the signal fires. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
