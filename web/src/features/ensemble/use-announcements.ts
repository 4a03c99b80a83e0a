/** Watches the ensemble's status for what people must be told: a new leader, a lost quorum. */
import { useEffect } from "react";
import { useLive, viewOf } from "../../store/live-store.ts";
import { announce } from "./narrate.ts";

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
