/** Writing to sockets that may be gone: such a socket throws, and its close event follows. It must stop nobody else. */

/** What the Worker sends on a stream's socket every {@link BEAT_MS}, to say that there is still somebody. */
export const BEAT = "beat";
export const BEAT_MS = 10_000;

/**
 * A stream's socket from which nothing came for so long is closed, ms: the runtime keeps one open whose reader was gone
 * before the Worker had it.
 */
export const SILENT_MS_MAX = 2 * BEAT_MS;

export function trySend(socket: WebSocket, message: string | Uint8Array<ArrayBuffer>): void {
  try {
    socket.send(message);
  } catch {
    tryClose(socket, 1011, "gone");
  }
}

export function tryClose(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // closed already
  }
}
