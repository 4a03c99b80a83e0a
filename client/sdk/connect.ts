/** Opens sessions over `/v1/ws`. Uses nothing but what every platform has; see index.ts for Node. */
import {
  type ConnectResponse,
  PASSWORD_BYTES,
  readConnectResponse,
  writeConnectRequest,
} from "../../core/wire/jute/connect.ts";
import { FrameCursor } from "../../core/wire/jute/frame.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { ZXID_ZERO } from "../../core/zab/zxid.ts";
import { NO_SESSION } from "../../core/znode/types.ts";
import { ZooError } from "./errors.ts";
import { Session, type SessionTicket } from "./session.ts";
import { type OpenSocket, openPlatformSocket, type SocketLike } from "./socket.ts";

export interface ConnectOptions {
  /** how long the session outlives its connection; the server may grant less or more. Default 10 s */
  readonly timeoutMs?: number;
  /** a session to continue, from {@link Session.ticket} */
  readonly ticket?: SessionTicket;
  /** how to open a WebSocket; default: the platform's */
  readonly openSocket?: OpenSocket;
  /** gives up connecting */
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 10_000;

/**
 * Opens a session, or continues one.
 * @param url of the server, `http:` or `ws:`, with or without `/v1/ws`; `…/e/{ensemble}` chooses an ensemble
 * @throws ZooError CONNECTION_LOSS when the server cannot be reached or has no quorum, SESSION_EXPIRED
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Session> {
  options.signal?.throwIfAborted();
  const socket = (options.openSocket ?? openPlatformSocket)(socketUrlOf(url));
  socket.binaryType = "arraybuffer";
  const giveUp = (): void => socket.close();
  options.signal?.addEventListener("abort", giveUp);
  try {
    const { session, password, timeoutMs } = await shakeHands(socket, options);
    if (timeoutMs <= 0) throw new ZooError("SESSION_EXPIRED", "the server does not know this session");
    return new Session(socket, { id: session, password: password.slice() }, timeoutMs);
  } catch (error) {
    socket.close();
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", giveUp);
  }
}

/** The WebSocket URL of a server's address. */
export function socketUrlOf(address: string): string {
  const url = new URL(address);
  url.protocol = url.protocol.replace("http", "ws");
  if (!url.pathname.endsWith("/v1/ws")) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/ws`;
  return url.href;
}

function shakeHands(
  socket: SocketLike,
  { timeoutMs = TIMEOUT_MS, ticket }: ConnectOptions,
): Promise<ConnectResponse> {
  return new Promise((resolve, reject) => {
    let cause = "";
    socket.onopen = () => {
      const writer = new ByteWriter(64);
      writeConnectRequest(writer, {
        lastZxidSeen: ZXID_ZERO,
        timeoutMs,
        session: ticket?.id ?? NO_SESSION,
        password: ticket?.password ?? new Uint8Array(PASSWORD_BYTES),
        readOnly: false,
      });
      socket.send(writer.finish());
    };
    socket.onerror = (event) => {
      cause = (event as { message?: string }).message ?? "";
    };
    socket.onclose = ({ code, reason }) =>
      reject(new ZooError("CONNECTION_LOSS", `cannot connect: ${reason || cause || `closed with ${code}`}`));
    socket.onmessage = ({ data }) => {
      try {
        if (!(data instanceof ArrayBuffer)) throw new ZooError("MARSHALLING_ERROR", "the server sent text");
        const frames = new FrameCursor(new Uint8Array(data));
        if (!frames.next()) throw new ZooError("MARSHALLING_ERROR", "the handshake was not answered");
        resolve(readConnectResponse(frames.reader));
      } catch (error) {
        reject(error);
      }
    };
  });
}
