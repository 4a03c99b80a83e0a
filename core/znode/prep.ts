/**
 * The leader's first stage: turns a request into a txn whose outcome is fixed, or into an `error` txn.
 * It checks against the tree plus the txns that are prepared and not yet applied, which it keeps as an overlay.
 * The order of the checks decides which error a client sees and follows ZooKeeper's.
 *
 * @source ZooKeeper `PrepRequestProcessor`
 */
import { assert } from "../assert.ts";
import type { ZooErrorCode } from "../errors.ts";
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import { Change, type NodeView, Overlay } from "./overlay.ts";
import { CONFIG_PATH, hasPathShape, isBuiltIn, parentOf, sequenceSuffix, validatePath } from "./path.ts";
import { nextVersion } from "./stat.ts";
import type { ZnodeTree } from "./tree.ts";
import {
  CreateMode,
  isAnonymous,
  type MultiRequestOp,
  NO_SESSION,
  type SessionId,
  type Txn,
  type TxnHeader,
  type WriteRequest,
} from "./types.ts";

/** What the leader knows of a session beyond the tree. */
interface PendingSession {
  lastXid: number;
  closing: boolean;
  /** the last txn of the session that was prepared */
  zxid: Zxid;
}

type CreateRequest = Extract<MultiRequestOp, { type: "create" }>;

/** Pending sessions are swept when there are so many more than when last swept. */
const SWEEP_EVERY = 1024;

const refuse = (code: ZooErrorCode): Txn => ({ type: "error", code, ops: 0, at: 0 });

/** Is `version` what the client expected? −1 expects anything. */
const matches = (expected: number, version: number): boolean => expected === -1 || expected === version;

export class Prep {
  readonly #tree: ZnodeTree;
  readonly #overlay: Overlay;
  /** *map session id → what is pending*; where it has an entry, that is newer than the tree or equal */
  readonly #sessions = new Map<SessionId, PendingSession>();
  #sweepAt = SWEEP_EVERY;

  constructor(tree: ZnodeTree) {
    this.#tree = tree;
    this.#overlay = new Overlay(tree);
  }

  /**
   * Makes the txn of one request. `header.zxid` must be greater than that of the call before.
   * The txn shares the request's data.
   */
  prepare(header: TxnHeader, request: WriteRequest): Txn {
    const txn = this.#prepare(header, request);
    if (header.xid > 0 && header.session !== NO_SESSION) this.#noteXid(header);
    return txn;
  }

  /** Number of the session's last write, outstanding ones included; 0 when there is none, or no such session. */
  lastXidOf(session: SessionId): number {
    return this.#pendingOf(session)?.lastXid ?? this.#tree.sessions.get(session)?.lastXid ?? 0;
  }

  /** Does the session exist, and is no closing of it outstanding? Openings that are outstanding count. */
  isOpen(session: SessionId): boolean {
    const pending = this.#pendingOf(session);
    return pending === undefined ? this.#tree.sessions.has(session) : !pending.closing;
  }

