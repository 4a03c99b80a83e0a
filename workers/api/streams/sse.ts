/**
 * Server-sent events, written by the Worker. The node objects are reached over hibernatable WebSockets, so that a
 * quiet stream keeps no object in memory.
 */

/** Comment line that keeps proxies from closing a quiet stream. */
const HEARTBEAT_MS = 15_000;
/** How soon a browser reconnects. */
const RETRY_MS = 1_000;
/** Bytes that may wait for a slow reader. Beyond that the stream ends, and the reader resumes at its last id. */
const WAITING_BYTES_MAX = 1024 * 1024;

/** One event. */
export interface SseEvent {
  readonly id?: string | undefined;
  /** absent: `message` */
  readonly event?: string | undefined;
  /** absent: the event only moves the reader's last id */
  readonly data?: string | undefined;
}

/** The open stream, as its producer sees it. */
export interface SseSink {
  send(event: SseEvent): void;
  /** Ends the stream; the reader comes back with its last id. */
  end(): void;
  /** Runs once when the stream ends, whoever ended it. */
  onEnd(run: () => void): void;
  readonly ended: boolean;
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
 * @param signal fires when the client is gone
 * @param produce connects the sources; it must not wait for the stream to end
 */
export function sseResponse(signal: AbortSignal, produce: (sink: SseSink) => void): Response {
  const encoder = new TextEncoder();
  const endings: (() => void)[] = [];
  let ended = false;
  let heartbeat: ReturnType<typeof setInterval> | undefined;
  let cancelled: (() => void) | undefined;

  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const finish = (): void => {
          if (ended) return;
          ended = true;
          if (heartbeat !== undefined) clearInterval(heartbeat);
          signal.removeEventListener("abort", finish);
          for (const run of endings) run();
          try {
            controller.close();
          } catch {
            // the reader has cancelled the stream, which closed it
          }
        };
        const write = (text: string): void => {
          if (ended) return;
          controller.enqueue(encoder.encode(text));
          if ((controller.desiredSize ?? 0) <= 0) finish();
        };
        cancelled = finish;
        signal.addEventListener("abort", finish);
        // one that left while its stream was being prepared tells us no more
        if (signal.aborted) finish();
        write(`retry: ${RETRY_MS}\n\n`);
        if (!ended) heartbeat = setInterval(() => write(": heartbeat\n\n"), HEARTBEAT_MS);
        produce({
          send: (event) => write(formatEvent(event)),
          end: finish,
          onEnd: (run) => {
            if (ended) run();
            else endings.push(run);
          },
          get ended() {
            return ended;
          },
        });
      },
      cancel() {
        cancelled?.();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES_MAX }),
  );
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
    },
  });
}
