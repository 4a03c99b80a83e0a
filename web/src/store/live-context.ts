/** How components reach the ensemble that the page shows. */
import { createContext, useContext } from "react";
import { useStore } from "zustand";
import type { Feed } from "./feed.ts";
import type { LiveState, LiveStore } from "./live-store.ts";

/** One ensemble, as components see it. */
export interface LiveEnsemble {
  /** Base of its API, e.g. `/api/e/five`. */
  readonly base: string;
  readonly store: LiveStore;
  /** What writes the store; undefined before it has started. */
  readonly feed: Feed | undefined;
}

/** The ensemble of the components below; undefined above any. */
export const LiveContext = createContext<LiveEnsemble | undefined>(undefined);

/** The ensemble of the nearest {@link LiveContext}. */
export function useLiveEnsemble(): LiveEnsemble {
  const live = useContext(LiveContext);
  if (live === undefined) throw new Error("no LiveContext above this component");
  return live;
}

/** The store of the nearest {@link LiveContext}. */
export const useLiveStore = (): LiveStore => useLiveEnsemble().store;

/** A slice of the store; the component is drawn again when it changes. */
export const useLive = <T>(select: (live: LiveState) => T): T => useStore(useLiveStore(), select);
