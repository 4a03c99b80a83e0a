/**
 * A session with an ensemble over WebSockets of `/v1/ws`, one after the other. Requests leave in the order in which they
 * were issued and are answered in that order; what one tick issued travels as one message.
 *
 *   connected ──lost──▶ disconnected ──attached again──▶ connected
 *                            ├── the server says so ──▶ expired
 *                            └── reconnectMs are over, or close() ──▶ closed
 *
 * A lost connection is replaced by a new one, at any node. Then watches are set again, with the last zxid that was seen, and
 * unanswered requests are sent again under their numbers, so that each happens once and gets its first result.
 */
import { ZOO_ERRORS } from "../../core/errors.ts";
import { Fifo } from "../../core/fifo.ts";
import { FRAME_BYTES_MAX, FrameCursor } from "../../core/wire/jute/frame.ts";
import { readMark, writeMarkEcho } from "../../core/wire/jute/marks.ts";
import { OpCode, ReservedXid } from "../../core/wire/jute/opcodes.ts";
import { type Reply, readReply } from "../../core/wire/jute/replies.ts";
import { opcodeOf, writeBareRequest, writeRequest } from "../../core/wire/jute/requests.ts";
import { readWatcherEvent } from "../../core/wire/jute/watcher-event.ts";
import type { ByteReader } from "../../core/wire/reader.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { ZXID_ZERO, type Zxid, zxid, zxidToText } from "../../core/zab/zxid.ts";
import type { Refused } from "../../core/znode/refusal-text.ts";
import {
  type ReadRequest,
  type Stat,
  sessionToText,
  WatchEventType,
  type WriteRequest,
} from "../../core/znode/types.ts";
import {
  bytesOf,
  checkData,
  checkListener,
  checkPath,
  checkVersion,
  modeOf,
  multiRequests,
  watchOf,
} from "./arguments.ts";
import { backoffMs, pause } from "./backoff.ts";
import type { Dial, Dialed } from "./dial.ts";
import { ZooError } from "./errors.ts";
import { atEndOfTick, type SocketLike } from "./socket.ts";
import type {
  Data,
  Mode,
  MultiOp,
  MultiResult,
  ReadOptions,
  SessionState,
  SessionTicket,
  WatchEvent,
  WatchListener,
  ZnodeChildren,
  ZnodeValue,
} from "./types.ts";
import { Watches } from "./watches.ts";

/** A watch that a read asks for. */
interface Watch {
  readonly kind: "data" | "child";
  readonly listener: WatchListener;
}

/** A request that waits for its answer. */
interface Pending {
  readonly xid: number;
  readonly opcode: OpCode;
  readonly path: string;
  readonly isWrite: boolean;
  /** over any connection */
  sent: boolean;
  /** and again over a later one */
  sentAgain: boolean;
  /** the message that holds it, once it is complete, and its place there: kept to be sent again */
  message: Uint8Array | undefined;
  start: number;
  end: number;
  /** left by the answer */
  readonly watch: Watch | undefined;
  /** takes the result from the answer */
  readonly pick: (reply: Reply) => unknown;
  readonly succeed: (result: unknown) => void;
  readonly fail: (error: unknown) => void;
}

const EVENTS: Readonly<Record<WatchEventType, WatchEvent["type"]>> = {
  [WatchEventType.CREATED]: "created",
  [WatchEventType.DELETED]: "deleted",
  [WatchEventType.DATA_CHANGED]: "changed",
  [WatchEventType.CHILDREN_CHANGED]: "children",
};

/** Requests that may wait for their answers; a caller with more does not look at the answers. */
const OUTSTANDING_MAX = 262_144;
/** A message leaves before the tick ends when it is this long. */
const MESSAGE_BYTES_MAX = 256 * 1024;
/** Looks at the clock per session timeout: a silent client pings, a silent server is given up. */
const BEATS_PER_TIMEOUT = 3;
const SILENCE_OF_TIMEOUT = 2 / 3;
/** Looks at the clock, and pings, at least so often: the default tick of a server. */
const BEAT_MS_MAX = 1_000;
/**
 * Silence after which a server is given up that has answered pings on this connection and owes nothing but a ping. A long
 * answer may take longer.
 */
