/**
 * What a member keeps durably, and how it finds its way back: promises, log, and the tree as of the last checkpoint. The
 * mapping is here, once; the {@link StorageBackend} underneath is SQLite in the object and memory in the simulator.
 *
 *   tree in memory = checkpoint (znode table) + log from there to the last entry known to be committed
 *
 * There are two znode tables. One is the tree's; the other receives a SNAP, and becomes the tree's by one switch.
 */
import { AssertionError, assert, must } from "../assert.ts";
import { CHAIN_START, chainBatch, equalChain } from "../hash/chain.ts";
import { TxnCursor } from "../wire/txn-codec.ts";
import type { RecoveredState, SnapshotReader } from "../zab/context.ts";
import type { DurableWrite } from "../zab/effects.ts";
import type { LogPosition } from "../zab/messages.ts";
import { asSid } from "../zab/quorum.ts";
import { type LogRow, type LogStorage, samePosition, TxnLog } from "../zab/txn-log.ts";
import { asEpoch, compareZxid, equalZxid, maxZxid, ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";
import { decodeRows, encodeRows } from "../znode/store.ts";
import { type TreeChanges, ZnodeTree } from "../znode/tree.ts";
import type { SessionId } from "../znode/types.ts";

/** Number of a znode table. */
export type TableId = 0 | 1;

/** The few values of a member that are not rows. */
export interface Meta {
  /** number of the current or last life; 0 before the first */
  readonly boot: number;
  readonly acceptedEpoch: number;
  /** sid of the candidate to whom acceptedEpoch was promised; 0: not known */
  readonly promisedTo: number;
  readonly currentEpoch: number;
  readonly initialized: boolean;
  /** given by {@link found}, until the member votes */
  readonly founding: boolean;
  /** its history is of no use to build on, until a SNAP replaces it */
  readonly needSnap: boolean;
  /** *map sid − 1 → highest boot counter seen of that member* */
  readonly peerBoots: readonly number[];
  /** the table that holds the tree */
  readonly table: TableId;
  /** where the tree in the table stands */
  readonly checkpoint: LogPosition;
  /** the entry before the first one of the log */
  readonly logBase: LogPosition;
  /** what it noted when it fell asleep last; see `quiet.ts` */
  readonly quiet: string | null;
}

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

/**
 * Marks an empty storage as that of a member of a brand-new ensemble: it may vote though it remembers nothing. To be called
 * by whoever creates the ensemble, once; a storage that was emptied later lacks the mark.
 */
export function found(backend: StorageBackend): void {
  assert(backend.readMeta().boot === 0, "only a member that never lived is founded");
  backend.writeMeta({ ...backend.readMeta(), founding: true });
}

/** What a checkpoint leaves in the log. */
export interface LogRetention {
  readonly logRetainTxns: number;
  readonly diffBytesMax: number;
  /** what the slowest learner in the active set has */
  readonly slowest?: Zxid | undefined;
}

/** Rows of a table, in the order of their keys: znodes by path, then sessions by id. */
export interface TablePage {
  readonly znodes: readonly ZnodeRow[];
  readonly sessions: readonly SessionRow[];
  /** where the next page begins; undefined at the end */
  readonly next: string | undefined;
}

/** What a cursor begins with that has passed the znodes; a path begins with a slash. */
export const SESSION_CURSOR = "#";
/** Bytes of a session without its last result, for the size of a page. */
export const SESSION_ROW_BYTES = 40;

/** Durable storage, synchronous. Reads see the writes before them; a throw stops the member. */
export interface StorageBackend extends Omit<LogStorage, "setBase"> {
  /** Runs `body` as one transaction. */
  transaction(body: () => void): void;
  readMeta(): Meta;
  writeMeta(meta: Meta): void;
  /** the rows of the log without their batches, ascending */
  logRows(): LogRow[];
  putRows(table: TableId, znodes: readonly ZnodeRow[], sessions: readonly SessionRow[]): void;
  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void;
  clearTable(table: TableId): void;
  /** @param cursor "" to begin @param bytesMax a page ends when it has reached this much; at least one row */
  readTable(table: TableId, cursor: string, bytesMax: number): TablePage;
}

const positionOf = (row: LogRow): LogPosition => ({ zxid: row.last, chain: row.after });

/** Does the row continue `end`, and do its bytes say the same as its numbers? */
function isWhole(end: LogPosition, row: LogRow, batch: Uint8Array): boolean {
  if (!equalChain(end.chain, row.before) || compareZxid(end.zxid, row.first) >= 0) return false;
  if (batch.length !== row.bytes) return false;
  try {
    return equalChain(chainBatch(row.before, batch), row.after);
  } catch (error) {
    if (error instanceof AssertionError) return false;
    throw error;
  }
}

/** Bytes of rows read at once while a tree is loaded. */
const LOAD_PAGE_BYTES = 1024 * 1024;

export class MemberStorage implements SnapshotReader {
  readonly #backend: StorageBackend;
  #meta: Meta;
  readonly log: TxnLog;
  #logBytes = 0;

  /** Puts damage right as far as that is possible; see {@link #repair}. */
  constructor(backend: StorageBackend) {
    this.#backend = backend;
    this.#meta = backend.readMeta();
    this.#repair();
    const storage: LogStorage = {
      insert: (row, batch) => backend.insert(row, batch),
      replace: (row, batch) => backend.replace(row, batch),
      deleteAfter: (seq) => backend.deleteAfter(seq),
      deleteUpTo: (seq) => backend.deleteUpTo(seq),
      read: (seq) => backend.read(seq),
      setBase: (logBase) => this.#update({ logBase }),
    };
    this.log = new TxnLog(storage, backend.logRows(), this.#meta.logBase);
    this.#logBytes = this.log.bytesAfter(this.#meta.checkpoint.zxid);
  }

  /**
   * Looks at every row of the log: its numbers and its bytes have to continue the chain. What lies below the checkpoint is
   * there for others only, so damage there costs that part of the log. Damage above it, where this member has acknowledged
   * what it does not have any more, makes it a member without memory: it forgets all but what it promised, and counts again
   * once it has synchronised with a quorum that works without it.
   */
  #repair(): void {
    const { checkpoint, logBase } = this.#meta;
    let end = logBase;
    let base: LogPosition | null = null;
    let cutUpTo = 0;
    for (const row of this.#backend.logRows()) {
      const next = isWhole(end, row, this.#backend.read(row.seq)) ? positionOf(row) : undefined;
      if (next !== undefined) {
        end = next;
        continue;
      }
      // The checkpoint may be the end of this very row: then nothing of it is needed.
      if (compareZxid(row.last, checkpoint.zxid) > 0) {
        this.#forget();
        return;
      }
      base = end = positionOf(row);
      cutUpTo = row.seq;
    }
    if (compareZxid(end.zxid, checkpoint.zxid) < 0) {
      this.#forget();
      return;
    }
    if (base === null) return;
    const logBaseNow = base;
    this.#backend.transaction(() => {
      this.#backend.deleteUpTo(cutUpTo);
      this.#update({ logBase: logBaseNow });
    });
  }

  /** Begins as a member without memory that keeps its promise and the lives it knows of, its own too. */
  #forget(): void {
    const { boot, acceptedEpoch, peerBoots } = this.#meta;
    this.#backend.transaction(() => {
      this.#backend.deleteAfter(-1);
      this.#backend.clearTable(0);
      this.#backend.clearTable(1);
      this.#update({ ...EMPTY_META, boot, acceptedEpoch, peerBoots });
    });
  }

  /** Bytes logged since the checkpoint. */
  get logBytes(): number {
    return this.#logBytes;
  }

  get meta(): Meta {
    return this.#meta;
  }

  /**
   * Begins a life of the member: counts it, durably, and rebuilds the tree. The tail of the log that is not known to be
   * committed stays in the log alone.
   * @param firstBoot number of the first life of a member without memory. Its peers take no calls of a lower number than
   * they know, so it must be above every life that a member which lost its storage may have had: ms since 1970 will do
   * @throws AssertionError when what is stored contradicts itself
   */
  recover(firstBoot = 1): { readonly recovered: RecoveredState; readonly tree: ZnodeTree } {
    this.#update({ boot: this.#meta.boot === 0 ? firstBoot : this.#meta.boot + 1 });
    const { boot, acceptedEpoch, currentEpoch, initialized, founding, needSnap } = this.#meta;
    const { peerBoots, checkpoint, quiet } = this.#meta;
    const anchor = must(this.log.positionAt(checkpoint.zxid), "the log reaches back to the checkpoint");
    assert(samePosition(anchor, checkpoint), "the log continues the checkpoint");
    const tree = this.loadTree();
    const applied = this.#replay(tree, maxZxid(this.log.committed, checkpoint.zxid));
    return {
      recovered: {
        boot,
        acceptedEpoch: asEpoch(acceptedEpoch),
        promisedTo: this.#meta.promisedTo === 0 ? null : asSid(this.#meta.promisedTo),
        currentEpoch: asEpoch(currentEpoch),
        initialized,
        founding,
        needSnap,
        peerBoots,
        applied,
        quiet,
      },
      tree,
    };
  }

  /** The tree of the checkpoint. */
  loadTree(): ZnodeTree {
    const znodes: ZnodeRow[] = [];
    const sessions: SessionRow[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const page: TablePage = this.#backend.readTable(this.#meta.table, cursor, LOAD_PAGE_BYTES);
      znodes.push(...page.znodes);
      sessions.push(...page.sessions);
      cursor = page.next;
    }
    return ZnodeTree.load(znodes, sessions, this.#meta.checkpoint.zxid);
  }

  /** Applies the log up to `upTo`, checking every batch against the chain. */
  #replay(tree: ZnodeTree, upTo: Zxid): Zxid {
    let applied = tree.lastApplied;
    for (let slice = this.log.read(applied); slice !== undefined; slice = this.log.read(applied)) {
      if (compareZxid(applied, upTo) >= 0) break;
      const chain = chainBatch(slice.prev.chain, slice.batch);
      assert(equalChain(chain, slice.chain), "a log row holds what was written");
      const cursor = new TxnCursor(slice.batch);
      while (cursor.next() && compareZxid(cursor.zxid(), upTo) <= 0) {
        tree.apply(cursor.header(), cursor.txn());
        applied = cursor.zxid();
      }
      if (!equalZxid(applied, slice.last)) break;
    }
    tree.events.length = 0;
    return applied;
  }

  /** Carries out the writes of one persist effect, together. */
  persist(writes: readonly DurableWrite[]): void {
    const [first] = writes;
    // One row is one statement, and atomic by itself: the way of every commit needs no transaction around it.
    if (writes.length === 1 && first?.type === "append") this.#write(first);
    else {
      this.#backend.transaction(() => {
        for (const write of writes) this.#write(write);
      });
    }
  }

  #write(write: DurableWrite): void {
    switch (write.type) {
      case "acceptedEpoch":
        assert(write.epoch >= this.#meta.acceptedEpoch, "acceptedEpoch never goes back");
        this.#update({ acceptedEpoch: write.epoch, promisedTo: write.to ?? 0 });
        return;
      case "currentEpoch":
        assert(write.epoch >= this.#meta.currentEpoch, "currentEpoch never goes back");
        this.#update({ currentEpoch: write.epoch });
        return;
      case "initialized":
        this.#update({ initialized: true, founding: false });
        return;
      case "peerBoots":
        this.#update({ peerBoots: write.boots });
        return;
      case "amnesia":
        this.#update({
          initialized: false,
          founding: false,
          promisedTo: 0,
          boot: Math.max(this.#meta.boot, write.boot),
        });
        return;
      case "quiet":
        this.#update({ quiet: write.record });
        return;
      case "append":
        this.log.append(write.batch, write, write.chain);
        this.#logBytes += write.batch.length;
        return;
      case "truncate":
        this.log.truncate(write.to);
        return;
      case "needSnap":
        this.#update({ needSnap: true });
        return;
      case "snapshotBegin":
        this.#backend.clearTable(this.#otherTable());
        return;
      case "snapshotChunk": {
        const { znodes, sessions } = decodeRows(write.bytes);
        this.#backend.putRows(this.#otherTable(), znodes, sessions);
        return;
      }
      case "snapshotSwitch": {
        const at = { zxid: write.zxid, chain: write.chain };
        const old = this.#meta.table;
        this.#update({ table: this.#otherTable(), checkpoint: at, needSnap: false });
        this.log.restart(at);
        this.#backend.clearTable(old);
        return;
      }
    }
  }

  #otherTable(): TableId {
    return this.#meta.table === 0 ? 1 : 0;
  }

  /**
   * Moves the checkpoint to where the tree is, and cuts the log below it.
   * @param changes what changed since the last checkpoint
   * @param retain what stays in the log: so many txns, and what the slowest learner lacks, but not more than so many bytes
   */
  checkpoint(changes: TreeChanges, retain: LogRetention): void {
    const at = must(this.log.positionAt(changes.lastApplied), "what is applied is in the log");
    assert(equalZxid(at.zxid, changes.lastApplied), "the tree stands at an entry of the log");
    this.#backend.transaction(() => {
      this.#backend.putRows(this.#meta.table, changes.znodes, changes.sessions);
      this.#backend.deleteRows(this.#meta.table, changes.deleted, changes.closed);
      this.#update({ checkpoint: at });
      this.log.cut(at.zxid, retain.logRetainTxns, retain.diffBytesMax, retain.slowest);
    });
    this.#logBytes = 0;
  }

  // ── SnapshotReader ───────────────────────────────────────────────────────

  position(): LogPosition {
    return this.#meta.checkpoint;
  }

  read(cursor: string, bytesMax: number): { readonly bytes: Uint8Array; readonly next: string | undefined } {
    const { znodes, sessions, next } = this.#backend.readTable(this.#meta.table, cursor, bytesMax);
    return { bytes: encodeRows(znodes, sessions), next };
  }

  #update(change: Partial<Meta>): void {
    this.#meta = { ...this.#meta, ...change };
    this.#backend.writeMeta(this.#meta);
  }
}
