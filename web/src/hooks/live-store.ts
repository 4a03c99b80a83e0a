/**
 * What arrives by stream, outside React: components subscribe to the slice they show.
 * Status that is polled (ensemble, cluster, faults) lives in the query cache instead.
 */
import { create } from "zustand";
import type { StreamState } from "../api/sse-stream.ts";
import type { ProtocolEvent } from "../api/types.ts";
import { EventRing } from "../model/event-ring.ts";
import type { Outage } from "../model/outage.ts";
import { EMPTY_TIMELINE, type Timeline } from "../model/timeline.ts";

interface LiveState {
  readonly timeline: Timeline;
  readonly goalsStream: StreamState;
  readonly eventsStream: StreamState;
  /** Changes whenever `ring` does. */
  readonly ringVersion: number;
  readonly ring: EventRing;
  /** The last time without a leader. */
  readonly outage: Outage | null;
  /** For screen readers. */
  readonly announcement: string;
  readonly toast: Toast | null;
  readonly selectedSid: number | null;
}

export interface Toast {
  readonly text: string;
  readonly curl?: string | undefined;
  readonly bad?: boolean;
  /** How to take it back. */
  readonly undo?: { readonly label: string; readonly run: () => void } | undefined;
  readonly number: number;
}

const initial = (): LiveState => ({
  timeline: EMPTY_TIMELINE,
  goalsStream: { type: "connecting" },
  eventsStream: { type: "connecting" },
  ringVersion: 0,
  ring: new EventRing(),
  outage: null,
  announcement: "",
  toast: null,
  selectedSid: null,
});

export const useLive = create<LiveState>(initial);

/** Forgets everything, e.g. when another ensemble is opened. */
export const resetLive = (): void => useLive.setState(initial());

let toastNumber = 0;

export function showToast(text: string, more: Pick<Toast, "curl" | "bad" | "undo"> = {}): void {
  toastNumber += 1;
  useLive.setState({ toast: { ...more, text, number: toastNumber } });
}

type EventListener = (events: readonly ProtocolEvent[]) => void;
const listeners = new Set<EventListener>();

/** Calls `listener` with every batch of new events; returns how to stop. */
export function onEvents(listener: EventListener): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

export function emitEvents(events: readonly ProtocolEvent[]): void {
  for (const listener of listeners) listener(events);
}
