/** The table of the log: one row per group commit, a packed batch and the chain before and after it. */
import { assert, must } from "../../../core/assert.ts";
import { DamagedError } from "../../../core/damaged-error.ts";
import { crc32c } from "../../../core/hash/crc32c.ts";
import { logRowChecksum, verifyChecksum } from "../../../core/server/checksums.ts";
import type { LogRow } from "../../../core/zab/txn-log.ts";
import type { Row } from "../../shared/sql.ts";
import { blob, crcAt, i32, num, u32, zxidAt } from "./columns.ts";
import type { RowCounts } from "./row-counts.ts";

/** The position of an injected damage in a row, and the row's checksum afterwards. */
export interface DamagedRow {
  readonly seq: number;
  readonly at: number;
  readonly check: number;
}

/**
 * The rows of the log.
 * Invariant: a row is written once, and its checksum covers every column but the batch.
 * @source ZooKeeper's `FileTxnLog`
 */
export class LogTable {
  readonly #sql: SqlStorage;
  readonly #rows: RowCounts;

  constructor(sql: SqlStorage, rows: RowCounts) {
    this.#sql = sql;
    this.#rows = rows;
  }

  /** Whether the log has no row, damaged or not. */
  get isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM txn_log LIMIT 1").toArray().length === 0;
  }

  /** The rows without their batches, ascending. Damaged rows are left out. */
  rows(onDamage?: (seq: number) => void): LogRow[] {
    const rows: LogRow[] = [];
    const cursor =
      this.#sql.exec(`SELECT seq, first_epoch, first_counter, last_epoch, last_counter, txns, bytes,
      before_high, before_low, after_high, after_low, committed_epoch, committed_counter, crc FROM txn_log ORDER BY seq`);
    for (const each of cursor.raw()) {
      try {
        rows.push(logRowOf(each));
      } catch (error) {
        if (!(error instanceof DamagedError)) throw error;
        onDamage?.(Number(each[0]));
      }
    }
    this.#rows.read += cursor.rowsRead;
    return rows;
  }

  /** @param batch the batch that the row describes */
  insert(row: LogRow, batch: Uint8Array): void {
    this.#write(
      "INSERT INTO txn_log VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
      row.seq,
      row.first.epoch,
      row.first.counter,
      row.last.epoch,
      row.last.counter,
      row.count,
      row.bytes,
      row.before.high,
      row.before.low,
      row.after.high,
      row.after.low,
      row.committed.epoch,
      row.committed.counter,
      batch,
      logRowChecksum(row),
    );
  }

  /** Replaces a row, with another batch. */
  replace(row: LogRow, batch: Uint8Array): void {
    const deleted = this.#sql.exec("DELETE FROM txn_log WHERE seq = ? RETURNING seq", row.seq).toArray();
    assert(deleted.length === 1, `log row ${row.seq} exists`);
    this.insert(row, batch);
  }

  /** Deletes the rows after `seq`. */
  deleteAfter(seq: number): void {
    this.#write("DELETE FROM txn_log WHERE seq > ?", seq);
  }

  /** Deletes the rows up to `seq`. */
  deleteUpTo(seq: number): void {
    this.#write("DELETE FROM txn_log WHERE seq <= ?", seq);
  }

  /** The batch of a row. @throws DamagedError if there is no such row */
  read(seq: number): Uint8Array {
    this.#rows.read += 1;
    const [row] = [...this.#sql.exec("SELECT batch FROM txn_log WHERE seq = ?", seq).raw()];
    const batch = row === undefined ? null : blob(row, 0);
    if (batch === null) throw new DamagedError(`log row ${seq} is missing`);
    return batch;
  }

  /**
   * Inverts a byte in the middle of a row, like a failing disk.
   * @returns the argument of {@link repair}; undefined if the log is empty
   */
  damage(row: "oldest" | "newest"): DamagedRow | undefined {
    const order = row === "oldest" ? "ASC" : "DESC";
    const [found] = [...this.#sql.exec(`SELECT seq, batch FROM txn_log ORDER BY seq ${order} LIMIT 1`).raw()];
    if (found === undefined) return undefined;
    const batch = must(blob(found, 1), "a log row holds a batch");
    const at = batch.length >> 1;
    const seq = num(found, 0);
    return { seq, at, check: this.#invert(seq, batch, at) };
  }

  /** Undoes {@link damage}, unless the row was replaced. */
  repair({ seq, at, check }: DamagedRow): void {
    const [found] = [...this.#sql.exec("SELECT batch FROM txn_log WHERE seq = ?", seq).raw()];
    const batch = found === undefined ? null : blob(found, 0);
    if (batch !== null && crc32c(batch) === check) this.#invert(seq, batch, at);
  }

  /** @returns the checksum of the changed row */
  #invert(seq: number, batch: Uint8Array, at: number): number {
    batch[at] = ~must(batch[at], "the byte is in the batch");
    this.#sql.exec("UPDATE txn_log SET batch = ? WHERE seq = ?", batch, seq);
    return crc32c(batch);
  }

  #write(statement: string, ...values: unknown[]): void {
    this.#rows.log += this.#sql.exec(statement, ...values).rowsWritten;
  }
}

/** @throws DamagedError */
function logRowOf(row: Row): LogRow {
  const found: LogRow = {
    seq: num(row, 0),
    first: zxidAt(row, 1),
    last: zxidAt(row, 3),
    count: i32(row, 5),
    bytes: i32(row, 6),
    before: { high: u32(row, 7), low: u32(row, 8) },
    after: { high: u32(row, 9), low: u32(row, 10) },
    committed: zxidAt(row, 11),
  };
  const crc = crcAt(row, 13);
  if (crc !== null) verifyChecksum(crc, logRowChecksum(found), `log row ${found.seq}`);
  return found;
}
