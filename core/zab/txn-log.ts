/**
 * The transaction log: rows of packed txns, one row per group commit, each chained to the one before by the hash of every
 * txn. The index of the rows is in memory, the batches are in a {@link LogStorage}: SQLite in the object, a map in the
 * simulator. Peers may split the log into rows differently; entries and chain are the same on every peer.
 *
 *   base ──▶ row ──▶ row ──▶ row = last
 *   (the entry before the first retained one)
 *
 * @source Zab, DSN 2011: the history h of a process
 */
import { assert, must } from "../assert.ts";
import { type Chain, chainBatch, equalChain } from "../hash/chain.ts";
import type { LogPosition } from "./messages.ts";
import { countTxns, lastZxidOf, recordAt, splitAfter } from "./txn-batch.ts";
import { compareZxid, equalZxid, type Zxid } from "./zxid.ts";

/** The index entry of a row, without its batch. */
export interface LogRow {
  /** number of the row in this peer's storage, ascending */
  readonly seq: number;
  readonly first: Zxid;
  readonly last: Zxid;
  /** txns in the batch */
  readonly count: number;
  readonly bytes: number;
  /** chain before the first and after the last txn */
  readonly before: Chain;
  readonly after: Chain;
  /** commit index known to the peer when it wrote the row */
  readonly committed: Zxid;
}

/** Storage of the rows. All calls are synchronous; an exception ends the incarnation. */
export interface LogStorage {
  insert(row: LogRow, batch: Uint8Array): void;
  replace(row: LogRow, batch: Uint8Array): void;
  /** deletes the rows with a greater number */
  deleteAfter(seq: number): void;
  /** deletes the rows up to and including this number */
  deleteUpTo(seq: number): void;
  setBase(base: LogPosition): void;
  read(seq: number): Uint8Array;
}

/** A part of the log: the txns of a row, or its rest, and possibly of the rows after it. */
export interface LogSlice {
  readonly prev: LogPosition;
  readonly batch: Uint8Array;
  readonly last: Zxid;
  readonly chain: Chain;
}

/** The read interface of the log. */
export interface TxnLogReader {
  readonly base: LogPosition;
  readonly last: LogPosition;
  /** highest zxid that is durably known here to be committed */
  readonly committed: Zxid;
  /** The entry at `zxid` or the nearest before it; undefined when that is below the base. */
  positionAt(zxid: Zxid): LogPosition | undefined;
  /**
   * The txns after `after`, an entry of the log or its base: the rest of the next row, and the rows after it as long as all
   * together have at most `bytesMax` bytes and {@link ROWS_READ_MAX} rows; undefined at the end.
   */
  read(after: Zxid, bytesMax?: number): LogSlice | undefined;
  /** bytes of the rows after `zxid` */
  bytesAfter(zxid: Zxid): number;
  /** The record at `zxid`; undefined if the log no longer contains it, or its row is damaged. */
  recordAt(zxid: Zxid): Uint8Array | undefined;
}

/** Maximum of rows read together: each is a read of the storage, and a leader's turn has to be short. */
export const ROWS_READ_MAX = 500;
/** Bytes of the last batches that are kept in memory, for learners that follow closely. */
const CACHE_BYTES_MAX = 2 * 1024 * 1024;

/**
 * The log of one peer: an index in memory over rows in storage.
 * Invariants: rows are ascending and each continues the chain of the one before; base ≤ committed ≤ last; no entry known to
 * be committed is truncated.
 *
 * @source ZooKeeper FileTxnLog, TxnLogProposalIterator
 */
export class TxnLog implements TxnLogReader {
  readonly #storage: LogStorage;
  #rows: LogRow[];
  #base: LogPosition;
  #committed: Zxid;
  readonly #cache = new Map<number, Uint8Array>();
  #cacheBytes = 0;

