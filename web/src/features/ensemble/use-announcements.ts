/** Announces changes of the ensemble to screen readers: a new leader, a lost quorum. */
import { useEffect } from "react";
import { useLiveStore } from "../../store/live-context.ts";
import { announce } from "./narrate.ts";
import { viewOf } from "./slice.ts";

/** Puts what changed in the view into the live region of the page. */
export function useAnnouncements(): void {
  const store = useLiveStore();
  useEffect(
    () =>
      store.subscribe((live, before) => {
        const [now, then] = [viewOf(live), viewOf(before)];
        if (now === undefined || now === then) return;
        const text = announce(then, now);
        if (text) store.setState({ announcement: text });
      }),
    [store],
  );
}
