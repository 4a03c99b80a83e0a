/** A session belongs to the last connection that attached to it. */
import { TxnType } from "../../core/wire/txn-body.ts";
import type { TxnCursor } from "../../core/wire/txn-codec.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { type Committed, text } from "./committed-history.ts";

/** SessionMoved. Connections are numbered below 0, as in the txn that attaches one; 0: without a connection. */
export class OwnershipChecker implements Checker {
  readonly #checks: Checks;
  /** *map session → xid → the connections that asked for it* */
  readonly #connections = new Map<SessionId, Map<number, Set<number>>>();
  /** *map session → the connection that attached to it last* */
  readonly #owners = new Map<SessionId, number>();

  constructor(checks: Checks) {
    this.#checks = checks;
  }

  /** A write of a session is sent over a connection. */
  submitted(session: SessionId, xid: number, connection: number): void {
    let byXid = this.#connections.get(session);
    if (byXid === undefined) {
      byXid = new Map();
      this.#connections.set(session, byXid);
    }
    const connections = byXid.get(xid);
    if (connections === undefined) byXid.set(xid, new Set([connection]));
    else connections.add(connection);
  }

  committed({ session, xid, zxid }: Committed, { type }: TxnCursor): void {
    if (xid < 0 && type === TxnType.SYNC) this.#owners.set(session, xid);
    if (xid <= 0) return;
    const owner = this.#owners.get(session);
    const connections = this.#connections.get(session)?.get(xid);
    if (owner === undefined || connections === undefined) return;
    // A write may be sent over several connections, one after the other; one of them must be the owner.
    this.#checks.must(
      "SessionMoved",
      connections.has(owner) || connections.has(0),
      () =>
        `${session}/${xid} of connections ${[...connections].join(", ")} happens at ${text(zxid)}, after ${owner} attached`,
    );
  }
}
