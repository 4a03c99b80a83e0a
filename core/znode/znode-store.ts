/** What lies beneath the tree: its znodes as of the last checkpoint, of which the tree holds a part in memory. */
import type { ZnodeRow } from "./stat.ts";
import type { SessionId } from "./types.ts";

/** A stored znode, and the number of its children, which follows from other rows. */
export interface StoredZnode {
  readonly row: ZnodeRow;
  readonly numChildren: number;
}

/** A row to be stored. */
export interface ChangedZnode extends ZnodeRow {
  /** children that it will have in the store; absent: not known, and to be counted when it is asked for */
  readonly numChildren?: number;
}

/**
 * Reads of the stored znodes, synchronous. They are all of one zxid: what a checkpoint writes is there at its next read.
 * @see StorageBackend, which has the same reads for each of its tables, and the writes
 */
export interface ZnodeStore {
  /** The znode of this path; undefined: there is none. @throws DamagedError for a row that is not as it was written */
  get(path: string): StoredZnode | undefined;
  /** Names of the children of a znode that follow `after`, in code unit order, at most `limit`. @param after "": from the start */
  children(path: string, after: string, limit: number): readonly string[];
  /** Paths of the ephemerals that the session owns, in code unit order. */
  ephemerals(session: SessionId): readonly string[];
}
