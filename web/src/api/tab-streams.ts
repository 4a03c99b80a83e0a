/** Opens the streams of a tab for the API at `base`, shared with the other tabs where the browser can. */
import type { SocketLike } from "./live-socket.ts";
import { type TabPort, TabStreams } from "./shared-streams.ts";
import { socketUrl } from "./socket-url.ts";

/** Opens the connection of the tab, which lasts until `close`. */
export const openTabStreams = (base: string): TabStreams =>
  new TabStreams({
    hub: (onFail) => hubOf(base, onFail),
    open: () => new WebSocket(socketUrl(base)) as SocketLike,
  });

/** The worker of all tabs that show the API at `base`; undefined where the browser has none, as on some phones. */
function hubOf(base: string, onFail: () => void): TabPort | undefined {
  if (typeof SharedWorker === "undefined") return undefined;
  try {
    const worker = new SharedWorker(new URL("../live-worker.ts", import.meta.url), {
      type: "module",
      name: base,
    });
    worker.onerror = onFail;
    return worker.port as unknown as TabPort;
  } catch {
    return undefined;
  }
}
