/**
 * Which of this member's connections speaks for which session. A session has one connection in the whole ensemble: the
 * one that attached to it last.
 */
import type { SessionId } from "../znode/types.ts";
import type { Token } from "./ids.ts";

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
