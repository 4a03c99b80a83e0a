/**
 * The znodes as they will be once all prepared txns are applied: the tree under a layer of outstanding changes.
 * @source ZooKeeper `ZooKeeperServer.outstandingChanges`
 */
import { assert } from "../assert.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { SessionTable } from "./session.ts";
import { NO_SESSION, type SessionId } from "./types.ts";

/** The fields of a znode that a check needs; a `Znode` of the tree has them too. */
export interface NodeView {
  readonly path: string;
  readonly version: number;
  /** stored form */
  readonly cversion: number;
  readonly numChildren: number;
  readonly ephemeralOwner: SessionId;
}

/** The applied state, as prep reads it. */
export interface TreeView {
  readonly sessions: SessionTable;
  readonly lastApplied: Zxid;
  get(path: string): NodeView | undefined;
  /** Like `get`, without keeping the znode in memory. */
  peek(path: string): NodeView | undefined;
  /** Paths of the ephemerals that the session owns. */
  ephemeralsOf(session: SessionId): ReadonlySet<string>;
}

/** State of one znode after one txn. */
export class Change implements NodeView {
  readonly path: string;
  readonly epoch: number;
  readonly counter: number;
  readonly version: number;
  readonly cversion: number;
  readonly numChildren: number;
  readonly ephemeralOwner: SessionId;
  /** false: the txn deletes it */
  readonly exists: boolean;
  /** the change of the same path that this one replaced as the latest; for {@link Overlay.rollback} */
  before: Change | undefined;
  /** a later change of the same path is outstanding */
  superseded = false;

  constructor(
    zxid: Zxid,
    path: string,
    version: number,
    cversion: number,
    numChildren: number,
    ephemeralOwner: SessionId,
    exists: boolean,
  ) {
    this.path = path;
    this.epoch = zxid.epoch;
    this.counter = zxid.counter;
    this.version = version;
    this.cversion = cversion;
    this.numChildren = numChildren;
    this.ephemeralOwner = ephemeralOwner;
    this.exists = exists;
  }
}

/** Length of a consumed prefix of the queue that is cut off, if it is also half of the queue. */
const COMPACT_FROM = 1024;

/**
 * The tree under a layer of outstanding changes.
 *
 * Invariant: `#latest` holds, for every path with outstanding changes, the last of them, and `#queue` from
 * `#head` on holds all of them in zxid order.
 * @source ZooKeeper `ZooKeeperServer.outstandingChanges`, `outstandingChangesForPath`
 */
export class Overlay {
  readonly #tree: TreeView;
  readonly #latest = new Map<string, Change>();
  readonly #queue: Change[] = [];
  #head = 0;

  constructor(tree: TreeView) {
    this.#tree = tree;
  }

  /** Number of outstanding changes. */
  get size(): number {
    return this.#queue.length - this.#head;
  }

  /** The znode before the next txn; undefined if it will not exist. */
  get(path: string): NodeView | undefined {
    const change = this.#latest.get(path);
    if (change === undefined) return this.#tree.get(path);
    return change.exists ? change : undefined;
  }

  /** Like {@link get}, for a znode that apply does not need: it is not kept in memory. */
  peek(path: string): NodeView | undefined {
    const change = this.#latest.get(path);
    if (change === undefined) return this.#tree.peek(path);
    return change.exists ? change : undefined;
  }

  /** Whether a change of this path is outstanding. */
  has(path: string): boolean {
    return this.#latest.has(path);
  }

  /** A child of `parent` is created (+1) or deleted (−1). @param cversion stored cversion of the parent after it */
  putChildren(zxid: Zxid, parent: NodeView, cversion: number, added: 1 | -1): void {
    const numChildren = parent.numChildren + added;
    this.put(
      new Change(zxid, parent.path, parent.version, cversion, numChildren, parent.ephemeralOwner, true),
    );
  }

  /** The znode, a child of `parent`, is deleted. */
  putDeleted(zxid: Zxid, parent: NodeView, path: string): void {
    this.putChildren(zxid, parent, parent.cversion, -1);
    this.put(new Change(zxid, path, 0, 0, 0, NO_SESSION, false));
  }

  /** Adds a change; zxids must not descend. */
  put(change: Change): void {
    const before = this.#latest.get(change.path);
    if (before !== undefined) {
      before.superseded = true;
      // only a rollback of this txn reaches earlier changes, so older links would only keep memory
      if (before.epoch !== change.epoch || before.counter !== change.counter) before.before = undefined;
      change.before = before;
    }
    this.#latest.set(change.path, change);
    this.#queue.push(change);
  }

  /** Paths with outstanding changes that `session` will own as ephemerals. */
  ownedBy(session: SessionId): string[] {
    const paths: string[] = [];
    for (const change of this.#latest.values()) {
      if (change.exists && change.ephemeralOwner === session) paths.push(change.path);
    }
    return paths;
  }

  /** A mark for {@link rollback}; valid until the next {@link dropUpTo}. */
  mark(): number {
    return this.#queue.length;
  }

  /** Removes every change that was added since the mark, latest first. */
  rollback(mark: number): void {
    assert(mark >= this.#head, "a rollback goes back to outstanding changes only");
    while (this.#queue.length > mark) {
      const change = this.#queue.pop();
      if (change === undefined) break;
      if (change.before === undefined) this.#latest.delete(change.path);
      else {
        change.before.superseded = false;
        this.#latest.set(change.path, change.before);
      }
    }
  }

  /** Drops the changes of every txn up to (epoch, counter); the tree has them. */
  dropUpTo(epoch: number, counter: number): void {
    const queue = this.#queue;
    let head = this.#head;
    for (; head < queue.length; head++) {
      const change = queue[head];
      if (change === undefined || change.epoch > epoch) break;
      if (change.epoch === epoch && change.counter > counter) break;
      if (!change.superseded) this.#latest.delete(change.path);
    }
    this.#head = head;
    if (head === queue.length) {
      assert(this.#latest.size === 0, "a path without an outstanding change has no entry");
      this.#startOver();
    } else if (head >= COMPACT_FROM && head * 2 >= queue.length) {
      queue.splice(0, head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#latest.clear();
    this.#startOver();
  }

  #startOver(): void {
    this.#queue.length = 0;
    this.#head = 0;
  }
}
