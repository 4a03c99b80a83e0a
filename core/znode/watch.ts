/**
 * Watches: who gets the next change of a znode, or, for a stream, every change. They belong to the member to which the client
 * is connected, are not replicated, and end with the connection.
 *
 * | event | data watches (getData, exists) | child watches (getChildren) |
 * |---|---|---|
 * | CREATED p | of p | |
 * | DATA_CHANGED p | of p | |
 * | DELETED p | of p | of p, but no watcher twice |
 * | CHILDREN_CHANGED p | | of p |
 *
 * @source ZooKeeper `WatchManager`, `DataTree.createNode`, `deleteNode`, `setWatches`
 */
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import type { ZnodeTree } from "./tree.ts";
import { type WatchEvent, WatchEventType, type WatchKind } from "./types.ts";

/** An event for one watcher. */
export interface Fired {
  readonly watcher: number;
  readonly event: WatchEvent;
}

/** The watches of a client that has reconnected. */
export interface SeenWatches {
  /** last zxid that the client has seen */
  readonly relativeZxid: Zxid;
  /** paths of znodes that existed */
  readonly data: readonly string[];
  /** paths of znodes that did not exist */
  readonly exist: readonly string[];
  readonly child: readonly string[];
}

const NOBODY: ReadonlySet<number> = new Set();

/** Pairs of (path, watcher). Invariant: both maps hold the same pairs and no empty sets. */
class WatchPairs {
  readonly #byPath = new Map<string, Set<number>>();
  readonly #byWatcher = new Map<number, Set<string>>();
  count = 0;

  add(path: string, watcher: number): void {
    const watchers = this.#byPath.get(path);
    if (watchers?.has(watcher)) return;
    if (watchers === undefined) this.#byPath.set(path, new Set([watcher]));
    else watchers.add(watcher);
    const paths = this.#byWatcher.get(watcher);
    if (paths === undefined) this.#byWatcher.set(watcher, new Set([path]));
    else paths.add(path);
    this.count += 1;
  }

  /** The watchers of `path`, in the order in which they came. */
  of(path: string): ReadonlySet<number> {
    return this.#byPath.get(path) ?? NOBODY;
  }

  /** Takes out the watchers of `path`, in the order in which they came. */
  take(path: string): ReadonlySet<number> {
    const watchers = this.#byPath.get(path);
    if (watchers === undefined) return NOBODY;
    this.#byPath.delete(path);
    for (const watcher of watchers) this.#dropPath(watcher, path);
    this.count -= watchers.size;
    return watchers;
  }

  removeWatcher(watcher: number): void {
    const paths = this.#byWatcher.get(watcher);
    if (paths === undefined) return;
    this.#byWatcher.delete(watcher);
    for (const path of paths) {
      const watchers = this.#byPath.get(path);
      watchers?.delete(watcher);
      if (watchers?.size === 0) this.#byPath.delete(path);
    }
    this.count -= paths.size;
  }

  #dropPath(watcher: number, path: string): void {
    const paths = this.#byWatcher.get(watcher);
    paths?.delete(path);
    if (paths?.size === 0) this.#byWatcher.delete(watcher);
  }
}

/**
 * Standard watches, each of which fires once, and watches of streams, which stay. A watcher is a number that its
 * owner chose.
 */
export class WatchTable {
  readonly #data = new WatchPairs();
  readonly #child = new WatchPairs();
  /** watchers of streams: they get every event of their path until they are removed */
  readonly #dataStreams = new WatchPairs();
  readonly #childStreams = new WatchPairs();

  /** Pairs of path and watcher. */
  get count(): number {
    return this.#data.count + this.#child.count + this.#dataStreams.count + this.#childStreams.count;
  }

  /**
   * Registers a watcher that stays: it gets CREATED and DELETED of the znode, and DATA_CHANGED (`data`) or
   * CHILDREN_CHANGED (`child`). A watcher of a stream has one registration.
   */
  follow(kind: "data" | "child", path: string, watcher: number): void {
    (kind === "child" ? this.#childStreams : this.#dataStreams).add(path === "" ? "/" : path, watcher);
  }

  /** Registers a watch; registering it again has no effect. Data and exists watches are in one table. */
  register(kind: WatchKind, path: string, watcher: number): void {
    const pairs = kind === "child" ? this.#child : this.#data;
    pairs.add(path === "" ? "/" : path, watcher);
  }

  /** The watchers of these events, in their order. A watch that fires is no longer registered. */
  fire(events: readonly WatchEvent[]): Fired[] {
    const fired: Fired[] = [];
    if (this.count === 0) return fired;
    for (const event of events) this.#fireOne(event, fired);
    return fired;
  }

  #fireOne(event: WatchEvent, fired: Fired[]): void {
    if (event.type === WatchEventType.CHILDREN_CHANGED) {
      for (const watcher of this.#child.take(event.path)) fired.push({ watcher, event });
      for (const watcher of this.#childStreams.of(event.path)) fired.push({ watcher, event });
      return;
    }
    for (const watcher of this.#dataStreams.of(event.path)) fired.push({ watcher, event });
    if (event.type !== WatchEventType.DATA_CHANGED) {
      for (const watcher of this.#childStreams.of(event.path)) fired.push({ watcher, event });
    }
    const taken = this.#data.take(event.path);
    for (const watcher of taken) fired.push({ watcher, event });
    if (event.type !== WatchEventType.DELETED) return;
    for (const watcher of this.#child.take(event.path)) {
      if (!taken.has(watcher)) fired.push({ watcher, event });
    }
  }

  /** Removes a watcher: its connection is closed. */
  removeWatcher(watcher: number): void {
    this.#data.removeWatcher(watcher);
    this.#child.removeWatcher(watcher);
    this.#dataStreams.removeWatcher(watcher);
    this.#childStreams.removeWatcher(watcher);
  }

  /**
   * Sets the watches of a client again that has reconnected: returns the events that it missed, and registers the
   * other watches. A znode that was created and deleted in between is not noticed, as in ZooKeeper.
   * @returns the missed events, which are sent before the reply
   */
  resume(tree: ZnodeTree, seen: SeenWatches, watcher: number): WatchEvent[] {
    const missed: WatchEvent[] = [];
    const since = seen.relativeZxid;
    const settle = (kind: WatchKind, path: string, type: WatchEventType | undefined): void => {
      if (type === undefined) this.register(kind, path, watcher);
      else missed.push({ type, path });
    };
    for (const path of seen.data) {
      settle("data", path, missedOf(tree.peek(path)?.mzxid, since, WatchEventType.DATA_CHANGED));
    }
    for (const path of seen.exist) {
      settle("exists", path, tree.peek(path) === undefined ? undefined : WatchEventType.CREATED);
    }
    for (const path of seen.child) {
      settle("child", path, missedOf(tree.peek(path)?.pzxid, since, WatchEventType.CHILDREN_CHANGED));
    }
    return missed;
  }
}

/** The event of a znode that a client missed after `since`; undefined if there is none. */
function missedOf(changed: Zxid | undefined, since: Zxid, type: WatchEventType): WatchEventType | undefined {
  if (changed === undefined) return WatchEventType.DELETED;
  return compareZxid(changed, since) > 0 ? type : undefined;
}