const SILENCE_MS_MAX = 2_000;
const XID_MAX = 2 ** 31 - 1;
const CLOSE_NORMAL = 1000;
/** Close codes of our own: see docs/spec/node.md, NODE-16. */
const CLOSE_EXPIRED = 4112;
const CLOSE_MOVED = 4118;
/** The server could not make sense of what we sent, and would not the next time. @source RFC 6455 §7.4.1 */
const CLOSES_FOR_GOOD: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009]);
/** An attempt to connect that we gave up may take the session over as late as this; ms. */
const LATE_ATTEMPT_MS = 10_000;
/** of the length that leads every packet */
const LENGTH_BYTES = 4;
const MOVED_NUMBER = ZOO_ERRORS.SESSION_MOVED.number;
/** From here on the header's zxid stands for none (−1). */
const NO_ZXID_EPOCH = 2 ** 31;

export class Session {
  /** `0x…`, as the HTTP API names the session in `Zoo-Session` */
  readonly id: string;
  /** as negotiated */
  readonly timeoutMs: number;
  /** continues this session on another connection, while it has not expired */
  readonly ticket: SessionTicket;
  /** resolves when the session can no longer be used: with the reason, or undefined after close() */
  readonly ended: Promise<ZooError | undefined>;

  /** undefined: disconnected */
  #socket: SocketLike | undefined;
  readonly #dial: Dial;
  readonly #reconnectMs: number;
  /** ends the search for a connection */
  readonly #abort = new AbortController();
  #state: SessionState = "connected";
  readonly #stateListeners = new Set<(state: SessionState) => void>();
  #closing = false;
  /** when an attempt to connect was given up last; ms of performance.now() */
  #attemptFailedAt = Number.NEGATIVE_INFINITY;
  readonly #writer = new ByteWriter(4096);
  readonly #pending = new Fifo<Pending>();
  /** encoded but not sent, the newest of #pending */
  #unsent: Pending[] = [];
  readonly #watches = new Watches();
  #xid = 0;
  #flushIsDue = false;
  #end: { readonly reason: ZooError | undefined } | undefined;
  #lastZxid: Zxid = ZXID_ZERO;
  /** ms of performance.now() */
  #sentAt = performance.now();
  #heardAt = performance.now();
  /** whether the server has answered a ping on this connection */
  #ponged = false;
  #beatAt = performance.now();
  readonly #beats: ReturnType<typeof setInterval>;
  #resolveEnded: (reason: ZooError | undefined) => void = () => {};

  /** For connect(): takes over a socket on which the handshake is done, and how to make further ones. */
  constructor({ socket, response }: Dialed, dial: Dial, reconnectMs: number) {
    this.#dial = dial;
    this.#reconnectMs = reconnectMs;
    this.id = sessionToText(response.session);
    this.ticket = { id: response.session, password: response.password };
    this.timeoutMs = response.timeoutMs;
    // a client that continues a session continues its numbers
    this.#xid = response.lastXid ?? 0;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#use(socket);
    this.#beats = setInterval(() => this.#beat(), this.#beatMs);
  }

  /** zxid of the newest answer, `0x…`: this session never sees anything older */
  get lastZxid(): string {
    return zxidToText(this.#lastZxid);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Calls `listener` at every change of {@link state}. @returns a function that removes it */
  onState(listener: (state: SessionState) => void): () => void {
    this.#stateListeners.add(checkListener(listener));
    return () => this.#stateListeners.delete(listener);
  }

  /** requests that wait for their answers */
  get outstanding(): number {
    return this.#pending.length;
  }

  /** Creates a znode; resolves with its path, to which a sequential mode adds a number. */
  create(path: string, data: Data = null, mode: Mode = "persistent"): Promise<string> {
    return this.#issue(
      () => ({
        type: "create",
        path: checkPath(path),
        data: this.#bytesOf(path, data),
        mode: modeOf(mode),
        withStat: false,
      }),
      true,
      undefined,
      (reply) => wanted(reply, "create").path,
    );
  }

  /** Sets the data of a znode, of this version if one is given. */
  set(path: string, data: Data, version = -1): Promise<Stat> {
    return this.#issue(
      () => ({
        type: "setData",
        path: checkPath(path),
        data: this.#bytesOf(path, data),
        version: checkVersion(version),
      }),
      true,
      undefined,
      statOfSet,
    );
  }

