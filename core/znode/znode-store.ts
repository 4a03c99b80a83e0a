/** The interface of the store under the tree: the znodes as of the last checkpoint, a part of which the tree has in memory. */
import type { ZnodeRow } from "./stat.ts";
import type { SessionId } from "./types.ts";

/** A stored znode, with the number of its children, which is derived from other rows. */
export interface StoredZnode {
  readonly row: ZnodeRow;
  readonly numChildren: number;
}

/** A row to be stored. */
export interface ChangedZnode extends ZnodeRow {
  /** number of its children in the store after the write; absent if unknown, in which case it is counted when it is read */
  readonly numChildren?: number;
}

/**
 * Synchronous reads of the stored znodes, all as of one zxid. They see the writes of a checkpoint at once.
 * @see StorageBackend, which has the same reads for each of its tables, and the writes
 */
export interface ZnodeStore {
  /** The znode of this path; undefined if there is none. @throws DamagedError if its row differs from what was written */
  get(path: string): StoredZnode | undefined;
  /** Names of the children of a znode after `after`, in code unit order, at most `limit`. @param after "" for the start */
  children(path: string, after: string, limit: number): readonly string[];
  /** Paths of the ephemerals that the session owns, in code unit order. */
  ephemerals(session: SessionId): readonly string[];
}
