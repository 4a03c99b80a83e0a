/** The durable values of a member, and the interface of their storage. */
import { CHAIN_START, type Chain } from "../hash/chain.ts";
import type { LogPosition } from "../zab/messages.ts";
import type { LogRow, LogStorage } from "../zab/txn-log.ts";
import { ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";
import type { SessionId } from "../znode/types.ts";
import type { ChangedZnode, StoredZnode } from "../znode/znode-store.ts";

/** Number of a tree table: one contains the tree as of the checkpoint, the other receives a SNAP. */
export type TableId = 0 | 1;

/** Digest of the tree at a checkpoint. Values that an earlier version did not store are absent. */
export interface CheckpointDigest extends Chain {
  /** a quorum had confirmed that tree before the checkpoint was made */
  readonly confirmed?: boolean;
  /** number of its znodes */
  readonly znodes?: number;
  /** digest of its sessions alone */
  readonly sessions?: Chain;
}

/** The values of a member that are not rows. */
export interface Meta {
  /** number of the current or last incarnation; 0 before the first */
  readonly boot: number;
  readonly acceptedEpoch: number;
  /** sid of the candidate to which acceptedEpoch was promised; 0 if unknown */
  readonly promisedTo: number;
  readonly currentEpoch: number;
  readonly initialized: boolean;
  /** set by {@link found}, cleared when the member votes */
  readonly founding: boolean;
  /** whether its history is unusable, until a SNAP replaces it */
  readonly needSnap: boolean;
  /** *map sid − 1 → highest boot counter seen of that member* */
  readonly peerBoots: readonly number[];
  /** the table that contains the tree */
  readonly table: TableId;
  /** zxid and chain of the tree in the table */
  readonly checkpoint: LogPosition;
  /** the entry before the first one of the log */
  readonly logBase: LogPosition;
  /** record of its last sleep, as JSON; see `quiet.ts` */
  readonly quiet: string | null;
  /**
   * digest of the tree at the checkpoint; undefined if an earlier version made it
   */
  readonly digest?: CheckpointDigest | undefined;
  /** lower bound of the end of the log; undefined if unknown */
  readonly logged?: Zxid | undefined;
}

/** The position before the first txn. */
export const EMPTY_POSITION: LogPosition = { zxid: ZXID_ZERO, chain: CHAIN_START };

/** The values of an empty storage. */
export const EMPTY_META: Meta = {
  boot: 0,
  acceptedEpoch: 0,
  promisedTo: 0,
  currentEpoch: 0,
  initialized: false,
  founding: false,
  needSnap: false,
  peerBoots: [],
  table: 0,
  checkpoint: EMPTY_POSITION,
  logBase: EMPTY_POSITION,
  quiet: null,
};

/** The values that are stored since the first version: either all or none are present. */
export const META_KEYS = [
  "boot",
  "acceptedEpoch",
  "promisedTo",
  "currentEpoch",
  "initialized",
  "founding",
  "needSnap",
  "peerBoots",
  "table",
  "checkpoint",
  "logBase",
  "quiet",
] as const satisfies readonly (keyof Meta)[];

/** Called for damage found while reading. @param what name of the damaged value */
export type OnDamage = (what: string) => void;

/** Rows of a table, in the order of their keys: znodes by path, then sessions by id. */
export interface TablePage {
  readonly znodes: readonly ZnodeRow[];
  readonly sessions: readonly SessionRow[];
  /** cursor of the next page; undefined at the end */
  readonly next: string | undefined;
}

/** First character of a cursor that has passed the znodes; the path of a znode begins with a slash. */
export const SESSION_CURSOR = "#";
/** Bytes counted for a session without its last result, in the size of a page. */
export const SESSION_ROW_BYTES = 40;

/**
 * Durable, synchronous storage of one member. Reads see earlier writes; an exception ends the incarnation. SQLite in the object,
 * memory in the simulator; one contract suite runs on both. Reads of the tree throw DamagedError for a row that cannot be read at
 * all, and StorageError if they fail for another reason.
 */
export interface StorageBackend extends Omit<LogStorage, "setBase"> {
  /** Runs `body` as one transaction. */
  transaction(body: () => void): void;
  /** Reads the values; a damaged or missing one has its value in {@link EMPTY_META}. */
  readMeta(onDamage?: OnDamage): Meta;
  writeMeta(meta: Meta): void;
  /** The rows of the log without their batches, ascending. Damaged rows are left out. */
  logRows(onDamage?: (seq: number) => void): LogRow[];
  putRows(table: TableId, znodes: readonly ChangedZnode[], sessions: readonly SessionRow[]): void;
  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void;
  clearTable(table: TableId): void;
  /** whether an earlier state is in quarantine; see {@link quarantine} */
  readonly isQuarantined: boolean;
  /**
   * Moves the log and both tables into quarantine, with a copy of the meta values; the storage has no rows afterwards. At
   * most one state is kept.
   * @param replaces whether this state replaces one that is already in quarantine, or else is deleted
   */
  quarantine(replaces: boolean): void;
  /** Deletes the state in quarantine; {@link isQuarantined} stays true if that is not possible yet. */
  dropQuarantine(): void;
  /**
   * @param cursor "" to begin
   * @param bytesMax size at which a page ends, after at least one row
   * @throws DamagedError for a damaged row
   */
  readTable(table: TableId, cursor: string, bytesMax: number): TablePage;
  /** One znode; undefined if there is none of this path. @throws DamagedError if its row differs from what was written */
  readZnode(table: TableId, path: string): StoredZnode | undefined;
  /**
   * Names of the children of a znode, which need not exist itself, in code unit order.
   * @param after only names after this one; "" for the start
   * @param limit maximal number of names
   */
  readChildren(table: TableId, path: string, after: string, limit: number): readonly string[];
  /** Paths of the znodes that the session owns, in code unit order. */
  readEphemerals(table: TableId, session: SessionId): readonly string[];
  /** Number of znodes. */
  countZnodes(table: TableId): number;
}

/**
 * Marks an empty storage as that of a member of a new ensemble, which may vote although it has no memory. The creator of
 * the ensemble calls this once; a storage that is emptied later lacks the mark. A storage that contains rows, or is
 * damaged, belongs to a member with earlier incarnations, and gets no mark.
 */
export function found(backend: StorageBackend): void {
  let isNew = true;
  const meta = backend.readMeta(() => {
    isNew = false;
  });
  if (isNew && meta.boot === 0) backend.writeMeta({ ...meta, founding: true });
}