  /** The tree has applied everything up to `zxid`: from there on it speaks for itself. */
  committed(zxid: Zxid): void {
    assert(compareZxid(zxid, this.#tree.lastApplied) <= 0, "the overlay outlives what is not applied");
    this.#overlay.dropUpTo(zxid.epoch, zxid.counter);
    if (this.#sessions.size >= this.#sweepAt) this.#sweep(zxid);
  }

  /** Forgets everything outstanding: its txns will not be committed by this leader. */
  reset(): void {
    this.#overlay.clear();
    this.#sessions.clear();
    this.#sweepAt = SWEEP_EVERY;
  }

  /** Changes that wait for their txn to be applied. */
  get outstanding(): number {
    return this.#overlay.size;
  }

  #prepare(header: TxnHeader, request: WriteRequest): Txn {
    if (request.type === "createSession") return this.#openSession(header, request.timeoutMs);
    const { session } = header;
    if (session !== NO_SESSION && !isAnonymous(session) && !this.isOpen(session))
      return refuse("SESSION_EXPIRED");
    switch (request.type) {
      case "multi":
        return this.#multi(header, request.ops);
      case "closeSession":
        return this.#closeSession(header);
      case "sync":
        return { type: "sync" };
      case "create":
      case "setData":
      case "delete":
        return this.#change(header, request);
    }
  }

  #change(header: TxnHeader, op: MultiRequestOp): Txn {
    switch (op.type) {
      case "setData":
        return this.#setData(header, op.path, op.data, op.version);
      case "create":
        return this.#create(header, op);
      case "delete":
        return this.#delete(header, op.path, op.version);
      case "check":
        return this.#check(op.path, op.version);
      case "refused":
        return refuse(op.code);
    }
  }

  #setData(header: TxnHeader, path: string, data: Uint8Array | null, expected: number): Txn {
    const node = this.#overlay.get(path);
    if (node === undefined) return this.#missing(path);
    if (path === CONFIG_PATH) return refuse("NO_AUTH");
    if (!matches(expected, node.version)) return refuse("BAD_VERSION");
    const version = nextVersion(node.version);
    this.#overlay.put(
      new Change(header.zxid, path, version, node.cversion, node.numChildren, node.ephemeralOwner, true),
    );
    return { type: "setData", path, data, version };
  }

  #create(header: TxnHeader, request: CreateRequest): Txn {
    const { mode } = request;
    const ephemeral = mode === CreateMode.EPHEMERAL || mode === CreateMode.EPHEMERAL_SEQUENTIAL;
    const sequential = mode === CreateMode.PERSISTENT_SEQUENTIAL || mode === CreateMode.EPHEMERAL_SEQUENTIAL;
    if (!ephemeral && !sequential && mode !== CreateMode.PERSISTENT) return refuse("BAD_ARGUMENTS");
    if (ephemeral && (header.session === NO_SESSION || isAnonymous(header.session)))
      return refuse("BAD_ARGUMENTS");
    if (!hasPathShape(request.path)) return refuse("BAD_ARGUMENTS");
    const parent = this.#overlay.get(parentForCreate(request.path));
    if (parent === undefined) return refuse("NO_NODE");
    if (parent.path === CONFIG_PATH) return refuse("NO_AUTH");
    const path = sequential ? request.path + sequenceSuffix(parent.cversion) : request.path;
    if (validatePath(path) !== undefined) return refuse("BAD_ARGUMENTS");
    if (this.#overlay.get(path) !== undefined) return refuse("NODE_EXISTS");
    if (parent.ephemeralOwner !== NO_SESSION) return refuse("NO_CHILDREN_FOR_EPHEMERALS");

    const parentCversion = (parent.cversion + 1) | 0;
    this.#putChildren(header.zxid, parent, parentCversion, 1);
    const owner = ephemeral ? header.session : NO_SESSION;
    this.#overlay.put(new Change(header.zxid, path, 0, 0, 0, owner, true));
    return {
      type: "create",
      path,
      data: request.data,
      ephemeral,
      parentCversion,
      withStat: request.withStat,
    };
  }

  #delete(header: TxnHeader, path: string, expected: number): Txn {
    if (!hasPathShape(path) || isBuiltIn(path)) return refuse("BAD_ARGUMENTS");
    const parent = this.#overlay.get(parentOf(path));
    if (parent === undefined) return refuse("NO_NODE");
    const node = this.#overlay.get(path);
    if (node === undefined) return refuse("NO_NODE");
    if (!matches(expected, node.version)) return refuse("BAD_VERSION");
    if (node.numChildren > 0) return refuse("NOT_EMPTY");
    this.#putDeleted(header.zxid, parent, path);
    return { type: "delete", path };
  }

  #check(path: string, expected: number): Txn {
    const node = this.#overlay.get(path);
    if (node === undefined) return this.#missing(path);
    if (!matches(expected, node.version)) return refuse("BAD_VERSION");
    return { type: "check", path, version: node.version };
  }

  /** All or nothing: every operation sees those before it, and the first refusal takes all of them back. */
  #multi(header: TxnHeader, ops: readonly MultiRequestOp[]): Txn {
    const txns: Txn[] = [];
    const mark = this.#overlay.mark();
    for (const [at, op] of ops.entries()) {
      const txn = this.#change(header, op);
      if (txn.type === "error") {
        this.#overlay.rollback(mark);
        return { type: "error", code: txn.code, ops: ops.length, at };
      }
      txns.push(txn);
    }
    return { type: "multi", txns };
  }

  #openSession(header: TxnHeader, timeoutMs: number): Txn {
    const id = header.session;
    if (id <= NO_SESSION || isAnonymous(id)) return refuse("BAD_ARGUMENTS");
    if (this.#pendingOf(id)?.closing) return refuse("SESSION_EXPIRED");
    this.#sessions.set(id, { lastXid: this.lastXidOf(id), closing: false, zxid: header.zxid });
    return { type: "createSession", timeoutMs };
  }

  /** From here on the session's writes are refused; what it owns goes with it, creations still outstanding too. */
  #closeSession(header: TxnHeader): Txn {
    const id = header.session;
    if (id === NO_SESSION || isAnonymous(id)) return refuse("BAD_ARGUMENTS");
    this.#sessions.set(id, { lastXid: this.lastXidOf(id), closing: true, zxid: header.zxid });
    const paths = new Set(this.#overlay.ownedBy(id));
    for (const path of this.#tree.sessions.get(id)?.ephemerals ?? []) {
      if (this.#overlay.get(path)?.ephemeralOwner === id) paths.add(path);
    }
    const sorted = [...paths].sort();
    for (const path of sorted) {
      const parent = this.#overlay.get(parentOf(path));
      if (parent !== undefined) this.#putDeleted(header.zxid, parent, path);
    }
    return { type: "closeSession" };
  }

  #missing(path: string): Txn {
    return refuse(validatePath(path) === undefined ? "NO_NODE" : "BAD_ARGUMENTS");
  }

  #putDeleted(zxid: Zxid, parent: NodeView, path: string): void {
    this.#putChildren(zxid, parent, parent.cversion, -1);
    this.#overlay.put(new Change(zxid, path, 0, 0, 0, NO_SESSION, false));
  }

  #putChildren(zxid: Zxid, parent: NodeView, cversion: number, added: 1 | -1): void {
    const numChildren = parent.numChildren + added;
    this.#overlay.put(
      new Change(zxid, parent.path, parent.version, cversion, numChildren, parent.ephemeralOwner, true),
    );
  }

  /** What is pending of a session; a closing that has been applied is nothing any more. */
  #pendingOf(id: SessionId): PendingSession | undefined {
    const pending = this.#sessions.get(id);
    const over = pending?.closing === true && compareZxid(pending.zxid, this.#tree.lastApplied) <= 0;
    return over ? undefined : pending;
  }

  /** Remembers the write's number; of sessions that do not exist there is nothing to remember. */
  #noteXid(header: TxnHeader): void {
    const pending = this.#pendingOf(header.session);
    if (pending !== undefined) {
      pending.lastXid = header.xid;
      pending.zxid = header.zxid;
      return;
    }
    if (!this.#tree.sessions.has(header.session)) return;
    this.#sessions.set(header.session, { lastXid: header.xid, closing: false, zxid: header.zxid });
  }

  /** Drops sessions about which the tree knows as much. */
  #sweep(zxid: Zxid): void {
    for (const [id, pending] of this.#sessions) {
      if (compareZxid(pending.zxid, zxid) <= 0) this.#sessions.delete(id);
    }
    this.#sweepAt = this.#sessions.size + SWEEP_EVERY;
  }
}

/** What precedes the last slash; of a sequential `/a/` that is `/a`. */
export function parentForCreate(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === 0 ? "/" : path.slice(0, slash);
}
