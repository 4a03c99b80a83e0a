/** Watches the ensemble's status for what people must be told: a new leader, a lost quorum. */
import { useEffect, useRef } from "react";
import type { EnsembleState } from "../api/types.ts";
import { announce } from "../model/narrate.ts";
import { useLive } from "./live-store.ts";

export function useWatchman(state: EnsembleState | undefined): void {
  const before = useRef<EnsembleState>(undefined);
  useEffect(() => {
    if (!state) return;
    const text = announce(before.current, state);
    if (text) useLive.setState({ announcement: text });
    before.current = state;
  }, [state]);
}
