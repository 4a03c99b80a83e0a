/**
 * A client's connection: ZooKeeper's packets in, replies and watch events out. The first packet is the handshake. All
 * answers of one turn are sent as one message.
 *
 * Requests are served in order, and only while the client reads. Requests that must wait, for the client to read or for the
 * shares of other connections, are kept as undecoded bytes. Only pings are handled at once.
 */
import { assertNever } from "../assert.ts";
import { Fifo } from "../fifo.ts";
import { KiB, MiB } from "../units.ts";
import { readConnectRequest, writeConnectResponse } from "../wire/jute/connect.ts";
import { FrameCursor } from "../wire/jute/frame.ts";
import { readRequestHeader } from "../wire/jute/header.ts";
import { type Mark, readMark } from "../wire/jute/marks.ts";
import { OpCode, ReservedXid } from "../wire/jute/opcodes.ts";
import type { NamesWriter } from "../wire/jute/ops/op.ts";
import { readSyncPath, SYNC_PATH } from "../wire/jute/ops/sync.ts";
import { writeBareReply, writeReply } from "../wire/jute/replies.ts";
import { isWriteOpCode, readRequest } from "../wire/jute/requests.ts";
import { writeNotification } from "../wire/jute/watcher-event.ts";
import { type ByteReader, WireError } from "../wire/reader.ts";
import type { Zxid } from "../zab/zxid.ts";
import { boundedRead } from "../znode/ops/bounded-read.ts";
import { NO_SESSION, type ReadRequest, type SessionId, type WatchEvent } from "../znode/types.ts";
import { AnswerBuffer } from "./answer-buffer.ts";
import type { ServerAnswer } from "./answers.ts";
import { ANSWER_BYTES_MAX, INBOX_BYTES_MAX, REQUEST_COST, SHARE_COST, WAITING_EVENTS_MAX } from "./config.ts";
import type { DisconnectCode } from "./effects.ts";
import { fingerprintIn } from "./fingerprint.ts";
import { Framer } from "./framer.ts";
import { Handshake, type HandshakeOutcome } from "./handshake.ts";
import type { ConnectionId, Token } from "./ids.ts";
import { OpenRequests } from "./open-requests.ts";
import { PacketInbox } from "./packet-inbox.ts";
import type { EnsembleServer } from "./server.ts";

/** The interface of the member that holds a connection. */
export interface ConnectionHost {
  readonly server: EnsembleServer;
  /** writes lists of children; shared by all connections of the member */
  readonly names: NamesWriter;
  /** ms of the member's clock, which may be set */
  now(): number;
  /** ms of a monotonic clock, by which a client's reading speed is measured */
  elapsed(): number;
  newSessionId(): SessionId;
  /** 64 bits that the client cannot guess */
  newMark(): Mark;
  /** Sends whole packets. The bytes are the host's. */
  send(packets: Uint8Array<ArrayBuffer>): void;
  /** Closes the connection and forgets it; later answers to it are dropped. */
  close(end: ConnectionEnd, reason: string): void;
}

/** Why a connection ends. */
export type ConnectionEnd =
  /** the session is closed, has expired, or has seen a state that no quorum has */
  | "NORMAL"
  /** the client violated the protocol */
  | "PROTOCOL_ERROR"
  /** this member is not part of a quorum: another one may be */
  | "TRY_AGAIN"
  /** the client does not read its answers; it may reconnect with its session */
  | "UNREAD"
  | DisconnectCode;

/** The highest number of a write, which is an i32 on the wire. */
const XID_MAX = 0x7fff_ffff;

/** An answer or event that waits to be written. */
type Waiting =
  | { readonly xid: number; readonly answer: ServerAnswer }
  | { readonly event: WatchEvent; readonly zxid: Zxid };

/**
 * One connection of one client, over a WebSocket or a stream of bytes.
 *
 * Invariants: requests reach the server in the order of arrival, and answers and events are sent in the order in which the
 * server gives them; while the client has too much unread, only pings are served; nothing after a packet that ends the
 * connection is served. No input of a client makes it throw.
 * @source ZooKeeper `ServerCnxn`, `ZooKeeperServer.processConnectRequest` and `processPacket`
 */
