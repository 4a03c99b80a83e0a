/**
 * The rows of a partition in SQLite. One row of `chunk` per group commit; its key is the base offset, so a flush writes one
 * row and no index. `timestamp_max` is a running maximum, so a time is found by bisection. Nothing is created before the
 * controller's first call.
 */

import { assertNever } from "../../core/assert.ts";
import type {
  PartitionBackend,
  PartitionWrite,
  RawChunk,
  RawColumns,
  RawEpoch,
  RawKey,
  RawMeta,
} from "../../core/broker/partition-backend.ts";

import { columnsIn, tablesIn } from "../shared/sql.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epoch (
  leader_epoch INTEGER PRIMARY KEY, start_offset INTEGER NOT NULL, leader INTEGER NOT NULL, crc INTEGER
);
CREATE TABLE IF NOT EXISTS idempotency_key (
  seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, hash TEXT NOT NULL, base INTEGER NOT NULL, last INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, fingerprint TEXT, crc INTEGER
);
CREATE TABLE IF NOT EXISTS chunk (
  base INTEGER PRIMARY KEY, last INTEGER NOT NULL, timestamp_max INTEGER NOT NULL, leader_epoch INTEGER NOT NULL,
  records INTEGER NOT NULL, bytes INTEGER NOT NULL, data BLOB NOT NULL, crc INTEGER
);
`;

const TABLES = ["meta", "epoch", "idempotency_key", "chunk"] as const;

type Row = Record<string, SqlStorageValue>;

/** SQLite returns a blob as an ArrayBuffer. */
const dataOf = (value: SqlStorageValue | undefined): unknown =>
  value instanceof ArrayBuffer ? new Uint8Array(value) : value;

const columns = (row: Row): RawColumns => ({
  base: row.base,
  last: row.last,
  timestampMax: row.timestamp_max,
  leaderEpoch: row.leader_epoch,
  records: row.records,
  bytes: row.bytes,
  crc: row.crc,
});

const chunk = (row: Row): RawChunk => ({ ...columns(row), data: dataOf(row.data) });

const key = (row: Row): RawKey => ({
  key: row.key,
  hash: row.hash,
  fingerprint: row.fingerprint,
  base: row.base,
  last: row.last,
  atMs: row.at_ms,
  crc: row.crc,
});

/** A {@link PartitionBackend} on an object's SQLite. It has no state in memory. */
export class SqlitePartition implements PartitionBackend {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  /** All rows: an open cursor would keep its table from being dropped. */
  #rows(query: string, ...bindings: SqlStorageValue[]): Row[] {
    return this.#sql.exec<Row>(query, ...bindings).toArray();
  }

  exists(): boolean {
    const names = tablesIn(this.#sql);
    return TABLES.some((table) => names.includes(table));
  }

  migrate(): void {
    this.#sql.exec(SCHEMA);
    this.#addColumn("idempotency_key", "fingerprint", "TEXT");
    for (const table of TABLES) this.#addColumn(table, "crc", "INTEGER");
  }

  #addColumn(table: string, column: string, type: string): void {
    if (!columnsIn(this.#sql, table).includes(column))
      this.#sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
  }

  meta(name: string): RawMeta | undefined {
    if (!tablesIn(this.#sql).includes("meta")) return undefined;
    const row = this.#rows("SELECT * FROM meta WHERE key = ?", name)[0];
    return row && { value: row.value, crc: row.crc };
  }

  epochs(limit: number): readonly RawEpoch[] {
    const rows = this.#rows("SELECT * FROM epoch ORDER BY leader_epoch DESC LIMIT ?", limit);
    return rows.map((row) => ({
      leaderEpoch: row.leader_epoch,
      startOffset: row.start_offset,
      leader: row.leader,
      crc: row.crc,
    }));
  }

  key(name: string): RawKey | undefined {
    const row = this.#rows("SELECT * FROM idempotency_key WHERE key = ?", name)[0];
    return row && key(row);
  }

  keyOfGreatestOffset(): RawKey | undefined {
    const row = this.#rows("SELECT * FROM idempotency_key ORDER BY last DESC LIMIT 1")[0];
    return row && key(row);
  }

  oldestKeyMs(): number | undefined {
    const atMs = this.#rows("SELECT at_ms FROM idempotency_key ORDER BY seq LIMIT 1")[0]?.at_ms;
    return typeof atMs === "number" ? atMs : undefined;
  }

  chunkAtOrBelow(offset: number): RawChunk | undefined {
    const row = this.#rows("SELECT * FROM chunk WHERE base <= ? ORDER BY base DESC LIMIT 1", offset)[0];
    return row && chunk(row);
  }

  columnsAtOrBelow(offset: number): RawColumns | undefined {
    const row = this.#rows(
      "SELECT base, last, timestamp_max, leader_epoch, records, bytes, crc FROM chunk WHERE base <= ? ORDER BY base DESC LIMIT 1",
      offset,
    )[0];
    return row && columns(row);
  }

  chunkAbove(offset: number): RawChunk | undefined {
    const row = this.#rows("SELECT * FROM chunk WHERE base > ? ORDER BY base LIMIT 1", offset)[0];
    return row && chunk(row);
  }

  size(): { readonly chunks: number; readonly bytes: number } {
    return this.#sql
      .exec<{ chunks: number; bytes: number }>(
        "SELECT count(*) AS chunks, coalesce(sum(bytes), 0) AS bytes FROM chunk",
      )
      .one();
  }

  write(writes: readonly PartitionWrite[]): void {
    this.#storage.transactionSync(() => {
      for (const write of writes) this.#write(write);
    });
  }

  #write(write: PartitionWrite): void {
    const sql = this.#sql;
    switch (write.type) {
      case "create":
        sql.exec(SCHEMA);
        return;
      case "meta":
        sql.exec(
          "INSERT OR REPLACE INTO meta (key, value, crc) VALUES (?, ?, ?)",
          write.name,
          write.value,
          write.crc,
        );
        return;
      case "epoch":
        sql.exec(
          "INSERT OR REPLACE INTO epoch (leader_epoch, start_offset, leader, crc) VALUES (?, ?, ?, ?)",
          write.leaderEpoch,
          write.startOffset,
          write.leader,
          write.crc,
        );
        return;
      case "chunk": {
        const { base, last, timestampMax, leaderEpoch, records, bytes } = write.columns;
        sql.exec(
          "INSERT INTO chunk (base, last, timestamp_max, leader_epoch, records, bytes, data, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          base,
          last,
          timestampMax,
          leaderEpoch,
          records,
          bytes,
          write.data,
          write.crc,
        );
        return;
      }
      case "keys":
        for (const { key: name, hash, fingerprint, baseOffset, lastOffset, timestampMs, crc } of write.keys)
          sql.exec(
            "INSERT OR REPLACE INTO idempotency_key (key, hash, base, last, at_ms, fingerprint, crc) VALUES (?, ?, ?, ?, ?, ?, ?)",
            name,
            hash,
            baseOffset,
            lastOffset,
            timestampMs,
            fingerprint ?? null,
            crc,
          );
        sql.exec(
          "DELETE FROM idempotency_key WHERE seq <= (SELECT max(seq) FROM idempotency_key) - ?",
          write.keysMax,
        );
        return;
      case "expireKeys":
        sql.exec(
          "DELETE FROM idempotency_key WHERE at_ms < ? AND seq IN (SELECT seq FROM idempotency_key ORDER BY seq LIMIT ?)",
          write.beforeMs,
          write.slice,
        );
        return;
      default:
        assertNever(write);
    }
  }
}
