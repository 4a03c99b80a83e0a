/** A stream's socket at a node. */
import { tryClose, trySend } from "../../../durable-objects/shared/sockets.ts";
import type { SseSink } from "./sse.ts";

/** The node closes a socket that is silent for two of these. */
const BEAT_MS = 10_000;

/** Holds an accepted socket until it, or the stream, ends. */
export async function hold(socket: WebSocket, sink: SseSink): Promise<void> {
  const beat = setInterval(() => trySend(socket, "beat"), BEAT_MS);
  await new Promise<void>((resolve) => {
    socket.addEventListener("close", () => resolve());
    socket.addEventListener("error", () => resolve());
    sink.onEnd(resolve);
  });
  clearInterval(beat);
  tryClose(socket, 1000, "the stream ended");
}
