/**
 * Which of this member's connections speaks for which session. A session has one connection in the whole ensemble: the
 * one that attached to it last.
 */
import type { Sid } from "../zab/quorum.ts";
import type { SessionId } from "../znode/types.ts";
import type { Token } from "./pending.ts";

declare const connectionBrand: unique symbol;
/**
 * A connection's name within the ensemble: negative, so that it can be the xid of the txn by which the connection
 * attaches to its session. That way every member learns of the move by applying the log.
 */
export type ConnectionId = number & { readonly [connectionBrand]: true };

/** The request came without a connection (HTTP, other objects): it cannot be late in the sense that a session moved. */
export const NO_CONNECTION = 0 as ConnectionId;

/** Tokens beyond begin anew: a connection of so long ago is gone. The product fits into an i32. */
const TOKENS_MAX = 2 ** 26;

export const connectionIdOf = (sid: Sid, token: Token): ConnectionId =>
  -((token % TOKENS_MAX) * 16 + sid) as ConnectionId;

/** *map session ↔ token of its connection here*. Invariant: both maps hold the same pairs. */
export class Connections {
  readonly #tokens = new Map<SessionId, Token>();
  readonly #sessions = new Map<Token, SessionId>();

  get size(): number {
    return this.#tokens.size;
  }

  /** The connection speaks for the session from now on. */
  attach(session: SessionId, token: Token): void {
    this.#tokens.set(session, token);
    this.#sessions.set(token, session);
  }

  /** undefined: the session has no connection here. */
  of(session: SessionId): Token | undefined {
    return this.#tokens.get(session);
  }

  /** The connection is gone. */
  drop(token: Token): void {
    const session = this.#sessions.get(token);
    if (session === undefined) return;
    this.#sessions.delete(token);
    if (this.#tokens.get(session) === token) this.#tokens.delete(session);
  }
}
