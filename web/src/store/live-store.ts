/**
 * All that the page knows of its ensemble, in one store: what is asked for once a second, what arrives by stream, and
 * what the visitor is doing. Components subscribe to the slice they show.
 */
import { create } from "zustand";
import type { StreamState } from "../api/live-socket.ts";
import type { ClusterState, EnsembleState, ProtocolEvent } from "../api/types.ts";
import type { Election } from "../features/election/election.ts";
import type { Outage } from "../features/election/outage.ts";
import { NO_STATUS, type Status } from "../features/ensemble/status.ts";
import { FAULTS_UNKNOWN, type Faults } from "../features/faults/faults-known.ts";
import { GoalLog } from "../features/goals/goal-log.ts";
import type { Flight, Stored } from "../features/goals/post-queue.ts";
import { EventRing } from "../features/log/event-ring.ts";

/** A key that breaks something and has been pressed once. */
export interface Armed {
  readonly key: string;
  /** What it will do, e.g. "kill node 2". */
  readonly what: string;
  readonly run: () => void;
}

interface LiveState {
  readonly status: Status;
  /** Why the status cannot be asked for, since the last answer; null while it can. */
  readonly problem: Error | null;
  /** When the last answer came, ms since 1970; null: none yet. */
  readonly answeredMs: number | null;
  readonly cluster: ClusterState | undefined;
  readonly clusterProblem: string | undefined;
  readonly faults: Faults;
  readonly goals: GoalLog;
  /** Changes whenever `goals` does. */
  readonly goalsVersion: number;
  readonly goalsStream: StreamState;
  readonly flights: readonly Flight[];
  readonly stored: Stored | null;
  readonly eventsStream: StreamState;
  /** Changes whenever `ring` does. */
  readonly ringVersion: number;
  readonly ring: EventRing;
  /** The last time without a leader. */
  readonly outage: Outage | null;
  readonly election: Election | null;
  /** Is the election shown again, slowly? */
  readonly replaying: boolean;
  /** For screen readers. */
  readonly announcement: string;
  readonly toast: Toast | null;
  readonly armed: Armed | null;
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
  status: NO_STATUS,
  problem: null,
  answeredMs: null,
  cluster: undefined,
  clusterProblem: undefined,
  faults: FAULTS_UNKNOWN,
  goals: new GoalLog(),
  goalsVersion: 0,
  goalsStream: { type: "connecting" },
  flights: [],
  stored: null,
  eventsStream: { type: "connecting" },
  ringVersion: 0,
  ring: new EventRing(),
  outage: null,
  election: null,
  replaying: false,
  announcement: "",
  toast: null,
  armed: null,
  selectedSid: null,
});

export const useLive = create<LiveState>(initial);

/** Forgets everything, e.g. when another ensemble is opened. */
export const resetLive = (): void => useLive.setState(initial());

/** The ensemble as it is shown; undefined before the first answer. */
export const viewOf = (live: LiveState): EnsembleState | undefined => live.status.view;

/** Can faults be made now: are they switched on, and does the API answer? */
export const canBreak = (live: LiveState): boolean => live.faults.state === "on" && live.problem === null;

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
