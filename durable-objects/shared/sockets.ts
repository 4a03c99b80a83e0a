/**
 * Sockets between the Worker and an object, and how each end detects that the other one has disconnected.
 *
 * The runtime closes a socket neither when its object is aborted nor always when its reader disconnects. So both ends send beats.
 * A node writes {@link BEAT_FRAME} once a tick on every stream; the platform answers the Worker's {@link BEAT} for a
 * partition, which may hibernate. The Worker ends a stream's socket that was silent for two ticks.
 */
import { SOCKETS_PER_SLICE, STREAM_UNREAD_MAX } from "./config.ts";

/** Beat of the Worker on a stream's socket, at least every `BEAT_MS`, while there is a reader. */
export const BEAT = "beat";

/** Beat of an object on a stream's socket. */
export const BEAT_FRAME = '{"type":"beat"}';

/** Header of a 101 answer: ms between two beats of this object. It is missing if the object's version sends none. */
export const BEATS_HEADER = "zoo-beat-ms";

/** Query parameter of a stream's socket: the Worker will report how much it has read. Earlier versions do not. */
export const REPORTS_QUERY = "reports";

/** The unread data of one stream's socket. Invariant: *read ≤ sent*, and nothing is sent after an overrun. */
export class StreamWindow {
  #sent = 0;
  #read = 0;
  #isOver = false;

  /** Counts data to send. @returns "overrun" once, if too much would be unread, and "over" afterwards: the stream has a gap */
  sent(chars: number): "open" | "overrun" | "over" {
    if (this.#isOver) return "over";
    this.#sent += chars;
    this.#isOver = this.#sent - this.#read > STREAM_UNREAD_MAX;
    return this.#isOver ? "overrun" : "open";
  }

  /** Handles a message of the Worker. */
  heard(message: string): void {
    const read = /^read:(\d{1,15})$/.exec(message)?.[1];
    if (read !== undefined) this.#read = Math.min(Math.max(this.#read, Number(read)), this.#sent);
  }
}

/**
 * Runs `each` for all items, {@link SOCKETS_PER_SLICE} in a turn, and gives I/O a turn between two slices. A single slice
 * runs now; otherwise the first one runs after the events that already wait.
 */
export function inSlices<T>(items: readonly T[], each: (item: T) => void, done: () => void = () => {}): void {
  let at = 0;
  const slice = (): void => {
    const end = Math.min(at + SOCKETS_PER_SLICE, items.length);
    for (const item of items.slice(at, end)) each(item);
    at = end;
    if (at < items.length) setTimeout(slice, 0);
    else done();
  };
  if (items.length > SOCKETS_PER_SLICE) setTimeout(slice, 0);
  else slice();
}

/** Sends unless the socket is closed. */
export function trySend(socket: WebSocket, message: string | Uint8Array<ArrayBuffer>): void {
  try {
    socket.send(message);
  } catch {
    tryClose(socket, 1011, "gone");
  }
}

/** Closes the socket unless it is closed. */
export function tryClose(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // it is closed already
  }
}
