/**
 * A client's WebSocket on `/ws`: ZooKeeper's packets, any number in a message, none split over two. The first is the
 * handshake. What one turn answers leaves as one message.
 */
import type { ServerAnswer } from "../../core/server/effects.ts";
import type { Token } from "../../core/server/pending.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import {
  expiredResponse,
  PASSWORD_BYTES,
  readConnectRequest,
  writeConnectResponse,
} from "../../core/wire/jute/connect.ts";
import { FrameCursor } from "../../core/wire/jute/frame.ts";
import { readRequestHeader } from "../../core/wire/jute/header.ts";
import { OpCode, ReservedXid } from "../../core/wire/jute/opcodes.ts";
import { writeBareReply, writeReply } from "../../core/wire/jute/replies.ts";
import { encodeWrite, isWriteOpCode, readRequest } from "../../core/wire/jute/requests.ts";
import { writeNotification } from "../../core/wire/jute/watcher-event.ts";
import { type ByteReader, WireError } from "../../core/wire/reader.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { compareZxid, type Zxid } from "../../core/zab/zxid.ts";
import { NO_SESSION, type SessionId, type WatchEvent } from "../../core/znode/types.ts";
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

export class ClientSocket {
  readonly token: Token;
  readonly #host: ClientSocketHost;
  readonly #socket: WebSocket;
  #session: SessionId = NO_SESSION;
  /** the session that the handshake asked for and that is not committed yet */
  #opening: { readonly session: SessionId; readonly readOnly: boolean | undefined } | null = null;
  /** the session that the handshake wants to continue and that this node does not know */
  #resuming: { readonly session: SessionId; readonly readOnly: boolean | undefined } | null = null;
  /** *map xid → opcode* of the reads under way: the reply of one depends on it */
  readonly #reads = new Map<number, number>();
  readonly #out = new ByteWriter(1024);
  #closing = false;

  constructor(token: Token, socket: WebSocket, host: ClientSocketHost) {
    this.token = token;
    this.#socket = socket;
    this.#host = host;
  }

  /** Takes a message; the node flushes the server at the end of the turn. */
  receive(message: Uint8Array): void {
    try {
      const frames = new FrameCursor(message);
      while (!this.#closing && frames.next()) {
        if (this.#session === NO_SESSION) this.#handshake(frames.reader);
        else this.#request(message, frames.reader);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#close(CLOSE_PROTOCOL_ERROR, error.message);
    }
  }

  #handshake(reader: ByteReader): void {
    if (this.#opening !== null || this.#resuming !== null)
      throw new WireError("a request came before the session was open");
    const { server, now, newSessionId } = this.#host;
    const request = readConnectRequest(reader);
    if (compareZxid(request.lastZxidSeen, server.tree.lastApplied) > 0) {
      this.#close(CLOSE_NORMAL, "this node is behind what the client has seen");
      return;
    }
    if (request.session !== NO_SESSION) {
      this.#resume(request.session, request.readOnly);
      return;
    }
    const session = newSessionId();
    this.#opening = { session, readOnly: request.readOnly };
    const open = encodeWrite({ type: "createSession", timeoutMs: request.timeoutMs });
    server.submitWrite(now(), this.token, { session, xid: 0, ...open });
  }

  #resume(session: SessionId, readOnly: boolean | undefined): void {
    const { server, now } = this.#host;
    if (!server.ready) {
      this.#close(CLOSE_TRY_AGAIN, "this node is not part of a quorum now");
      return;
    }
    if (server.tree.sessions.has(session)) {
      this.#resumed(session, readOnly);
      return;
    }
    // Maybe it is only not here yet: the quorum knows.
    this.#resuming = { session, readOnly };
    const request = { type: "exists", path: "/", watch: false } as const;
    server.submitRead(now(), this.token, {
      session: NO_SESSION,
      xid: 0,
      request,
      linearizable: true,
      stale: false,
    });
  }

  #resumed(session: SessionId, readOnly: boolean | undefined): void {
    const { server, now } = this.#host;
    const known = server.tree.sessions.get(session);
    if (known === undefined) {
      writeConnectResponse(this.#out, expiredResponse(readOnly));
      this.#close(CLOSE_NORMAL, "the session has expired");
      return;
    }
    this.#session = session;
    server.touch(now(), session);
    this.#writeConnected(known.timeoutMs, readOnly);
  }

  #writeConnected(timeoutMs: number, readOnly: boolean | undefined): void {
    const password = new Uint8Array(PASSWORD_BYTES);
    writeConnectResponse(this.#out, { timeoutMs, session: this.#session, password, readOnly });
  }

  #request(message: Uint8Array, reader: ByteReader): void {
    const { server, now } = this.#host;
    const { xid, opcode } = readRequestHeader(reader);
    if (isWriteOpCode(opcode) || opcode === OpCode.SYNC) {
      const body = message.subarray(reader.at, reader.end);
      server.submitWrite(now(), this.token, { session: this.#session, xid, opcode, body });
      return;
    }
    const request = readRequest(reader, opcode);
    switch (request.kind) {
      case "read":
        this.#reads.set(xid, opcode);
        server.submitRead(now(), this.token, {
          session: this.#session,
          xid,
          request: request.request,
          linearizable: false,
          stale: false,
        });
        return;
      case "ping":
        server.touch(now(), this.#session);
        writeBareReply(this.#out, ReservedXid.PING, server.tree.lastApplied, "OK");
        return;
      case "setWatches":
        for (const event of server.watches.resume(server.tree, request.watches, this.token)) {
          writeNotification(this.#out, server.tree.lastApplied, event);
        }
        writeBareReply(this.#out, xid, server.tree.lastApplied, "OK");
        return;
      case "refused":
        writeBareReply(this.#out, xid, server.tree.lastApplied, request.code);
        return;
      default:
        writeBareReply(this.#out, xid, server.tree.lastApplied, "UNIMPLEMENTED");
        this.#close(CLOSE_PROTOCOL_ERROR, `there is no operation ${opcode}`);
    }
  }

  /** The server answered one of this socket's requests. */
  respond(xid: number, answer: ServerAnswer): void {
    if (this.#opening !== null && xid === 0) {
      this.#opened(answer);
      return;
    }
    // Nothing else is under way before the session is open.
    if (this.#resuming !== null) {
      const { session, readOnly } = this.#resuming;
      this.#resuming = null;
      if (answer.ok) this.#resumed(session, readOnly);
      else this.#close(CLOSE_TRY_AGAIN, "no quorum of the ensemble is reachable");
      return;
    }
    const opcode = this.#reads.get(xid) ?? 0;
    if (opcode !== 0) this.#reads.delete(xid);
    if (!answer.ok) writeBareReply(this.#out, xid, answer.zxid, answer.code);
    else {
      writeReply(this.#out, xid, answer.zxid, opcode, answer.result);
      if (answer.result.type === "closeSession") this.#close(CLOSE_NORMAL, "the session is closed");
    }
  }

  #opened(answer: ServerAnswer): void {
    const opening = this.#opening;
    this.#opening = null;
    if (opening === null) return;
    if (!answer.ok || answer.result.type !== "createSession") {
      this.#close(CLOSE_TRY_AGAIN, "no quorum of the ensemble is reachable");
      return;
    }
    this.#session = opening.session;
    this.#writeConnected(answer.result.timeoutMs, opening.readOnly);
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
