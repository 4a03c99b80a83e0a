import { useEffect, useRef, useState } from "react";
import { useLiveStore } from "./live-context.ts";
import type { LiveState } from "./live-store.ts";

/**
 * A slice of the store, read at most every `ms`: for what changes faster than anyone can read.
 * @param same whether two slices look the same, so that nothing has to be drawn
 */
export function useLiveEvery<T>(
  ms: number,
  select: (live: LiveState) => T,
  same: (a: T, b: T) => boolean = Object.is,
): T {
  const store = useLiveStore();
  const latest = useRef({ select, same });
  latest.current = { select, same };
  const [value, setValue] = useState(() => select(store.getState()));
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      timer = undefined;
      const next = latest.current.select(store.getState());
      setValue((now) => (latest.current.same(now, next) ? now : next));
    };
    look();
    const stop = store.subscribe(() => {
      timer ??= setTimeout(look, ms);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [store, ms]);
  return value;
}
