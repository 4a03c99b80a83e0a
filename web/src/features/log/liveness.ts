/**
 * Tells events that happen now from those that the stream repeats from its memory.
 * Clocks differ: what counts is how much later an event came than the promptest one of this connection.
 */
import type { ProtocolEvent } from "../../api/types.ts";

/** An event that came this much later than the promptest one was repeated. */
const LATE_MS = 2_500;

export class Liveness {
  #promptestMs = Number.POSITIVE_INFINITY;

  /** Those of `events`, received together at `nowMs`, that have only just happened. */
  live(events: readonly ProtocolEvent[], nowMs: number): ProtocolEvent[] {
    for (const event of events) this.#promptestMs = Math.min(this.#promptestMs, nowMs - event.at);
    return events.filter((event) => nowMs - event.at - this.#promptestMs < LATE_MS);
  }

  /** A new connection may come after a clock was set. */
  reset(): void {
    this.#promptestMs = Number.POSITIVE_INFINITY;
  }
}
