/** One attempt to connect, as a session makes it when its connection is lost. */
import type { ConnectResponse } from "../../core/wire/jute/connect.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type { SocketLike } from "./socket.ts";
import type { SessionTicket } from "./types.ts";

/** A socket on which the handshake is done. */
export interface Dialed {
  readonly socket: SocketLike;
  readonly response: ConnectResponse;
}

/** Makes one attempt to connect. @throws ZooError CONNECTION_LOSS, SESSION_EXPIRED */
export type Dial = (
  ticket: SessionTicket | undefined,
  lastZxidSeen: Zxid,
  signal: AbortSignal | undefined,
) => Promise<Dialed>;
