/** A client's WebSocket on `/ws`: any number of whole packets in a message, none split over two. */
import { Connection, type ConnectionEnd } from "../../core/server/connection.ts";
import type { Token } from "../../core/server/ids.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import type { Mark } from "../../core/wire/jute/marks.ts";
import type { NamesWriter } from "../../core/wire/jute/ops/op.ts";
import type { SessionId } from "../../core/znode/types.ts";
import { trySend } from "../shared/sockets.ts";

/** The interface of the node to a socket. */
export interface ClientSocketHost {
  readonly server: EnsembleServer;
  /** the node's clock, ms */
  readonly now: () => number;
  readonly names: NamesWriter;
  readonly newSessionId: () => SessionId;
  /** Closes the socket and forgets it. */
  readonly close: (code: number, reason: string) => void;
}

/** Close codes; those from 4000 on are this project's: docs/spec/node.md, NODE-16. @source RFC 6455 §7.4.1 */
const CLOSE_CODES: Readonly<Record<ConnectionEnd, number>> = {
  NORMAL: 1000,
  PROTOCOL_ERROR: 1002,
  TRY_AGAIN: 1013,
  SESSION_EXPIRED: 4112,
  SESSION_MOVED: 4118,
  UNREAD: 4127,
};

/** A close frame has room for 123 bytes. */
const REASON_LENGTH_MAX = 120;

/** Makes the connection over this socket. */
export function connectionOver(socket: WebSocket, token: Token, host: ClientSocketHost): Connection {
  return new Connection(token, {
    server: host.server,
    names: host.names,
    now: host.now,
    elapsed: () => Date.now(),
    newSessionId: host.newSessionId,
    newMark,
    send: (packets) => trySend(socket, packets),
    close: (end, reason) => host.close(CLOSE_CODES[end], reason.slice(0, REASON_LENGTH_MAX)),
  });
}

function newMark(): Mark {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return { high, low };
}
