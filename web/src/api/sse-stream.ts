/**
 * A server-sent event stream over fetch that comes back by itself.
 *
 * `EventSource` hides the status of a refused connection and cannot change its URL, so the page could
 * neither say why it waits nor name the exact offset to go on from. This one does both.
 */
import { backoffMs } from "./backoff.ts";
import { createSseParser, type SseMessage } from "./sse-parser.ts";

/** What the connection is doing, in the words the page shows. */
export type StreamState =
  /** Nothing to read yet. */
  | { readonly type: "idle" }
  | { readonly type: "connecting" }
  | { readonly type: "live" }
  | {
      readonly type: "waiting";
      readonly reason: string;
      readonly attempt: number;
      readonly status: number | null;
    };

export interface StreamRequest {
  readonly url: string;
  readonly lastEventId?: string | undefined;
}

export interface StreamOptions {
  /** Called before every try: the request continues after what has been consumed by then. */
  readonly request: (signal: AbortSignal) => StreamRequest | Promise<StreamRequest>;
  readonly onMessage: (message: SseMessage) => void;
  readonly onState: (state: StreamState) => void;
  /** Ends the stream for good. */
  readonly signal: AbortSignal;
  /** The server sends something at least this often (comments count); silence means a dead connection. */
  readonly silenceMsMax?: number;
  /** Longest wait between two tries. */
  readonly retryMsMax?: number;
}

const SILENCE_MS_MAX = 40_000;

/** Runs until `signal` aborts. Never rejects. */
export async function runStream(options: StreamOptions): Promise<void> {
  let attempt = 0;
  while (!options.signal.aborted) {
    options.onState({ type: "connecting" });
    let status: number | null = null;
    let reason = "the connection was closed";
    try {
      status = await readOnce(options, () => {
        attempt = 0;
      });
      if (status !== 200) reason = `the server answered ${status}`;
    } catch (error) {
      if (options.signal.aborted) return;
      reason = error instanceof Error && error.message ? error.message : "the connection broke";
    }
    if (options.signal.aborted) return;
    attempt += 1;
    options.onState({ type: "waiting", reason, attempt, status });
    await pause(backoffMs(attempt, Math.random(), options.retryMsMax), options.signal);
  }
}

/** One connection; resolves with the HTTP status when it ends. */
async function readOnce(options: StreamOptions, onOpen: () => void): Promise<number> {
  const connection = new AbortController();
  const end = () => connection.abort();
  options.signal.addEventListener("abort", end, { once: true });
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(end, options.silenceMsMax ?? SILENCE_MS_MAX);
  };
  try {
    alive();
    const { url, lastEventId } = await options.request(connection.signal);
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (lastEventId) headers["Last-Event-ID"] = lastEventId;
    const response = await fetch(url, { headers, cache: "no-store", signal: connection.signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      return response.status;
    }
    if (!(response.headers.get("content-type") ?? "").includes("text/event-stream")) {
      await response.body.cancel();
      throw new Error("the server did not answer with an event stream");
    }
    onOpen();
    options.onState({ type: "live" });
    const parser = createSseParser(lastEventId);
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return response.status;
      alive();
      for (const message of parser.feed(decoder.decode(value, { stream: true }))) options.onMessage(message);
    }
  } catch (error) {
    if (connection.signal.aborted && !options.signal.aborted)
      throw new Error("nothing was heard for too long");
    throw error;
  } finally {
    clearTimeout(watchdog);
    options.signal.removeEventListener("abort", end);
    connection.abort();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
