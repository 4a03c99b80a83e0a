/**
 * What a member keeps durably, and how it finds its way back: promises, log, and the tree as of the last checkpoint. The
 * mapping is here, once; the {@link StorageBackend} underneath is SQLite in the object and memory in the simulator.
 *
 *   tree in memory = checkpoint (znode table) + log from there to the last entry known to be committed
 *
 * There are two znode tables. One is the tree's; the other receives a SNAP, and becomes the tree's by one switch.
 */
import { AssertionError, assert, assertNever, must } from "../assert.ts";
import { CHAIN_START, type Chain, chainBatch, equalChain } from "../hash/chain.ts";
import { knows } from "../version.ts";
import { WireError } from "../wire/reader.ts";
import { decodeRows, encodeRows } from "../wire/snapshot-codec.ts";
import { TxnCursor } from "../wire/txn-codec.ts";
import type { DurableWrite } from "../zab/effects.ts";
import { makeEntry } from "../zab/log-entry.ts";
import { asSid } from "../zab/membership.ts";
import type { LogPosition } from "../zab/messages.ts";
import type { RecoveredState, SnapshotReader } from "../zab/storage.ts";
import { type LogRow, type LogStorage, samePosition, TxnLog } from "../zab/txn-log.ts";
import { asEpoch, compareZxid, equalZxid, maxZxid, ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";
import { addToDigest, emptyTreeDigest, type TreeChanges, ZnodeTree } from "../znode/tree.ts";
import type { SessionId } from "../znode/types.ts";
import { DamagedError } from "./checksums.ts";
import { ApplyError } from "./failure.ts";

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
  /**
   * of the tree in the table, at the checkpoint, and whether a quorum had confirmed that tree before the checkpoint was made;
   * undefined: not known, for an earlier version made the checkpoint
   */
  readonly digest?: (Chain & { readonly confirmed?: boolean }) | undefined;
  /** the log reached so far at least; undefined: not known */
  readonly logged?: Zxid | undefined;
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

/** Receives what was found damaged while something was read. @param what in words, for people */
export type OnDamage = (what: string) => void;

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
   * @throws DamagedError for a row that cannot be believed
   */
  readTable(table: TableId, cursor: string, bytesMax: number): TablePage;
}

const positionOf = (row: LogRow): LogPosition => ({ zxid: row.last, chain: row.after });

/** Do the bytes of a row say the same as its numbers? */
function isWhole(row: LogRow, batch: Uint8Array): boolean {
  if (batch.length !== row.bytes) return false;
  try {
    return equalChain(chainBatch(row.before, batch), row.after);
  } catch (error) {
    if (error instanceof AssertionError) return false;
    throw error;
  }
}

/** Does the row continue `end`, txn by txn? */
function continues(end: LogPosition, row: LogRow, batch: Uint8Array): boolean {
  if (!equalChain(end.chain, row.before)) return false;
  const entry = makeEntry(end, batch);
  return (
    entry !== undefined &&
    entry.count === row.count &&
    equalZxid(entry.first, row.first) &&
    equalZxid(entry.last, row.last)
  );
}

/** What is whole and cannot be read is of a later version. @throws ApplyError for a WireError */
function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) throw new ApplyError(error.message, { cause: error });
    throw error;
  }
}

const isDamage = (error: unknown): error is Error =>
  error instanceof DamagedError || error instanceof AssertionError;

/** Bytes of rows read at once while a tree is loaded. */
const LOAD_PAGE_BYTES = 1024 * 1024;

export class MemberStorage implements SnapshotReader {
  readonly #backend: StorageBackend;
  #meta: Meta;
  readonly log: TxnLog;
  #logBytes = 0;

  /** *map cursor → digest of the rows before it*, of the checkpoint that is being read for a SNAP */
  readonly #read = new Map<string, Chain>();
  #damage: string | undefined;

