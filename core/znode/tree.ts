/**
 * The znode tree: the state machine that the ensemble replicates.
 *
 * `apply` is total (no decodable txn makes it throw), deterministic (it reads nothing but the txn and the tree)
 * and idempotent (txns carry results, not steps). Only committed txns come here.
 *
 * @source ZooKeeper `DataTree`
 */
import { must } from "../assert.ts";
import type { ZooErrorCode } from "../errors.ts";
import type { Chain } from "../hash/chain.ts";
import { copyData } from "../wire/data-pool.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import { ChildNames } from "./child-names.ts";
import { isTooLarge, pageOf } from "./children-page.ts";
import { Digest, hashData, hashIdentity, hashSession, hashZnode } from "./digest.ts";
import { BUILT_IN_PATHS, isBuiltIn, nameOf, parentOf, validatePath } from "./path.ts";
import { Session, type SessionRow, SessionTable } from "./session.ts";
import { isCounterAhead, statOf, Znode, type ZnodeRow } from "./stat.ts";
import {
  type ChangeResult,
  isAnonymous,
  NO_SESSION,
  type ReadOutcome,
  type ReadRequest,
  type SessionId,
  type Stat,
  type Txn,
  type TxnHeader,
  type WatchEvent,
  WatchEventType,
  type WriteResult,
} from "./types.ts";

/** What changed between two checkpoints, as it is at `lastApplied`. The rows are copies: the tree may change meanwhile. */
export interface TreeChanges {
  readonly lastApplied: Zxid;
  readonly znodes: readonly ZnodeRow[];
  /** paths of znodes that are gone */
  readonly deleted: readonly string[];
  readonly sessions: readonly SessionRow[];
  /** sessions that are gone */
  readonly closed: readonly SessionId[];
}

const copyOf = (data: Uint8Array | null): Uint8Array | null => (data === null ? null : copyData(data));

const failure = (code: ZooErrorCode): ChangeResult => ({ type: "error", code });
const DELETED: ChangeResult = { type: "delete" };

/** A frame with a reply's header and a Stat. */
const STAT_ANSWER_BYTES = 88;
/** What leads each name of a list. */
const NAME_LENGTH_BYTES = 4;

/** Answers a read of children, within the bytes that the reader can take. */
function childrenOf(
  { children: names }: Znode,
  { page, bytesMax = Number.POSITIVE_INFINITY }: Extract<ReadRequest, { type: "getChildren" }>,
  stat: Stat,
): ReadOutcome {
  const children = names?.sorted() ?? [];
  if (page !== undefined) return { type: "getChildren", stat, ...pageOf(children, page, bytesMax) };
  if (isTooLarge(children, names?.length ?? 0, bytesMax)) return { type: "error", code: "ANSWER_TOO_LARGE" };
  return { type: "getChildren", children, stat };
}

export class ZnodeTree {
  /** *map path → znode*. Invariant: the parent of every path in it is in it, and lists it as a child. */
  readonly #nodes = new Map<string, Znode>();
  readonly #digest = new Digest();
  /** *map path → its znode, or null when it is gone*: changed since the last checkpoint. */
  #changed = new Map<string, Znode | null>();
  /** *map session id → session, or null when it is gone*: changed since the last checkpoint. */
  #changedSessions = new Map<SessionId, Session | null>();
  /**
   * Their shares are taken out of the digest, and go back in when somebody asks for it: what changes many times in a
   * batch is hashed once.
   */
  readonly #stale: Znode[] = [];
  readonly #staleSessions: Session[] = [];

  readonly sessions = new SessionTable();
  /** Watch events of the txns applied, in order. The caller drains the array. */
  readonly events: WatchEvent[] = [];
  /** the last txn applied; only moves up */
  lastApplied: Zxid = ZXID_ZERO;

  constructor() {
    for (const path of BUILT_IN_PATHS) this.#insert(builtIn(path));
    for (const path of BUILT_IN_PATHS) this.#link(path);
  }

