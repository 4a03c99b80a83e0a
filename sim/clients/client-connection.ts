/** One connection of a simulated client to one life of a member, and what is sent over it. */

import { connectionIdOf, type Token } from "../../core/server/ids.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { SeenWatches } from "../../core/znode/watch.ts";
import type { Cluster } from "../cluster.ts";
import { coreRequest } from "../history/core-request.ts";
import type { ReadRequest, WriteRequest } from "../history/history.ts";
import type { Connection } from "../member/client-table.ts";
import type { Life } from "../member/life.ts";

/**
 * A connection, from when the member accepted it until either side closes it.
 * Invariant: its life and its token never change, so nothing that was sent over it can be answered over another one.
 */
export class ClientConnection {
  readonly #cluster: Cluster;
  /** distinguishes the connections of all clients of a run; from 1 */
  readonly number: number;
  readonly life: Life;
  readonly #token: Token;

  constructor(cluster: Cluster, number: number, life: Life, token: Token) {
    this.#cluster = cluster;
    this.number = number;
    this.life = life;
    this.#token = token;
  }

  /** The number under which the member answers {@link attach}. */
  get attachXid(): number {
    return connectionIdOf(this.life.sid, this.#token);
  }

  /** Whether the member has not closed it. */
  get isOpen(): boolean {
    return this.life.alive && this.life.clients.connections.has(this.#token);
  }

  /** Opens a session. */
  open(session: SessionId, timeoutMs: number): void {
    this.life.turn((server, now) => server.openSession(now, this.#token, session, timeoutMs));
  }

  /** Continues a session that an earlier connection opened. */
  attach(session: SessionId): void {
    this.life.turn((server, now) => {
      this.#heard(session);
      server.attach(now, this.#token, session);
    });
  }

  /** Sends a heartbeat of the session. */
  ping(session: SessionId): void {
    this.life.turn((server, now) => {
      this.#heard(session);
      server.touch(now, session);
    });
  }

  /** Sends a write of the session. @param xid its number */
  write(session: SessionId, xid: number, request: WriteRequest): void {
    this.life.turn((server, now) => {
      this.#heard(session);
      const write = { session, xid, ...encodeWrite(coreRequest(request)) };
      const connection = server.connectionOf(this.#token);
      this.#cluster.invariants.ownership.submitted(session, xid, connection);
      server.submitWrite(now, this.#token, write, connection);
    });
  }

  /** Sends a read of the session. */
  read(session: SessionId, xid: number, request: ReadRequest): void {
    this.#read(this.#token, session, xid, request, false);
  }

  /**
   * Sends a linearizable read. As over HTTP, its token identifies the answer, not a number.
   * @param respond called with the answer
   */
  readLinearizable(
    session: SessionId,
    xid: number,
    request: ReadRequest,
    respond: Connection["respond"],
  ): void {
    this.#read(this.#tokenForOne(respond), session, xid, request, true);
  }

  #read(token: Token, session: SessionId, xid: number, request: ReadRequest, linearizable: boolean): void {
    this.life.turn((server, now) => {
      this.#heard(session);
      server.submitRead(now, token, { session, xid, request, linearizable, stale: false, waits: true });
    });
  }

  #tokenForOne(respond: Connection["respond"]): Token {
    const { life } = this;
    const found = this.#cluster.connect(life.sid, {
      respond: (number, answer) => {
        if (found !== undefined) life.disconnected(found.token);
        respond(number, answer);
      },
      notify: () => {},
      closed: () => {},
    });
    return found !== undefined && found.life === life ? found.token : this.#token;
  }

  /** Sets the watches of the session again. */
  setWatches(session: SessionId, xid: number, seen: SeenWatches): void {
    this.life.turn((server, now) => {
      this.#heard(session);
      server.submitWatches(now, this.#token, session, xid, seen);
    });
  }

  /** The client closes it. */
  hangUp(): void {
    this.life.disconnected(this.#token);
  }

  #heard(session: SessionId): void {
    this.#cluster.invariants.sessions.heard(this.life, session);
  }
}
