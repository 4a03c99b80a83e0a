/**
 * A client's WebSocket on `/ws`: ZooKeeper's packets, any number in a message, none split over two. The first is the
 * handshake. What one turn answers leaves as one message.
 */
import type { ConnectionId } from "../../core/server/connections.ts";
import type { DisconnectCode, ServerAnswer } from "../../core/server/effects.ts";
import type { Token } from "../../core/server/pending.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import {
  type ConnectRequest,
  expiredResponse,
  PASSWORD_BYTES,
  readConnectRequest,
  writeConnectResponse,
} from "../../core/wire/jute/connect.ts";
import { FrameCursor } from "../../core/wire/jute/frame.ts";
import { readRequestHeader } from "../../core/wire/jute/header.ts";
import { OpCode, ReservedXid } from "../../core/wire/jute/opcodes.ts";
import { writeBareReply, writeReply } from "../../core/wire/jute/replies.ts";
import { isWriteOpCode, readRequest } from "../../core/wire/jute/requests.ts";
import { writeNotification } from "../../core/wire/jute/watcher-event.ts";
import { type ByteReader, WireError } from "../../core/wire/reader.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { compareZxid, type Zxid } from "../../core/zab/zxid.ts";
import { isAnonymous, NO_SESSION, type SessionId, type WatchEvent } from "../../core/znode/types.ts";
import { trySend } from "../shared/sockets.ts";

/** What a socket needs of the node that holds it. */
export interface ClientSocketHost {
  readonly server: EnsembleServer;
  readonly now: () => number;
  readonly newSessionId: () => SessionId;
  /** Closes the socket and forgets it: whatever is still answered to it goes nowhere. */
  readonly close: (code: number, reason: string) => void;
}

/** Why the socket is closed. @source RFC 6455 §7.4.1 */
const CLOSE_PROTOCOL_ERROR = 1002;
const CLOSE_NORMAL = 1000;
const CLOSE_TRY_AGAIN = 1013;
/** Codes of our own: a client must not come back with this session, or had better not. */
const CLOSE_OF: Readonly<Record<DisconnectCode, number>> = { SESSION_EXPIRED: 4112, SESSION_MOVED: 4118 };

export class ClientSocket {
  readonly token: Token;
  readonly #host: ClientSocketHost;
  readonly #socket: WebSocket;
  #session: SessionId = NO_SESSION;
  readonly #connection: ConnectionId;
  /** the handshake whose session is not committed yet, and that session: new, or one to go on with */
  #greeting: { readonly session: SessionId; readonly request: ConnectRequest } | null = null;
  /** *map xid → opcode* of the reads under way: the reply of one depends on it */
  readonly #reads = new Map<number, number>();
  readonly #out = new ByteWriter(1024);
  /** the request that ends the connection once it is answered: nothing behind it is taken */
  #refusing: { readonly xid: number; readonly reason: string } | null = null;
  #closing = false;

  constructor(token: Token, socket: WebSocket, host: ClientSocketHost) {
    this.token = token;
    this.#socket = socket;
    this.#host = host;
    this.#connection = host.server.connectionOf(token);
  }

  /** Whether there is a session, or one under way. */
  get shookHands(): boolean {
    return this.#session !== NO_SESSION || this.#greeting !== null;
  }