  /**
   * A tree of what checkpoints kept, in any order. It has the digest of the tree that the rows came from.
   * @throws AssertionError when a znode lacks its parent or an ephemeral its session: the rows are not a whole tree
   */
  static load(rows: Iterable<ZnodeRow>, sessions: Iterable<SessionRow>, lastApplied: Zxid): ZnodeTree {
    const tree = new ZnodeTree();
    for (const row of sessions) tree.#restoreSession(row);
    for (const row of rows) tree.#restoreZnode(row);
    for (const node of tree.#nodes.values()) {
      tree.#link(node.path);
      if (node.ephemeralOwner === NO_SESSION) continue;
      const owner = tree.sessions.get(node.ephemeralOwner);
      must(owner, "an ephemeral that is stored has its session").ephemerals.add(node.path);
    }
    tree.lastApplied = lastApplied;
    return tree;
  }

  // ---- reads ----

  /** znodes, the built-in ones among them */
  get size(): number {
    return this.#nodes.size;
  }

  get(path: string): Znode | undefined {
    return this.#nodes.get(path);
  }

  stat(node: Znode): Stat {
    return statOf(node);
  }

  /** Names of the children in code unit order; undefined when there is no such znode. */
  children(path: string): readonly string[] | undefined {
    const node = this.#nodes.get(path);
    return node === undefined ? undefined : (node.children?.sorted() ?? []);
  }

  /** Every znode, in no order that means anything. */
  znodes(): IterableIterator<Znode> {
    return this.#nodes.values();
  }

  /** Answers a read; "" reads as the root, any other path that is not legal as a znode that is not there. */
  read(request: ReadRequest): ReadOutcome {
    const node = this.#nodes.get(request.path === "" ? "/" : request.path);
    if (node === undefined)
      return { type: "error", code: isNulExists(request) ? "BAD_ARGUMENTS" : "NO_NODE" };
    const stat = statOf(node);
    switch (request.type) {
      case "exists":
        return { type: "exists", stat };
      case "getData":
        if (node.staleData) this.#settleData(node);
        return { type: "getData", data: node.data, stat };
      case "getChildren":
        return childrenOf(node, request, stat);
    }
  }

  /** Bytes that the answer to a read would have now, about: names count one byte for each code unit. */
  answerBytes(request: ReadRequest): number {
    const node = this.#nodes.get(request.path === "" ? "/" : request.path);
    if (node === undefined) return STAT_ANSWER_BYTES;
    if (request.type === "getData") return STAT_ANSWER_BYTES + (node.data?.length ?? 0);
    if (request.type === "getChildren")
      return STAT_ANSWER_BYTES + (node.children?.length ?? 0) + NAME_LENGTH_BYTES * node.numChildren;
    return STAT_ANSWER_BYTES;
  }

  /** Upper half of the digest, unsigned. */
  get digestHigh(): number {
    this.#settle();
    return this.#digest.high;
  }

  /** Lower half of the digest, unsigned. */
  get digestLow(): number {
    this.#settle();
    return this.#digest.low;
  }

  get digest(): Chain {
    return { high: this.digestHigh, low: this.digestLow };
  }

  // ---- the write ----

  /**
   * Carries out one committed txn. `txn.data` may be a view of a whole batch that does not change: the tree copies it before
   * it is shown, or when the digest is asked for, whichever is first. So of many writes to one znode only the last is copied.
   * The outcome is what the client gets, and is kept as the last one of its session.
   */
  apply(header: TxnHeader, txn: Txn, fingerprint = 0): WriteResult {
    const result = this.#dispatch(header, txn);
    if (compareZxid(header.zxid, this.lastApplied) > 0) this.lastApplied = header.zxid;
    if (header.xid > 0) this.#remember(header, result, fingerprint);
    return result;
  }

  #dispatch(header: TxnHeader, txn: Txn): WriteResult {
    switch (txn.type) {
      case "multi":
        return { type: "multi", results: txn.txns.map((each) => this.#change(header, each)) };
      case "createSession":
        return this.#openSession(header.session, txn.timeoutMs);
      case "closeSession":
        return this.#closeSession(header);
      case "sync":
        return { type: "sync" };
      case "error":
        return refusal(txn.code, txn.ops, txn.at);
      case "create":
      case "setData":
      case "delete":
      case "check":
        return this.#change(header, txn);
    }
  }

  #change(header: TxnHeader, txn: Txn): ChangeResult {
    switch (txn.type) {
      case "setData":
        return this.#setData(header, txn.path, txn.data, txn.version);
      case "create":
        return this.#create(header, txn);
      case "delete":
        return this.#delete(header, txn.path);
      case "check":
        return { type: "check" };
      case "error":
        return failure(txn.code);
      case "multi":
      case "sync":
      case "createSession":
      case "closeSession":
        // sessions, syncs and multis do not nest; prep and the codec know that, but apply is total
        return failure("MARSHALLING_ERROR");
    }
  }

