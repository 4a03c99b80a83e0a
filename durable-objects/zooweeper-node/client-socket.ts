/**
 * A client's WebSocket on `/ws`: ZooKeeper's packets, any number in a message, none split over two. The first is the
 * handshake. What one turn answers leaves as one message.
 *
 * Requests are served in their order, and only while the client reads: those that must wait, for the client to read or for
 * the share of other connections, wait as the bytes that came. Pings alone are seen at once.
 */
import { assertNever } from "../../core/assert.ts";
import { Fifo } from "../../core/fifo.ts";
import { AnswerWindow } from "../../core/server/answer-window.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import { ANSWER_BYTES_MAX } from "../../core/server/config.ts";
import type { DisconnectCode } from "../../core/server/effects.ts";
import { fingerprintIn } from "../../core/server/fingerprint.ts";
import type { ConnectionId, Token } from "../../core/server/ids.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import { REQUEST_COST, SHARE_COST } from "../../core/server/turns.ts";
import { KiB, MiB } from "../../core/units.ts";
import {
  type ConnectRequest,
  expiredResponse,
  PASSWORD_BYTES,
  readConnectRequest,
  writeConnectResponse,
} from "../../core/wire/jute/connect.ts";
import type { EncodedNames } from "../../core/wire/jute/encoded-names.ts";
import { FrameCursor } from "../../core/wire/jute/frame.ts";
import { readRequestHeader } from "../../core/wire/jute/header.ts";
import { readMark, writeMark } from "../../core/wire/jute/marks.ts";
import { OpCode, ReservedXid } from "../../core/wire/jute/opcodes.ts";
import { readSyncPath, SYNC_PATH } from "../../core/wire/jute/ops/sync.ts";
import { writeBareReply, writeReply } from "../../core/wire/jute/replies.ts";
import { isWriteOpCode, readRequest } from "../../core/wire/jute/requests.ts";
import { writeNotification } from "../../core/wire/jute/watcher-event.ts";
import { type ByteReader, WireError } from "../../core/wire/reader.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { compareZxid, type Zxid } from "../../core/zab/zxid.ts";
import {
  isAnonymous,
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WatchEvent,
} from "../../core/znode/types.ts";
import { trySend } from "../shared/sockets.ts";

/** What a socket needs of the node that holds it. */
export interface ClientSocketHost {
  readonly server: EnsembleServer;
  readonly now: () => number;
  /** lists of children, for all sockets of the node */
  readonly names: EncodedNames;
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
/** The client does not read its answers; it may come back, with its session. */
const CLOSE_UNREAD = 4127;

/** Requests that wait unserved; more than any client has that waits for answers. Bytes. */
const INBOX_BYTES_MAX = 16 * MiB;
/** A longer message gets a buffer of its own, which the socket keeps; bytes. */
const OUT_BYTES_MAX = 64 * KiB;

/** Room behind a long answer: for a mark, and short answers. */
const SLACK_BYTES = 4 * KiB;

/** Watch events that wait for a client to read. */
const WAITING_EVENTS_MAX = 65_536;

/** The highest number of a write; it travels as an i32. */
const XID_MAX = 0x7fff_ffff;

/** What waits to be written. */
type Waiting =
  | { readonly xid: number; readonly answer: ServerAnswer }
  | { readonly event: WatchEvent; readonly zxid: Zxid };

/** A read under way. */
interface Read {
  readonly opcode: number;
  /** of its answer, about */
  readonly bytes: number;
}

/** A read whose answer fits into a message: the platform ends a socket that gets more than 32 MiB in one. */
const bounded = (request: ReadRequest): ReadRequest =>
  request.type === "getChildren" ? { ...request, bytesMax: ANSWER_BYTES_MAX } : request;

/** The socket of one client. Invariant: requests are served in the order in which they arrived; pings excepted. */
export class ClientSocket {
  readonly token: Token;
  readonly #host: ClientSocketHost;
  readonly #socket: WebSocket;
  #session: SessionId = NO_SESSION;
  readonly #connection: ConnectionId;
  /** the handshake whose session is not committed yet, and that session: new, or one to go on with */
  #greeting: { readonly session: SessionId; readonly request: ConnectRequest } | null = null;
  /** *map xid → the read under way* */
  readonly #reads = new Map<number, Read>();
  /** *map xid → path of the sync under way*, which its answer echoes: its txn does not carry it */
  readonly #syncs = new Map<number, string>();
  /** bytes of the answers under way, about */
  #reserved = 0;
  #out = new ByteWriter(1024);
  /** of what is in `#out`, bytes of small answers */
  #small = 0;
  readonly #window = new AnswerWindow(Date.now());
  /** messages, or what is left of them, whose requests wait. Their pings are served already. */
  readonly #inbox = new Fifo<{ readonly message: Uint8Array; readonly frames: FrameCursor }>();
  #inboxBytes = 0;
  /** answers, and events between them, that wait until the client reads; what they show stays as it was */
  readonly #outbox = new Fifo<Waiting>();
  #waitingEvents = 0;
  /**
   * What is added to a client's numbers to make them numbers of the session. Our own clients know the session's last number
   * and go on from it; those of ZooKeeper's protocol count within their connection, and repeat nothing on another one.
   */
  #numbersFrom = 0;
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