export class Connection {
  readonly token: Token;
  readonly #host: ConnectionHost;
  /** null if every message holds whole packets */
  readonly #framer: Framer | null;
  #session: SessionId = NO_SESSION;
  readonly #connection: ConnectionId;
  readonly #handshake: Handshake;
  readonly #open = new OpenRequests();
  readonly #answers: AnswerBuffer;
  /** waiting requests; the pings among them are already served */
  readonly #inbox = new PacketInbox();
  /** answers, and events between them, that wait until the client reads; their content is fixed */
  readonly #outbox = new Fifo<Waiting>();
  #waitingEvents = 0;
  /** see {@link HandshakeOutcome} */
  #numbersFrom = 0;
  /** the request that ends the connection once it is answered: nothing after it is served */
  #refusing: { readonly xid: number; readonly reason: string } | null = null;
  /** why the connection is closed at the end of the turn; null if it is not */
  #end: { readonly end: ConnectionEnd; readonly reason: string } | null = null;

  /** @param isStream bytes come in any split, as from TCP; else each message holds whole packets, as of a WebSocket */
  constructor(token: Token, host: ConnectionHost, isStream = false) {
    this.token = token;
    this.#host = host;
    this.#framer = isStream ? new Framer() : null;
    this.#answers = new AnswerBuffer(host.elapsed());
    this.#handshake = new Handshake(host.server, token);
    this.#connection = host.server.connectionOf(token);
  }

  /** Whether there is a session, or a handshake under way. */
  get hasHandshake(): boolean {
    return this.#session !== NO_SESSION || this.#handshake.isWaiting;
  }

  /** Whether there are answers that may be written, or requests that may be served, now. */
  get isReady(): boolean {
    if (this.#end !== null) return false;
    if (this.#outbox.length > 0) return this.#answers.hasRoom;
    return !this.#inbox.isEmpty && !this.#isOver && this.#answers.isOpen(this.#open.reserved);
  }

  get #isOver(): boolean {
    return this.#end !== null || this.#refusing !== null;
  }

  /**
   * Takes a message, which must not change any more; the host flushes the server at the end of the turn.
   * @param atOnce whether to serve what the share allows; otherwise the whole message waits
   * @returns what that cost
   */
  receive(message: Uint8Array, atOnce: boolean): number {
    this.#answers.window.heard(this.#host.elapsed());
    const packets = this.#framer === null ? message : this.#framer.push(message);
    return this.#guard(() => {
      const frames = new FrameCursor(packets);
      if (!this.#inbox.isEmpty || !atOnce) {
        this.#queue(packets, frames);
        return 0;
      }
      const cost = this.#serve(packets, frames, SHARE_COST);
      if (!frames.ended && !this.#isOver) this.#queue(packets, frames);
      return cost;
    });
  }