  /** Repairs damage as far as that is possible; see {@link #repairLog}. */
  constructor(backend: StorageBackend) {
    this.#backend = backend;
    const damaged: string[] = [];
    this.#meta = backend.readMeta((what) => damaged.push(what));
    if (damaged.length > 0) this.#forget(damaged.join(", "));
    const rows = this.#repairLog();
    const storage: LogStorage = {
      insert: (row, batch) => backend.insert(row, batch),
      replace: (row, batch) => backend.replace(row, batch),
      deleteAfter: (seq) => backend.deleteAfter(seq),
      deleteUpTo: (seq) => backend.deleteUpTo(seq),
      read: (seq) => backend.read(seq),
      setBase: (logBase) => this.#update({ logBase }),
    };
    this.log = new TxnLog(storage, rows, this.#meta.logBase);
    this.#logBytes = this.log.bytesAfter(this.#meta.checkpoint.zxid);
  }

  /** What of the storage was found damaged at this start, so that the member forgot it; undefined: nothing. */
  get damage(): string | undefined {
    return this.#damage;
  }

  /**
   * Looks at every row of the log: its numbers and its bytes have to continue the chain. What lies below the checkpoint is
   * there for others only, so damage there costs that part of the log. Damage above it, where this member has acknowledged
   * what it does not have any more, makes it a member without memory: it forgets all but what it promised, and counts again
   * once it has synchronised with a quorum that works without it.
   * @returns the rows that stay
   */
  #repairLog(): LogRow[] {
    const { checkpoint, logBase } = this.#meta;
    const damaged: number[] = [];
    const rows = this.#backend.logRows((seq) => damaged.push(seq));
    /** the end of what is whole so far; undefined behind a damaged row */
    let end: LogPosition | undefined = logBase;
    let base: LogPosition | null = null;
    let kept: LogRow[] = [];
    for (const row of rows) {
      if (damaged.length > 0 && (damaged[0] as number) < row.seq) {
        while (damaged.length > 0 && (damaged[0] as number) < row.seq) damaged.shift();
        end = undefined;
      }
      const batch = this.#batchOf(row);
      if (end !== undefined && batch !== undefined && continues(end, row, batch)) {
        end = positionOf(row);
        kept.push(row);
      } else if (batch !== undefined && continues(checkpoint, row, batch)) {
        // The checkpoint is the end of the rows before: nothing of them is needed.
        base = checkpoint;
        end = positionOf(row);
        kept = [row];
      } else if (compareZxid(row.last, checkpoint.zxid) <= 0) {
        base = end = positionOf(row);
        kept = [];
      } else return this.#forget(`log row ${row.seq}`);
    }
    if (damaged.length > 0) return this.#forget(`log row ${damaged[0]}`);
    if (end === undefined || compareZxid(end.zxid, checkpoint.zxid) < 0) {
      return this.#forget("the log does not reach the checkpoint");
    }
    const { logged } = this.#meta;
    if (logged !== undefined && compareZxid(end.zxid, logged) < 0) {
      return this.#forget("the newest rows of the log are missing");
    }
    if (base !== null) this.#cutTo(base, kept[0]?.seq ?? (rows.at(-1)?.seq ?? 0) + 1);
    return kept;
  }

