/**
 * A session with an ensemble over one WebSocket of `/v1/ws`. Requests leave in the order in which they were issued and
 * are answered in that order; what one tick issued travels as one message.
 */
import { FRAME_BYTES_MAX, FrameCursor } from "../../core/wire/jute/frame.ts";
import { OpCode, ReservedXid } from "../../core/wire/jute/opcodes.ts";
import { type Reply, readReply } from "../../core/wire/jute/replies.ts";
import { opcodeOf, writeBareRequest, writeRequest } from "../../core/wire/jute/requests.ts";
import { readWatcherEvent } from "../../core/wire/jute/watcher-event.ts";
import type { ByteReader } from "../../core/wire/reader.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { ZXID_ZERO, type Zxid, zxid, zxidToText } from "../../core/zab/zxid.ts";
import {
  CreateMode,
  type MultiRequestOp,
  type ReadRequest,
  type SessionId,
  type Stat,
  sessionToText,
  WatchEventType,
  type WriteRequest,
} from "../../core/znode/types.ts";
import { ZooError } from "./errors.ts";
import { PendingQueue } from "./pending-queue.ts";
import { atEndOfTick, type SocketLike } from "./socket.ts";

/** What identifies a session. Whoever has it can continue the session. */
export interface SessionTicket {
  readonly id: SessionId;
  readonly password: Uint8Array;
}

/** How a znode is created. */
export type Mode = "persistent" | "ephemeral" | "persistent-sequential" | "ephemeral-sequential";

/** Data of a znode as a caller gives it: text is stored as UTF-8, null is no data at all. */
export type Data = Uint8Array | string | null;

/** One operation of a multi. `version` absent: any. */
export type MultiOp =
  | { readonly op: "create"; readonly path: string; readonly data?: Data; readonly mode?: Mode }
  | { readonly op: "set"; readonly path: string; readonly data: Data; readonly version?: number }
  | { readonly op: "delete"; readonly path: string; readonly version?: number }
  | { readonly op: "check"; readonly path: string; readonly version: number };

/** What an operation of a successful multi gave. */
export type MultiResult =
  | { readonly op: "create"; readonly path: string }
  | { readonly op: "set"; readonly stat: Stat }
  | { readonly op: "delete" }
  | { readonly op: "check" };

/** What a watch saw. A watch is left by a read and fires once. */
export interface WatchEvent {
  readonly type: "created" | "deleted" | "changed" | "children";
  readonly path: string;
}

export type WatchListener = (event: WatchEvent) => void;

export interface ReadOptions {
  /** called once, at the next change of what was read; not called when the session ends */
  readonly watch?: WatchListener | undefined;
}

export interface ZnodeValue {
  readonly data: Uint8Array | null;
  readonly stat: Stat;
}

export interface ZnodeChildren {
  readonly children: readonly string[];
  readonly stat: Stat;
}

/** A data watch and an exist watch see the same events, so they are one kind here. */
type WatchKind = "data" | "child";

interface Watch {
  readonly kind: WatchKind;
  readonly listener: WatchListener;
}

/** A request that waits for its answer. */
interface Pending {
  readonly xid: number;
  readonly opcode: OpCode;
  readonly path: string;
  readonly isWrite: boolean;
  sent: boolean;
  /** left by the answer */
  readonly watch: Watch | undefined;
  readonly answer: (reply: Exclude<Reply, { type: "error" }>) => void;
  readonly fail: (error: ZooError) => void;
}

const MODES: Readonly<Record<Mode, CreateMode>> = {
  persistent: CreateMode.PERSISTENT,
  ephemeral: CreateMode.EPHEMERAL,
  "persistent-sequential": CreateMode.PERSISTENT_SEQUENTIAL,
  "ephemeral-sequential": CreateMode.EPHEMERAL_SEQUENTIAL,
};

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
const XID_MAX = 2 ** 31 - 1;
const CLOSE_NORMAL = 1000;
/** of the length that leads every packet */
const LENGTH_BYTES = 4;
/** From here on the header's zxid stands for none (−1). */
const NO_ZXID_EPOCH = 2 ** 31;

const utf8 = new TextEncoder();
const bytesOf = (data: Data): Uint8Array | null => (typeof data === "string" ? utf8.encode(data) : data);

