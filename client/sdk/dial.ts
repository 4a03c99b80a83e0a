/** One attempt to connect: opens a WebSocket to the next address and performs the handshake. */
import {
  type ConnectResponse,
  PASSWORD_BYTES,
  readConnectResponse,
  writeConnectRequest,
} from "../../core/wire/jute/connect.ts";
import { FrameCursor } from "../../core/wire/jute/frame.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import { NO_SESSION } from "../../core/znode/types.ts";
import { ATTEMPT_MS, SESSION_TIMEOUT_MS } from "./config.ts";
import { ZooError } from "./errors.ts";
import { openPlatformSocket, type SocketLike } from "./socket.ts";
import type { ConnectOptions, SessionTicket } from "./types.ts";

/** A socket after its handshake. */
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

/** Attempts to connect, each at the next of the URLs. */
export function dialer(urls: readonly string[], options: ConnectOptions): Dial {
  let next = 0;
  return async (ticket, lastZxidSeen, signal) => {
    signal?.throwIfAborted();
    const url = urls[next % urls.length] ?? "";
    next += 1;
    const socket = (options.openSocket ?? openPlatformSocket)(socketUrlOf(url));
    socket.binaryType = "arraybuffer";
    const limit = new AbortController();
    const giveUp = (): void => limit.abort();
    const timer = setTimeout(giveUp, ATTEMPT_MS);
    signal?.addEventListener("abort", giveUp);
    try {
      const timeoutMs = options.timeoutMs ?? SESSION_TIMEOUT_MS;
      const response = await shakeHands(socket, ticket, lastZxidSeen, timeoutMs, limit.signal);
      if (response.timeoutMs <= 0)
        throw new ZooError("SESSION_EXPIRED", "the server does not know this session");
      return { socket, response: { ...response, password: response.password.slice() } };
    } catch (error) {
      socket.close();
      signal?.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    }
  };
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
  ticket: SessionTicket | undefined,
  lastZxidSeen: Zxid,
  timeoutMs: number,
  limit: AbortSignal,
): Promise<ConnectResponse> {
  return new Promise((resolve, reject) => {
    let cause = "";
    // not when the socket is closed, because closing waits for an answer too
    limit.addEventListener("abort", () =>
      reject(new ZooError("CONNECTION_LOSS", `cannot connect: no answer within ${ATTEMPT_MS} ms`)),
    );
    socket.onopen = () => {
      const writer = new ByteWriter(64);
      writeConnectRequest(writer, {
        lastZxidSeen,
        timeoutMs,
        session: ticket?.id ?? NO_SESSION,
        password: ticket?.password ?? new Uint8Array(PASSWORD_BYTES),
        readOnly: false,
        wantsLastXid: true,
        echoesMarks: true,
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
