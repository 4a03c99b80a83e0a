/**
 * A session with an ensemble: the operations of a client. Requests are sent in the order in which they were issued,
 * and are answered in that order; the requests of one tick are one message.
 */
import type { Reply } from "../../core/wire/jute/ops/op.ts";
import { zxidToText } from "../../core/zab/zxid.ts";
import type { Refused } from "../../core/znode/refusal-text.ts";
import {
  type ReadRequest,
  type Stat,
  sessionToText,
  type WriteRequest,
  type ZnodeReadType,
} from "../../core/znode/types.ts";
import {
  childrenOfGet,
  nothing,
  pathOfCreate,
  pathsOfEphemerals,
  resultsOfMulti,
  statOfExists,
  statOfSet,
  valueOfGet,
} from "./answers.ts";
import {
  bytesOf,
  checkData,
  checkLength,
  checkListener,
  checkPath,
  checkVersion,
  modeOf,
  multiRequests,
  watchOf,
} from "./arguments.ts";
import { Connection } from "./connection.ts";
import type { Dialed, Dialer } from "./dial.ts";
import { ZooError } from "./errors.ts";
import { follow } from "./follow.ts";
import type { WatchOfRead } from "./outbox.ts";
import type {
  Data,
  Mode,
  MultiOp,
  MultiResult,
  ReadOptions,
  SessionState,
  SessionTicket,
  ZnodeChildren,
  ZnodeValue,
} from "./types.ts";

/**
 * A client's session, as `connect()` opens it.
 *
 * Guarantees: every request is answered once, in the order in which requests were issued; a write happens at most once; no
 * answer is older than one before it. Arguments are checked before a byte is written: a TypeError or RangeError fails only
 * its own call.
 * @source ZooKeeper `ZooKeeper` (the client); docs/spec/sdk.md
 */
export class Session {
  /** `0x…`, as the HTTP API names the session in `Zoo-Session` */
  readonly id: string;
  /** as negotiated */
  readonly timeoutMs: number;
  /** continues this session over another connection, while it has not expired */
  readonly ticket: SessionTicket;
  readonly #connection: Connection;

  /** For connect(): takes over a socket after its handshake, and how to open further ones. */
  constructor(dialed: Dialed, dialer: Dialer, reconnectMs: number) {
    const { session, password, timeoutMs } = dialed.response;
    this.id = sessionToText(session);
    this.timeoutMs = timeoutMs;
    this.ticket = { id: session, password };
    this.#connection = new Connection(dialed, dialer, reconnectMs);
  }

  /** resolves when the session can no longer be used: with the reason, or undefined after close() */
  get ended(): Promise<ZooError | undefined> {
    return this.#connection.ended;
  }

  /** zxid of the newest answer, `0x…`: this session never gets anything older */
  get lastZxid(): string {
    return zxidToText(this.#connection.lastZxid);
  }

  get state(): SessionState {
    return this.#connection.state;
  }

  /** Calls `listener` at every change of {@link state}. @returns a function that removes it */
  onState(listener: (state: SessionState) => void): () => void {
    return this.#connection.onState(checkListener(listener));
  }

  /** requests that wait for their answers */
  get outstanding(): number {
    return this.#connection.outstanding;
  }

  /** Creates a znode; resolves with its path, to which a sequential mode adds a number. */
  create(path: string, data: Data = null, mode: Mode = "persistent"): Promise<string> {
    return this.#write(
      () => ({
        type: "create",
        path: checkPath(path),
        data: this.#bytesOf(path, data),
        mode: modeOf(mode),
        withStat: false,
      }),
      pathOfCreate,
    );
  }