  /** Whether there are answers that may be written, or requests that may be served, now. */
  get isReady(): boolean {
    if (this.#closing) return false;
    if (this.#outbox.length > 0) return this.#hasRoom;
    return this.#inbox.length > 0 && !this.#isOver && this.#window.isOpen(this.#reserved + this.#out.length);
  }

  get #isOver(): boolean {
    return this.#closing || this.#refusing !== null;
  }

  /**
   * Takes a message; the node flushes the server at the end of the turn.
   * @param atOnce serve what the share allows; else all of it waits
   * @returns what that cost
   */
  receive(message: Uint8Array, atOnce: boolean): number {
    this.#window.heard(Date.now());
    return this.#guard(() => {
      const frames = new FrameCursor(message);
      if (this.#inbox.length > 0 || !atOnce) {
        this.#queue(message, frames);
        return 0;
      }
      const cost = this.#serve(message, frames, SHARE_COST);
      if (!frames.ended && !this.#isOver) this.#queue(message, frames);
      return cost;
    });
  }

  /** Serves what waits, for one share. @returns what that cost */
  serve(): number {
    return this.#guard(() => {
      let cost = this.#writeWaiting();
      for (let head = this.#inbox.first; head !== undefined && cost < SHARE_COST; head = this.#inbox.first) {
        const { message, frames } = head;
        const before = frames.left;
        cost += this.#serve(message, frames, SHARE_COST - cost, true);
        this.#inboxBytes -= before - frames.left;
        if (!frames.ended) break;
        this.#inbox.shift();
      }
      return cost;
    });
  }

  #guard(serve: () => number): number {
    try {
      return serve();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#close(CLOSE_PROTOCOL_ERROR, error.message);
      return 0;
    }
  }

  /** Serves requests until the share is spent, or the client has too much to read. @returns what they cost */
  #serve(message: Uint8Array, frames: FrameCursor, share: number, waited = false): number {
    const now = this.#host.now();
    let cost = 0;
    while (cost < share && !this.#isOver && this.#window.isOpen(this.#reserved + this.#out.length)) {
      const reserved = this.#reserved;
      if (!frames.next()) break;
      const { reader } = frames;
      cost += REQUEST_COST + reader.left;
      if (this.#session === NO_SESSION) this.#handshake(now, reader);
      else this.#request(now, message, reader, waited);
      cost += this.#reserved - reserved;
    }
    return cost;
  }

  /** Lets the rest of a message wait. Its pings do not: they say that the client lives, and what it has read. */
  #queue(message: Uint8Array, frames: FrameCursor): void {
    const now = this.#host.now();
    const rest = frames.copy();
    let requests = 0;
    while (rest.next()) {
      const { xid, opcode } = readRequestHeader(rest.reader);
      if (opcode === OpCode.PING && xid === ReservedXid.PING) this.#ping(now, rest.reader);
      else requests += 1;
    }
    if (requests === 0) return;
    if (this.#session !== NO_SESSION) this.#host.server.touch(now, this.#session);
    this.#inbox.push({ message, frames });
    this.#inboxBytes += frames.left;
    if (this.#inboxBytes > INBOX_BYTES_MAX) {
      this.#close(CLOSE_UNREAD, `more than ${INBOX_BYTES_MAX / MiB} MiB of requests wait`);
    }
  }

  #ping(now: number, reader: ByteReader): void {
    if (this.#session === NO_SESSION) throw new WireError("a request came before the session was open");
    const { server } = this.#host;
    server.touch(now, this.#session);
    const mark = readMark(reader);
    if (mark !== undefined) this.#window.echoed(Date.now(), mark);
    else this.#pong();
  }

  /** Without a leader this node cannot report the session's signs of life: the client should find another node in time. */
  #pong(): void {
    const { server } = this.#host;
    if (!server.ready && !server.waking) return;
    const before = this.#out.length;
    writeBareReply(this.#out, ReservedXid.PING, server.tree.lastApplied, "OK");
    this.#written(before);
  }

  /** @param before length of what was to be sent before the answer was written */
  #written(before: number): void {
    const bytes = this.#out.length - before;
    if (this.#window.isSmall(bytes)) this.#small += bytes;
  }

  #handshake(now: number, reader: ByteReader): void {
    if (this.#greeting !== null) throw new WireError("a request came before the session was open");
    const { server, newSessionId } = this.#host;
    const request = readConnectRequest(reader);
    if (request.echoesMarks === true) this.#window.announced();
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
    if (request.wantsLastXid !== true) this.#numbersFrom = known.lastXid;
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

  /** @param waited its message waited, so that its pings were seen already */
  #request(now: number, message: Uint8Array, reader: ByteReader, waited: boolean): void {
    const { server } = this.#host;
    const { xid: asked, opcode } = readRequestHeader(reader);
    if (opcode === OpCode.PING && asked === ReservedXid.PING) {
      if (!waited) this.#ping(now, reader);
      return;
    }
    // Reserved numbers are negative, and 0 is none.
    const xid = asked > 0 ? asked + this.#numbersFrom : asked;
    if (xid > XID_MAX) {
      server.submitRefused(now, this.token, this.#session, xid, "XID_TOO_OLD");
      return;
    }
    if (isWriteOpCode(opcode)) {
      const body = message.subarray(reader.at, reader.end);
      const write = { session: this.#session, xid, opcode, body };
      const fingerprint = fingerprintIn(opcode, reader.view, reader.at, reader.end);
      if (opcode === OpCode.SYNC) this.#syncs.set(xid, readSyncPath(reader) ?? SYNC_PATH);
      server.submitWrite(now, this.token, write, this.#connection, fingerprint);
      return;
    }
    const request = readRequest(reader, opcode);
    switch (request.kind) {
      case "read":
        this.#reserve(xid, opcode, request.request);
        server.submitRead(now, this.token, {
          session: this.#session,
          xid,
          request: bounded(request.request),
          linearizable: false,
          stale: false,
          waits: true,
        });
        return;
      case "ping":
        // under another number than that of pings
        server.touch(now, this.#session);
        this.#pong();
        return;
      case "setWatches":
        server.submitWatches(now, this.token, this.#session, xid, request.watches);
        return;
      case "refused":
        server.submitRefused(now, this.token, this.#session, xid, request.code);
        return;
      case "write":
      case "unknown":
        // writes were passed on undecoded
        this.#refusing = { xid, reason: `there is no operation ${opcode}` };
        server.submitRefused(now, this.token, this.#session, xid, "UNIMPLEMENTED");
        return;
      default:
        assertNever(request);
    }
  }

  /** Counts the bytes of an answer before it is made. */
  #reserve(xid: number, opcode: number, request: ReadRequest): void {
    const { server } = this.#host;
    // a list that is larger is an error
    const bytes = Math.min(server.tree.answerBytes(request), ANSWER_BYTES_MAX);
    this.#reserved += bytes - (this.#reads.get(xid)?.bytes ?? 0);
    this.#reads.set(xid, { opcode, bytes });
  }

  /** The server answered one of this socket's requests. */
  respond(xid: number, answer: ServerAnswer): void {
    if (this.#mayWrite) this.#respond(xid, answer);
    else this.#outbox.push({ xid, answer });
  }

  /** Nothing waits to be written, and what is written leaves soon and is read. */
  get #mayWrite(): boolean {
    return this.#outbox.length === 0 && this.#hasRoom;
  }

  get #hasRoom(): boolean {
    return this.#out.length < SHARE_COST && this.#window.isOpen(this.#out.length);
  }

  #respond(xid: number, answer: ServerAnswer): void {
    const before = this.#out.length;
    this.#write(xid, answer);
    this.#written(before);
  }

  /** Writes answers that had to wait, for one share. @returns what that cost */
  #writeWaiting(): number {
    const before = this.#out.length;
    for (let head = this.#outbox.first; head !== undefined; head = this.#outbox.first) {
      if (this.#closing || !this.#hasRoom) break;
      this.#outbox.shift();
      if ("answer" in head) this.#respond(head.xid, head.answer);
      else {
        this.#waitingEvents -= 1;
        this.#notify(head.event, head.zxid);
      }
    }
    return this.#out.length - before;
  }

  #write(xid: number, answer: ServerAnswer): void {
    if (this.#greeting !== null) {
      this.#greeted(answer);
      return;
    }
    const asked = xid > 0 ? xid - this.#numbersFrom : xid;
    const read = this.#reads.size > 0 ? this.#reads.get(xid) : undefined;
    if (read !== undefined) {
      this.#reads.delete(xid);
      this.#reserved -= read.bytes;
      const isRefused = !answer.ok || answer.result.type === "error";
      if (read.bytes > OUT_BYTES_MAX && !isRefused) this.#out.ensure(read.bytes + SLACK_BYTES);
    }
    const path = this.#syncs.size > 0 ? this.#takeSyncPath(xid) : SYNC_PATH;
    if (!answer.ok) {
      writeBareReply(this.#out, asked, answer.zxid, answer.code);
      if (xid === this.#refusing?.xid) this.#close(CLOSE_PROTOCOL_ERROR, this.#refusing.reason);
    } else {
      const body = answer.result.type === "sync" ? { type: "sync" as const, path } : answer.result;
      writeReply(this.#out, asked, answer.zxid, read?.opcode ?? 0, body, this.#host.names);
      if (answer.result.type === "closeSession") this.#close(CLOSE_NORMAL, "the session is closed");
    }
  }

  /** A repeat of a sync on another connection names its path again. */
  #takeSyncPath(xid: number): string {
    const path = this.#syncs.get(xid);
    if (path === undefined) return SYNC_PATH;
    this.#syncs.delete(xid);
    return path;
  }

  /** The session goes on elsewhere, or is over. */
  end(code: DisconnectCode): void {
    if (!this.#closing) this.#close(CLOSE_OF[code], code);
  }

  notify(event: WatchEvent, zxid: Zxid): void {
    if (this.#outbox.length === 0) {
      this.#notify(event, zxid);
      return;
    }
    this.#outbox.push({ event, zxid });
    this.#waitingEvents += 1;
    if (this.#waitingEvents > WAITING_EVENTS_MAX && !this.#closing) this.#closeUnread();
  }

  #notify(event: WatchEvent, zxid: Zxid): void {
    const before = this.#out.length;
    writeNotification(this.#out, zxid, event);
    this.#written(before);
  }

  /** Ends a connection whose client has too much unread and does not read. */
  closeStalled(): boolean {
    const stalled = this.#window.isStalled(Date.now());
    if (stalled) this.#closeUnread();
    return stalled;
  }

  #closeUnread(): void {
    const { unread, echoes } = this.#window;
    const how = echoes ? "the client does not read" : "the client sends no marks back";
    this.#close(CLOSE_UNREAD, `${Math.round(unread / KiB)} KiB of answers are unread: ${how}`);
  }

  /** Ends a turn: everything that was written leaves as one message. */
  flush(): void {
    if (this.#out.length > 0) this.#send();
    if (this.#window.overrun && !this.#closing) this.#closeUnread();
    if (this.#closing) this.#host.close(this.#closeCode, this.#closeReason);
  }

  #send(): void {
    if (this.#window.isMarkDue(this.#out.length)) {
      const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
      writeMark(this.#out, this.#host.server.tree.lastApplied, { high, low });
      this.#window.marked({ high, low }, this.#out.length);
    }
    const { length } = this.#out;
    this.#window.sent(Date.now(), length, this.#small);
    this.#small = 0;
    if (length <= OUT_BYTES_MAX) {
      trySend(this.#socket, this.#out.finish());
      this.#out.reset();
    } else {
      trySend(this.#socket, this.#out.view());
      this.#out = new ByteWriter(1024);
    }
  }

  #closeCode = CLOSE_NORMAL;
  #closeReason = "";

  #close(code: number, reason: string): void {
    this.#closing = true;
    this.#closeCode = code;
    this.#closeReason = reason.slice(0, 120);
  }
}