  #setData(header: TxnHeader, path: string, data: Uint8Array | null, version: number): ChangeResult {
    const node = this.#nodes.get(path);
    if (node === undefined) return failure("NO_NODE");
    node.data = data;
    node.version = version;
    node.mzxid = header.zxid;
    node.mtime = header.timeMs;
    node.staleData = true;
    this.#touched(node);
    this.events.push({ type: WatchEventType.DATA_CHANGED, path });
    return { type: "setData", stat: statOf(node) };
  }

  #create(header: TxnHeader, txn: Extract<Txn, { type: "create" }>): ChangeResult {
    const { path } = txn;
    if (validatePath(path) !== undefined) return failure("BAD_ARGUMENTS");
    const existing = this.#nodes.get(path);
    if (existing !== undefined) {
      if (compareZxid(existing.czxid, header.zxid) !== 0) return failure("NODE_EXISTS");
      return { type: "create", path, stat: txn.withStat ? statOf(existing) : null };
    }
    const parent = this.#nodes.get(parentOf(path));
    if (parent === undefined) return failure("NO_NODE");
    if (parent.ephemeralOwner !== NO_SESSION) return failure("NO_CHILDREN_FOR_EPHEMERALS");
    const owner = txn.ephemeral ? this.sessions.get(header.session) : undefined;
    if (txn.ephemeral && owner === undefined) return failure("SESSION_EXPIRED");

    const node = new Znode(path);
    node.data = copyOf(txn.data);
    node.czxid = node.mzxid = node.pzxid = header.zxid;
    node.ctime = node.mtime = header.timeMs;
    if (owner !== undefined) {
      node.ephemeralOwner = owner.id;
      owner.ephemerals.add(path);
    }
    this.#insert(node);
    this.#markChanged(node);
    this.#childrenChanged(parent, header.zxid, txn.parentCversion);
    this.#link(path);
    this.events.push({ type: WatchEventType.CREATED, path });
    this.events.push({ type: WatchEventType.CHILDREN_CHANGED, path: parent.path });
    return { type: "create", path, stat: txn.withStat ? statOf(node) : null };
  }

  #delete(header: TxnHeader, path: string): ChangeResult {
    if (isBuiltIn(path)) return failure("BAD_ARGUMENTS");
    const node = this.#nodes.get(path);
    if (node === undefined) return DELETED;
    if (node.numChildren > 0) return failure("NOT_EMPTY");
    const parent = must(this.#nodes.get(parentOf(path)), "every znode has its parent");
    parent.children?.delete(nameOf(path));
    this.#nodes.delete(path);
    if (node.stale) node.stale = false;
    else this.#digest.subtract(node.hashHigh, node.hashLow);
    this.#changed.set(path, null);
    if (node.ephemeralOwner !== NO_SESSION) this.sessions.get(node.ephemeralOwner)?.ephemerals.delete(path);
    this.#childrenChanged(parent, header.zxid, parent.cversion);
    this.events.push({ type: WatchEventType.DELETED, path });
    this.events.push({ type: WatchEventType.CHILDREN_CHANGED, path: parent.path });
    return DELETED;
  }

  #openSession(id: SessionId, timeoutMs: number): WriteResult {
    if (id <= NO_SESSION || isAnonymous(id)) return failure("BAD_ARGUMENTS");
    let session = this.sessions.get(id);
    if (session === undefined) {
      session = new Session(id, timeoutMs);
      this.sessions.add(session);
    } else {
      session.timeoutMs = timeoutMs;
    }
    this.#sessionTouched(session);
    return { type: "createSession", timeoutMs };
  }

  /** Everything that the session owns goes with it: the same on every member, and no list that could outgrow a row. */
  #closeSession(header: TxnHeader): WriteResult {
    const session = this.sessions.get(header.session);
    if (session === undefined) return { type: "closeSession" };
    for (const path of [...session.ephemerals].sort()) this.#delete(header, path);
    this.sessions.remove(session.id);
    if (session.stale) session.stale = false;
    else this.#digest.subtract(session.hashHigh, session.hashLow);
    this.#changedSessions.set(session.id, null);
    return { type: "closeSession" };
  }

  /** Keeps the outcome, so that a repeat of this request gets it again instead of a second application. */
  #remember(header: TxnHeader, result: WriteResult, fingerprint: number): void {
    const session = this.sessions.get(header.session);
    if (session === undefined || compareZxid(header.zxid, session.lastZxid) < 0) return;
    session.lastXid = header.xid;
    session.lastZxid = header.zxid;
    session.lastResult = result;
    session.lastFingerprint = fingerprint;
    this.#sessionTouched(session);
  }

  /** Of the request that had this number, if it is the session's last one; 0: not known. It is no part of the digest. */
  fingerprintOf(id: SessionId, xid: number): number {
    const session = this.sessions.get(id);
    return session?.lastXid === xid ? session.lastFingerprint : 0;
  }

  /** The fingerprint of the request that had this number has become known, or turned out wrong. @param fingerprint 0: not known */
  noteFingerprint(id: SessionId, xid: number, fingerprint: number): void {
    const session = this.sessions.get(id);
    if (session === undefined || session.lastXid !== xid || session.lastFingerprint === fingerprint) return;
    session.lastFingerprint = fingerprint;
    this.#sessionTouched(session);
  }

  // ---- the checkpoint ----

  /** znodes and sessions that {@link takeChanges} would hand out */
  get changedCount(): number {
    return this.#changed.size + this.#changedSessions.size;
  }

  /** Returns the changes since the last call. The caller has to store all of them. */
  takeChanges(): TreeChanges {
    this.#settle();
    const znodes: ZnodeRow[] = [];
    const deleted: string[] = [];
    for (const [path, node] of this.#changed) {
      if (node === null) deleted.push(path);
      else {
        node.dirty = false;
        znodes.push(rowOf(node));
      }
    }
    const sessions: SessionRow[] = [];
    const closed: SessionId[] = [];
    for (const [id, session] of this.#changedSessions) {
      if (session === null) closed.push(id);
      else {
        session.dirty = false;
        sessions.push(sessionRowOf(session));
      }
    }
    this.#changed = new Map();
    this.#changedSessions = new Map();
    return { lastApplied: this.lastApplied, znodes, deleted, sessions, closed };
  }

  // ---- leaves ----

  /** Puts a node into the map and the digest. */
  #insert(node: Znode): void {
    hashIdentity(node);
    hashData(node);
    hashZnode(node);
    this.#digest.add(node.hashHigh, node.hashLow);
    this.#nodes.set(node.path, node);
  }

  /** Enters a node with its parent. */
  #link(path: string): void {
    if (path === "/") return;
    const parent = must(this.#nodes.get(parentOf(path)), "every znode has its parent");
    if (parent.children === null) parent.children = new ChildNames();
    parent.children.add(nameOf(path));
  }

  /** A child came or went. Both numbers only move up, so an older txn applied again changes nothing. */
  #childrenChanged(parent: Znode, zxid: Zxid, cversion: number): void {
    if (isCounterAhead(cversion, parent.cversion)) parent.cversion = cversion;
    if (compareZxid(zxid, parent.pzxid) > 0) parent.pzxid = zxid;
    this.#touched(parent);
  }

  /** The node changed: neither its share of the digest nor its row in the checkpoint is right any more. */
  #touched(node: Znode): void {
    if (!node.stale) {
      node.stale = true;
      this.#digest.subtract(node.hashHigh, node.hashLow);
      this.#stale.push(node);
    }
    if (!node.dirty) this.#markChanged(node);
  }

  /** Brings the digest up to date. */
  #settle(): void {
    for (const node of this.#stale) {
      // one that was deleted meanwhile
      if (!node.stale) continue;
      node.stale = false;
      if (node.staleData) this.#settleData(node);
      hashZnode(node);
      this.#digest.add(node.hashHigh, node.hashLow);
    }
    this.#stale.length = 0;
    for (const session of this.#staleSessions) {
      if (!session.stale) continue;
      session.stale = false;
      hashSession(session);
      this.#digest.add(session.hashHigh, session.hashLow);
    }
    this.#staleSessions.length = 0;
  }

  /** Makes the data the tree's own, and hashes them. */
  #settleData(node: Znode): void {
    node.data = copyOf(node.data);
    hashData(node);
    node.staleData = false;
  }

  #markChanged(node: Znode): void {
    node.dirty = true;
    this.#changed.set(node.path, node);
  }

  #sessionTouched(session: Session): void {
    if (!session.stale) {
      session.stale = true;
      this.#digest.subtract(session.hashHigh, session.hashLow);
      this.#staleSessions.push(session);
    }
    if (session.dirty) return;
    session.dirty = true;
    this.#changedSessions.set(session.id, session);
  }

  #restoreZnode(row: ZnodeRow): void {
    const before = this.#nodes.get(row.path);
    if (before !== undefined) this.#digest.subtract(before.hashHigh, before.hashLow);
    const node = znodeOf(row);
    node.children = before?.children ?? null;
    this.#insert(node);
  }

  #restoreSession(row: SessionRow): void {
    const session = sessionOf(row);
    this.sessions.add(session);
    hashSession(session);
    this.#digest.add(session.hashHigh, session.hashLow);
  }
}

