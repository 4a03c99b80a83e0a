/** The content of the tree: znodes and sessions, their digest, and the changes since the last checkpoint. */
import { must } from "../assert.ts";
import { TreeDamagedError } from "../damaged-error.ts";
import type { Chain } from "../hash/chain.ts";
import { copyData } from "../wire/data-pool.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import { type ChangedRows, ChangeSet } from "./change-set.ts";
import { ChildNames } from "./child-names.ts";
import { ListSize } from "./children-page.ts";
import { Digest, hashData, hashIdentity, hashSession, hashZnode } from "./digest.ts";
import { Ephemerals } from "./ephemerals.ts";
import { BUILT_IN_PATHS, isBuiltIn, nameOf, parentOf } from "./path.ts";
import { sessionOf, znodeOf } from "./rows.ts";
import { type Session, type SessionRow, SessionTable } from "./session.ts";
import { isCounterAhead, Znode, type ZnodeRow } from "./stat.ts";
import { NO_SESSION, type SessionId, type WatchEvent, type WatchEventType } from "./types.ts";
import { ZnodeCache } from "./znode-cache.ts";
import type { StoredZnode, ZnodeStore } from "./znode-store.ts";

/** Changes between two checkpoints, in the state of `lastApplied`. */
export interface TreeChanges extends ChangedRows {
  readonly lastApplied: Zxid;
  /** digest of the whole tree, these changes included */
  readonly digest: Chain;
  /** number of znodes in the tree */
  readonly size: number;
}

/** The part of a checkpoint that is read when its tree is opened. */
export interface StoredTree {
  readonly sessions: Iterable<SessionRow>;
  readonly lastApplied: Zxid;
  /** of the whole tree */
  readonly digest: Chain;
  /** number of znodes, the built-in ones included */
  readonly size: number;
}

/** Names per read of the store. */
const NAMES_PAGE = 4_096;
/** Limit of paths known not to exist from recent reads of the store, which apply reads again after prep. */
const ABSENT_MAX = 4_096;
/** Longest such path that is kept, in code units: an ordinary one; a path may have as many bytes as a request. */
const ABSENT_PATH_MAX = 1_024;
/** Share of the budget that changed znodes may use before a checkpoint is due. */
const CHANGED_SHARE_MAX = 1 / 4;

const NO_NAMES = new ChildNames();
const SLASH = 0x2f;

/** A new built-in znode. */
function builtIn(path: string): Znode {
  const node = new Znode(path);
  node.data = new Uint8Array(0);
  if (path.endsWith("/config")) node.aversion = -1;
  return node;
}

function fromStore({ row, numChildren }: StoredZnode): Znode {
  const node = znodeOf(row);
  node.numChildren = numChildren;
  return node;
}

function hashAll(node: Znode): void {
  hashIdentity(node);
  hashData(node);
  hashZnode(node);
}

/**
 * The replicated state that the ops change: a write-behind cache over the znodes of the last checkpoint. Without a store
 * everything is in memory.
 *
 * Invariants: a znode that has changed since the checkpoint is in memory, and so is its parent if it was created or
 * deleted; the store has the current state of all others. Every znode has a parent, which counts it as a child; a session
 * owns exactly its ephemerals; the digest is the sum of the hashes of all znodes and sessions except the stale ones, in
 * memory or not.
 * @source ZooKeeper `DataTree`; decision 0020
 */
export class TreeState {
  readonly sessions = new SessionTable();
  /** Watch events of the txns applied, in order. The owner drains the array. */
  readonly events: WatchEvent[] = [];
  /** the last applied txn; never decreases */
  lastApplied: Zxid = ZXID_ZERO;
  readonly #store: ZnodeStore | null;
  readonly #cache = new ZnodeCache();
  readonly #ephemerals: Ephemerals;
  #digest = new Digest();
  #size: number = BUILT_IN_PATHS.length;
  readonly #changes = new ChangeSet();
  /** paths without a znode in the store */
  readonly #absent = new Set<string>();
  /**
   * Znodes and sessions whose hashes are added when the digest is read, so that several changes in a batch cost one hash.
   */
  readonly #stale: Znode[] = [];
  readonly #staleSessions: Session[] = [];

  /** A tree with the built-in znodes only; if there is a store, in their stored state. */
  constructor(store: ZnodeStore | null = null) {
    this.#store = store;
    this.#ephemerals = new Ephemerals(store);
    const unstored: Znode[] = [];
    for (const path of BUILT_IN_PATHS) {
      const stored = store?.get(path);
      const node = this.#builtIn(path, stored);
      if (stored === undefined) unstored.push(node);
    }
    for (const { path } of unstored) if (path !== "/") this.#link(this.#parentOf(path), nameOf(path));
    if (store !== null) this.#changes.store(unstored);
  }

