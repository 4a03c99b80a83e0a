/** Connections of clients on `/ws`, and the order in which they are served. */
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { Connection } from "../../core/server/connection.ts";
import type { ServerEffect } from "../../core/server/effects.ts";
import type { Token } from "../../core/server/ids.ts";
import { Turns } from "../../core/server/turns.ts";
import { EncodedNames } from "../../core/wire/jute/encoded-names.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import { connectionOver } from "./client-socket.ts";
import type { Incarnation } from "./incarnation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Requests } from "./requests.ts";

/**
 * The open connections.
 * Invariant: all answers of a turn to a connection are sent as one message, at the end of the turn.
 * @source ZooKeeper's `NIOServerCnxn`; decision 0013
 */
export class Connections {
  readonly #lifecycle: Lifecycle;
  readonly #requests: Requests;
  readonly #faults: FaultGate;
  readonly #close: (socket: WebSocket, code: number, reason: string) => void;
  readonly #byToken = new Map<Token, Connection>();
  readonly #bySocket = new Map<WebSocket, Connection>();
  /** connections to which this turn has written */
  readonly #dirty = new Set<Connection>();
  /** connections whose requests wait for their share */
  readonly #turns = new Turns<Connection>();
  #isTurnDue = false;
  readonly #names = new EncodedNames();

  /** @param close closes a socket of the node and forgets it */
  constructor(
    lifecycle: Lifecycle,
    requests: Requests,
    faults: FaultGate,
    close: (socket: WebSocket, code: number, reason: string) => void,
  ) {
    this.#lifecycle = lifecycle;
    this.#requests = requests;
    this.#faults = faults;
    this.#close = close;
  }

  /** Adds an accepted socket. */
  open(incarnation: Incarnation, socket: WebSocket): void {
    const token = this.#lifecycle.nextToken();
    const connection = connectionOver(socket, token, {
      server: incarnation.server,
      now: () => this.#faults.now(),
      names: this.#names,
      newSessionId: () => this.#requests.newSessionId(incarnation),
      close: (code, reason) => this.#close(socket, code, reason),
    });
    this.#byToken.set(token, connection);
    this.#bySocket.set(socket, connection);
  }

  /** The connection of a socket; undefined if the socket is of another kind. */
  of(socket: WebSocket): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  /** The sockets of all connections. */
  get sockets(): readonly WebSocket[] {
    return [...this.#bySocket.keys()];
  }

  /** Removes a closed socket. @returns the token of its connection */
  forget(socket: WebSocket): Token | undefined {
    const connection = this.#bySocket.get(socket);
    if (connection === undefined) return undefined;
    this.#bySocket.delete(socket);
    this.#byToken.delete(connection.token);
    this.#turns.remove(connection);
    return connection.token;
  }

  // ── requests ─────────────────────────────────────────────────────────────

  /** Handles a message. Its requests are served now, as far as the share of the connection allows. */
  receive(incarnation: Incarnation, connection: Connection, message: Uint8Array): void {
    this.#dirty.add(connection);
    this.#lifecycle.turn(incarnation, (now) => {
      this.#turns.spend(connection.receive(message, this.#turns.isFree(Date.now())));
      return incarnation.server.flush(now);
    });
  }

  /** Serves the connections whose requests wait, round robin, after a turn of I/O. */
  #schedule(): void {
    if (this.#isTurnDue || this.#turns.waiting === 0) return;
    this.#isTurnDue = true;
    setTimeout(() => {
      this.#isTurnDue = false;
      void this.#serve();
    }, 0);
  }

  async #serve(): Promise<void> {
    // A paused node serves no requests; a killed one has no connections.
    const incarnation = await this.#lifecycle.load().catch(() => undefined);
    if (incarnation === undefined) return;
    this.#turns.begin(Date.now());
    this.#lifecycle.turn(incarnation, (now) => {
      for (let next = this.#turns.next(); next !== undefined; next = this.#turns.next()) {
        this.#dirty.add(next);
        this.#turns.spend(next.serve());
        if (next.isReady) this.#turns.add(next);
      }
      return incarnation.server.flush(now);
    });
  }

  // ── answers ──────────────────────────────────────────────────────────────

  /** Writes an answer. @returns false if the token belongs to another part of the node */
  respond(token: Token, xid: number, answer: ServerAnswer): boolean {
    const connection = this.#byToken.get(token);
    if (connection === undefined) return false;
    connection.respond(xid, answer);
    this.#dirty.add(connection);
    return true;
  }

  /** Handles a fired watch, unless its token belongs to another part of the node. */
  notify({ token, event, zxid }: Extract<ServerEffect, { type: "notify" }>): void {
    const connection = this.#byToken.get(token);
    if (connection === undefined) return;
    connection.notify(event, zxid);
    this.#dirty.add(connection);
  }

  /** Closes a connection after its last answer. */
  disconnect({ token, code }: Extract<ServerEffect, { type: "disconnect" }>): void {
    const connection = this.#byToken.get(token);
    if (connection === undefined) return;
    connection.end(code);
    this.#dirty.add(connection);
  }

  /** Ends a turn: sends everything written in it. */
  flush(): void {
    for (const connection of this.#dirty) {
      connection.flush();
      if (connection.isReady) this.#turns.add(connection);
    }
    this.#dirty.clear();
    this.#schedule();
  }

  /** Closes the connections whose clients have too much unread and do not read. */
  closeStalled(): void {
    for (const connection of this.#byToken.values()) if (connection.closeStalled()) connection.flush();
  }
}
