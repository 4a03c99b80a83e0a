/** The stored numbers of children of znodes with many children, which would take too long to count in a turn. */
import { crc32c } from "../../../core/hash/crc32c.ts";
import type { TableId } from "../../../core/server/storage-backend.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { equalZxid } from "../../../core/zab/zxid.ts";
import type { ZnodeRow } from "../../../core/znode/stat.ts";
import { CHILDREN_COUNTED_MAX } from "../config.ts";
import type { RowCounts } from "./row-counts.ts";

const scratch = new ByteWriter(256);

/** CRC-32C over the columns of a row. */
function checksum({ path, pzxid }: ZnodeRow, children: number): number {
  scratch.string(path);
  scratch.u32pair(pzxid.epoch, pzxid.counter);
  scratch.i32(children);
  const check = crc32c(scratch.view());
  scratch.reset();
  return check;
}

/**
 * A row per znode of a table that has more than {@link CHILDREN_COUNTED_MAX} children.
 *
 * Invariant: a row whose path, pzxid and checksum match the znode has the number of its children in the table without the
 * built-in ones, because every change of these children sets another pzxid. Other rows are outdated and ignored; a version
 * that does not know this table leaves such rows. Built-in children are not counted because they get rows, or lose them with
 * a snapshot of an earlier version, under an unchanged pzxid.
 */
export class ChildCounts {
  readonly #sql: SqlStorage;
  readonly #counts: RowCounts;
  readonly #table: TableId;
  /** whether the table may have rows; undefined: not known yet */
  #isUsed: boolean | undefined;
  /** *map path → number that was counted*, not stored yet */
  readonly #counted = new Map<string, { readonly row: ZnodeRow; readonly children: number }>();

  constructor(sql: SqlStorage, counts: RowCounts, table: TableId) {
    this.#sql = sql;
    this.#counts = counts;
    this.#table = table;
  }

  /**
   * Keeps a number that was counted, until {@link store}. A read must not write: it would fail on a full disk, and SQLite may then
   * roll back what the same turn has written before. @param children without the built-in ones
   */
  keep(row: ZnodeRow, children: number): void {
    if (children > CHILDREN_COUNTED_MAX)
      this.#counted.set(row.path, { row: { ...row, data: null }, children });
  }

  /** Stores the numbers that were counted. */
  store(): void {
    for (const { row, children } of this.#counted.values()) this.put(row, children);
    this.#counted.clear();
  }

  /** Forgets the numbers that are not stored. */
  forget(): void {
    this.#counted.clear();
  }

  /** Stores the number of a znode's children, if there are many. @param children without the built-in ones */
  put(row: ZnodeRow, children: number): void {
    const { path, pzxid } = row;
    if (children <= CHILDREN_COUNTED_MAX) return;
    this.#isUsed = true;
    this.#write(
      `INSERT OR REPLACE INTO children_${this.#table} VALUES (?,?,?,?,?)`,
      path,
      pzxid.epoch,
      pzxid.counter,
      children,
      checksum(row, children),
    );
  }

  /** The number of children of a znode, without the built-in ones; undefined if it is not stored. */
  get(row: ZnodeRow): number | undefined {
    const counted = this.#counted.get(row.path);
    if (counted !== undefined && equalZxid(counted.row.pzxid, row.pzxid)) return counted.children;
    const [found] = [
      ...this.#sql
        .exec(
          `SELECT children, crc FROM children_${this.#table} WHERE path = ? AND pzxid_epoch = ? AND pzxid_counter = ?`,
          row.path,
          row.pzxid.epoch,
          row.pzxid.counter,
        )
        .raw(),
    ];
    if (found === undefined) return undefined;
    const children = Number(found[0]);
    return found[1] === checksum(row, children) ? children : undefined;
  }

  /** Removes the row of a deleted znode. */
  delete(path: string): void {
    this.#isUsed ??= this.#sql.exec(`SELECT 1 FROM children_${this.#table} LIMIT 1`).toArray().length > 0;
    if (this.#isUsed) this.#write(`DELETE FROM children_${this.#table} WHERE path = ?`, path);
  }

  /** Deletes all rows. */
  clear(): void {
    this.forget();
    this.#write(`DELETE FROM children_${this.#table}`);
    this.#isUsed = false;
  }

  #write(statement: string, ...values: unknown[]): void {
    this.#counts.checkpoint += this.#sql.exec(statement, ...values).rowsWritten;
  }
}
