import { assert, must } from "../../../core/assert.ts";
import type { LogPosition } from "../../../core/zab/messages.ts";
import type { LogRow, LogStorage } from "../../../core/zab/txn-log.ts";

/** The rows of a log in memory. */
export class MemoryLogStorage implements LogStorage {
  readonly rows = new Map<number, { row: LogRow; batch: Uint8Array }>();
  base: LogPosition | undefined;

  insert(row: LogRow, batch: Uint8Array): void {
    assert(!this.rows.has(row.seq), "a row is inserted once");
    this.rows.set(row.seq, { row, batch: batch.slice() });
  }

  replace(row: LogRow, batch: Uint8Array): void {
    assert(this.rows.has(row.seq), "only a row that exists is replaced");
    this.rows.set(row.seq, { row, batch: batch.slice() });
  }

  deleteAfter(seq: number): void {
    for (const key of this.rows.keys()) if (key > seq) this.rows.delete(key);
  }

  deleteUpTo(seq: number): void {
    for (const key of this.rows.keys()) if (key <= seq) this.rows.delete(key);
  }

  setBase(base: LogPosition): void {
    this.base = base;
  }

  read(seq: number): Uint8Array {
    return must(this.rows.get(seq), "a row that is read exists").batch;
  }
}
