/** A stream's socket at a node or a partition. */
import { BEAT_MS, READ_REPORT_CHARS } from "../../../durable-objects/shared/config.ts";
import {
  BEAT,
  BEAT_FRAME,
  BEATS_HEADER,
  tryClose,
  trySend,
} from "../../../durable-objects/shared/sockets.ts";
import type { SseSink } from "./sse.ts";

/** Checks of the socket per tick. */
const LOOKS_PER_TICK = 2;
/** Checks in a row without a message after which a socket counts as silent: two ticks. */
const SILENT_LOOKS = 2 * LOOKS_PER_TICK;

/** Beats of the other end. */
export interface Beats {
  /** ms between two beats; undefined if it sends none, so that its silence means nothing */
  readonly everyMs: number | undefined;
  /** whether it only answers beats of this end */
  readonly onRequest: boolean;
  /** whether the stream lacks data that are known to exist: then beats prove nothing */
  readonly isBehind?: () => boolean;
}

/** The beats of a node, from the answer that opened its socket. */
export function beatsOf(response: Response): Beats {
  const everyMs = Number(response.headers.get(BEATS_HEADER) ?? Number.NaN);
  return { everyMs: everyMs > 0 ? everyMs : undefined, onRequest: false };
}

/** Whether a message is a beat, which is not part of the stream. */
export const isBeat = (data: unknown): boolean => data === BEAT_FRAME;

/**
 * Accepts a socket and serves it until it or the stream ends, or the other end was silent for two of its beats: the runtime
 * does not close the socket of an object that was aborted. Checks are counted, not ms, so that a stall of this isolate does
 * not count as silence.
 * @param receive called with every message that is not a beat, and not any more once the stream continues elsewhere: a
 * paused node may later send states that the reader has passed
 */
export async function hold(
  socket: WebSocket,
  sink: SseSink,
  beats: Beats,
  receive: (data: unknown) => void,
): Promise<void> {
  const { everyMs = BEAT_MS, onRequest } = beats;
  let looks = 0;
  let behind = 0;
  let over = false;
  let read = 0;
  let reported = 0;
  const ours = setInterval(() => trySend(socket, BEAT), onRequest ? everyMs : BEAT_MS);
  const timers = [ours];
  await new Promise<void>((resolve) => {
    const giveUp = (): void => {
      over = true;
      resolve();
    };
    socket.addEventListener("message", ({ data }) => {
      looks = 0;
      // a partition waits for an answer to each frame; a node does not
      if (!onRequest && typeof data === "string") read += data.length;
      if (read - reported >= READ_REPORT_CHARS) {
        reported = read;
        trySend(socket, `read:${read}`);
      }
      // the runtime also delivers messages that arrive after this end has closed the socket
      if (isBeat(data) || sink.ended || over) return;
      behind = 0;
      receive(data);
    });
    socket.addEventListener("close", giveUp);
    socket.addEventListener("error", giveUp);
    sink.onEnd(giveUp);
    const look = (): void => {
      looks += 1;
      behind = beats.isBehind?.() ? behind + 1 : 0;
      if (looks >= SILENT_LOOKS || behind >= SILENT_LOOKS) giveUp();
    };
    if (beats.everyMs !== undefined) timers.push(setInterval(look, everyMs / LOOKS_PER_TICK));
    socket.accept();
  });
  for (const timer of timers) clearInterval(timer);
  tryClose(socket, 1000, "the stream ended");
}