  /**
   * @param rows ascending; their chain is checked here
   * @throws AssertionError if a row does not continue the one before, so the log is damaged
   */
  constructor(storage: LogStorage, rows: readonly LogRow[], base: LogPosition) {
    this.#storage = storage;
    this.#rows = [...rows];
    this.#base = base;
    this.#committed = base.zxid;
    let end: LogPosition = base;
    for (const row of rows) {
      assert(equalChain(end.chain, row.before), `log row ${row.seq} continues the chain`);
      assert(compareZxid(end.zxid, row.first) < 0, `log row ${row.seq} comes after the row before it`);
      end = { zxid: row.last, chain: row.after };
      if (compareZxid(row.committed, this.#committed) > 0) this.#committed = row.committed;
    }
  }

  get base(): LogPosition {
    return this.#base;
  }

  get last(): LogPosition {
    const row = this.#rows.at(-1);
    return row === undefined ? this.#base : { zxid: row.last, chain: row.after };
  }

  get committed(): Zxid {
    return this.#committed;
  }

  get rows(): readonly LogRow[] {
    return this.#rows;
  }

  /** Txns in the log. */
  get count(): number {
    return this.#rows.reduce((sum, row) => sum + row.count, 0);
  }

  positionAt(zxid: Zxid): LogPosition | undefined {
    if (compareZxid(zxid, this.#base.zxid) < 0) return undefined;
    const index = this.#rowFrom(zxid);
    const row = this.#rows[index];
    if (row !== undefined && compareZxid(row.first, zxid) <= 0) return this.#within(row, zxid);
    const before = this.#rows[index - 1];
    return before === undefined ? this.#base : { zxid: before.last, chain: before.after };
  }

  read(after: Zxid, bytesMax = 0): LogSlice | undefined {
    let index = this.#rowFrom(after);
    let row = this.#rows[index];
    if (row !== undefined && equalZxid(row.last, after)) row = this.#rows[++index];
    if (row === undefined) return undefined;
    const batch = this.#batch(row);
    const prev = must(this.positionAt(after), "reading starts within the log");
    assert(equalZxid(prev.zxid, after), "reading starts behind an entry of the log");
    const start = compareZxid(row.first, after) > 0 ? 0 : splitAfter(batch, after);
    const parts = [start === 0 ? batch : batch.subarray(start)];
    let bytes = batch.length - start;
    for (const next of this.#rows.slice(index + 1, index + ROWS_READ_MAX)) {
      bytes += next.bytes;
      if (bytes > bytesMax) break;
      parts.push(this.#batch(next));
      row = next;
    }
    return { prev, batch: joined(parts), last: row.last, chain: row.after };
  }

  bytesAfter(zxid: Zxid): number {
    let bytes = 0;
    for (let i = this.#rows.length - 1; i >= 0; i--) {
      const row = this.#rows[i];
      if (row === undefined || compareZxid(row.last, zxid) <= 0) break;
      bytes += row.bytes;
    }
    return bytes;
  }

  recordAt(zxid: Zxid): Uint8Array | undefined {
    const row = this.#rows[this.#rowFrom(zxid)];
    if (row === undefined || compareZxid(zxid, row.first) < 0) return undefined;
    const batch = this.#whole(row);
    return batch && recordAt(batch, zxid);
  }

  /** Appends one row. The batch is not copied and must not be changed. */
  append(
    batch: Uint8Array,
    entry: Pick<LogRow, "first" | "last" | "count" | "committed">,
    chain: Chain,
  ): void {
    const end = this.last;
    assert(compareZxid(end.zxid, entry.first) < 0, "an append continues the log");
    const row: LogRow = {
      seq: (this.#rows.at(-1)?.seq ?? 0) + 1,
      first: entry.first,
      last: entry.last,
      count: entry.count,
      bytes: batch.length,
      before: end.chain,
      after: chain,
      committed: entry.committed,
    };
    this.#storage.insert(row, batch);
    this.#rows.push(row);
    if (compareZxid(row.committed, this.#committed) > 0) this.#committed = row.committed;
    this.#remember(row.seq, batch);
  }

  /** Deletes all entries after `to`, an entry of the log or its base. It may split a row. */
  truncate(to: Zxid): void {
    const position = must(this.positionAt(to), "a truncation lies within the log");
    assert(equalZxid(position.zxid, to), "a truncation ends at an entry of the log");
    assert(compareZxid(to, this.#committed) >= 0, "a truncation keeps what is known to be committed");
    const keep = this.#rows.filter((row) => compareZxid(row.first, to) <= 0);
    const cut = keep.at(-1);
    if (cut !== undefined && compareZxid(cut.last, to) > 0) {
      const batch = this.#batch(cut);
      const kept = batch.slice(0, splitAfter(batch, to));
      const row: LogRow = {
        ...cut,
        last: to,
        count: countTxns(kept),
        bytes: kept.length,
        after: position.chain,
      };
      keep[keep.length - 1] = row;
      this.#storage.replace(row, kept);
      this.#forget(cut.seq);
      this.#remember(row.seq, kept);
    }
    this.#storage.deleteAfter(keep.at(-1)?.seq ?? 0);
    for (const row of this.#rows) if (row.seq > (keep.at(-1)?.seq ?? 0)) this.#forget(row.seq);
    this.#rows = keep;
  }

  /** Restarts the log after a snapshot at `base`. */
  restart(base: LogPosition): void {
    const seq = this.#rows.at(-1)?.seq ?? 0;
    this.#storage.deleteUpTo(seq);
    this.#storage.setBase(base);
    this.#rows = [];
    this.#base = base;
    this.#committed = base.zxid;
    this.#cache.clear();
    this.#cacheBytes = 0;
  }

  /**
   * Deletes whole rows at or below `upTo`. It retains at least `retainTxns` txns and every entry after `slowest`, but no
   * more than `retainBytes` in all: a learner that needs more receives a SNAP anyway.
   */
  cut(upTo: Zxid, retainTxns: number, retainBytes = Number.POSITIVE_INFINITY, slowest = upTo): void {
    let left = this.count;
    let bytes = this.#rows.reduce((sum, row) => sum + row.bytes, 0);
    let drop = 0;
    for (const row of this.#rows) {
      if (compareZxid(row.last, upTo) > 0) break;
      const isWanted = left - row.count < retainTxns || compareZxid(row.last, slowest) > 0;
      if (isWanted && bytes <= retainBytes) break;
      left -= row.count;
      bytes -= row.bytes;
      drop += 1;
    }
    const last = this.#rows[drop - 1];
    if (last === undefined) return;
    const committed = this.#committed;
    this.#storage.deleteUpTo(last.seq);
    this.#base = { zxid: last.last, chain: last.after };
    this.#storage.setBase(this.#base);
    for (const row of this.#rows.splice(0, drop)) this.#forget(row.seq);
    this.#committed = compareZxid(committed, this.#base.zxid) > 0 ? committed : this.#base.zxid;
  }

  /** Index of the first row whose last entry is at or after `zxid`. */
  #rowFrom(zxid: Zxid): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = must(this.#rows[middle], "a binary search stays inside");
      if (compareZxid(row.last, zxid) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #within(row: LogRow, zxid: Zxid): LogPosition {
    if (equalZxid(row.last, zxid)) return { zxid: row.last, chain: row.after };
    const batch = this.#batch(row);
    const end = splitAfter(batch, zxid);
    return {
      zxid: must(lastZxidOf(batch, end), "a row holds its first txn"),
      chain: chainBatch(row.before, batch, 0, end),
    };
  }

  /** The batch of a row. @throws AssertionError if the storage does not return what was written */
  #batch(row: LogRow): Uint8Array {
    return must(this.#whole(row), `log row ${row.seq} holds what was written`);
  }

  /** The batch of a row; undefined if the storage does not return what was written. */
  #whole(row: LogRow): Uint8Array | undefined {
    const cached = this.#cache.get(row.seq);
    if (cached !== undefined) return cached;
    const batch = this.#storage.read(row.seq);
    const isWhole = batch.length === row.bytes && equalChain(chainBatch(row.before, batch), row.after);
    return isWhole ? batch : undefined;
  }

  #remember(seq: number, batch: Uint8Array): void {
    this.#cache.set(seq, batch);
    this.#cacheBytes += batch.length;
    for (const old of this.#cache.keys()) {
      if (this.#cacheBytes <= CACHE_BYTES_MAX || old === seq) break;
      this.#forget(old);
    }
  }

  #forget(seq: number): void {
    const batch = this.#cache.get(seq);
    if (batch === undefined) return;
    this.#cacheBytes -= batch.length;
    this.#cache.delete(seq);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether both name the same entry of the same history. */
export const samePosition = (a: LogPosition, b: LogPosition): boolean =>
  equalZxid(a.zxid, b.zxid) && equalChain(a.chain, b.chain);
