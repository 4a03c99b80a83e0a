/** Sockets on which a node only writes: changes of a znode on `/watch`, protocol events on `/events`. */
import type { ServerEffect } from "../../core/server/effects.ts";
import type { Token } from "../../core/server/ids.ts";
import { seenFromText, type WatchStreamKind } from "../../core/znode/watch-stream.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import {
  BEAT_FRAME,
  BEATS_HEADER,
  inSlices,
  REPORTS_QUERY,
  StreamWindow,
  tryClose,
  trySend,
} from "../shared/sockets.ts";
import type { Incarnation } from "./incarnation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { WatchFanOut, WatchFeed } from "./watch-feed.ts";

/**
 * The open streams.
 * Invariant: each open stream gets a beat per tick, as long as this node runs; a stream whose reader has too much unread is
 * closed, and no data are skipped.
 * @source server-sent events (HTML standard): resumption by the last id
 */
export class Streams {
  readonly #lifecycle: Lifecycle;
  readonly #faults: FaultGate;
  /** *map token → feed of a watch* */
  readonly #watches = new Map<Token, WatchFeed>();
  /** *map socket of a watch → its token* */
  readonly #tokens = new Map<WebSocket, Token>();
  /** *map socket → its unread data*, for readers that report what they have read */
  readonly #windows = new Map<WebSocket, StreamWindow>();
  readonly #fanOut = new WatchFanOut();
  /** runs once a tick while a stream is open */
  #beats: ReturnType<typeof setInterval> | undefined;
  /** whether a round of beats is under way */
  #isBeating = false;
  readonly #close: (socket: WebSocket, code: number, reason: string) => void;

  /** @param close closes a socket of the node and forgets it */
  constructor(
    lifecycle: Lifecycle,
    faults: FaultGate,
    close: (socket: WebSocket, code: number, reason: string) => void,
  ) {
    this.#lifecycle = lifecycle;
    this.#faults = faults;
    this.#close = close;
  }

  /** Opens a watch of one znode. @param client the reader's end of the socket */
  openWatch(
    incarnation: Incarnation,
    socket: WebSocket,
    client: WebSocket,
    query: URLSearchParams,
  ): Response {
    this.#openWindow(socket, query);
    const token = this.#lifecycle.nextToken();
    const path = query.get("path") ?? "/";
    const kind = (query.get("kind") ?? "data") as WatchStreamKind;
    const seen = seenFromText(query.get("since") ?? "");
    const send = (to: WebSocket, text: string): void => this.send(to, text);
    const feed = new WatchFeed(token, socket, incarnation.server, path, kind, seen, send);
    this.#tokens.set(socket, token);
    this.#watches.set(token, feed);
    feed.send();
    return this.#opened(incarnation, client);
  }

  /** Opens a stream of protocol events. @param client the reader's end of the socket */
  openEvents(
    incarnation: Incarnation,
    socket: WebSocket,
    client: WebSocket,
    query: URLSearchParams,
  ): Response {
    this.#openWindow(socket, query);
    incarnation.feed.listen(socket, query.get("after"), Date.now(), query.has("replay"));
    return this.#opened(incarnation, client);
  }

  #openWindow(socket: WebSocket, query: URLSearchParams): void {
    if (query.has(REPORTS_QUERY)) this.#windows.set(socket, new StreamWindow());
  }

  /** The answer that opens a stream, which gets beats from now on. */
  #opened({ server }: Incarnation, webSocket: WebSocket): Response {
    const { tickTimeMs } = server.config;
    this.#beats ??= setInterval(() => this.#beat(), tickTimeMs);
    return new Response(null, { status: 101, webSocket, headers: { [BEATS_HEADER]: `${tickTimeMs}` } });
  }

  /** Sends on a stream, or closes it if its reader has too much unread; the Worker resumes by the last id. */
  send(socket: WebSocket, text: string): void {
    const outcome = this.#windows.get(socket)?.sent(text.length) ?? "open";
    if (outcome === "open") trySend(socket, text);
    // The socket is forgotten when its other end has closed it too, or was silent for too long.
    else if (outcome === "overrun") tryClose(socket, 1013, "too much of the stream is unread");
  }

  /** Handles a message of a reader. */
  heard(socket: WebSocket, message: string): void {
    this.#windows.get(socket)?.heard(message);
  }

  /** Handles a fired watch, unless its token belongs to another part of the node. */
  notify({ token, event, zxid }: Extract<ServerEffect, { type: "notify" }>): void {
    const feed = this.#watches.get(token);
    if (feed === undefined) return;
    feed.note(event, zxid);
    this.#fanOut.add(feed);
  }

  /** Ends a turn: sends the changes of the watches. */
  flush(): void {
    this.#fanOut.flush();
  }

  /** Sockets on which changes of znodes are written. */
  get watchSockets(): readonly WebSocket[] {
    return [...this.#tokens.keys()];
  }

  /** Removes a closed socket. @returns the token of its watch */
  forget(socket: WebSocket): Token | undefined {
    this.#lifecycle.current?.feed.unlisten(socket, Date.now());
    this.#windows.delete(socket);
    const token = this.#tokens.get(socket);
    if (token === undefined) return undefined;
    this.#tokens.delete(socket);
    this.#watches.delete(token);
    return token;
  }

  /**
   * Sends a beat on every stream. A node that is paused, or whose core is overdue, sends none, so the Worker ends its
   * streams; a node without a quorum closes its watches itself, and they continue at another node.
   */
  #beat(): void {
    const incarnation = this.#lifecycle.current;
    if (incarnation === undefined || (this.#watches.size === 0 && incarnation.feed.listeners.size === 0)) {
      if (this.#beats !== undefined) clearInterval(this.#beats);
      this.#beats = undefined;
      return;
    }
    if (this.#faults.paused || this.#faults.killed || this.#isBeating) return;
    const { server, feed } = incarnation;
    if (this.#faults.now() > server.deadline + server.config.tickTimeMs) return;
    const watches = this.watchSockets;
    if (!server.ready) {
      for (const socket of watches) this.#close(socket, 1012, "the node is not part of a quorum now");
    }
    // A round may take longer than a tick; the next one must not begin before it ends.
    this.#isBeating = true;
    inSlices(
      [...feed.listeners, ...(server.ready ? watches : [])],
      (socket) => trySend(socket, BEAT_FRAME),
      () => {
        this.#isBeating = false;
      },
    );
  }
}