/** Reads do not validate paths, but exists may leave a watch where no znode is, and of a NUL ZooKeeper takes none. */
const isNulExists = (request: ReadRequest): boolean =>
  request.type === "exists" && request.path.includes("\0");

/** A znode that is there from the beginning. */
function builtIn(path: string): Znode {
  const node = new Znode(path);
  node.data = new Uint8Array(0);
  if (path.endsWith("/config")) node.aversion = -1;
  return node;
}

/** What a refused write answers. Of a multi: OK before the culprit, its code, "not tried" after it. */
function refusal(code: ZooErrorCode, ops: number, at: number): WriteResult {
  if (ops === 0) return failure(code);
  const results = Array.from({ length: ops }, (_, i) =>
    failure(i < at ? "OK" : i === at ? code : "RUNTIME_INCONSISTENCY"),
  );
  return { type: "multi", results };
}

/** What a checkpoint keeps of a znode now. */
export function rowOf(node: Znode): ZnodeRow {
  const { path, data, czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner } = node;
  return { path, data, czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner };
}

/** What a checkpoint keeps of a session now. */
export function sessionRowOf(session: Session): SessionRow {
  const { id, timeoutMs, lastXid, lastZxid, lastResult, lastFingerprint } = session;
  return { id, timeoutMs, lastXid, lastZxid, lastResult, lastFingerprint };
}

