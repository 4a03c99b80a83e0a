/** What a member stores, and the interface to where it is stored. */
import { CHAIN_START, type Chain } from "../hash/chain.ts";
import type { LogPosition } from "../zab/messages.ts";
import type { LogRow, LogStorage } from "../zab/txn-log.ts";
import { ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";
import type { SessionId } from "../znode/types.ts";

/** Number of a tree table: one contains the tree as of the checkpoint, the other receives a SNAP. */
export type TableId = 0 | 1;

/** The few values of a member that are not rows. */
export interface Meta {
  /** number of the current or last incarnation; 0 before the first */
  readonly boot: number;
  readonly acceptedEpoch: number;
  /** sid of the candidate that acceptedEpoch was promised to; 0: not known */
  readonly promisedTo: number;
  readonly currentEpoch: number;
  readonly initialized: boolean;
  /** given by {@link found}, until the member votes */
  readonly founding: boolean;
  /** its history cannot be built on, until a SNAP replaces it */
  readonly needSnap: boolean;
  /** *map sid − 1 → highest boot counter seen of that member* */
  readonly peerBoots: readonly number[];
  /** the table that holds the tree */
  readonly table: TableId;
  /** zxid and chain of the tree in the table */
  readonly checkpoint: LogPosition;
  /** the entry before the first one of the log */
  readonly logBase: LogPosition;
  /** record of its last sleep, as JSON; see `quiet.ts` */
  readonly quiet: string | null;
  /**
   * digest of the tree at the checkpoint, and whether a quorum had confirmed that tree before the checkpoint was made;
   * undefined: an earlier version made the checkpoint
   */
  readonly digest?: (Chain & { readonly confirmed?: boolean }) | undefined;
  /** the log reached so far at least; undefined: not known */
  readonly logged?: Zxid | undefined;
}

/** Before the first txn. */
export const EMPTY_POSITION: LogPosition = { zxid: ZXID_ZERO, chain: CHAIN_START };

/** What a member without memory has. */
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

/** The values of a member that are kept since the first version: when one is there, all are. */
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

/** Receives what a read has found damaged. @param what for people */
export type OnDamage = (what: string) => void;

/** Rows of a table, in the order of their keys: znodes by path, then sessions by id. */
export interface TablePage {
  readonly znodes: readonly ZnodeRow[];
  readonly sessions: readonly SessionRow[];
  /** where the next page begins; undefined at the end */
  readonly next: string | undefined;
}

/** First character of a cursor that has passed the znodes; the path of a znode begins with a slash. */
export const SESSION_CURSOR = "#";
/** Bytes of a session without its last result, for the size of a page. */
export const SESSION_ROW_BYTES = 40;

/**
 * Durable storage of one member, synchronous. Reads see the writes before them; a throw stops the member. SQLite in the object,
 * memory in the simulator; one contract suite runs on both.
 */
export interface StorageBackend extends Omit<LogStorage, "setBase"> {
  /** Runs `body` as one transaction. */
  transaction(body: () => void): void;
  /** a value that is damaged or missing is that of {@link EMPTY_META} */
  readMeta(onDamage?: OnDamage): Meta;
  writeMeta(meta: Meta): void;
  /** The rows of the log without their batches, ascending. Damaged rows are left out. */
  logRows(onDamage?: (seq: number) => void): LogRow[];
  putRows(table: TableId, znodes: readonly ZnodeRow[], sessions: readonly SessionRow[]): void;
  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void;
  clearTable(table: TableId): void;
  /** an earlier state is set aside; see {@link quarantine} */
  readonly isQuarantined: boolean;
  /**
   * Sets the log and both tables aside, with a copy of the meta values: the storage is empty of rows afterwards. One state is
   * kept at most. @param replaces which one if one is set aside already: this one, or else that one
   */
  quarantine(replaces: boolean): void;
  /** Deletes what is set aside; {@link isQuarantined} stays true where that is not possible yet. */
  dropQuarantine(): void;
  /**
   * @param cursor "" to begin
   * @param bytesMax a page ends when it has reached this much; at least one row
   * @throws DamagedError for a row that is not as it was written
   */
  readTable(table: TableId, cursor: string, bytesMax: number): TablePage;
}

/**
 * Marks an empty storage as that of a member of a new ensemble: it may vote although it has no memory. The creator of the
 * ensemble calls this once; a storage that was emptied later lacks the mark. A storage that still contains rows, or is
 * damaged, belongs to a member with earlier incarnations, and gets no mark.
 */
export function found(backend: StorageBackend): void {
  let isNew = true;
  const meta = backend.readMeta(() => {
    isNew = false;
  });
  if (isNew && meta.boot === 0) backend.writeMeta({ ...meta, founding: true });
}
