/**
 * The connection to `/v1/live`: one WebSocket for every stream of the page, which reconnects by itself. Browsers do not
 * count WebSockets among the six connections that they open to an origin, so streams never delay requests.
 */
import { backoffMs } from "./backoff.ts";

/** State of a stream. */
export type StreamState =
  /** There is nothing to read yet. */
  | { readonly type: "idle" }
  | { readonly type: "connecting" }
  | { readonly type: "live" }
  | { readonly type: "waiting"; readonly reason: string; readonly attempt: number };

/** One event of a stream. `id` resumes the stream after it; an empty one changes nothing. */
export interface StreamEvent {
  readonly event: string;
  readonly id: string;
  readonly data: unknown;
}

/** The end of a stream by the server; `status` 200: without an error. */
export interface StreamEnd {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** A connection that carries streams. */
export interface LiveStreams {
  /** Opens a stream; it lasts until the returned function is called. */
  stream(options: StreamOptions): () => void;
  /** Ends every stream. */
  close(): void;
}

/** One stream: what to subscribe to, and who gets its events. */
export interface StreamOptions {
  /** Returns the subscription before every attempt: it continues after what has been read. */
  readonly subscription: () => Promise<Readonly<Record<string, unknown>>>;
  readonly onEvent: (event: StreamEvent) => void;
  /** Called when the server has ended the stream; it is then subscribed to again. */
  readonly onEnd?: (end: StreamEnd) => void;
  readonly onState: (state: StreamState) => void;
}

/** The part of a WebSocket that is used. */
export interface SocketLike {
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
  onmessage: ((message: { readonly data: unknown }) => void) | null;
  send(text: string): void;
  close(): void;
}

const RETRY_MS_MAX = 2_000;
/** The server sends something at least every 10 s: after this silence the connection is lost, ms. */
const SILENCE_MS_MAX = 25_000;
const BEAT_MS = 5_000;
/** Characters after which a beat is sent at once, so that the server knows what has been read. */
const READ_CHARS = 256 * 1024;

interface Frame {
  readonly as?: string;
  readonly event?: string;
  readonly id?: string;
  readonly data?: unknown;
  readonly open?: boolean;
  readonly end?: StreamEnd;
  /** mark of a beat, to be returned at once */
  readonly mark?: string;
}

interface Channel {
  readonly as: string;
  readonly options: StreamOptions;
  attempt: number;
  retry: ReturnType<typeof setTimeout> | undefined;
}

/**
 * Carries any number of streams over one WebSocket, which it opens again whenever it is lost. Invariant: a stream
 * that is not closed is either subscribed on the open socket or waits for the next attempt.
 */
export class LiveSocket implements LiveStreams {
  readonly #open: () => SocketLike;
  readonly #channels = new Map<string, Channel>();
  #socket: SocketLike | undefined;
  #isOpen = false;
  #attempt = 0;
  #reconnect: ReturnType<typeof setTimeout> | undefined;
  #beat: ReturnType<typeof setInterval> | undefined;
  #heardMs = 0;
  #read = 0;
  #number = 0;

  /** @param open opens the connection */
  constructor(open: () => SocketLike) {
    this.#open = open;
  }

  stream(options: StreamOptions): () => void {
    this.#number += 1;
    const channel: Channel = { as: `s${this.#number}`, options, attempt: 0, retry: undefined };
    this.#channels.set(channel.as, channel);
    options.onState({ type: "connecting" });
    if (this.#isOpen) void this.#subscribe(channel);
    else this.#connect();
    return () => {
      clearTimeout(channel.retry);
      this.#channels.delete(channel.as);
      if (this.#isOpen) this.#send({ unsubscribe: channel.as });
    };
  }

  close(): void {
    for (const channel of this.#channels.values()) clearTimeout(channel.retry);
    this.#channels.clear();
    clearTimeout(this.#reconnect);
    this.#drop();
  }

  #connect(): void {
    if (this.#socket !== undefined) return;
    clearTimeout(this.#reconnect);
    const socket = this.#open();
    this.#socket = socket;
    this.#heardMs = Date.now();
    this.#beat = setInterval(() => this.#onBeat(), BEAT_MS);
    socket.onopen = () => {
      this.#isOpen = true;
      this.#attempt = 0;
      for (const channel of this.#channels.values()) void this.#subscribe(channel);
    };
    socket.onmessage = ({ data }) => this.#onMessage(String(data));
    socket.onerror = () => {};
    socket.onclose = () => this.#lost("the connection was closed");
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isOpen = false;
    this.#read = 0;
    clearInterval(this.#beat);
    if (socket === undefined) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #lost(reason: string): void {
    this.#drop();
    if (this.#channels.size === 0) return;
    this.#attempt += 1;
    for (const channel of this.#channels.values()) {
      clearTimeout(channel.retry);
      channel.options.onState({ type: "waiting", reason, attempt: this.#attempt });
    }
    this.#reconnect = setTimeout(
      () => {
        for (const { options } of this.#channels.values()) options.onState({ type: "connecting" });
        this.#connect();
      },
      backoffMs(this.#attempt, Math.random(), RETRY_MS_MAX),
    );
  }

  #onBeat(): void {
    if (Date.now() - this.#heardMs > SILENCE_MS_MAX) this.#lost("no message came for too long");
    else if (this.#isOpen) this.#acknowledge();
  }

  /** @param mark shows the server that everything before it is read */
  #acknowledge(mark?: string): void {
    this.#send({ beat: this.#read, mark });
    this.#read = 0;
  }

  #send(frame: object): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  async #subscribe(channel: Channel): Promise<void> {
    const socket = this.#socket;
    try {
      const subscription = await channel.options.subscription();
      if (this.#socket !== socket || !this.#channels.has(channel.as)) return;
      this.#send({ ...subscription, as: channel.as });
    } catch (error) {
      if (this.#socket !== socket) return;
      this.#again(channel, error instanceof Error ? error.message : "the subscription failed");
    }
  }

  /** Subscribes again, after a pause. */
  #again(channel: Channel, reason: string): void {
    if (!this.#channels.has(channel.as)) return;
    channel.attempt += 1;
    channel.options.onState({ type: "waiting", reason, attempt: channel.attempt });
    clearTimeout(channel.retry);
    channel.retry = setTimeout(
      () => {
        if (!this.#isOpen) return;
        channel.options.onState({ type: "connecting" });
        void this.#subscribe(channel);
      },
      backoffMs(channel.attempt, Math.random(), RETRY_MS_MAX),
    );
  }

  #onMessage(text: string): void {
    this.#heardMs = Date.now();
    this.#read += text.length;
    const frame = JSON.parse(text) as Frame;
    if (frame.mark !== undefined) this.#acknowledge(frame.mark);
    else if (this.#read > READ_CHARS) this.#acknowledge();
    const channel = frame.as === undefined ? undefined : this.#channels.get(frame.as);
    if (channel === undefined) return;
    if (frame.end !== undefined) {
      channel.options.onEnd?.(frame.end);
      this.#again(channel, frame.end.message);
    } else if (frame.open) {
      channel.attempt = 0;
      channel.options.onState({ type: "live" });
    } else
      channel.options.onEvent({
        event: frame.event ?? "message",
        id: frame.id ?? "",
        data: frame.data,
      });
  }
}
