/** Identifiers in the requests of a member: token, connection, and owner. */
import type { Sid } from "../zab/membership.ts";
import type { SessionId } from "../znode/types.ts";

declare const tokenBrand: unique symbol;
/** Identifies the sender of a request to the shell: a connection, or one call. A connection may have many requests under way. */
export type Token = number & { readonly [tokenBrand]: true };

/** The request is the member's own: its answer goes to no client. */
export const NO_TOKEN = 0 as Token;

declare const connectionBrand: unique symbol;
/**
 * A connection's name within the ensemble: negative, so that it can be the xid of the txn by which the connection
 * attaches to its session. That way every member learns of the move by applying the log.
 */
export type ConnectionId = number & { readonly [connectionBrand]: true };

/** The request came without a connection (HTTP, other objects): it cannot be late in the sense that a session moved. */
export const NO_CONNECTION = 0 as ConnectionId;

/** After this token the numbering restarts: a connection that old has ended. The product fits into an i32. */
const TOKENS_MAX = 2 ** 26;

/**
 * The name of a connection: 26 bits of its token, 4 bits of the sid. It is the xid of a txn, so it is stored: a sid above 15 needs
 * another layout, here and nowhere else.
 */
export const connectionIdOf = (sid: Sid, token: Token): ConnectionId =>
  -((token % TOKENS_MAX) * 16 + sid) as ConnectionId;

/** A session whose owner, an object of this system, sleeps with the ensemble. Its deadline does not advance meanwhile. */
export interface ParkedSession {
  readonly session: SessionId;
  /** number of the owner; the shell knows what it stands for */
  readonly owner: number;
}
