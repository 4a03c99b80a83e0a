/** All sockets of a node: accepts them, detects dead ones, and closes them. */
import { ZXID_ZERO } from "../../core/zab/zxid.ts";
import { seenFromText } from "../../core/znode/watch-stream.ts";
import { SILENT_MS_MAX } from "../shared/config.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import { tryClose } from "../shared/sockets.ts";
import type { ClientCount } from "./client-count.ts";
import { HANDSHAKE_MS_MAX } from "./config.ts";
import { Connections } from "./connections.ts";
import type { Incarnation } from "./incarnation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Requests } from "./requests.ts";
import { Streams } from "./streams.ts";

/**
 * All open sockets: {@link connections} of clients and {@link streams}.
 * Invariant: each open socket counts as one client, and belongs to one of the two.
 * @source ZooKeeper's `ServerCnxnFactory`
 */
export class Sockets {
  readonly #state: DurableObjectState;
  readonly #lifecycle: Lifecycle;
  readonly #requests: Requests;
  readonly #clients: ClientCount;
  readonly connections: Connections;
  readonly streams: Streams;
  /** *map socket → time of its last message*, ms since 1970 */
  readonly #open = new Map<WebSocket, number>();

  constructor(
    state: DurableObjectState,
    lifecycle: Lifecycle,
    requests: Requests,
    clients: ClientCount,
    faults: FaultGate,
  ) {
    this.#state = state;
    this.#lifecycle = lifecycle;
    this.#requests = requests;
    this.#clients = clients;
    const close = (socket: WebSocket, code: number, reason: string): void => this.close(socket, code, reason);
    this.connections = new Connections(lifecycle, requests, faults, close);
    this.streams = new Streams(lifecycle, faults, close);
    // The state of these sockets was in the lost memory; their clients reconnect.
    for (const socket of state.getWebSockets()) tryClose(socket, 1012, "the node has restarted");
  }

  /** Handles a request for a socket. */
  async fetch(request: Request): Promise<Response> {
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return new Response("UNKNOWN_ENSEMBLE", { status: 404 });
    if (request.headers.get("upgrade") !== "websocket")
      return new Response("upgrade required", { status: 426 });
    await this.#requests.awaken(incarnation);
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/ws":
        return this.#acceptConnection(incarnation);
      case "/watch":
        return this.#acceptWatch(incarnation, url.searchParams);
      case "/events":
        return this.#acceptEvents(incarnation, url.searchParams);
      default:
        return new Response("no such socket", { status: 404 });
    }
  }

  /** Accepts a socket, which counts as a client. @returns its two ends */
  #accept(incarnation: Incarnation): { readonly client: WebSocket; readonly server: WebSocket } {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#state.acceptWebSocket(server);
    this.#open.set(server, Date.now());
    this.#lifecycle.turn(incarnation, (now) => {
      this.#clients.change(1);
      return incarnation.server.flush(now);
    });
    return { client, server };
  }

  #acceptConnection(incarnation: Incarnation): Response {
    const { client, server } = this.#accept(incarnation);
    this.connections.open(incarnation, server);
    return new Response(null, { status: 101, webSocket: client });
  }

  /**
   * Opens a watch. A node without a quorum, or behind the state that the reader has seen, refuses, and the Worker asks the
   * next one.
   */
  async #acceptWatch(incarnation: Incarnation, query: URLSearchParams): Promise<Response> {
    if (!incarnation.server.ready) return unavailable("this node is not part of a quorum now");
    const seen = seenFromText(query.get("since") ?? "");
    // Otherwise it could send a state older than the reader has seen.
    const confirmed = await this.#requests.confirm(incarnation, seen?.zxid ?? ZXID_ZERO);
    if (!confirmed.ok || this.#lifecycle.current !== incarnation) {
      return unavailable("this node is behind the state that the reader has seen");
    }
    const { client, server } = this.#accept(incarnation);
    return this.streams.openWatch(incarnation, server, client, query);
  }

  #acceptEvents(incarnation: Incarnation, query: URLSearchParams): Response {
    const { client, server } = this.#accept(incarnation);
    return this.streams.openEvents(incarnation, server, client, query);
  }

  /** Handles a message. */
  async receive(socket: WebSocket, message: ArrayBuffer | string): Promise<void> {
    if (this.#open.has(socket) && this.connections.of(socket) === undefined) {
      this.#open.set(socket, Date.now());
    }
    if (typeof message === "string") this.streams.heard(socket, message);
    const incarnation = await this.#lifecycle.enter();
    const connection = this.connections.of(socket);
    if (incarnation === undefined || connection === undefined || typeof message === "string") return;
    this.connections.receive(incarnation, connection, new Uint8Array(message));
  }

  /** Closes the sockets whose other end has disconnected. Sockets of sessions end by the session's timeout instead. */
  closeDead(): void {
    const now = Date.now();
    for (const [socket, at] of this.#open) {
      const connection = this.connections.of(socket);
      if (connection === undefined) {
        if (now - at >= SILENT_MS_MAX) this.close(socket, 1001, "silence");
      } else if (!connection.hasHandshake && now - at >= HANDSHAKE_MS_MAX) {
        this.close(socket, 1001, `no handshake within ${HANDSHAKE_MS_MAX / 1000} s`);
      }
    }
    this.connections.closeStalled();
  }

  /**
   * Closes sockets with watches, because events were lost or no longer reach this node: their clients reconnect, here or at
   * another node.
   */
  closeWatching(): void {
    for (const socket of [...this.connections.sockets, ...this.streams.watchSockets]) {
      this.close(socket, 1012, "the node cannot report changes now");
    }
  }

  /** Closes a socket and forgets it. */
  close(socket: WebSocket, code: number, reason: string): void {
    this.forget(socket);
    tryClose(socket, code, reason);
  }

  /** Forgets a closed socket: nothing more is written on it. */
  forget(socket: WebSocket): void {
    const watch = this.streams.forget(socket);
    if (this.#open.delete(socket)) this.#clients.change(-1);
    const token = this.connections.forget(socket) ?? watch;
    if (token !== undefined) this.#lifecycle.current?.server.forget(token);
  }

  /** Ends a turn: sends everything written in it. */
  flush(): void {
    this.connections.flush();
    this.streams.flush();
  }
}

const unavailable = (why: string): Response => new Response(why, { status: 503 });