  /** Serves waiting requests, for one share. @returns the cost */
  serve(): number {
    return this.#guard(() => {
      let cost = this.#writeWaiting();
      for (let head = this.#inbox.first; head !== undefined && cost < SHARE_COST; head = this.#inbox.first) {
        const { message, frames } = head;
        const before = frames.left;
        cost += this.#serve(message, frames, SHARE_COST - cost, true);
        this.#inbox.served(before - frames.left);
        if (!frames.ended) break;
      }
      return cost;
    });
  }

  #guard(serve: () => number): number {
    try {
      return serve();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#close("PROTOCOL_ERROR", error.message);
      return 0;
    }
  }

  /** Serves requests until the share is spent, or the client has too much unread. @returns the cost */
  #serve(message: Uint8Array, frames: FrameCursor, share: number, waited = false): number {
    const now = this.#host.now();
    let cost = 0;
    while (cost < share && !this.#isOver && this.#answers.isOpen(this.#open.reserved)) {
      const reserved = this.#open.reserved;
      if (!frames.next()) break;
      const { reader } = frames;
      cost += REQUEST_COST + reader.left;
      if (this.#session === NO_SESSION) this.#startHandshake(now, reader);
      else this.#request(now, message, reader, waited);
      cost += this.#open.reserved - reserved;
    }
    return cost;
  }

  /** Queues the rest of a message. Its pings are served now: they keep the session alive and return marks. */
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
    this.#inbox.push(message, frames);
    if (this.#inbox.isOverfull) {
      this.#close("UNREAD", `more than ${INBOX_BYTES_MAX / MiB} MiB of requests wait`);
    }
  }

  #ping(now: number, reader: ByteReader): void {
    if (this.#session === NO_SESSION) throw new WireError("a request came before the session was open");
    const { server } = this.#host;
    server.touch(now, this.#session);
    const mark = readMark(reader);
    if (mark !== undefined) this.#answers.window.echoed(this.#host.elapsed(), mark);
    else this.#pong();
  }

  /**
   * Answers a ping; not without a leader: this member could not report the heartbeat, so the client should find another
   * node in time.
   */
  #pong(): void {
    const { server } = this.#host;
    if (!server.ready && !server.waking) return;
    const before = this.#answers.length;
    writeBareReply(this.#answers.writer, ReservedXid.PING, server.tree.lastApplied, "OK");
    this.#answers.written(before);
  }

  #startHandshake(now: number, reader: ByteReader): void {
    if (this.#handshake.isWaiting) throw new WireError("a request came before the session was open");
    const request = readConnectRequest(reader);
    if (request.echoesMarks === true) this.#answers.window.announced();
    const outcome = this.#handshake.begin(now, request, () => this.#host.newSessionId());
    if (outcome !== undefined) this.#endHandshake(outcome);
  }

  #endHandshake(outcome: HandshakeOutcome): void {
    if (outcome.type === "closed") {
      this.#close(outcome.end, outcome.reason);
      return;
    }
    writeConnectResponse(this.#answers.writer, outcome.response);
    if (outcome.type === "expired") {
      this.#close("NORMAL", "the session has expired");
      return;
    }
    this.#session = outcome.session;
    this.#numbersFrom = outcome.numbersFrom;
  }

  /** Serves one packet. @param waited whether its message was queued, so that its pings are already served */
  #request(now: number, message: Uint8Array, reader: ByteReader, waited: boolean): void {
    const { server } = this.#host;
    const { xid: asked, opcode } = readRequestHeader(reader);
    if (opcode === OpCode.PING && asked === ReservedXid.PING) {
      if (!waited) this.#ping(now, reader);
      return;
    }
    // Negative numbers are reserved, and 0 means no number.
    const xid = asked > 0 ? asked + this.#numbersFrom : asked;
    if (xid > XID_MAX) {
      server.submitRefused(now, this.token, this.#session, xid, "XID_TOO_OLD");
      return;
    }
    if (isWriteOpCode(opcode)) {
      const body = message.subarray(reader.at, reader.end);
      const write = { session: this.#session, xid, opcode, body };
      const fingerprint = fingerprintIn(opcode, reader.view, reader.at, reader.end);
      if (opcode === OpCode.SYNC) this.#open.addSync(xid, readSyncPath(reader) ?? SYNC_PATH);
      server.submitWrite(now, this.token, write, this.#connection, fingerprint);
      return;
    }
    const request = readRequest(reader, opcode);
    switch (request.kind) {
      case "read":
        this.#open.addRead(xid, opcode, this.#answerBytes(request.request));
        server.submitRead(now, this.token, {
          session: this.#session,
          xid,
          // the platform closes a socket on a message of more than 32 MiB
          request: boundedRead(request.request, ANSWER_BYTES_MAX),
          linearizable: false,
          stale: false,
          waits: true,
        });
        return;
      case "ping":
        // a ping under a number that is not reserved for pings
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
        // writes were submitted above, undecoded
        this.#refusing = { xid, reason: `there is no operation ${opcode}` };
        server.submitRefused(now, this.token, this.#session, xid, "UNIMPLEMENTED");
        return;
      default:
        assertNever(request);
    }
  }

  /** Handles the server's answer to a request of this connection. */
  respond(xid: number, answer: ServerAnswer): void {
    if (this.#mayWrite) this.#respond(xid, answer);
    else this.#outbox.push({ xid, answer });
  }

  /** Whether an answer may be written now: none waits, little is unsent, and the client reads. */
  get #mayWrite(): boolean {
    return this.#outbox.length === 0 && this.#answers.hasRoom;
  }

  #respond(xid: number, answer: ServerAnswer): void {
    const before = this.#answers.length;
    this.#write(xid, answer);
    this.#answers.written(before);
  }

  /** Approximate bytes of the answer to a read, before it is made. */
  #answerBytes(request: ReadRequest): number {
    return Math.min(this.#host.server.tree.answerBytes(this.#session, request), ANSWER_BYTES_MAX);
  }

  /** Writes waiting answers, for one share. @returns the cost */
  #writeWaiting(): number {
    const before = this.#answers.length;
    for (let head = this.#outbox.first; head !== undefined; head = this.#outbox.first) {
      if (this.#end !== null || !this.#answers.hasRoom) break;
      this.#outbox.shift();
      if ("answer" in head) this.#respond(head.xid, head.answer);
      else {
        this.#waitingEvents -= 1;
        this.#notify(head.event, head.zxid);
      }
    }
    return this.#answers.length - before;
  }

  #write(xid: number, answer: ServerAnswer): void {
    if (this.#handshake.isWaiting) {
      this.#endHandshake(this.#handshake.end(answer));
      return;
    }
    const asked = xid > 0 ? xid - this.#numbersFrom : xid;
    const { opcode, bytes, path } = this.#open.take(xid);
    const { writer } = this.#answers;
    if (!answer.ok) {
      writeBareReply(writer, asked, answer.zxid, answer.code);
      if (xid === this.#refusing?.xid) this.#close("PROTOCOL_ERROR", this.#refusing.reason);
      return;
    }
    const { zxid, result } = answer;
    if (result.type !== "error") this.#answers.expect(bytes);
    const body = result.type === "sync" ? { type: result.type, path } : result;
    writeReply(writer, asked, zxid, opcode, body, this.#host.names);
    if (result.type === "closeSession") this.#close("NORMAL", "the session is closed");
  }

  /** Ends the connection, because its session has moved or ended. */
  end(code: DisconnectCode): void {
    if (this.#end === null) this.#close(code, code);
  }

  /** Handles a fired watch of this connection. */
  notify(event: WatchEvent, zxid: Zxid): void {
    if (this.#outbox.length === 0) {
      this.#notify(event, zxid);
      return;
    }
    this.#outbox.push({ event, zxid });
    this.#waitingEvents += 1;
    if (this.#waitingEvents > WAITING_EVENTS_MAX && this.#end === null) this.#closeUnread();
  }

  #notify(event: WatchEvent, zxid: Zxid): void {
    const before = this.#answers.length;
    writeNotification(this.#answers.writer, zxid, event);
    this.#answers.written(before);
  }

  /** Ends the connection if its client has too much unread and does not read. @returns whether it did */
  closeStalled(): boolean {
    const stalled = this.#answers.window.isStalled(this.#host.elapsed());
    if (stalled) this.#closeUnread();
    return stalled;
  }

  #closeUnread(): void {
    const { unread, echoes } = this.#answers.window;
    const how = echoes ? "the client does not read" : "the client sends no marks back";
    this.#close("UNREAD", `${Math.round(unread / KiB)} KiB of answers are unread: ${how}`);
  }

  /** Ends a turn: sends everything written as one message. */
  flush(): void {
    const { server } = this.#host;
    const newMark = this.#newMark;
    const packets = this.#answers.take(this.#host.elapsed(), server.tree.lastApplied, newMark);
    if (packets !== undefined) this.#host.send(packets);
    if (this.#answers.window.overrun && this.#end === null) this.#closeUnread();
    if (this.#end !== null) this.#host.close(this.#end.end, this.#end.reason);
  }

  readonly #newMark = (): Mark => this.#host.newMark();

  #close(end: ConnectionEnd, reason: string): void {
    this.#end = { end, reason };
  }
}
