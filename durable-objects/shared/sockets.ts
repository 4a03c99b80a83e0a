/** Writing to sockets that may be gone: such a socket throws, and its close event follows. It must stop nobody else. */

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