  /** Takes a message; the node flushes the server at the end of the turn. */
  receive(message: Uint8Array): void {
    const now = this.#host.now();
    try {
      const frames = new FrameCursor(message);
      while (!this.#closing && !this.#refusing && frames.next()) {
        if (this.#session === NO_SESSION) this.#handshake(now, frames.reader);
        else this.#request(now, message, frames.reader);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#close(CLOSE_PROTOCOL_ERROR, error.message);
    }
  }

  #handshake(now: number, reader: ByteReader): void {
    if (this.#greeting !== null) throw new WireError("a request came before the session was open");
    const { server, newSessionId } = this.#host;
    const request = readConnectRequest(reader);
    if (request.session === NO_SESSION) {
      this.#greeting = { session: newSessionId(), request };
      server.openSession(now, this.token, this.#greeting.session, request.timeoutMs);
      return;
    }
    if (request.session < 0 || isAnonymous(request.session)) {
      this.#refuse(request);
      return;
    }
    if (!server.ready && !server.waking) {
      this.#close(CLOSE_TRY_AGAIN, "this node is not part of a quorum now");
      return;
    }
    this.#greeting = { session: request.session, request };
    server.attach(now, this.token, request.session);
  }

  /** The txn that opens the session, or goes on with it, is committed, and applied here with all that came before. */
  #greeted(answer: ServerAnswer): void {
    const greeting = this.#greeting;
    this.#greeting = null;
    if (greeting === null) return;
    const { server } = this.#host;
    const { session, request } = greeting;
    if (!answer.ok) {
      this.#close(CLOSE_TRY_AGAIN, "no quorum of the ensemble is reachable");
      return;
    }
    if (compareZxid(request.lastZxidSeen, server.tree.lastApplied) > 0) {
      this.#close(CLOSE_NORMAL, "no quorum knows of what the client has seen");
      return;
    }
    const known = server.tree.sessions.get(session);
    if (answer.result.type === "error" || known === undefined) {
      this.#refuse(request);
      return;
    }
    this.#session = session;
    writeConnectResponse(this.#out, {
      timeoutMs: known.timeoutMs,
      session,
      password: new Uint8Array(PASSWORD_BYTES),
      readOnly: request.readOnly,
      lastXid: request.wantsLastXid === true ? known.lastXid : undefined,
    });
  }

  #refuse(request: ConnectRequest): void {
    writeConnectResponse(this.#out, expiredResponse(request.readOnly));
    this.#close(CLOSE_NORMAL, "the session has expired");
  }

  #request(now: number, message: Uint8Array, reader: ByteReader): void {
    const { server } = this.#host;
    const { xid, opcode } = readRequestHeader(reader);
    if (isWriteOpCode(opcode) || opcode === OpCode.SYNC) {
      const body = message.subarray(reader.at, reader.end);
      const write = { session: this.#session, xid, opcode, body };
      server.submitWrite(now, this.token, write, this.#connection);
      return;
    }
    const request = readRequest(reader, opcode);
    switch (request.kind) {
      case "read":
        this.#reads.set(xid, opcode);
        server.submitRead(now, this.token, {
          session: this.#session,
          xid,
          request: request.request,
          linearizable: false,
          stale: false,
          waits: true,
        });
        return;
      case "ping":
        server.touch(now, this.#session);
        writeBareReply(this.#out, ReservedXid.PING, server.tree.lastApplied, "OK");
        return;
      case "setWatches":
        server.submitWatches(now, this.token, this.#session, xid, request.watches);
        return;
      case "refused":
        server.submitRefused(now, this.token, this.#session, xid, request.code);
        return;
      default:
        this.#refusing = { xid, reason: `there is no operation ${opcode}` };
        server.submitRefused(now, this.token, this.#session, xid, "UNIMPLEMENTED");
    }
  }

  /** The server answered one of this socket's requests. */
  respond(xid: number, answer: ServerAnswer): void {
    if (this.#greeting !== null) {
      this.#greeted(answer);
      return;
    }
    const opcode = this.#reads.size > 0 ? (this.#reads.get(xid) ?? 0) : 0;
    if (opcode !== 0) this.#reads.delete(xid);
    if (!answer.ok) {
      writeBareReply(this.#out, xid, answer.zxid, answer.code);
      if (xid === this.#refusing?.xid) this.#close(CLOSE_PROTOCOL_ERROR, this.#refusing.reason);
    } else {
      writeReply(this.#out, xid, answer.zxid, opcode, answer.result);
      if (answer.result.type === "closeSession") this.#close(CLOSE_NORMAL, "the session is closed");
    }
  }

  /** The session goes on elsewhere, or is over. */
  end(code: DisconnectCode): void {
    if (!this.#closing) this.#close(CLOSE_OF[code], code);
  }

  notify(event: WatchEvent, zxid: Zxid): void {
    writeNotification(this.#out, zxid, event);
  }

  /** Ends a turn: everything that was written leaves as one message. */
  flush(): void {
    if (this.#out.length > 0) {
      trySend(this.#socket, this.#out.finish());
      this.#out.reset();
    }
    if (this.#closing) this.#host.close(this.#closeCode, this.#closeReason);
  }

  #closeCode = CLOSE_NORMAL;
  #closeReason = "";

  #close(code: number, reason: string): void {
    this.#closing = true;
    this.#closeCode = code;
    this.#closeReason = reason.slice(0, 120);
  }
}
