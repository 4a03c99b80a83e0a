/**
 * Separates events that happen now from those that the stream repeats. Clocks differ, so the delay of an event is compared
 * with the smallest delay on this connection.
 */
import type { ProtocolEvent } from "../../api/types.ts";

/** Delay beyond the smallest one from which on an event counts as repeated, ms. */
const LATE_MS = 2_500;

/** Separates new events from repeated ones, for one connection. */
export class Liveness {
  #smallestDelayMs = Number.POSITIVE_INFINITY;

  /** Those of `events`, received together at `nowMs`, that happened just now. */
  live(events: readonly ProtocolEvent[], nowMs: number): ProtocolEvent[] {
    for (const event of events) this.#smallestDelayMs = Math.min(this.#smallestDelayMs, nowMs - event.at);
    return events.filter((event) => nowMs - event.at - this.#smallestDelayMs < LATE_MS);
  }

  /** Begins a new connection: a clock may have been set meanwhile. */
  reset(): void {
    this.#smallestDelayMs = Number.POSITIVE_INFINITY;
  }
}