  #builtIn(path: string, stored: StoredZnode | undefined): Znode {
    const node = stored === undefined ? builtIn(path) : znodeOf(stored.row);
    // An unchanged built-in znode has no row, but may have changed children with rows.
    node.numChildren = stored?.numChildren ?? this.#store?.children(path, "", NAMES_PAGE).length ?? 0;
    hashAll(node);
    this.#cache.pin(node);
    if (this.#store === null) this.#digest.add(node.hashHigh, node.hashLow);
    return node;
  }

  /**
   * Loads a tree into memory from the rows of checkpoints, in any order. It has the same digest as the tree of these rows.
   * @throws AssertionError if a znode lacks its parent or an ephemeral its session, since the rows then form no whole tree
   */
  static load(rows: Iterable<ZnodeRow>, sessions: Iterable<SessionRow>, lastApplied: Zxid): TreeState {
    const state = new TreeState();
    for (const row of sessions) {
      state.#restoreSession(row);
      state.#ephemerals.opened(row.id);
    }
    const nodes = [...rows].map((row) => state.#restoreZnode(row));
    for (const { path, ephemeralOwner } of nodes) {
      if (!isBuiltIn(path)) {
        const parent = must(state.get(parentOf(path)), "every znode has its parent");
        state.#link(parent, nameOf(path));
      }
      if (ephemeralOwner === NO_SESSION) continue;
      must(state.sessions.get(ephemeralOwner), "a stored ephemeral has its session");
      state.#ephemerals.add(ephemeralOwner, path);
    }
    state.lastApplied = lastApplied;
    return state;
  }

  /** The tree of a checkpoint, whose znodes are read on demand. */
  static open(store: ZnodeStore, { sessions, lastApplied, digest, size }: StoredTree): TreeState {
    const state = new TreeState(store);
    for (const row of sessions) state.#restoreSession(row);
    state.#digest = new Digest(digest);
    state.#size = size;
    state.lastApplied = lastApplied;
    return state;
  }

  /** number of znodes, the built-in ones included */
  get size(): number {
    return this.#size;
  }

  /** approximate bytes of the znodes in memory */
  get bytes(): number {
    return this.#cache.bytes;
  }

  /**
   * The znode of this path; valid until the turn ends, since it may then be evicted.
   * @throws TreeDamagedError if its row is damaged
   */
  get(path: string): Znode | undefined {
    return this.#cache.get(path) ?? this.#fetch(path);
  }

  /**
   * Like {@link get}, but a znode that is not in memory is not kept there, so that one request may check any number. Its fields
   * are as of now: the next change may not change them.
   * @throws TreeDamagedError if its row is damaged
   */
  peek(path: string): Readonly<Znode> | undefined {
    const node = this.#cache.get(path);
    if (node !== undefined) return node;
    const stored = this.#read(path);
    return stored && fromStore(stored);
  }

  /** All znodes, in no particular order; reads those that are not in memory. */
  *znodes(): Generator<Znode> {
    const paths = ["/"];
    for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
      const node = must(this.get(path), "a listed znode exists");
      yield node;
      for (const name of this.childNames(node).sorted())
        paths.push(path === "/" ? `/${name}` : `${path}/${name}`);
    }
  }

