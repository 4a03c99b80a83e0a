/** The changes since the last checkpoint. */
import { assert, must } from "../assert.ts";
import type { Chain } from "../hash/chain.ts";
import { Digest } from "./digest.ts";
import { isChildOf, nameOf } from "./path.ts";
import { rowOf, sessionRowOf } from "./rows.ts";
import type { Session, SessionRow } from "./session.ts";
import { bytesOf, type Znode } from "./stat.ts";
import type { SessionId } from "./types.ts";
import type { ChangedZnode } from "./znode-store.ts";

/** Changes between two checkpoints, as rows. They are copies, so they do not change with the tree. */
export interface ChangedRows {
  readonly znodes: readonly ChangedZnode[];
  /** paths of deleted znodes */
  readonly deleted: readonly string[];
  readonly sessions: readonly SessionRow[];
  /** closed sessions */
  readonly closed: readonly SessionId[];
  /** change of the digest of the znodes by these changes */
  readonly added: Chain;
  /** the same for the znodes up to the path that was given to {@link ChangeSet.take} */
  readonly addedUpTo: Chain;
}

/**
 * The znodes and sessions that differ from the stored checkpoint; the checkpoint with these changes is the tree.
 *
 * Invariants: a znode is in the set exactly while it is dirty, or `gone`; it has its hash as of the checkpoint; one that is
 * `gone` has no data.
 * @source write-behind caches; decision 0020
 */
export class ChangeSet {
  /** *map path → its znode, or the one that was deleted* */
  #znodes = new Map<string, Znode>();
  /** built-in znodes that are not in the store yet, although they have not changed */
  #unstored: readonly Znode[] = [];
  /** *map session id → session, or null if it was closed* */
  #sessions = new Map<SessionId, Session | null>();
  #bytes = 0;

  /** number of changed znodes and sessions */
  get size(): number {
    return this.#znodes.size + this.#sessions.size;
  }

  /** approximate bytes of the changed znodes, without lists of children, which can be evicted before a checkpoint */
  get bytes(): number {
    return this.#bytes;
  }

  /** *map path → its znode, or the one that was deleted* */
  get znodes(): ReadonlyMap<string, Znode> {
    return this.#znodes;
  }

  /** Adds unstored built-in znodes, which are stored with the next changes. */
  store(unstored: readonly Znode[]): void {
    this.#unstored = unstored;
  }

  /** Records a created znode. One of the same path may have been deleted since the checkpoint. */
  created(node: Znode): void {
    const before = this.#znodes.get(node.path);
    node.storedHigh = before?.storedHigh ?? 0;
    node.storedLow = before?.storedLow ?? 0;
    node.dirty = true;
    this.#znodes.set(node.path, node);
    if (before !== undefined) this.#bytes -= before.changedBytes;
    this.measure(node);
  }

  /** Records the new size of a changed znode. */
  measure(node: Znode): void {
    const bytes = bytesOf(node);
    this.#bytes += bytes - node.changedBytes;
    node.changedBytes = bytes;
  }

  /** Records that a znode of the checkpoint has changed or is about to; its hash is still that of the checkpoint. */
  changed(node: Znode): void {
    assert(!node.dirty && !node.stale, "a znode of the checkpoint is clean, and part of the digest");
    node.storedHigh = node.hashHigh;
    node.storedLow = node.hashLow;
    node.dirty = true;
    this.#znodes.set(node.path, node);
  }

  /** Records that a session was opened or has changed. */
  sessionChanged(session: Session): void {
    session.dirty = true;
    this.#sessions.set(session.id, session);
  }

  sessionClosed(id: SessionId): void {
    this.#sessions.set(id, null);
  }

  /** *map name → whether it exists*: the children of a znode that were created or deleted since the checkpoint. */
  childrenOf(path: string): Map<string, boolean> {
    const children = new Map<string, boolean>();
    for (const node of this.#unstored) if (isChildOf(node.path, path)) children.set(nameOf(node.path), true);
    for (const node of this.#znodes.values())
      if (isChildOf(node.path, path)) children.set(nameOf(node.path), !node.gone);
    return children;
  }

  /**
   * Removes the changes and returns them; the caller stores all of them. The digest must be up to date.
   * @param upTo a path; "": no path
   */
  take(upTo: string): ChangedRows {
    const added = new Digest();
    const addedUpTo = new Digest();
    const znodes: ChangedZnode[] = [];
    const deleted: string[] = [];
    for (const node of this.#unstored) if (!node.dirty) znodes.push(rowOf(node));
    // In the order of the table, so that each page of it is written once.
    for (const path of [...this.#znodes.keys()].sort()) {
      const node = must(this.#znodes.get(path), "its path is listed");
      const isUpTo = path <= upTo;
      added.subtract(node.storedHigh, node.storedLow);
      if (isUpTo) addedUpTo.subtract(node.storedHigh, node.storedLow);
      node.dirty = false;
      node.changedBytes = 0;
      if (node.gone) {
        deleted.push(path);
        continue;
      }
      added.add(node.hashHigh, node.hashLow);
      if (isUpTo) addedUpTo.add(node.hashHigh, node.hashLow);
      znodes.push(rowOf(node));
    }
    this.#znodes = new Map();
    this.#bytes = 0;
    this.#unstored = [];
    return { znodes, deleted, ...this.#takeSessions(), added: added.value, addedUpTo: addedUpTo.value };
  }

  #takeSessions(): Pick<ChangedRows, "sessions" | "closed"> {
    const sessions: SessionRow[] = [];
    const closed: SessionId[] = [];
    for (const [id, session] of this.#sessions) {
      if (session === null) closed.push(id);
      else {
        session.dirty = false;
        sessions.push(sessionRowOf(session));
      }
    }
    this.#sessions = new Map();
    return { sessions, closed };
  }
}
