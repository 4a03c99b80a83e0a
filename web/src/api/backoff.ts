/** Pauses between attempts: exponential, capped, with jitter so that pages do not reconnect at the same time. */

const BASE_MS = 250;
const CAP_MS = 5_000;

/**
 * Pause before attempt number `attempt` (from 1), in ms.
 * `random` is in [0, 1); the result lies in [half, full] of the capped exponential.
 */
export function backoffMs(attempt: number, random: number, capMs = CAP_MS): number {
  const full = Math.min(capMs, BASE_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.round(full / 2 + (full / 2) * random);
}
