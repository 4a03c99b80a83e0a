/** The connections of this member's clients. */
import type { Sid } from "../zab/membership.ts";
import type { SessionId } from "../znode/types.ts";
import type { WatchTable } from "../znode/watch.ts";
import type { EffectList } from "./effect-list.ts";
import type { DisconnectCode } from "./effects.ts";
import { type ConnectionId, connectionIdOf, type Token } from "./ids.ts";
import type { PendingRequests } from "./pending.ts";

/**
 * *map session ↔ token of its connection here*. A session has one connection in the whole ensemble: the last one that
 * attached to it.
 *
 * Invariant: both maps contain the same pairs; a connection that has lost its session is disconnected and leaves no state.
 *
 * @source ZooKeeper `ServerCnxnFactory.sessionMap`
 */
export class Connections {
  readonly #sid: Sid;
  readonly #effects: EffectList;
  readonly #watches: WatchTable;
  readonly #pending: PendingRequests;
  readonly #tokens = new Map<SessionId, Token>();
  readonly #sessions = new Map<Token, SessionId>();

  constructor(sid: Sid, effects: EffectList, watches: WatchTable, pending: PendingRequests) {
    this.#sid = sid;
    this.#effects = effects;
    this.#watches = watches;
    this.#pending = pending;
  }

  /** Number of connections with a session. */
  get size(): number {
    return this.#tokens.size;
  }

  /** The connection's name within the ensemble. */
  nameOf(token: Token): ConnectionId {
    return connectionIdOf(this.#sid, token);
  }

  /** Makes this connection the session's. */
  attach(session: SessionId, token: Token): void {
    this.#tokens.set(session, token);
    this.#sessions.set(token, session);
  }

  /** Handles a connection that has attached to the session, at any member: disconnects the session's earlier connection here. */
  sessionMoved(session: SessionId, to: number): void {
    const token = this.#tokens.get(session);
    if (token !== undefined && this.nameOf(token) !== to) this.#disconnect(token, "SESSION_MOVED");
  }

  /** Closes the connection of a session that has ended, if it is here. */
  sessionClosed(session: SessionId): void {
    const token = this.#tokens.get(session);
    if (token !== undefined) this.#disconnect(token, "SESSION_EXPIRED");
  }

  /** Drops the watches and pending requests of a closed connection. Writes already sent may still be committed. */
  forget(token: Token): void {
    this.#watches.removeWatcher(token);
    const session = this.#sessions.get(token);
    if (session !== undefined) {
      this.#sessions.delete(token);
      if (this.#tokens.get(session) === token) this.#tokens.delete(session);
    }
    this.#pending.removeToken(token);
  }

  /** Ends a connection. Its pending requests stay unanswered: the client repeats them over its new connection. */
  #disconnect(token: Token, code: DisconnectCode): void {
    this.forget(token);
    this.#effects.push({ type: "disconnect", token, code });
  }
}