  /** Deletes a znode without children, of this version if one is given. */
  delete(path: string, version = -1): Promise<void> {
    return this.#issue(
      () => ({ type: "delete", path: checkPath(path), version: checkVersion(version) }),
      true,
      undefined,
      nothing,
    );
  }

  /** Reads the data of a znode. */
  get(path: string, options?: ReadOptions): Promise<ZnodeValue> {
    return this.#read("getData", path, options, (reply) => {
      const { data, stat } = wanted(reply, "getData");
      // a view would keep the whole message in memory
      return { data: data?.slice() ?? null, stat };
    });
  }

  /** The Stat of a znode, or undefined where there is none; its watch then fires when one is created. */
  exists(path: string, options?: ReadOptions): Promise<Stat | undefined> {
    const stat = this.#read("exists", path, options, (reply) => wanted(reply, "exists").stat);
    return stat.catch((error) => {
      if (ZooError.is(error, "NO_NODE")) return undefined;
      throw error;
    });
  }

  /** The names of the children, in the order of the server. */
  children(path: string, options?: ReadOptions): Promise<ZnodeChildren> {
    return this.#read("getChildren", path, options, (reply) => {
      const { children, stat } = wanted(reply, "getChildren");
      if (stat === null) throw unexpected(reply);
      return { children, stat };
    });
  }

  /** Does all of it or nothing. @throws ZooError with the code of the operation that failed, and its index */
  multi(ops: readonly MultiOp[]): Promise<MultiResult[]> {
    let operations: readonly Refused[] = [];
    const encode = (): WriteRequest => {
      const { requests, bytes } = multiRequests(ops);
      checkLength(bytes);
      operations = requests;
      return { type: "multi", ops: requests };
    };
    return this.#issue(encode, true, undefined, (reply) => {
      const { results } = wanted(reply, "multi");
      // before the operation that failed the others say OK, behind it RUNTIME_INCONSISTENCY
      const failed = results.findIndex((result) => result.type === "error" && result.code !== "OK");
      const failure = results[failed];
      if (failure?.type === "error")
        throw ZooError.ofReply(failure.code, operations[failed] ?? { type: "multi" }, failed);
      return results.map((result): MultiResult => {
        if (result.type === "create") return { op: "create", path: result.path };
        if (result.type === "setData") return { op: "set", stat: result.stat };
        return { op: result.type === "delete" ? "delete" : "check" };
      });
    });
  }

  /** Waits until the node that serves this session has everything that was committed before. */
  sync(): Promise<void> {
    return this.#issue(() => ({ type: "sync" }), false, undefined, nothing);
  }

  /**
   * The data of a znode now and after each change; undefined while there is no znode. Changes that follow each other
   * faster than they are read may show as one, the last of them always shows. Ends with the session or by `break`.
   */
  watch(path: string): AsyncGenerator<ZnodeValue | undefined, void, void> {
    return this.#follow(path, async (watch) => {
      for (;;) {
        try {
          return await this.get(path, { watch });
        } catch (error) {
          if (!ZooError.is(error, "NO_NODE")) throw error;
        }
        if ((await this.exists(path, { watch })) === undefined) return undefined;
      }
    });
  }

  /** The children of a znode now and after each change, as {@link watch} does. */
  watchChildren(path: string): AsyncGenerator<ZnodeChildren, void, void> {
    return this.#follow(path, (watch) => this.children(path, { watch }));
  }

  /**
   * Closes the session on the server, which deletes its ephemerals, and the connection. Without a connection it waits for
   * one, but no longer than the session's timeout: by then the server has ended it.
   */
  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    this.#closing = true;
    const timer = setTimeout(() => this.#finish(undefined), this.timeoutMs);
    try {
      await this.#issue(() => ({ type: "closeSession" }), true, undefined, nothing);
    } catch {
      // the server may close the connection instead of answering; either way the session ends
    } finally {
      clearTimeout(timer);
    }
    this.#finish(undefined);
  }

  /** Drops the connection only: the session lives on until it expires, and {@link ticket} continues it. */
  disconnect(): void {
    this.#finish(new ZooError("CONNECTION_LOSS", "the connection was lost: by disconnect()"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #read<T>(
    type: ReadRequest["type"],
    path: string,
    options: ReadOptions | undefined,
    pick: (reply: Reply) => T,
  ): Promise<T> {
    let watch: Watch | undefined;
    const encode = (): ReadRequest => {
      const listener = watchOf(options);
      const request = { path: checkPath(path), watch: listener !== undefined };
      if (listener !== undefined) watch = { kind: type === "getChildren" ? "child" : "data", listener };
      return type === "getChildren" ? { ...request, type, withStat: true } : { ...request, type };
    };
    return this.#issue(encode, false, () => watch, pick);
  }

  #bytesOf(path: string, data: Data): Uint8Array | null {
    checkLength(path.length + checkData(data));
    return bytesOf(data);
  }

  /**
   * Encodes a request at once and has it sent at the end of the tick. `pick` takes the result from the answer.
   * @param check gives the request, or throws for wrong arguments before anything is written
   */
  #issue<T>(
    check: () => WriteRequest | ReadRequest,
    isWrite: boolean,
    watch: (() => Watch | undefined) | undefined,
    pick: (reply: Reply) => T,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // what it throws rejects the promise of this call alone
      const request = check();
      const path = "path" in request ? request.path : "";
      // from 1 again they would be repeats, and get the results of long ago
      if (this.#xid >= XID_MAX)
        this.#finish(new ZooError("SESSION_EXPIRED", "the numbers of its requests are used up"));
      if (this.#end !== undefined) {
        reject(this.#end.reason ?? new ZooError("CONNECTION_LOSS", "the session is closed"));
        return;
      }
      if (this.#pending.length >= OUTSTANDING_MAX) {
        reject(new ZooError("THROTTLED", `${OUTSTANDING_MAX} requests wait for their answers`));
        return;
      }
      if (this.#writer.length >= MESSAGE_BYTES_MAX) this.#flush();
      const start = this.#writer.length;
      const xid = this.#xid + 1;
      try {
        writeRequest(this.#writer, xid, request);
        checkLength(this.#writer.length - start - LENGTH_BYTES);
      } catch (error) {
        // half a packet would spoil all that follow
        this.#writer.length = start;
        throw error;
      }
      this.#xid = xid;
      const opcode = opcodeOf(request);
      const pending: Pending = {
        xid,
        opcode,
        path,
        isWrite,
        sent: false,
        sentAgain: false,
        message: undefined,
        start,
        end: this.#writer.length,
        watch: watch?.(),
        pick,
        succeed: resolve as (result: unknown) => void,
        fail: reject,
      };
      this.#pending.push(pending);
      this.#unsent.push(pending);
      this.#flushSoon();
    });
  }

  #flushSoon(): void {
    if (this.#flushIsDue) return;
    this.#flushIsDue = true;
    atEndOfTick(() => this.#flush());
  }

  #flush(): void {
    this.#flushIsDue = false;
    if (this.#end !== undefined || this.#writer.length === 0) return;
    const socket = this.#socket;
    // the socket, and what must be sent again, keep the bytes, so the buffer is not used again
    const message = this.#writer.finish();
    this.#writer.reset();
    for (const pending of this.#unsent) {
      pending.message = message;
      if (socket !== undefined) pending.sent = true;
    }
    this.#unsent = [];
    if (socket === undefined) return;
    this.#sentAt = performance.now();
    socket.send(message);
  }

  // ── connections ──────────────────────────────────────────────────────────

  #use(socket: SocketLike): void {
    this.#socket = socket;
    this.#ponged = false;
    this.#heardAt = performance.now();
    this.#sentAt = this.#heardAt;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  #drop(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close(CLOSE_NORMAL);
  }

  #closed(code: number, reason: string): void {
    const how = `closed with ${code}${reason === "" ? "" : ` ${reason}`}`;
    if (code === CLOSE_EXPIRED) {
      this.#finish(this.#closing ? undefined : new ZooError("SESSION_EXPIRED", "the session is over"));
    } else if (code === CLOSE_MOVED) this.#moved();
    else if (CLOSES_FOR_GOOD.has(code)) this.#finish(lossOfConnection(how));
    else this.#lose(how);
  }

  /** Another connection has attached to the session: an attempt of ours that came through late, or somebody else. */
  #moved(): void {
    if (performance.now() - this.#attemptFailedAt < LATE_ATTEMPT_MS) this.#lose("the session moved");
    else this.#finish(new ZooError("SESSION_MOVED", "another client has taken over this session"));
  }

  #lose(how: string): void {
    if (this.#end !== undefined || this.#socket === undefined) return;
    if (this.#reconnectMs <= 0) {
      this.#finish(lossOfConnection(how));
      return;
    }
    this.#drop();
    this.#flush();
    this.#changeState("disconnected");
    void this.#reconnect(how);
  }

  async #reconnect(how: string): Promise<void> {
    const { signal } = this.#abort;
    const giveUpAt = performance.now() + this.#reconnectMs;
    for (let attempt = 0; ; attempt++) {
      await pause(backoffMs(attempt, Math.random()), signal);
      if (signal.aborted) return;
      try {
        this.#goOn((await this.#dial(this.ticket, this.#lastZxid, signal)).socket);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#attemptFailedAt = performance.now();
        if (ZooError.is(error, "SESSION_EXPIRED")) this.#finish(this.#closing ? undefined : error);
        else if (performance.now() >= giveUpAt) this.#finish(lossOfConnection(how));
        if (this.#end !== undefined) return;
      }
    }
  }

  /** Attached again: leaves the watches, then sends again what was not answered, in its order. */
  #goOn(socket: SocketLike): void {
    if (this.#end !== undefined) {
      socket.close(CLOSE_NORMAL);
      return;
    }
    this.#flush();
    this.#use(socket);
    this.#watches.writeRequests(this.#writer, this.#lastZxid);
    for (const pending of this.#pending.items()) {
      if (pending.message === undefined) continue;
      if (this.#writer.length >= MESSAGE_BYTES_MAX) this.#flush();
      const start = this.#writer.length;
      this.#writer.bytes(pending.message.subarray(pending.start, pending.end));
      pending.start = start;
      pending.end = this.#writer.length;
      pending.sentAgain = pending.sent;
      this.#unsent.push(pending);
    }
    this.#flush();
    this.#changeState("connected");
  }

  #changeState(state: SessionState): void {
    this.#state = state;
    for (const listener of [...this.#stateListeners]) call(listener, state);
  }

  // ── answers ──────────────────────────────────────────────────────────────

  /** A message holds one or more whole packets. */
  #receive(data: unknown): void {
    if (this.#end !== undefined) return;
    this.#heardAt = performance.now();
    try {
      if (!(data instanceof ArrayBuffer)) throw new ZooError("MARSHALLING_ERROR", "the server sent text");
      // a reply may be longer than any request
      const frames = new FrameCursor(new Uint8Array(data), Number.POSITIVE_INFINITY);
      while (this.#socket !== undefined && frames.next()) this.#packet(frames.reader);
    } catch (error) {
      this.#finish(lossOfConnection((error as Error).message));
    }
  }

  #packet(reader: ByteReader): void {
    const xid = reader.i32();
    const epoch = reader.u32();
    const counter = reader.u32();
    const err = reader.i32();
    if (xid === ReservedXid.NOTIFICATION) {
      this.#notify(reader);
      return;
    }
    // Until all watches are left again, what they missed since the zxid seen before may still come.
    if (xid === ReservedXid.SET_WATCHES) return;
    this.#saw(epoch, counter);
    if (xid === ReservedXid.PING) {
      this.#ponged = true;
      const mark = readMark(reader);
      if (mark !== undefined) {
        writeMarkEcho(this.#writer, mark);
        this.#flushSoon();
      }
      return;
    }
    if (err === MOVED_NUMBER) {
      // not carried out, and still ours to send
      this.#moved();
      return;
    }
    const pending = this.#pending.shift();
    if (pending === undefined || pending.xid !== xid) {
      pending?.fail(lossOf(pending));
      throw new ZooError(
        "MARSHALLING_ERROR",
        `request ${xid} is answered before ${pending?.xid ?? "it was sent"}`,
      );
    }
    const reply = readReply(reader, pending.opcode, err);
    const { watch } = pending;
    // exists leaves its watch also where there is no znode
    const isArmed = reply.type !== "error" || (reply.code === "NO_NODE" && pending.opcode === OpCode.EXISTS);
    if (watch !== undefined && isArmed) {
      this.#watches.add(reply.type === "error" ? "exist" : watch.kind, pending.path, watch.listener);
    }
    if (reply.type !== "error") succeed(pending, reply);
    else if (reply.code === "XID_TOO_OLD" && pending.sentAgain) pending.fail(forgotten(pending));
    else {
      const type = pending.opcode === OpCode.CREATE || pending.opcode === OpCode.CREATE2 ? "create" : "other";
      pending.fail(ZooError.ofReply(reply.code, { type, path: pending.path }));
    }
  }

  /** A repeat is answered with the zxid of its first time. */
  #saw(epoch: number, counter: number): void {
    if (epoch >= NO_ZXID_EPOCH) return;
    const { epoch: seenEpoch, counter: seenCounter } = this.#lastZxid;
    if (epoch > seenEpoch || (epoch === seenEpoch && counter > seenCounter)) {
      this.#lastZxid = zxid(epoch, counter);
    }
  }

  /** Takes the watches that the event fires, then calls them: a listener may leave a new one. */
  #notify(reader: ByteReader): void {
    const { type, path } = readWatcherEvent(reader);
    const event: WatchEvent = { type: EVENTS[type], path };
    for (const listener of this.#watches.take(event)) call(listener, event);
  }

  async *#follow<T>(path: string, read: (watch: WatchListener) => Promise<T>): AsyncGenerator<T, void, void> {
    let changed: boolean;
    let wake = nothing;
    const watch: WatchListener = () => {
      changed = true;
      wake();
    };
    const unlisten = this.onState(() => wake());
    try {
      for (;;) {
        changed = false;
        yield await read(watch);
        while (!changed && this.#end === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        if (this.#end === undefined) continue;
        if (this.#end.reason !== undefined) throw this.#end.reason;
        return;
      }
    } finally {
      unlisten();
      this.#watches.remove(path, watch);
    }
  }

  get #beatMs(): number {
    return Math.min(this.timeoutMs / BEATS_PER_TIMEOUT, BEAT_MS_MAX);
  }

  #beat(): void {
    if (this.#socket === undefined) return;
    const now = performance.now();
    const every = this.#beatMs;
    const patience = this.timeoutMs * SILENCE_OF_TIMEOUT;
    const owesPingOnly = this.#ponged && this.#pending.length === 0;
    // a process that was stopped or busy has not read what the server sent meanwhile
    const wasLate = now - this.#beatAt > every * 1.5;
    this.#beatAt = now;
    if (
      !wasLate &&
      this.#sentAt > this.#heardAt &&
      now - this.#heardAt > (owesPingOnly ? Math.min(patience, SILENCE_MS_MAX) : patience)
    ) {
      this.#lose(`the server is silent for ${Math.round(now - this.#heardAt)} ms`);
      return;
    }
    if (now - this.#sentAt < every / 2) return;
    writeBareRequest(this.#writer, ReservedXid.PING, OpCode.PING);
    this.#flush();
  }

  /** Ends the use of this session and tells every caller that waits. */
  #finish(reason: ZooError | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { reason };
    clearInterval(this.#beats);
    this.#abort.abort();
    this.#drop();
    const cause = reason?.code === "CONNECTION_LOSS" ? undefined : reason;
    for (const pending of this.#pending.drain()) pending.fail(lossOf(pending, cause));
    this.#changeState(reason?.code === "SESSION_EXPIRED" ? "expired" : "closed");
    this.#resolveEnded(reason);
  }
}

const lossOfConnection = (how: string): ZooError =>
  new ZooError("CONNECTION_LOSS", `the connection was lost: ${how}`);

/** The session has gone past this write, and the node remembers its result no more. */
const forgotten = (pending: Pending): ZooError =>
  new ZooError(
    "UNKNOWN_OUTCOME",
    `the connection was lost before the answer came, and the result is remembered no more (${pending.path})`,
  );

/**
 * What a caller without an answer knows: a write that was sent may have been carried out.
 * @param cause why nothing else was
 */
function lossOf(pending: Pending, cause?: ZooError): ZooError {
  return pending.isWrite && pending.sent
    ? new ZooError("UNKNOWN_OUTCOME", `the connection was lost before the answer came (${pending.path})`)
    : (cause ??
        new ZooError(
          "CONNECTION_LOSS",
          `the connection was lost before the request was carried out (${pending.path})`,
        ));
}

/** The answer, if it is the one that the request asks for. */
function wanted<T extends Reply["type"]>(reply: Reply, type: T): Extract<Reply, { type: T }> {
  if (reply.type !== type) throw unexpected(reply);
  return reply as Extract<Reply, { type: T }>;
}

const unexpected = (reply: Reply): ZooError =>
  new ZooError("MARSHALLING_ERROR", `the server answered with "${reply.type}"`);
const statOfSet = (reply: Reply): Stat => wanted(reply, "setData").stat;
const nothing = (): void => {};

/** What a listener throws is uncaught, as with any event, and ends nothing here. */
function call<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function succeed({ pick, succeed, fail }: Pending, reply: Reply): void {
  try {
    succeed(pick(reply));
  } catch (error) {
    fail(error);
  }
}

/** @throws ZooError TOO_LARGE for a request that no server takes */
function checkLength(bytes: number): void {
  if (bytes > FRAME_BYTES_MAX)
    throw new ZooError("TOO_LARGE", `a request has at most ${FRAME_BYTES_MAX} bytes`);
}
