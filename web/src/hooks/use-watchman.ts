/** Watches the ensemble's status for what people must be told: a new leader, a lost quorum. */
import { useEffect } from "react";
import { announce } from "../model/narrate.ts";
import { useLive, viewOf } from "./live-store.ts";

export function useWatchman(): void {
  useEffect(
    () =>
      useLive.subscribe((live, before) => {
        const [now, then] = [viewOf(live), viewOf(before)];
        if (now === undefined || now === then) return;
        const text = announce(then, now);
        if (text) useLive.setState({ announcement: text });
      }),
    [],
  );
}
