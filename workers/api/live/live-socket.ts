/**
 * The streams of a page over one WebSocket. A browser keeps at most six connections to an origin, and each event stream
 * takes one while it is open; WebSockets do not count.
 *
 * Every stream is a channel, named by the client. The frames are JSON:
 *
 * | from the client | |
 * |---|---|
 * | `{"subscribe":"events","as","since"?,"replay"?}` | protocol events, as `/v1/events` sends them |
 * | `{"subscribe":"records","as","topic","partition","offset"?,"since"?}` | records, as `/topics/…/records` sends them |
 * | `{"unsubscribe"}` | ends a channel |
 * | `{"beat","mark"?}` | the client is alive, has read this many characters since its last beat, and has read up to this mark |
 *
 * | from the server | |
 * |---|---|
 * | `{"as","event"?,"id"?,"data"?}` | an event of a channel; `id` resumes it |
 * | `{"as","open":true}` | the channel is open: nothing that happens from now on is missed |
 * | `{"as","end":{"status","code","message"}}` | the channel has ended; `status` 200: subscribe again at the last id |
 * | `{"beat":true,"mark"?}` | the server is alive; the client must return the mark with a beat at once |
 */
import * as v from "valibot";
import { BEAT_MS, SILENT_MS_MAX } from "../../../durable-objects/shared/config.ts";
import { tryClose, trySend } from "../../../durable-objects/shared/sockets.ts";
import { LIVE_CHANNELS_MAX, LIVE_FRAME_CHARS_MAX } from "../config.ts";
import { ApiError, infoOf } from "../http/errors.ts";
import type { SseEvent, SseSink } from "../streams/sse.ts";
import { LiveWindow } from "./live-window.ts";
import { type LiveFrame, liveFrame } from "./schema.ts";

/** A frame that opens a channel. */
export type Subscription = Extract<LiveFrame, { readonly subscribe: string }>;

/** Opens the source of a channel. @throws ApiError */
export type OpenSource = (subscription: Subscription) => Promise<(sink: SseSink) => void>;

const BEAT_FRAME = JSON.stringify({ beat: true });

/** Serves an accepted socket until it is closed. */
export function serveLive(socket: WebSocket, open: OpenSource): void {
  const channels = new Map<string, Channel>();
  const window = new LiveWindow(Date.now());
  /** sources that wait for the client to read */
  const forRoom: (() => void)[] = [];
  let heardMs = Date.now();
  const write = (text: string): void => {
    window.sent(Date.now(), text.length);
    if (window.overrun) {
      close(1013, "the client does not read");
      return;
    }
    trySend(socket, text);
    if (window.isMarkDue)
      trySend(socket, JSON.stringify({ beat: true, mark: window.mark(crypto.randomUUID()) }));
  };
  const readOn = (): void => {
    while (window.hasRoom) {
      const run = forRoom.shift();
      if (run === undefined) return;
      run();
    }
  };
  const room: Room = {
    get isThere() {
      return window.hasRoom;
    },
    wait: (run) => void forRoom.push(run),
  };
  const close = (code: number, reason: string): void => {
    clearInterval(beat);
    for (const channel of channels.values()) channel.finish();
    channels.clear();
    for (const run of forRoom.splice(0)) run();
    tryClose(socket, code, reason);
  };
  const beat = setInterval(() => {
    if (Date.now() - heardMs > SILENT_MS_MAX) close(1001, "no message came from the client");
    else if (window.isStalled(Date.now())) close(1013, "the client does not read");
    else trySend(socket, BEAT_FRAME);
  }, BEAT_MS);

  const subscribe = async (subscription: Subscription): Promise<void> => {
    const { as } = subscription;
    channels.get(as)?.finish();
    if (!channels.has(as) && channels.size >= LIVE_CHANNELS_MAX) {
      write(
        endFrame(as, new ApiError("BAD_ARGUMENTS", `a socket has at most ${LIVE_CHANNELS_MAX} channels`)),
      );
      return;
    }
    const channel = new Channel(as, write, room);
    channels.set(as, channel);
    channel.onEnd(() => {
      if (channels.get(as) === channel) channels.delete(as);
    });
    try {
      const produce = await open(subscription);
      if (channel.ended) return;
      write(JSON.stringify({ as, open: true }));
      produce(channel);
    } catch (error) {
      if (channel.ended) return;
      channel.finish();
      write(endFrame(as, error));
    }
  };

  socket.addEventListener("message", ({ data }) => {
    heardMs = Date.now();
    const frame = parse(data);
    if (frame === undefined) close(1008, "not a frame of this protocol");
    else if ("beat" in frame) {
      window.heard(Date.now(), frame.beat, frame.mark);
      readOn();
    } else if ("subscribe" in frame) void subscribe(frame);
    else channels.get(frame.unsubscribe)?.finish();
  });
  socket.addEventListener("close", () => close(1000, "closed"));
  socket.addEventListener("error", () => close(1011, "broken"));
}

function parse(data: unknown): LiveFrame | undefined {
  if (typeof data !== "string" || data.length > LIVE_FRAME_CHARS_MAX) return undefined;
  try {
    const parsed = v.safeParse(liveFrame, JSON.parse(data));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

function endFrame(as: string, error: unknown): string {
  if (!(error instanceof ApiError)) console.error(JSON.stringify({ level: "error", error: String(error) }));
  const known = error instanceof ApiError ? error : new ApiError("SYSTEM_ERROR", "the stream failed");
  const { code, message } = known;
  return JSON.stringify({ as, end: { status: infoOf(known).status, code, message } });
}

/** Flow control of the socket, which all channels share. */
interface Room {
  readonly isThere: boolean;
  /** Runs `run` once there is room, or when the socket is closed. */
  wait(run: () => void): void;
}

/** One stream of a socket. */
class Channel implements SseSink {
  readonly #as: string;
  readonly #write: (text: string) => void;
  readonly #room: Room;
  readonly #endings: (() => void)[] = [];
  #ended = false;

  constructor(as: string, write: (text: string) => void, room: Room) {
    this.#as = as;
    this.#write = write;
    this.#room = room;
  }

  get hasRoom(): boolean {
    return !this.#ended && this.#room.isThere;
  }

  whenRoom(run: () => void): void {
    if (this.#ended || this.#room.isThere) run();
    else this.#room.wait(run);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Sends an event, whose `data` is JSON text. */
  send({ event, id, data }: SseEvent): void {
    if (this.#ended) return;
    const head = JSON.stringify({ as: this.#as, event, id });
    this.#write(data === undefined ? head : `${head.slice(0, -1)},"data":${data}}`);
  }

  /** Ends the channel because its source has ended; the client may subscribe again. */
  end(): void {
    if (this.#ended) return;
    this.finish();
    this.#write(
      JSON.stringify({ as: this.#as, end: { status: 200, code: "END", message: "the stream ended" } }),
    );
  }

  /** Ends the channel because the client has unsubscribed, or the socket is closed. */
  finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const run of this.#endings.splice(0)) run();
  }

  onEnd(run: () => void): void {
    if (this.#ended) run();
    else this.#endings.push(run);
  }
}
