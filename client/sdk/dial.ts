/** One attempt to connect: opens a WebSocket to the next address and performs the handshake. */
import { must } from "../../core/assert.ts";
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
import { ATTEMPT_MS, CLOSES_FOR_GOOD } from "./config.ts";
import { detailOf, ZooError } from "./errors.ts";
import { errorOf } from "./refusal.ts";
import type { SocketLike } from "./socket.ts";
import type { Transport } from "./transport.ts";
import type { SessionTicket } from "./types.ts";

/** A socket after its handshake. */
export interface Dialed {
  readonly socket: SocketLike;
  readonly response: ConnectResponse;
}

/**
 * Makes attempts to connect, each at the next of the addresses of an ensemble.
 * Invariant: an attempt leaves an open socket only if it succeeds.
 * @source ZooKeeper `StaticHostProvider`
 */
export class Dialer {
  readonly #urls: readonly string[];
  readonly #timeoutMs: number;
  readonly #transport: Transport;
  #attempts = 0;

  /** @param urls at least one @param timeoutMs that is requested for the session */
  constructor(urls: readonly string[], timeoutMs: number, transport: Transport) {
    this.#urls = urls;
    this.#timeoutMs = timeoutMs;
    this.#transport = transport;
  }

  /** the address of the next attempt, as the caller of `connect` gave it */
  get next(): string {
    return must(this.#urls[this.#attempts % this.#urls.length], "there is an address");
  }

  /**
   * Makes one attempt.
   * @param ticket of the session to continue; undefined: a new one
   * @param msMax its time limit
   * @throws ZooError CONNECTION_LOSS if another attempt may succeed, SESSION_EXPIRED if the session is over; any other error
   * if this address refuses every attempt; the signal's reason
   */
  async dial(
    ticket: SessionTicket | undefined,
    lastZxidSeen: Zxid,
    signal: AbortSignal,
    msMax: number = ATTEMPT_MS,
  ): Promise<Dialed> {
    signal.throwIfAborted();
    const url = socketUrlOf(this.next);
    this.#attempts += 1;
    const limit = new AbortController();
    const giveUp = (): void =>
      limit.abort(new ZooError("CONNECTION_LOSS", `no answer within ${Math.round(msMax)} ms`));
    const timer = setTimeout(giveUp, msMax);
    signal.addEventListener("abort", giveUp);
    try {
      return await this.#attempt(url, ticket, lastZxidSeen, limit.signal);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    }
  }

  async #attempt(
    url: string,
    ticket: SessionTicket | undefined,
    lastZxidSeen: Zxid,
    limit: AbortSignal,
  ): Promise<Dialed> {
    const socket = this.#transport.openSocket(url);
    socket.binaryType = "arraybuffer";
    let isOpen = false;
    const onOpen = (): void => {
      isOpen = true;
      socket.send(handshake(ticket, lastZxidSeen, this.#timeoutMs));
    };
    try {
      const response = await responseOf(socket, onOpen, limit);
      if (response.timeoutMs <= 0)
        throw new ZooError("SESSION_EXPIRED", "the server does not know this session");
      return { socket, response: { ...response, password: response.password.slice() } };
    } catch (error) {
      socket.close();
      if (isOpen || limit.aborted) throw error;
      const refusal = await this.#transport.refusalOf(socket, url, limit);
      throw refusal === undefined ? error : errorOf(refusal);
    }
  }
}

/** The WebSocket URL of a server's address. */
export function socketUrlOf(address: string): string {
  const url = new URL(address);
  url.protocol = url.protocol.replace("http", "ws");
  if (!url.pathname.endsWith("/v1/ws")) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/ws`;
  return url.href;
}

function handshake(
  ticket: SessionTicket | undefined,
  lastZxidSeen: Zxid,
  timeoutMs: number,
): Uint8Array<ArrayBuffer> {
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
  return writer.finish();
}

/** The answer to the handshake, which `onOpen` sends. Rejects with the reason of `limit` when that fires. */
function responseOf(socket: SocketLike, onOpen: () => void, limit: AbortSignal): Promise<ConnectResponse> {
  return new Promise((resolve, reject) => {
    let cause = "";
    // not when the socket is closed, because closing waits for an answer too
    limit.addEventListener("abort", () => reject(limit.reason));
    socket.onopen = onOpen;
    socket.onerror = (event) => {
      cause = (event as { message?: string }).message ?? "";
    };
    socket.onclose = ({ code, reason }) => {
      const how = `closed with ${code}${reason === "" ? "" : ` ${reason}`}`;
      const isFinal = CLOSES_FOR_GOOD.has(code);
      reject(
        isFinal
          ? new ZooError("MARSHALLING_ERROR", `the server refuses the handshake: ${how}`)
          : new ZooError("CONNECTION_LOSS", reason === "" && cause !== "" ? cause : how),
      );
    };
    socket.onmessage = ({ data }) => {
      try {
        if (!(data instanceof ArrayBuffer)) throw new ZooError("MARSHALLING_ERROR", "the server sent text");
        const frames = new FrameCursor(new Uint8Array(data));
        if (!frames.next()) throw new ZooError("MARSHALLING_ERROR", "the handshake was not answered");
        resolve(readConnectResponse(frames.reader));
      } catch (error) {
        reject(ZooError.is(error) ? error : new ZooError("MARSHALLING_ERROR", detailOf(error)));
      }
    };
  });
}
