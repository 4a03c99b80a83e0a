/**
 * Server-sent events, written by the Worker. The node objects are reached over hibernatable WebSockets, so that a
 * quiet stream keeps no object in memory.
 *
 * Unread events wait in the Worker, up to a bound in bytes. At that bound, a source that can wait stops until there is
 * room, and an event of a source that cannot wait ends the stream. A reader that reads nothing between two checks at that
 * bound ends the stream too. Waiting events are then discarded; otherwise an unread stream would keep them until its
 * connection ends.
 */
import { SSE_HEARTBEAT_MS, SSE_RETRY_MS, SSE_WAITING_BYTES_MAX } from "../config.ts";

/** The last event of a stream that ends because its reader is too slow. */
const UNREAD: SseEvent = {
  event: "error",
  data: JSON.stringify({
    code: "THROTTLED",
    message: `more than ${SSE_WAITING_BYTES_MAX} bytes of this stream are unread; continue after the last id`,
  }),
};

/** One event. */
export interface SseEvent {
  readonly id?: string | undefined;
  /** absent: `message` */
  readonly event?: string | undefined;
  /** absent: the event only sets the reader's last id */
  readonly data?: string | undefined;
}

/** An open stream, as its source sees it. */
export interface SseSink {
  /** Sends an event; without room it ends the stream instead. */
  send(event: SseEvent): void;
  /** Ends the stream; the reader reconnects with its last id. */
  end(): void;
  /** Runs `run` once when the stream ends, for whatever reason. */
  onEnd(run: () => void): void;
  readonly ended: boolean;
  /** Whether the reader keeps up. */
  readonly hasRoom: boolean;
  /** Runs `run` once: now if there is room, else as soon as there is, or when the stream ends. */
  whenRoom(run: () => void): void;
}

/** The event's text on the wire. */
export function formatEvent(event: SseEvent): string {
  const lines: string[] = [];
  if (event.event !== undefined) lines.push(`event: ${event.event}`);
  if (event.id !== undefined) lines.push(`id: ${event.id}`);
  if (event.data !== undefined)
    for (const line of event.data.split(/\r\n|\r|\n/)) lines.push(`data: ${line}`);
  return `${lines.join("\n")}\n\n`;
}

/**
 * Opens a stream.
 * @param signal aborted when the client disconnects
 * @param produce connects the sources; it must not wait for the stream to end
 */
export function sseResponse(signal: AbortSignal, produce: (sink: SseSink) => void): Response {
  let stream: SseStream | undefined;
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        stream = new SseStream(controller, signal);
        produce(stream);
      },
      pull: () => stream?.pull(),
      cancel: () => stream?.cancel(),
    },
    // unread events wait in this class, where they can be discarded
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
    },
  });
}

class SseStream implements SseSink {
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  readonly #signal: AbortSignal;
  readonly #encoder = new TextEncoder();
  readonly #endings: (() => void)[] = [];
  readonly #forRoom: (() => void)[] = [];
  readonly #cancel = (): void => this.cancel();
  readonly #timer: ReturnType<typeof setInterval>;
  /** whole events that wait for the reader */
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  /** whether the reader waits for the next event */
  #wanted = false;
  /** whether it has read something since the last check */
  #moved = true;
  #ended = false;
  #closed = false;

  constructor(controller: ReadableStreamDefaultController<Uint8Array>, signal: AbortSignal) {
    this.#controller = controller;
    this.#signal = signal;
    this.#timer = setInterval(() => this.#look(), SSE_HEARTBEAT_MS);
    signal.addEventListener("abort", this.#cancel);
    this.#write(`retry: ${SSE_RETRY_MS}\n\n`);
    // the reader may have disconnected during the preparation
    if (signal.aborted) this.cancel();
  }

  get ended(): boolean {
    return this.#ended;
  }

  get hasRoom(): boolean {
    return !this.#ended && this.#bytes < SSE_WAITING_BYTES_MAX;
  }

  send(event: SseEvent): void {
    if (this.#ended) return;
    if (this.hasRoom) this.#write(formatEvent(event));
    else this.#giveUp();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#moved = true;
    this.#signal.removeEventListener("abort", this.#cancel);
    for (const run of [...this.#endings, ...this.#forRoom]) run();
    this.#hand();
  }

  onEnd(run: () => void): void {
    if (this.#ended) run();
    else this.#endings.push(run);
  }

  whenRoom(run: () => void): void {
    if (this.#ended || this.hasRoom) run();
    else this.#forRoom.push(run);
  }

  /** Called when the reader requests the next event. */
  pull(): void {
    this.#wanted = true;
    this.#hand();
    while (this.hasRoom) {
      const run = this.#forRoom.shift();
      if (run === undefined) return;
      run();
    }
  }

  /** Called when the reader has disconnected. */
  cancel(): void {
    this.#waiting = [];
    this.#bytes = 0;
    this.end();
  }

  #write(text: string): void {
    const bytes = this.#encoder.encode(text);
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    this.#hand();
  }

  /** Delivers the next event if the reader waits for it, or the end. */
  #hand(): void {
    if (this.#closed) return;
    const next = this.#wanted ? this.#waiting.shift() : undefined;
    if (next !== undefined) {
      this.#wanted = false;
      this.#moved = true;
      this.#bytes -= next.length;
      this.#controller.enqueue(next);
    }
    if (!this.#ended || this.#waiting.length > 0) return;
    this.#closed = true;
    clearInterval(this.#timer);
    try {
      this.#controller.close();
    } catch {
      // the reader has cancelled the stream, which closed it
    }
  }

  #look(): void {
    const isStuck = !this.#moved && this.#waiting.length > 0;
    this.#moved = false;
    if (isStuck && (this.#ended || !this.hasRoom)) this.#giveUp();
    else if (this.hasRoom) this.#write(": heartbeat\n\n");
  }

  /** Discards the waiting events: the reader resumes after the last event that it has read. */
  #giveUp(): void {
    const words = this.#encoder.encode(formatEvent(UNREAD));
    this.#waiting = [words];
    this.#bytes = words.length;
    this.end();
  }
}
