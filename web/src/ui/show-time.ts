/** Durations in text. */

/** @param ms whole milliseconds @returns e.g. "135 ms", or "10.8 s" from one second on */
export const showTime = (ms: number): string => (ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`);
