/** Identifiers in the requests of a member: token, connection, and owner. */
import type { Sid } from "../zab/membership.ts";
import type { SessionId } from "../znode/types.ts";

declare const tokenBrand: unique symbol;
/** Identifies the sender of a request to the shell: a connection, or one call. A connection may have many outstanding requests. */
export type Token = number & { readonly [tokenBrand]: true };

/** The token of the member's own requests, whose answers are dropped. */
export const NO_TOKEN = 0 as Token;

declare const connectionBrand: unique symbol;
/**
 * A connection's name within the ensemble: negative, so that it can be the xid of the txn by which the connection attaches
 * to its session. So every member sees the move when it applies the log.
 */
export type ConnectionId = number & { readonly [connectionBrand]: true };

/** The request came without a connection (HTTP, other objects), so it is never refused as SESSION_MOVED. */
export const NO_CONNECTION = 0 as ConnectionId;

/** Tokens are taken modulo this number: a connection that many tokens ago has ended. A name then fits into an i32. */
const TOKENS_MAX = 2 ** 26;

/**
 * The name of a connection: 26 bits of its token, 4 bits of the sid. It is the xid of a txn, so it is stored: a sid above
 * 15 needs another layout, which only this function and {@link memberOf} know.
 */
export const connectionIdOf = (sid: Sid, token: Token): ConnectionId =>
  -((token % TOKENS_MAX) * 16 + sid) as ConnectionId;

/** The member that has the connection. */
export const memberOf = (connection: ConnectionId): Sid => (-connection % 16) as Sid;

/** A session whose owner, an object of this system, sleeps with the ensemble. Its deadline does not advance meanwhile. */
export interface ParkedSession {
  readonly session: SessionId;
  /** number of the owner, which only the shell interprets */
  readonly owner: number;
}
