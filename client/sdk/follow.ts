/** The result of a read, now and after each change, as an async generator. */
import type { Connection } from "./connection.ts";
import type { WatchListener } from "./types.ts";

/**
 * Reads, waits until the read's watch fires, and reads again. Ends with the session or by `break`, and leaves no listener.
 * @param read registers the watch at `path`
 * @throws ZooError for which the session ended
 */
export async function* follow<T>(
  connection: Connection,
  path: string,
  read: (watch: WatchListener) => Promise<T>,
): AsyncGenerator<T, void, void> {
  let changed: boolean;
  let wake = (): void => {};
  const watch: WatchListener = () => {
    changed = true;
    wake();
  };
  const unlisten = connection.onState(() => wake());
  try {
    for (;;) {
      changed = false;
      yield await read(watch);
      while (!changed && connection.end === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (connection.end === undefined) continue;
      if (connection.end.reason !== undefined) throw connection.end.reason;
      return;
    }
  } finally {
    unlisten();
    connection.removeWatch(path, watch);
  }
}