  /** Sets the data of a znode, of this version if one is given. */
  set(path: string, data: Data, version = -1): Promise<Stat> {
    return this.#write(
      () => ({
        type: "setData",
        path: checkPath(path),
        data: this.#bytesOf(path, data),
        version: checkVersion(version),
      }),
      statOfSet,
    );
  }

  /** Deletes a znode without children, of this version if one is given. */
  delete(path: string, version = -1): Promise<void> {
    return this.#write(
      () => ({ type: "delete", path: checkPath(path), version: checkVersion(version) }),
      nothing,
    );
  }

  /** Reads the data of a znode. */
  get(path: string, options?: ReadOptions): Promise<ZnodeValue> {
    return this.#read("getData", path, options, valueOfGet);
  }

  /** The Stat of a znode, or undefined if there is none; then its watch fires when one is created. */
  exists(path: string, options?: ReadOptions): Promise<Stat | undefined> {
    return this.#read("exists", path, options, statOfExists).catch((error) => {
      if (ZooError.is(error, "NO_NODE")) return undefined;
      throw error;
    });
  }

  /** The names of the children, in the order of the server. */
  children(path: string, options?: ReadOptions): Promise<ZnodeChildren> {
    return this.#read("getChildren", path, options, childrenOfGet);
  }

  /** The paths of this session's own ephemerals that begin with `prefix`, sorted. */
  ephemerals(prefix = "/"): Promise<readonly string[]> {
    return this.#connection.issue(
      () => ({ type: "getEphemerals", prefixPath: checkPath(prefix, "a prefix") }),
      false,
      undefined,
      pathsOfEphemerals,
    );
  }

  /** Carries out all operations or none. @throws ZooError with the code and the index of the failed operation */
  multi(ops: readonly MultiOp[]): Promise<MultiResult[]> {
    let operations: readonly Refused[] = [];
    const encode = (): WriteRequest => {
      const { requests, bytes } = multiRequests(ops);
      checkLength(bytes);
      operations = requests;
      return { type: "multi", ops: requests };
    };
    return this.#write(encode, (reply) => resultsOfMulti(reply, operations));
  }

  /** Waits until the node that serves this session has everything that was committed before. */
  sync(): Promise<void> {
    return this.#connection.issue(() => ({ type: "sync" }), false, undefined, nothing);
  }

  /**
   * The data of a znode now and after each change; undefined while there is no znode. Changes that follow each other
   * faster than they are read may show as one, the last of them always shows. Ends with the session or by `break`.
   */
  watch(path: string): AsyncGenerator<ZnodeValue | undefined, void, void> {
    return follow(this.#connection, path, async (watch) => {
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
    return follow(this.#connection, path, (watch) => this.children(path, { watch }));
  }

  /**
   * Closes the session on the server, which deletes its ephemerals, and the connection. Without a connection it waits for
   * one, but no longer than the session's timeout: by then the server has ended it.
   */
  async close(): Promise<void> {
    const connection = this.#connection;
    if (connection.end !== undefined) return;
    connection.beginClose();
    const timer = setTimeout(() => connection.finish(undefined), this.timeoutMs);
    try {
      await this.#write(() => ({ type: "closeSession" }), nothing);
    } catch {
      // the server may close the connection instead of answering; either way the session ends
    } finally {
      clearTimeout(timer);
    }
    connection.finish(undefined);
  }

  /** Closes only the connection: the session exists until it expires, and {@link ticket} continues it. */
  disconnect(): void {
    this.#connection.finish(new ZooError("CONNECTION_LOSS", "the connection was lost: by disconnect()"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #read<T>(
    type: ZnodeReadType,
    path: string,
    options: ReadOptions | undefined,
    pick: (reply: Reply) => T,
  ): Promise<T> {
    let watch: WatchOfRead | undefined;
    const encode = (): ReadRequest => {
      const listener = watchOf(options);
      const request = { path: checkPath(path), watch: listener !== undefined };
      if (listener !== undefined) watch = { kind: type === "getChildren" ? "child" : "data", listener };
      return type === "getChildren" ? { ...request, type, withStat: true } : { ...request, type };
    };
    return this.#connection.issue(encode, false, () => watch, pick);
  }

  #write<T>(encode: () => WriteRequest, pick: (reply: Reply) => T): Promise<T> {
    return this.#connection.issue(encode, true, undefined, pick);
  }

  #bytesOf(path: string, data: Data): Uint8Array | null {
    checkLength(path.length + checkData(data));
    return bytesOf(data);
  }
}