  /** Paths of the ephemerals that the session owns. */
  ephemeralsOf(session: SessionId): ReadonlySet<string> {
    return this.#ephemerals.of(session, this.#changes.znodes);
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

  // ── lists of children ────────────────────────────────────────────────────

  /** Whether the names of all children are in memory. */
  hasList({ children, numChildren }: Znode): boolean {
    return children !== null || numChildren === 0;
  }

  /** The names of all children; reads them if they are not in memory. @throws TreeDamagedError if one is missing */
  childNames(node: Znode): ChildNames {
    return must(this.childNamesWithin(node, Number.POSITIVE_INFINITY), "every list is within no limit");
  }

  /**
   * The names of all children; undefined if they have to be read, and reading has found that they exceed a message of
   * `bytesMax`.
   * @throws TreeDamagedError if one is missing
   */
  childNamesWithin(node: Znode, bytesMax: number): ChildNames | undefined {
    if (node.children !== null) return node.children;
    if (node.numChildren === 0) return NO_NAMES;
    const size = bytesMax === Number.POSITIVE_INFINITY ? undefined : new ListSize(bytesMax);
    if (size?.fits(node.numChildren) === false) return undefined;
    const sorted = this.childNamesAfter(node, "", Number.POSITIVE_INFINITY, size);
    if (size?.isExceeded === true) return undefined;
    const names = new ChildNames(sorted);
    if (names.size !== node.numChildren)
      throw new TreeDamagedError(
        `${node.path} has ${node.numChildren} children, and ${names.size} of them are stored`,
      );
    node.children = names;
    this.#cache.measure(node);
    return names;
  }

  /**
   * Names of children in code unit order: all of them, or at least the first `limit` names after `after`.
   * @param size receives the names that are read; reading stops when it is exceeded
   */
  childNamesAfter(node: Znode, after: string, limit: number, size?: ListSize): readonly string[] {
    const store = this.#store;
    if (store === null || this.hasList(node)) return this.childNames(node).sorted();
    const changed = this.#changes.childrenOf(node.path);
    const names: string[] = [];
    let last = after;
    for (let isMore = true; isMore && names.length < limit && size?.isExceeded !== true; ) {
      const count = Math.min(NAMES_PAGE, limit - names.length);
      const page = store.children(node.path, last, count);
      for (const name of page) if (!changed.has(name)) names.push(name);
      size?.add(names);
      last = page.at(-1) ?? last;
      isMore = page.length === count;
      if (!isMore) last = "";
    }
    // After the last name read, unread names may precede a new one.
    const added = [...changed].filter(
      ([name, exists]) => exists && name > after && (last === "" || name < last),
    );
    return added.length === 0 ? names : [...names, ...added.map(([name]) => name)].sort();
  }

  // ── changes ──────────────────────────────────────────────────────────────

  /**
   * Adds a znode below its parent.
   * @param parentCversion stored cversion of the parent after the change
   */
  add(node: Znode, parent: Znode, parentCversion: number): void {
    const { path, ephemeralOwner } = node;
    hashAll(node);
    this.#digest.add(node.hashHigh, node.hashLow);
    this.#changes.created(node);
    this.#cache.add(node);
    this.#size += 1;
    if (this.#absent.size > 0) this.#absent.delete(path);
    if (ephemeralOwner !== NO_SESSION) this.#ephemerals.add(ephemeralOwner, path);
    this.#childrenChanged(parent, node.czxid, parentCversion);
    this.#link(parent, nameOf(path));
  }

  /** Removes a znode without children from its parent and from its owner's ephemerals. @returns the parent */
  remove(node: Znode, zxid: Zxid): Znode {
    const { path, ephemeralOwner } = node;
    const parent = this.#parentOf(path);
    if (parent.numChildren === 0)
      throw new TreeDamagedError(`the number of children of ${parent.path} is too low`);
    parent.numChildren -= 1;
    parent.children?.delete(nameOf(path));
    if (!node.dirty) this.#changes.changed(node);
    node.gone = true;
    this.#cache.remove(node);
    // The checkpoint needs only its path and hash.
    node.data = null;
    this.#changes.measure(node);
    this.#size -= 1;
    if (node.stale) node.stale = false;
    else this.#digest.subtract(node.hashHigh, node.hashLow);
    if (ephemeralOwner !== NO_SESSION) this.#ephemerals.delete(ephemeralOwner, path);
    this.#childrenChanged(parent, zxid, parent.cversion);
    return parent;
  }

  /** Records that a znode has changed, so that its hash in the digest and its row in the checkpoint are outdated. */
  touched(node: Znode): void {
    if (!node.dirty) this.#changes.changed(node);
    this.#cache.measure(node);
    this.#changes.measure(node);
    if (node.stale) return;
    node.stale = true;
    this.#digest.subtract(node.hashHigh, node.hashLow);
    this.#stale.push(node);
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
    this.#ephemerals.opened(session.id);
    this.sessionTouched(session);
  }

  /** Removes a session that owns nothing. */
  removeSession(session: Session): void {
    this.sessions.remove(session.id);
    this.#ephemerals.closed(session.id);
    if (session.stale) session.stale = false;
    else this.#digest.subtract(session.hashHigh, session.hashLow);
    this.#changes.sessionClosed(session.id);
  }

  /** Records that a session has changed, as {@link touched} does for a znode. */
  sessionTouched(session: Session): void {
    if (!session.stale) {
      session.stale = true;
      this.#digest.subtract(session.hashHigh, session.hashLow);
      this.#staleSessions.push(session);
    }
    if (!session.dirty) this.#changes.sessionChanged(session);
  }

  // ── checkpoints and memory ───────────────────────────────────────────────

  /** number of znodes and sessions that have changed since the last {@link takeChanges} */
  get changedCount(): number {
    return this.#changes.size;
  }

  /**
   * Whether a checkpoint is needed for the znodes in memory to stay within `bytesMax`: those that have changed use a large
   * share of it, or, with their lists of children, all of it.
   */
  needsCheckpoint(bytesMax: number): boolean {
    if (this.#changes.size === 0) return false;
    return this.#changes.bytes >= bytesMax * CHANGED_SHARE_MAX || this.#cache.isStuck;
  }

  /**
   * Returns the changes since the last call. The caller has to store all of them before the next read of the tree.
   * @param upTo a path; "": no path
   */
  takeChanges(upTo = ""): TreeChanges {
    this.#settle();
    const rows = this.#changes.take(upTo);
    for (const { path } of rows.znodes) {
      const node = this.#cache.peek(path);
      if (node !== undefined) this.#cache.measure(node);
    }
    this.#cache.cleaned();
    const { lastApplied, size } = this;
    return { ...rows, lastApplied, digest: this.#digest.value, size };
  }

  /**
   * Evicts clean znodes until the others are within `bytesMax`. To be called between turns, when no caller has a reference
   * to a znode.
   */
  trim(bytesMax: number): void {
    if (this.#store === null) return;
    this.#cache.trim(bytesMax);
    this.#ephemerals.trim();
  }

  /**
   * Evicts clean znodes and lists regardless of the budget. To be called between turns, when no caller has a reference to a
   * znode.
   */
  evict(mayLeave: (node: Znode) => boolean): void {
    if (this.#store === null) return;
    this.#cache.evict(mayLeave);
    this.#ephemerals.forget();
    this.#absent.clear();
  }

  /** Reads a znode into memory. */
  #fetch(path: string): Znode | undefined {
    const stored = this.#read(path);
    if (stored === undefined) return undefined;
    const node = fromStore(stored);
    hashAll(node);
    this.#cache.add(node);
    return node;
  }

  /** The stored state of a znode that is not in memory. */
  #read(path: string): StoredZnode | undefined {
    const store = this.#store;
    if (store === null || this.#isAbsent(path)) return undefined;
    const stored = store.get(path);
    if (stored === undefined) {
      if (path.length > ABSENT_PATH_MAX) return undefined;
      if (this.#absent.size >= ABSENT_MAX) this.#absent.clear();
      this.#absent.add(path);
      return undefined;
    }
    return stored;
  }

  /** Whether a path that is not in memory is known, without a read, to have no znode. */
  #isAbsent(path: string): boolean {
    // A changed znode that is not in memory was deleted.
    if (path.charCodeAt(0) !== SLASH || this.#absent.has(path) || this.#changes.znodes.has(path)) return true;
    const parent = this.#cache.peek(parentOf(path));
    if (parent === undefined || !this.hasList(parent)) return false;
    return !this.childNames(parent).has(nameOf(path));
  }

  /** The parent of a znode. @throws TreeDamagedError if it is missing */
  #parentOf(path: string): Znode {
    const parent = this.get(parentOf(path));
    if (parent === undefined) throw new TreeDamagedError(`${path} has no parent`);
    return parent;
  }

  /** Counts a new child, and adds it to the list if that is in memory. */
  #link(parent: Znode, name: string): void {
    if (parent.numChildren === 0) parent.children ??= new ChildNames();
    parent.children?.add(name);
    parent.numChildren += 1;
  }

  /**
   * Updates the parent of a created or deleted child. Both numbers only increase, so applying an older txn again changes
   * nothing.
   */
  #childrenChanged(parent: Znode, zxid: Zxid, cversion: number): void {
    if (isCounterAhead(cversion, parent.cversion)) parent.cversion = cversion;
    if (compareZxid(zxid, parent.pzxid) > 0) parent.pzxid = zxid;
    this.touched(parent);
  }

  /** Updates the digest. */
  #settle(): void {
    for (const node of this.#stale) {
      // deleted in the meantime
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

  #restoreZnode(row: ZnodeRow): Znode {
    const before = this.#cache.peek(row.path);
    if (before !== undefined) {
      this.#digest.subtract(before.hashHigh, before.hashLow);
      this.#cache.remove(before);
    } else this.#size += 1;
    const node = znodeOf(row);
    node.children = before?.children ?? null;
    node.numChildren = before?.numChildren ?? 0;
    hashAll(node);
    this.#digest.add(node.hashHigh, node.hashLow);
    if (isBuiltIn(row.path)) this.#cache.pin(node);
    else this.#cache.add(node);
    return node;
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
 * The digest of a tree is the sum over its rows, so it can be computed page by page, without a tree: the sum begins with
 * {@link emptyTreeDigest}, and is the digest of the tree once every row was added.
 */
export function addToDigest(sum: Chain, znodes: readonly ZnodeRow[], sessions: readonly SessionRow[]): Chain {
  const digest = new Digest(sum);
  for (const row of znodes) {
    const node = znodeOf(row);
    hashAll(node);
    digest.add(node.hashHigh, node.hashLow);
    if (!isBuiltIn(row.path)) continue;
    // the digest of the empty tree includes it
    const first = builtIn(row.path);
    hashAll(first);
    digest.subtract(first.hashHigh, first.hashLow);
  }
  for (const row of sessions) {
    const session = sessionOf(row);
    hashSession(session);
    digest.add(session.hashHigh, session.hashLow);
  }
  return digest.value;
}
