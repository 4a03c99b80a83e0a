/** The event log's part of the store: written by the event feed. */
import type { StreamState } from "../../api/live-socket.ts";
import type { ProtocolEvent } from "../../api/types.ts";
import { EventRing } from "./event-ring.ts";

/** Protocol events of all nodes. */
export interface LogSlice {
  readonly eventsStream: StreamState;
  readonly ring: EventRing;
  /** Changes whenever `ring` does. */
  readonly ringVersion: number;
  /** The events that arrived together last and happened just now; a new array for each arrival. */
  readonly arrived: readonly ProtocolEvent[];
}

/** The slice before the first event. */
export const logSlice = (): LogSlice => ({
  eventsStream: { type: "connecting" },
  ring: new EventRing(),
  ringVersion: 0,
  arrived: [],
});
