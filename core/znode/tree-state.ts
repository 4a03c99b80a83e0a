/** The content of the tree: znodes and sessions, their digest, and the changes since the last checkpoint. */
import { must } from "../assert.ts";
import type { Chain } from "../hash/chain.ts";
import { copyData } from "../wire/data-pool.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import { ChildNames } from "./child-names.ts";
import { Digest, hashData, hashIdentity, hashSession, hashZnode } from "./digest.ts";
import { BUILT_IN_PATHS, isBuiltIn, nameOf, parentOf } from "./path.ts";
import { rowOf, sessionOf, sessionRowOf, znodeOf } from "./rows.ts";
import { type Session, type SessionRow, SessionTable } from "./session.ts";
import { isCounterAhead, Znode, type ZnodeRow } from "./stat.ts";
import { NO_SESSION, type SessionId, type WatchEvent, type WatchEventType } from "./types.ts";

/**
 * Changes between two checkpoints, in the state of `lastApplied`. The rows are copies: the tree may change meanwhile.
 */
export interface TreeChanges {
  readonly lastApplied: Zxid;
  readonly znodes: readonly ZnodeRow[];
  /** paths of deleted znodes */
  readonly deleted: readonly string[];
  readonly sessions: readonly SessionRow[];
  /** closed sessions */
  readonly closed: readonly SessionId[];
}

/** A znode that exists from the beginning. */
function builtIn(path: string): Znode {
  const node = new Znode(path);
  node.data = new Uint8Array(0);
  if (path.endsWith("/config")) node.aversion = -1;
  return node;
}

/**
 * The replicated state, as the ops change it.
 *
 * Invariants: the parent of every znode is there and lists it as a child; every ephemeral is in its session's list and no
 * other path is; the digest is the sum of the hashes of all znodes and sessions but the stale ones.
 * @source ZooKeeper `DataTree`
 */
export class TreeState {
  readonly sessions = new SessionTable();
  /** Watch events of the txns applied, in order. The owner drains the array. */
  readonly events: WatchEvent[] = [];
  /** the last applied txn; never decreases */
  lastApplied: Zxid = ZXID_ZERO;
  /** *map path → znode* */
  readonly #nodes = new Map<string, Znode>();
  readonly #digest = new Digest();
  /** *map path → its znode, or null if it was deleted*: changed since the last checkpoint. */
  #changed = new Map<string, Znode | null>();
  /** *map session id → session, or null if it was closed*: changed since the last checkpoint. */
  #changedSessions = new Map<SessionId, Session | null>();
  /**
   * Znodes and sessions whose hashes are not part of the digest until it is read: what changes often in a batch is
   * hashed once.
   */
  readonly #stale: Znode[] = [];
  readonly #staleSessions: Session[] = [];

  constructor() {
    for (const path of BUILT_IN_PATHS) this.#insert(builtIn(path));
    for (const path of BUILT_IN_PATHS) this.#link(path);
  }

  /**
   * The state that checkpoints kept, in any order. It has the digest of the state that the rows came from.
   * @throws AssertionError when a znode lacks its parent or an ephemeral its session: the rows are not a whole tree
   */
  static load(rows: Iterable<ZnodeRow>, sessions: Iterable<SessionRow>, lastApplied: Zxid): TreeState {
    const state = new TreeState();
    for (const row of sessions) state.#restoreSession(row);
    for (const row of rows) state.#restoreZnode(row);
    for (const node of state.#nodes.values()) {
      state.#link(node.path);
      if (node.ephemeralOwner === NO_SESSION) continue;
      const owner = state.sessions.get(node.ephemeralOwner);
      must(owner, "an ephemeral that is stored has its session").ephemerals.add(node.path);
    }
    state.lastApplied = lastApplied;
    return state;
  }

  /** number of znodes, the built-in ones included */
  get size(): number {
    return this.#nodes.size;
  }

  get(path: string): Znode | undefined {
    return this.#nodes.get(path);
  }

