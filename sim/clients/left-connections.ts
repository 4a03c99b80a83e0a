/** The connections that a client left without closing them, which their members have to detect. */
import type { SessionId } from "../../core/znode/types.ts";
import type { ClientConnection } from "./client-connection.ts";

/** A connection that was left. */
interface LeftConnection {
  readonly connection: ClientConnection;
  readonly session: SessionId;
  /** the session has continued over another connection since */
  moved: boolean;
}

/** The left connections of one client. Invariant: a connection is in the list once. */
export class LeftConnections {
  readonly #all: LeftConnection[] = [];

  /** Adds a connection that was attached to this session. */
  add(connection: ClientConnection, session: SessionId): void {
    this.#all.push({ connection, session, moved: false });
  }

  /** Notes that the client has continued its session over another connection. */
  sessionMoved(): void {
    for (const each of this.#all) each.moved = true;
  }

  /** Number of connections that a member still keeps although the session has moved to another one. */
  openOf(session: SessionId): number {
    return this.#all.filter((each) => each.moved && each.session === session && each.connection.isOpen)
      .length;
  }
}
