import { useEffect, useRef, useState } from "react";
import { useLive } from "./live-store.ts";

type LiveState = ReturnType<typeof useLive.getState>;

/**
 * A slice of the store, looked at no more than every `ms`: for what changes faster than anybody reads.
 * @param same whether two slices look the same, so that nothing is to be drawn
 */
export function useLiveEvery<T>(
  ms: number,
  select: (live: LiveState) => T,
  same: (a: T, b: T) => boolean = Object.is,
): T {
  const latest = useRef({ select, same });
  latest.current = { select, same };
  const [value, setValue] = useState(() => select(useLive.getState()));
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      timer = undefined;
      const next = latest.current.select(useLive.getState());
      setValue((now) => (latest.current.same(now, next) ? now : next));
    };
    look();
    const stop = useLive.subscribe(() => {
      timer ??= setTimeout(look, ms);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [ms]);
  return value;
}
