/** The rows of a broker in SQLite: one table, which is created with the first row. */
import type { BrokerBackend, RawRecord } from "../../core/broker/broker-records.ts";
import { columnsIn } from "../shared/sql.ts";

const SCHEMA =
  "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER) WITHOUT ROWID";

/** A {@link BrokerBackend} on an object's SQLite. It counts the rows that it writes and reads. */
export class SqliteBroker implements BrokerBackend {
  readonly #sql: SqlStorage;
  /** whether the table exists, with all columns */
  #isOpen = false;
  /** rows since this object was loaded */
  readonly rows = { meta: 0, read: 0 };

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** Whether there is a table. A table of an earlier version gets the missing column. */
  #exists(): boolean {
    if (this.#isOpen) return true;
    const columns = columnsIn(this.#sql, "meta");
    if (columns.length === 0) return false;
    if (!columns.includes("crc")) this.#sql.exec("ALTER TABLE meta ADD COLUMN crc INTEGER");
    this.#isOpen = true;
    return true;
  }

  read(key: string): RawRecord | undefined {
    if (!this.#exists()) return undefined;
    this.rows.read += 1;
    const row = this.#sql
      .exec<Record<string, SqlStorageValue>>("SELECT value, crc FROM meta WHERE key = ?", key)
      .toArray()[0];
    return row && { value: row.value, crc: row.crc };
  }

  write(key: string, value: string, crc: number): void {
    if (!this.#exists()) this.#sql.exec(SCHEMA);
    this.rows.meta += this.#sql.exec(
      "INSERT OR REPLACE INTO meta (key, value, crc) VALUES (?, ?, ?)",
      key,
      value,
      crc,
    ).rowsWritten;
  }
}
