/** A stream's socket at a node or a partition. */
import { BEAT, BEAT_MS, tryClose, trySend } from "../../../durable-objects/shared/sockets.ts";
import type { SseSink } from "./sse.ts";

/** Holds an accepted socket until it, or the stream, ends. */
export async function hold(socket: WebSocket, sink: SseSink): Promise<void> {
  const beat = setInterval(() => trySend(socket, BEAT), BEAT_MS);
  await new Promise<void>((resolve) => {
    socket.addEventListener("close", () => resolve());
    socket.addEventListener("error", () => resolve());
    sink.onEnd(resolve);
  });
  clearInterval(beat);
  tryClose(socket, 1000, "the stream ended");
}
