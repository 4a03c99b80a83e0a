/** Batches of events as they arrive, for animations that must not go through React. */
import type { ProtocolEvent } from "../api/types.ts";
import type { LiveStore } from "./live-store.ts";

/** Calls a listener with each batch of events; returns how to stop. */
export type EventSource = (listener: (events: readonly ProtocolEvent[]) => void) => () => void;

/** The batches of a store; a batch is passed on as soon as the store has it. */
export const arrivalsOf =
  (store: LiveStore): EventSource =>
  (listener) =>
    store.subscribe(({ arrived }, before) => {
      if (arrived !== before.arrived) listener(arrived);
    });