export class Session {
  /** `0x…`, as the HTTP API names the session in `Zoo-Session` */
  readonly id: string;
  /** as negotiated */
  readonly timeoutMs: number;
  /** continues this session on another connection, while it has not expired */
  readonly ticket: SessionTicket;
  /** resolves when the session can no longer be used: with the reason, or undefined after close() */
  readonly ended: Promise<ZooError | undefined>;

  readonly #socket: SocketLike;
  readonly #writer = new ByteWriter(4096);
  readonly #pending = new PendingQueue<Pending>();
  /** encoded but not sent, the newest of #pending */
  #unsent: Pending[] = [];
  readonly #watches: Readonly<Record<WatchKind, Map<string, Set<WatchListener>>>> = {
    data: new Map(),
    child: new Map(),
  };
  #xid = 0;
  #flushIsDue = false;
  #end: { readonly reason: ZooError | undefined } | undefined;
  #lastZxid: Zxid = ZXID_ZERO;
  /** ms of performance.now() */
  #sentAt = performance.now();
  #heardAt = performance.now();
  #beatAt = performance.now();
  readonly #beats: ReturnType<typeof setInterval>;
  #resolveEnded: (reason: ZooError | undefined) => void = () => {};

  /** For connect(): takes over a socket on which the handshake is done. */
  constructor(socket: SocketLike, ticket: SessionTicket, timeoutMs: number) {
    this.#socket = socket;
    this.id = sessionToText(ticket.id);
    this.ticket = ticket;
    this.timeoutMs = timeoutMs;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) =>
      this.#lose(`closed with ${code}${reason === "" ? "" : ` ${reason}`}`);
    this.#beats = setInterval(() => this.#beat(), this.timeoutMs / BEATS_PER_TIMEOUT);
  }

  /** zxid of the newest answer, `0x…`: this session never sees anything older */
  get lastZxid(): string {
    return zxidToText(this.#lastZxid);
  }

  /** requests that wait for their answers */
  get outstanding(): number {
    return this.#pending.length;
  }

  /** Creates a znode; resolves with its path, to which a sequential mode adds a number. */
  create(path: string, data: Data = null, mode: Mode = "persistent"): Promise<string> {
    const request = {
      type: "create",
      path,
      data: bytesOf(data),
      mode: MODES[mode],
      withStat: false,
    } as const;
    return this.#issue(request, path, true, undefined, (reply) => wanted(reply, "create").path);
  }

  /** Sets the data of a znode, of this version if one is given. */
  set(path: string, data: Data, version = -1): Promise<Stat> {
    const request = { type: "setData", path, data: bytesOf(data), version } as const;
    return this.#issue(request, path, true, undefined, statOfSet);
  }

  /** Deletes a znode without children, of this version if one is given. */
  delete(path: string, version = -1): Promise<void> {
    return this.#issue({ type: "delete", path, version }, path, true, undefined, nothing);
  }

  /** Reads the data of a znode. */
  get(path: string, { watch }: ReadOptions = {}): Promise<ZnodeValue> {
    const request = { type: "getData", path, watch: watch !== undefined } as const;
    return this.#issue(request, path, false, watch && { kind: "data", listener: watch }, (reply) => {
      const { data, stat } = wanted(reply, "getData");
      // a view would keep the whole message in memory
      return { data: data?.slice() ?? null, stat };
    });
  }

  /** The Stat of a znode, or undefined where there is none; its watch then fires when one is created. */
  exists(path: string, { watch }: ReadOptions = {}): Promise<Stat | undefined> {
    const request = { type: "exists", path, watch: watch !== undefined } as const;
    const stat = this.#issue(
      request,
      path,
      false,
      watch && { kind: "data", listener: watch },
      (reply) => wanted(reply, "exists").stat,
    );
    return stat.catch((error) => {
      if (ZooError.is(error, "NO_NODE")) return undefined;
      throw error;
    });
  }

  /** The names of the children, in the order of the server. */
  children(path: string, { watch }: ReadOptions = {}): Promise<ZnodeChildren> {
    const request = { type: "getChildren", path, watch: watch !== undefined, withStat: true } as const;
    return this.#issue(request, path, false, watch && { kind: "child", listener: watch }, (reply) => {
      const { children, stat } = wanted(reply, "getChildren");
      if (stat === null) throw unexpected(reply);
      return { children, stat };
    });
  }

  /** Does all of it or nothing. @throws ZooError with the code of the operation that failed, and its index */
  multi(ops: readonly MultiOp[]): Promise<MultiResult[]> {
    const request = { type: "multi", ops: ops.map(multiRequest) } as const;
    return this.#issue(request, "", true, undefined, (reply) => {
      const { results } = wanted(reply, "multi");
      // before the operation that failed the others say OK, behind it RUNTIME_INCONSISTENCY
      const failed = results.findIndex((result) => result.type === "error" && result.code !== "OK");
      const failure = results[failed];
      if (failure?.type === "error") throw ZooError.ofReply(failure.code, ops[failed]?.path ?? "", failed);
      return results.map((result): MultiResult => {
        if (result.type === "create") return { op: "create", path: result.path };
        if (result.type === "setData") return { op: "set", stat: result.stat };
        return { op: result.type === "delete" ? "delete" : "check" };
      });
    });
  }

  /** Waits until the node that serves this session has everything that was committed before. */
  sync(): Promise<void> {
    return this.#issue({ type: "sync" }, "", false, undefined, nothing);
  }

  /**
   * The data of a znode now and after each change; undefined while there is no znode. Changes that follow each other
   * faster than they are read may show as one, the last of them always shows. Ends with the session or by `break`.
   */
  watch(path: string): AsyncGenerator<ZnodeValue | undefined, void, void> {
    return this.#follow(async (watch) => {
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
    return this.#follow((watch) => this.children(path, { watch }));
  }

  /** Closes the session on the server, which deletes its ephemerals, and the connection. */
  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    try {
      await this.#issue({ type: "closeSession" }, "", true, undefined, nothing);
    } catch {
      // the server may close the connection instead of answering; either way the session ends
    }
    this.#finish(undefined);
  }

  /** Drops the connection only: the session lives on until it expires, and {@link ticket} continues it. */
  disconnect(): void {
    this.#lose("by disconnect()");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Encodes a request at once and has it sent at the end of the tick. `pick` takes the result from the answer. */
  #issue<T>(
    request: WriteRequest | ReadRequest,
    path: string,
    isWrite: boolean,
    watch: Watch | undefined,
    pick: (reply: Reply) => T,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
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
      const xid = this.#xid === XID_MAX ? 1 : this.#xid + 1;
      writeRequest(this.#writer, xid, request);
      if (this.#writer.length - start - LENGTH_BYTES > FRAME_BYTES_MAX) {
        this.#writer.length = start;
        reject(new ZooError("TOO_LARGE", `a request has at most ${FRAME_BYTES_MAX} bytes`));
        return;
      }
      this.#xid = xid;
      const opcode = opcodeOf(request);
      const answer = (reply: Reply): void => {
        try {
          resolve(pick(reply));
        } catch (error) {
          reject(error);
        }
      };
      const pending: Pending = { xid, opcode, path, isWrite, watch, sent: false, answer, fail: reject };
      this.#pending.push(pending);
      this.#unsent.push(pending);
      if (this.#flushIsDue) return;
      this.#flushIsDue = true;
      atEndOfTick(() => this.#flush());
    });
  }

  #flush(): void {
    this.#flushIsDue = false;
    if (this.#end !== undefined || this.#writer.length === 0) return;
    for (const pending of this.#unsent) pending.sent = true;
    this.#unsent = [];
    // the socket may keep what it was given, so the buffer is not used again
    const message = this.#writer.finish();
    this.#writer.reset();
    this.#sentAt = performance.now();
    this.#socket.send(message);
  }

  /** A message holds one or more whole packets. */
  #receive(data: unknown): void {
    if (this.#end !== undefined) return;
    this.#heardAt = performance.now();
    try {
      if (!(data instanceof ArrayBuffer)) throw new ZooError("MARSHALLING_ERROR", "the server sent text");
      // a reply may be longer than any request
      const frames = new FrameCursor(new Uint8Array(data), Number.POSITIVE_INFINITY);
      while (frames.next()) this.#packet(frames.reader);
    } catch (error) {
      this.#lose((error as Error).message);
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
    if (epoch < NO_ZXID_EPOCH) this.#lastZxid = zxid(epoch, counter);
    if (xid === ReservedXid.PING) return;
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
    if (watch !== undefined && isArmed) this.#arm(watch.kind, pending.path, watch.listener);
    if (reply.type === "error") pending.fail(ZooError.ofReply(reply.code, pending.path));
    else pending.answer(reply);
  }

  #arm(kind: WatchKind, path: string, listener: WatchListener): void {
    const listeners = this.#watches[kind].get(path);
    if (listeners === undefined) this.#watches[kind].set(path, new Set([listener]));
    else listeners.add(listener);
  }

  /** Takes the watches that the event fires, then calls them: a listener may leave a new one. */
  #notify(reader: ByteReader): void {
    const event = readWatcherEvent(reader);
    const { path } = event;
    const type = EVENTS[event.type];
    // a deletion ends the watches of both kinds
    const kinds: WatchKind[] =
      type === "children" ? ["child"] : type === "deleted" ? ["data", "child"] : ["data"];
    const fired = new Set<WatchListener>();
    for (const kind of kinds) {
      for (const listener of this.#watches[kind].get(path) ?? []) fired.add(listener);
      this.#watches[kind].delete(path);
    }
    for (const listener of fired) listener({ type, path });
  }

  async *#follow<T>(read: (watch: WatchListener) => Promise<T>): AsyncGenerator<T, void, void> {
    let end: { readonly reason: ZooError | undefined } | undefined;
    let wake = (): void => {};
    void this.ended.then((reason) => {
      end = { reason };
      wake();
    });
    for (;;) {
      let changed = false;
      yield await read(() => {
        changed = true;
        wake();
      });
      if (!changed && end === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (end === undefined) continue;
      if (end.reason !== undefined) throw end.reason;
      return;
    }
  }

  #beat(): void {
    const now = performance.now();
    const every = this.timeoutMs / BEATS_PER_TIMEOUT;
    // a process that was stopped or busy has not read what the server sent meanwhile
    const wasLate = now - this.#beatAt > every * 1.5;
    this.#beatAt = now;
    if (
      !wasLate &&
      this.#sentAt > this.#heardAt &&
      now - this.#heardAt > this.timeoutMs * SILENCE_OF_TIMEOUT
    ) {
      this.#lose(`the server is silent for ${Math.round(now - this.#heardAt)} ms`);
      return;
    }
    if (now - this.#sentAt < every / 2) return;
    writeBareRequest(this.#writer, ReservedXid.PING, OpCode.PING);
    this.#flush();
  }

  #lose(how: string): void {
    this.#finish(new ZooError("CONNECTION_LOSS", `the connection was lost: ${how}`));
  }

  /** Ends the use of this session and tells every caller that waits. */
  #finish(reason: ZooError | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { reason };
    clearInterval(this.#beats);
    this.#socket.onclose = null;
    this.#socket.onmessage = null;
    this.#socket.close(CLOSE_NORMAL);
    for (const pending of this.#pending.drain()) pending.fail(lossOf(pending));
    this.#resolveEnded(reason);
  }
}

/** What a caller without an answer knows: a write that was sent may have been carried out. */
function lossOf(pending: Pending): ZooError {
  return pending.isWrite && pending.sent
    ? new ZooError("UNKNOWN_OUTCOME", `the connection was lost before the answer came (${pending.path})`)
    : new ZooError(
        "CONNECTION_LOSS",
        `the connection was lost before the request was carried out (${pending.path})`,
      );
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

function multiRequest(op: MultiOp): MultiRequestOp {
  switch (op.op) {
    case "create":
      return {
        type: "create",
        path: op.path,
        data: bytesOf(op.data ?? null),
        mode: MODES[op.mode ?? "persistent"],
        withStat: false,
      };
    case "set":
      return { type: "setData", path: op.path, data: bytesOf(op.data), version: op.version ?? -1 };
    case "delete":
      return { type: "delete", path: op.path, version: op.version ?? -1 };
    case "check":
      return { type: "check", path: op.path, version: op.version };
  }
}
