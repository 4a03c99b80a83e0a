/** Watches the ensemble's status for what people must be told: a new leader, a lost quorum, an outage. */
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
    const hadLeader = before.current?.leader != null && before.current.hasQuorum;
    const hasLeader = state.leader !== null && state.hasQuorum;
    if (hadLeader && !hasLeader) useLive.setState({ outage: { sinceMs: Date.now(), untilMs: null } });
    const { outage } = useLive.getState();
    if (hasLeader && outage?.untilMs === null) {
      useLive.setState({ outage: { ...outage, untilMs: Date.now() } });
    }
    before.current = state;
  }, [state]);
}