function znodeOf(row: ZnodeRow): Znode {
  const node = new Znode(row.path);
  node.data = row.data;
  node.czxid = row.czxid;
  node.mzxid = row.mzxid;
  node.pzxid = row.pzxid;
  node.ctime = row.ctime;
  node.mtime = row.mtime;
  node.version = row.version;
  node.cversion = row.cversion;
  node.aversion = row.aversion;
  node.ephemeralOwner = row.ephemeralOwner;
  return node;
}

function sessionOf(row: SessionRow): Session {
  const session = new Session(row.id, row.timeoutMs);
  session.lastXid = row.lastXid;
  session.lastZxid = row.lastZxid;
  session.lastResult = row.lastResult;
  session.lastFingerprint = row.lastFingerprint ?? 0;
  return session;
}

/** The digest of a tree before any of its rows is added; see {@link addToDigest}. */
export const emptyTreeDigest = (): Chain => new ZnodeTree().digest;

/**
 * The digest of a tree is the sum over its rows, so it can be told page by page, without a tree: begins with
 * {@link emptyTreeDigest}, and is the tree's once every row was added.
 */
export function addToDigest(sum: Chain, znodes: readonly ZnodeRow[], sessions: readonly SessionRow[]): Chain {
  const digest = new Digest();
  digest.add(sum.high, sum.low);
  for (const row of znodes) {
    const node = znodeOf(row);
    hashIdentity(node);
    hashData(node);
    hashZnode(node);
    digest.add(node.hashHigh, node.hashLow);
    if (!isBuiltIn(row.path)) continue;
    // The empty tree has it already, as it is at first.
    const first = builtIn(row.path);
    hashIdentity(first);
    hashData(first);
    hashZnode(first);
    digest.subtract(first.hashHigh, first.hashLow);
  }
  for (const row of sessions) {
    const session = sessionOf(row);
    hashSession(session);
    digest.add(session.hashHigh, session.hashLow);
  }
  return { high: digest.high, low: digest.low };
}