  /** The rows before number `seq` are of no use; `base` is the entry before that row. */
  #cutTo(base: LogPosition, seq: number): void {
    this.#backend.transaction(() => {
      this.#backend.deleteUpTo(seq - 1);
      this.#update({ logBase: base });
    });
  }

  /** Undefined when the bytes are not those that were written. */
  #batchOf(row: LogRow): Uint8Array | undefined {
    try {
      const batch = this.#backend.read(row.seq);
      return isWhole(row, batch) ? batch : undefined;
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  }

  /**
   * Begins as a member without memory that keeps its promise and the lives it knows of, its own too. What it had is set aside:
   * if a majority is damaged, those rows may be the only copy of what was acknowledged.
   */
  #forget(damage: string): [] {
    this.#damage ??= damage;
    const { boot, acceptedEpoch, peerBoots, initialized } = this.#meta;
    this.#backend.transaction(() => {
      // A state that counted is worth more than an earlier one; a copy that was not complete is worth less.
      this.#backend.quarantine(initialized);
      this.#update({ ...EMPTY_META, digest: undefined, logged: undefined, boot, acceptedEpoch, peerBoots });
    });
    return [];
  }

  /** The state in which damage was found is still kept beside the current one. */
  get isQuarantined(): boolean {
    return this.#backend.isQuarantined;
  }

  /** Deletes that state: to be called once a quorum has confirmed the tree that replaces it. */
  dropQuarantine(): void {
    this.#backend.transaction(() => this.#backend.dropQuarantine());
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
   */
  recover(firstBoot = 1): { readonly recovered: RecoveredState; readonly tree: ZnodeTree } {
    this.#update({ boot: this.#meta.boot === 0 ? firstBoot : this.#meta.boot + 1 });
    const tree = this.#recoverTree();
    this.noteEnd();
    const { boot, acceptedEpoch, currentEpoch, initialized, founding, needSnap } = this.#meta;
    const { peerBoots, quiet } = this.#meta;
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
        applied: tree.lastApplied,
        quiet,
      },
      tree,
    };
  }

  /**
   * The tree as far as it is known to be committed. One that cannot be believed is made again from the log, where that
   * still reaches back to the beginning; else the member forgets what it had.
   */
  #recoverTree(): ZnodeTree {
    const { checkpoint } = this.#meta;
    const committed = maxZxid(this.log.committed, checkpoint.zxid);
    try {
      const anchor = this.log.positionAt(checkpoint.zxid);
      if (anchor === undefined || !samePosition(anchor, checkpoint)) {
        throw new DamagedError("the checkpoint is no entry of the log");
      }
      return this.#replay(this.loadTree(), committed);
    } catch (error) {
      if (!isDamage(error)) throw error;
      if (samePosition(this.log.base, EMPTY_POSITION)) this.#forgetTree(error.message);
      else {
        this.#forget(error.message);
        this.log.restart(EMPTY_POSITION);
      }
    }
    this.#logBytes = this.log.bytesAfter(ZXID_ZERO);
    return this.#replay(this.loadTree(), this.log.rows.length === 0 ? ZXID_ZERO : committed);
  }

  /** The log has all that ever happened. */
  #forgetTree(damage: string): void {
    this.#damage ??= damage;
    this.#backend.transaction(() => {
      this.#backend.clearTable(0);
      this.#backend.clearTable(1);
      this.#update({ table: 0, checkpoint: EMPTY_POSITION, digest: undefined });
    });
  }

  /** The tree of the checkpoint. @throws DamagedError or AssertionError when the rows are not the tree's */
  loadTree(): ZnodeTree {
    const znodes: ZnodeRow[] = [];
    const sessions: SessionRow[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const page: TablePage = this.#backend.readTable(this.#meta.table, cursor, LOAD_PAGE_BYTES);
      znodes.push(...page.znodes);
      sessions.push(...page.sessions);
      cursor = page.next;
    }
    const tree = ZnodeTree.load(znodes, sessions, this.#meta.checkpoint.zxid);
    if (this.#meta.digest === undefined) this.#update({ digest: tree.digest });
    else this.#verifyDigest(tree.digest);
    return tree;
  }

  /** A row that is missing has no checksum; the digest tells. */
  #verifyDigest(digest: Chain): void {
    const expected = this.#meta.digest;
    if (expected !== undefined && !equalChain(digest, expected)) {
      throw new DamagedError("the rows of the checkpoint are not those that were written");
    }
  }

  /** Applies the log up to `upTo`, checking every batch against the chain. @returns the tree */
  #replay(tree: ZnodeTree, upTo: Zxid): ZnodeTree {
    let applied = tree.lastApplied;
    for (let slice = this.log.read(applied); slice !== undefined; slice = this.log.read(applied)) {
      if (compareZxid(applied, upTo) >= 0) break;
      const chain = chainBatch(slice.prev.chain, slice.batch);
      assert(equalChain(chain, slice.chain), "a log row holds what was written");
      const cursor = new TxnCursor(slice.batch);
      while (cursor.next() && compareZxid(cursor.zxid(), upTo) <= 0) {
        const txn = readable(() => cursor.txn());
        tree.apply(cursor.header(), txn, cursor.fingerprint);
        applied = cursor.zxid();
      }
      if (!equalZxid(applied, slice.last)) break;
    }
    tree.events.length = 0;
    return tree;
  }

  /** Carries out the writes of one persist effect, together. */
  persist(writes: readonly DurableWrite[]): void {
    const [first] = writes;
    // One row is one statement, and atomic by itself: the way of every commit needs no transaction around it.
    if (writes.length === 1 && first?.type === "append") this.#write(first);
    else {
      this.#backend.transaction(() => {
        for (const write of writes) this.#write(write);
        this.noteEnd();
      });
    }
  }

  /**
   * Stores the end of the log, so that missing newest rows are detected. This writes an extra row, so it is not done at every
   * commit: the caller decides how often.
   */
  noteEnd(): void {
    const { zxid } = this.log.last;
    if (this.#meta.logged === undefined || !equalZxid(this.#meta.logged, zxid))
      this.#update({ logged: zxid });
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
        const { znodes, sessions } = readable(() => decodeRows(write.bytes));
        this.#backend.putRows(this.#otherTable(), znodes, sessions);
        return;
      }
      case "snapshotSwitch": {
        const at = { zxid: write.zxid, chain: write.chain };
        const old = this.#meta.table;
        // Its digest is known when it is loaded.
        this.#update({ table: this.#otherTable(), checkpoint: at, digest: undefined, needSnap: false });
        this.#read.clear();
        this.log.restart(at);
        this.#backend.clearTable(old);
        return;
      }
      default:
        assertNever(write);
    }
  }

  #otherTable(): TableId {
    return this.#meta.table === 0 ? 1 : 0;
  }

  /**
   * Moves the checkpoint to where the tree is, and cuts the log below it.
   * @param changes what changed since the last checkpoint
   * @param retain what stays in the log: so many txns, and what the slowest learner lacks, but not more than so many bytes
   * @param digest of the tree; undefined: the next start takes it from the rows
   * @param confirmed a quorum has confirmed the tree; see {@link isConfirmed}
   */
  checkpoint(changes: TreeChanges, retain: LogRetention, digest?: Chain, confirmed = false): void {
    const at = must(this.log.positionAt(changes.lastApplied), "what is applied is in the log");
    assert(equalZxid(at.zxid, changes.lastApplied), "the tree stands at an entry of the log");
    this.#backend.transaction(() => {
      this.#backend.putRows(this.#meta.table, changes.znodes, changes.sessions);
      this.#backend.deleteRows(this.#meta.table, changes.deleted, changes.closed);
      const known = digest !== undefined && confirmed ? { ...digest, confirmed } : digest;
      this.#update({ checkpoint: at, digest: known, logged: this.log.last.zxid });
      this.log.cut(at.zxid, retain.logRetainTxns, retain.diffBytesMax, retain.slowest);
    });
    this.#logBytes = 0;
    this.#read.clear();
  }

  // ── SnapshotReader ───────────────────────────────────────────────────────

  position(): LogPosition {
    return this.#meta.checkpoint;
  }

  get isConfirmed(): boolean {
    return this.#meta.digest?.confirmed === true;
  }

  /** @throws DamagedError when the rows are not those that were written: they must not become another member's */
  read(
    cursor: string,
    bytesMax: number,
    version: number,
  ): { readonly bytes: Uint8Array; readonly next: string | undefined } {
    const { znodes, sessions, next } = this.#backend.readTable(this.#meta.table, cursor, bytesMax);
    const before =
      cursor === "" ? emptyTreeDigest() : must(this.#read.get(cursor), "a SNAP is read in order");
    const digest = addToDigest(before, znodes, sessions);
    if (next === undefined) this.#verifyDigest(digest);
    else this.#read.set(next, digest);
    return { bytes: encodeRows(znodes, sessions, knows(version, "snapFingerprints") ? 2 : 1), next };
  }

  #update(change: Partial<Meta>): void {
    this.#meta = { ...this.#meta, ...change };
    this.#backend.writeMeta(this.#meta);
  }
}
