/**
 * The store of one ensemble: all that the page knows of it. Feeds write it (`feed.ts`), components read it
 * (`live-context.ts`). Each feature defines its slice; a new feature adds a slice here and a feed there.
 */
import { createStore, type StoreApi } from "zustand/vanilla";
import { type BrokersSlice, brokersSlice } from "../features/brokers/slice.ts";
import { type ElectionSlice, electionSlice } from "../features/election/slice.ts";
import { type EnsembleSlice, ensembleSlice } from "../features/ensemble/slice.ts";
import { type FaultsSlice, faultsSlice } from "../features/faults/slice.ts";
import { type GoalsSlice, goalsSlice } from "../features/goals/slice.ts";
import { type LogSlice, logSlice } from "../features/log/slice.ts";

/** A message about the last action. */
export interface Toast {
  readonly text: string;
  /** The same action as a command. */
  readonly curl?: string | undefined;
  readonly bad?: boolean;
  /** How to undo it. */
  readonly undo?: { readonly label: string; readonly run: () => void } | undefined;
  readonly number: number;
}

/** Everything that the page shows of one ensemble. */
export interface LiveState
  extends EnsembleSlice,
    BrokersSlice,
    FaultsSlice,
    GoalsSlice,
    LogSlice,
    ElectionSlice {
  readonly toast: Toast | null;
}

/** Invariant: only the feeds of its ensemble write what comes from the API. */
export type LiveStore = StoreApi<LiveState>;

/** Creates an empty store, for one ensemble. */
export const createLiveStore = (): LiveStore =>
  createStore<LiveState>(() => ({
    ...ensembleSlice(),
    ...brokersSlice(),
    ...faultsSlice(),
    ...goalsSlice(),
    ...logSlice(),
    ...electionSlice(),
    toast: null,
  }));

/** Shows a message in place of the last one. */
export function showToast(
  store: LiveStore,
  text: string,
  more: Pick<Toast, "curl" | "bad" | "undo"> = {},
): void {
  store.setState(({ toast }) => ({ toast: { ...more, text, number: (toast?.number ?? 0) + 1 } }));
}