  /** Every znode, in no particular order. */
  znodes(): IterableIterator<Znode> {
    return this.#nodes.values();
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

  /**
   * Adds a znode below its parent.
   * @param parentCversion stored cversion of the parent after it
   */
  add(node: Znode, parent: Znode, parentCversion: number): void {
    this.#insert(node);
    this.#markChanged(node);
    if (node.ephemeralOwner !== NO_SESSION) this.sessions.get(node.ephemeralOwner)?.ephemerals.add(node.path);
    this.#childrenChanged(parent, node.czxid, parentCversion);
    this.#link(node.path);
  }

  /** Removes a znode without children from its parent, and from the list of its owner. @returns the parent */
  remove(node: Znode, zxid: Zxid): Znode {
    const { path } = node;
    const parent = must(this.#nodes.get(parentOf(path)), "every znode has its parent");
    parent.children?.delete(nameOf(path));
    this.#nodes.delete(path);
    if (node.stale) node.stale = false;
    else this.#digest.subtract(node.hashHigh, node.hashLow);
    this.#changed.set(path, null);
    if (node.ephemeralOwner !== NO_SESSION) this.sessions.get(node.ephemeralOwner)?.ephemerals.delete(path);
    this.#childrenChanged(parent, zxid, parent.cversion);
    return parent;
  }

  /** Notes that a znode has changed: its hash in the digest and its row in the checkpoint are outdated. */
  touched(node: Znode): void {
    if (!node.stale) {
      node.stale = true;
      this.#digest.subtract(node.hashHigh, node.hashLow);
      this.#stale.push(node);
    }
    if (!node.dirty) this.#markChanged(node);
  }

  /** Copies the data, which may be a view of their batch, and hashes them. */
  settleData(node: Znode): void {
    if (node.data !== null) node.data = copyData(node.data);
    hashData(node);
    node.staleData = false;
  }

  /** Reports a change to the watches. */
  fire(type: WatchEventType, path: string): void {
    this.events.push({ type, path });
  }

  /** Adds a session without ephemerals. */
  addSession(session: Session): void {
    this.sessions.add(session);
    this.sessionTouched(session);
  }

  /** Removes a session that owns nothing. */
  removeSession(session: Session): void {
    this.sessions.remove(session.id);
    if (session.stale) session.stale = false;
    else this.#digest.subtract(session.hashHigh, session.hashLow);
    this.#changedSessions.set(session.id, null);
  }

  /** Notes that a session has changed, as {@link touched} does for a znode. */
  sessionTouched(session: Session): void {
    if (!session.stale) {
      session.stale = true;
      this.#digest.subtract(session.hashHigh, session.hashLow);
      this.#staleSessions.push(session);
    }
    if (session.dirty) return;
    session.dirty = true;
    this.#changedSessions.set(session.id, session);
  }

  /** number of znodes and sessions that {@link takeChanges} would return */
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

  /** Adds a znode to the map and the digest. */
  #insert(node: Znode): void {
    hashIdentity(node);
    hashData(node);
    hashZnode(node);
    this.#digest.add(node.hashHigh, node.hashLow);
    this.#nodes.set(node.path, node);
  }

  /** Adds a znode to its parent. */
  #link(path: string): void {
    if (path === "/") return;
    const parent = must(this.#nodes.get(parentOf(path)), "every znode has its parent");
    if (parent.children === null) parent.children = new ChildNames();
    parent.children.add(nameOf(path));
  }

  /** A child was created or deleted. Both numbers only increase, so applying an older txn again changes nothing. */
  #childrenChanged(parent: Znode, zxid: Zxid, cversion: number): void {
    if (isCounterAhead(cversion, parent.cversion)) parent.cversion = cversion;
    if (compareZxid(zxid, parent.pzxid) > 0) parent.pzxid = zxid;
    this.touched(parent);
  }

  /** Brings the digest up to date. */
  #settle(): void {
    for (const node of this.#stale) {
      // it was deleted meanwhile
      if (!node.stale) continue;
      node.stale = false;
      if (node.staleData) this.settleData(node);
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

  #markChanged(node: Znode): void {
    node.dirty = true;
    this.#changed.set(node.path, node);
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

/** The digest of a tree before any of its rows is added; see {@link addToDigest}. */
export const emptyTreeDigest = (): Chain => new TreeState().digest;

/**
 * The digest of a tree is the sum over its rows, so it can be computed page by page, without a tree: begins with
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
    // the empty tree has it already
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
