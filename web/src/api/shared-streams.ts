/** A tab's streams: over the hub that all tabs share, or over a connection of its own where there is no hub, or it fails. */
import { LiveSocket, type LiveStreams, type SocketLike, type StreamOptions } from "./live-socket.ts";
import type { HubMessage, Port, TabMessage } from "./stream-hub.ts";

const BEAT_MS = 5_000;
/** Unanswered beats after which the hub counts as failed. */
const UNANSWERED_MAX = 6;
/** Messages after which a beat is sent at once, so that the hub knows what has been read. */
const READ_MAX = 250;

/** The port to the hub, as the tab uses it. */
export type TabPort = Port<TabMessage, HubMessage>;

/** The tab's end of a port to the hub. */
export class SharedStreams implements LiveStreams {
  readonly #port: TabPort;
  readonly #onFail: () => void;
  readonly #streams = new Map<number, StreamOptions>();
  readonly #beat: ReturnType<typeof setInterval>;
  #number = 0;
  #read = 0;
  #unanswered = 0;

  /** @param onFail called if the hub does not answer */
  constructor(port: TabPort, onFail: () => void) {
    this.#port = port;
    this.#onFail = onFail;
    port.onmessage = ({ data }) => this.#hear(data);
    this.#beat = setInterval(() => this.#onBeat(), BEAT_MS);
  }

  stream(options: StreamOptions): () => void {
    this.#number += 1;
    const id = this.#number;
    this.#streams.set(id, options);
    options.onState({ type: "connecting" });
    this.#port.postMessage({ type: "open", id });
    return () => {
      this.#streams.delete(id);
      this.#port.postMessage({ type: "close", id });
    };
  }

  /** Handles that the page is left: the hub drops the tab until its next message. */
  leave(): void {
    this.#port.postMessage({ type: "bye" });
  }

  close(): void {
    clearInterval(this.#beat);
    this.#streams.clear();
    this.leave();
    this.#port.onmessage = null;
    this.#port.close();
  }

  #onBeat(): void {
    this.#unanswered += 1;
    if (this.#unanswered > UNANSWERED_MAX) this.#onFail();
    else this.#acknowledge();
  }

  #acknowledge(): void {
    this.#port.postMessage({ type: "beat", read: this.#read });
    this.#read = 0;
  }

  #hear(message: HubMessage): void {
    this.#unanswered = 0;
    this.#read += 1;
    if (this.#read >= READ_MAX) this.#acknowledge();
    if (message.type === "beat") return;
    if (message.type === "lost") {
      for (const id of this.#streams.keys()) this.#port.postMessage({ type: "open", id });
      return;
    }
    const { id } = message;
    const options = this.#streams.get(id);
    if (options === undefined) return;
    if (message.type === "ask") void this.#answer(id, options);
    else if (message.type === "event") options.onEvent(message.event);
    else if (message.type === "end") options.onEnd?.(message.end);
    else options.onState(message.state);
  }

  async #answer(id: number, options: StreamOptions): Promise<void> {
    try {
      const subscription = await options.subscription();
      this.#port.postMessage({ type: "subscription", id, subscription });
    } catch (error) {
      const reason = error instanceof Error ? error.message : "the subscription failed";
      this.#port.postMessage({ type: "refused", id, reason });
    }
  }
}

/** How a tab reaches the hub, and how it opens a connection of its own. */
export interface TabStreamsOptions {
  /** Connects to the hub; undefined where the browser has no shared workers. Calls `onFail` if the worker cannot be started. */
  readonly hub: (onFail: () => void) => TabPort | undefined;
  /** Opens a connection for this tab alone. */
  readonly open: () => SocketLike;
}

/** Uses the hub while it works, and a connection of the tab's own otherwise. */
export class TabStreams implements LiveStreams {
  readonly #options: TabStreamsOptions;
  /** *map open stream → what ends it* */
  readonly #streams = new Map<StreamOptions, () => void>();
  #shared: SharedStreams | undefined;
  #by: LiveStreams;

  constructor(options: TabStreamsOptions) {
    this.#options = options;
    const port = options.hub(() => this.#fallBack());
    this.#shared = port && new SharedStreams(port, () => this.#fallBack());
    this.#by = this.#shared ?? new LiveSocket(options.open);
  }

  stream(options: StreamOptions): () => void {
    this.#streams.set(options, this.#by.stream(options));
    return () => {
      this.#streams.get(options)?.();
      this.#streams.delete(options);
    };
  }

  /** Handles that the page is left, and may be shown again. */
  leave(): void {
    this.#shared?.leave();
  }

  close(): void {
    this.#streams.clear();
    this.#by.close();
  }

  #fallBack(): void {
    if (this.#shared === undefined) return;
    this.#shared.close();
    this.#shared = undefined;
    this.#by = new LiveSocket(this.#options.open);
    for (const options of this.#streams.keys()) this.#streams.set(options, this.#by.stream(options));
  }
}
