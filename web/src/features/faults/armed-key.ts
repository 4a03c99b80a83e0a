/** A key that breaks something acts at its second press: the first one arms it for three seconds, and says so. */
import { useEffect } from "react";
import { useLive } from "../../store/live-store.ts";

export const ARMED_MS = 3_000;

/** Arms `key`, or fires it when it is armed for the same. */
export function pressToBreak(key: string, what: string, run: () => void): void {
  const { armed } = useLive.getState();
  if (armed?.key === key && armed.what === what) fire();
  else useLive.setState({ armed: { key, what, run } });
}

/** Does what is armed. */
export function fire(): void {
  const { armed } = useLive.getState();
  useLive.setState({ armed: null });
  armed?.run();
}

export const disarm = (): void => useLive.setState({ armed: null });

/** Disarms by itself. */
export function useDisarm(): void {
  const armed = useLive((live) => live.armed);
  useEffect(() => {
    if (armed === null) return;
    const timer = setTimeout(disarm, ARMED_MS);
    return () => clearTimeout(timer);
  }, [armed]);
}
