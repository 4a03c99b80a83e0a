/** A key that breaks something acts at its second press: the first press arms it for three seconds, visibly. */
import { useEffect } from "react";
import { useLive, useLiveStore } from "../../store/live-context.ts";
import type { LiveStore } from "../../store/live-store.ts";

const ARMED_MS = 3_000;

/** Arms `key`, or runs its action if it is armed for the same. */
export function pressToBreak(store: LiveStore, key: string, what: string, run: () => void): void {
  const { armed } = store.getState();
  if (armed?.key === key && armed.what === what) fire(store);
  else store.setState({ armed: { key, what, run } });
}

/** Runs the armed action, if there is one. */
export function fire(store: LiveStore): void {
  const { armed } = store.getState();
  disarm(store);
  armed?.run();
}

/** Cancels the armed action. */
export const disarm = (store: LiveStore): void => store.setState({ armed: null });

/** Disarms a key after its time. */
export function useDisarm(): void {
  const store = useLiveStore();
  const armed = useLive((live) => live.armed);
  useEffect(() => {
    if (armed === null) return;
    const timer = setTimeout(() => disarm(store), ARMED_MS);
    return () => clearTimeout(timer);
  }, [armed, store]);
}
