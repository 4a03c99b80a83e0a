/**
 * The partition's rows in SQLite. One row of `chunk` per group commit; its key is the base offset, so a flush writes
 * one row and no index. `timestamp_max` runs, hence a time is found by bisection. Nothing is created before the
 * controller's first word: an object that was never told of a partition stores nothing.
 *
 * Every table has a column `crc` over its other columns; the batches of a chunk have their own. It is null in rows of an
 * earlier version, which are believed. The leadership is kept twice, since nobody tells it again while all is well.
 */
import {
  EMPTY_PARTITION,
  type FlushPlan,
  type KeyEntry,
  type Leadership,
  type PartitionState,
} from "../../core/broker/partition.ts";
import {
  type ChunkColumns,
  chunkChecksum,
  endOfDamaged,
  rowChecksum,
} from "../../core/broker/stored-chunk.ts";

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

/** The number of what is above, in the row `schema` of `meta`. Raise it with every change that the version before must not read. */
const SCHEMA_VERSION = 1;

const TABLES = ["meta", "epoch", "idempotency_key", "chunk"] as const;
const LEADERSHIP_KEYS = ["leadership", "leadership_copy"] as const;

/** A run of batches with contiguous offsets. */
export interface Chunk {
  readonly base: number;
  readonly last: number;
  readonly data: Uint8Array;
  /** it was verified when it was written, and has been in memory since */
  readonly isFresh: boolean;
}

/** The stored state is damaged, and nothing replaces it. */
export class DamagedLogError extends Error {
  override readonly name = "DamagedLogError";
}

type Row = Record<string, SqlStorageValue>;

const NO_BYTES = new Uint8Array();
const bytesOf = (value: SqlStorageValue | undefined): Uint8Array =>
  value instanceof ArrayBuffer ? new Uint8Array(value) : NO_BYTES;

const isOffset = (value: SqlStorageValue | undefined): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** The columns of a row of `chunk`; undefined when they are not those that were written. */
function columnsOf(row: Row): ChunkColumns | undefined {
  const { base, last, timestamp_max, leader_epoch, records, bytes, crc } = row;
  const numbers = [base, last, timestamp_max, leader_epoch, records, bytes];
  if (!numbers.every((value) => typeof value === "number" && Number.isSafeInteger(value))) return undefined;
  const columns = {
    base: base as number,
    last: last as number,
    timestampMax: timestamp_max as number,
    leaderEpoch: leader_epoch as number,
    records: records as number,
    bytes: bytes as number,
  };
  const isRight = crc === null ? columns.base <= columns.last : crc === chunkChecksum(columns);
  return isRight ? columns : undefined;
}

const chunkOf = (row: Row, last: number): Chunk | undefined =>
  isOffset(row.base) ? { base: row.base, last, data: bytesOf(row.data), isFresh: false } : undefined;

/** Of a row whose columns cannot be believed the batches tell where it ends, and the row behind it. */
function lastOfDamaged(row: Row, later: Row | undefined): number {
  const { base, data } = row;
  if (!isOffset(base)) return -1;
  const limit = isOffset(later?.base) ? later.base : Number.POSITIVE_INFINITY;
  return Math.max(base, Math.min(endOfDamaged(base, bytesOf(data)), limit) - 1);
}

export class ChunkStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  /**
   * The state as of the last commit, and the greatest timestamp of the log.
   * @throws Error, and changes nothing, when a later version has written it
   */
  load(): {
    readonly state: PartitionState;
    readonly timestampMax: number;
    /** why the leadership is not known; undefined: it is, or there is none yet */
    readonly damage?: string;
  } {
    const names = this.#sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .toArray();
    const exists = names.some(({ name }) => TABLES.some((table) => table === name));
    if (!exists) return { state: EMPTY_PARTITION, timestampMax: -1 };
    this.#checkSchema();
    this.#sql.exec(SCHEMA);
    this.#addColumn("idempotency_key", "fingerprint", "TEXT");
    for (const table of TABLES) this.#addColumn(table, "crc", "INTEGER");
    const { end, timestampMax } = this.#end();
    const state = { leadership: undefined, logStartOffset: 0, logEndOffset: end };
    try {
      return { state: { ...state, leadership: this.#leadership() }, timestampMax };
    } catch (error) {
      if (error instanceof DamagedLogError) return { state, timestampMax, damage: error.message };
      throw error;
    }
  }

  /** @throws Error when the storage is of a later schema; versions before this one stored none */
  #checkSchema(): void {
    if (!this.#columnsOf("meta").includes("crc")) return;
    const schema = this.#value("schema");
    if (typeof schema === "number" && schema > SCHEMA_VERSION) {
      throw new Error(
        `its storage is of schema ${schema}, and this version reads schemas up to ${SCHEMA_VERSION}: deploy that version or a later one`,
      );
    }
  }

  #columnsOf(table: string): readonly string[] {
    return this.#sql
      .exec<{ name: string }>("SELECT name FROM pragma_table_info(?)", table)
      .toArray()
      .map(({ name }) => name);
  }

  /** @throws DamagedLogError when there is one, and no copy of it can be believed */
  #leadership(): Leadership | undefined {
    let damaged = false;
    for (const key of LEADERSHIP_KEYS) {
      const value = this.#value(key);
      if (typeof value === "object" && value !== null) return value as Leadership;
      damaged ||= value !== undefined;
    }
    if (damaged || this.size().chunks > 0)
      throw new DamagedLogError("the stored leadership of the partition is damaged");
    return undefined;
  }

  /** A value of the meta table; undefined: there is none. Null: it is not the one that was written. */
  #value(key: string): unknown {
    const row = this.#sql.exec<Row>("SELECT value, crc FROM meta WHERE key = ?", key).toArray()[0];
    if (row === undefined) return undefined;
    const { value, crc } = row;
    if (typeof value !== "string" || (crc !== null && crc !== rowChecksum([key, value]))) return null;
    try {
      return JSON.parse(value);
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  }

  #setValue(key: string, text: string): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO meta (key, value, crc) VALUES (?, ?, ?)",
      key,
      text,
      rowChecksum([key, text]),
    );
  }

  /** Notes where the log ends, so that its newest rows are missed should they be missing: a row of its own. */
  noteEnd(end: number): void {
    this.#setValue("end", `${end}`);
  }

  /**
   * The end of the log: after its last row, and after every offset that anything else shows as assigned. An offset
   * is never assigned twice, so a missing row leaves a gap.
   */
  #end(): { readonly end: number; readonly timestampMax: number } {
    let end = 0;
    let timestampMax = -1;
    for (const row of this.#sql.exec<Row>("SELECT * FROM chunk ORDER BY base DESC")) {
      const columns = columnsOf(row);
      if (columns !== undefined) {
        end = Math.max(end, columns.last + 1);
        timestampMax = columns.timestampMax;
        break;
      }
      const { base } = row;
      if (isOffset(base)) end = Math.max(end, endOfDamaged(base, bytesOf(row.data)));
    }
    for (const epoch of this.epochs()) end = Math.max(end, epoch.startOffset);
    const noted = this.#value("end");
    if (typeof noted === "number") end = Math.max(end, noted);
    const key = this.#sql.exec<Row>("SELECT * FROM idempotency_key ORDER BY last DESC LIMIT 1").toArray()[0];
    const entry = key === undefined ? undefined : keyOf(key);
    if (entry !== undefined) end = Math.max(end, entry.lastOffset + 1);
    return { end, timestampMax };
  }

  /** Adds a column to a table of an earlier version; its rows have NULL there: not known. */
  #addColumn(table: string, column: string, type: string): void {
    if (!this.#columnsOf(table).includes(column))
      this.#sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
  }

  saveLeadership(state: PartitionState, epochBegins: boolean): void {
    const { leadership, logEndOffset } = state;
    if (leadership === undefined) return;
    this.#storage.transactionSync(() => {
      this.#sql.exec(SCHEMA);
      const text = JSON.stringify(leadership);
      for (const key of LEADERSHIP_KEYS) this.#setValue(key, text);
      if (this.#value("schema") !== SCHEMA_VERSION) this.#setValue("schema", `${SCHEMA_VERSION}`);
      if (epochBegins) {
        const columns = [leadership.leaderEpoch, logEndOffset, leadership.leader];
        this.#sql.exec(
          "INSERT OR REPLACE INTO epoch (leader_epoch, start_offset, leader, crc) VALUES (?, ?, ?, ?)",
          ...columns,
          rowChecksum(columns),
        );
      }
    });
  }

  /** Stores one group commit, all or nothing, and keeps the newest `keysMax` keys. Returns the chunks as they were joined. @throws when SQLite does */
  commit(plan: FlushPlan, keysMax: number): Chunk[] {
    return this.#storage.transactionSync(() => {
      const chunks = plan.chunks.map((chunk) => {
        const data = join(chunk.parts, chunk.bytes);
        this.#sql.exec(
          "INSERT INTO chunk (base, last, timestamp_max, leader_epoch, records, bytes, data, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          chunk.base,
          chunk.last,
          chunk.timestampMax,
          chunk.leaderEpoch,
          chunk.records,
          chunk.bytes,
          data,
          chunkChecksum(chunk),
        );
        return { base: chunk.base, last: chunk.last, data, isFresh: true };
      });
      this.#putKeys(plan.keys, keysMax);
      return chunks;
    });
  }

  /** Stores a key whose records are elsewhere. */
  claim(key: KeyEntry & { readonly key: string }, keysMax: number): void {
    this.#storage.transactionSync(() => this.#putKeys([key], keysMax));
  }

  /** Stores keys and keeps the newest `keysMax`. */
  #putKeys(keys: FlushPlan["keys"], keysMax: number): void {
    for (const { key, hash, fingerprint, baseOffset, lastOffset, timestampMs } of keys)
      this.#sql.exec(
        "INSERT OR REPLACE INTO idempotency_key (key, hash, base, last, at_ms, fingerprint, crc) VALUES (?, ?, ?, ?, ?, ?, ?)",
        key,
        hash,
        baseOffset,
        lastOffset,
        timestampMs,
        fingerprint ?? null,
        rowChecksum([key, hash, baseOffset, lastOffset, timestampMs, fingerprint ?? null]),
      );
    if (keys.length > 0)
      this.#sql.exec(
        "DELETE FROM idempotency_key WHERE seq <= (SELECT max(seq) FROM idempotency_key) - ?",
        keysMax,
      );
  }

  /**
   * What is remembered of a key that was used at `sinceMs` or later.
   * @throws DamagedLogError when it is not known whether a request with the key was carried out
   */
  keyEntry(key: string, sinceMs: number): KeyEntry | undefined {
    const row = this.#sql.exec<Row>("SELECT * FROM idempotency_key WHERE key = ?", key).toArray()[0];
    if (row === undefined) return undefined;
    const entry = keyOf(row);
    if (entry === undefined)
      throw new DamagedLogError(
        "the stored idempotency key is damaged: it is not known whether a request with it was carried out",
      );
    return entry.timestampMs >= sinceMs ? entry : undefined;
  }

  /**
   * Forgets at most `slice` keys that were used before `beforeMs`, oldest first. Returns when the oldest that is left
   * was used.
   */
  expireKeys(beforeMs: number, slice: number): number | undefined {
    this.#sql.exec(
      "DELETE FROM idempotency_key WHERE at_ms < ? AND seq IN (SELECT seq FROM idempotency_key ORDER BY seq LIMIT ?)",
      beforeMs,
      slice,
    );
    return this.oldestKeyMs();
  }

  /** When the oldest idempotency key was used, ms since 1970; undefined when there is none. */
  oldestKeyMs(): number | undefined {
    return this.#sql
      .exec<{ at_ms: number }>("SELECT at_ms FROM idempotency_key ORDER BY seq LIMIT 1")
      .toArray()[0]?.at_ms;
  }

  /** The chunk that holds `offset`, or the first behind it. */
  chunkAt(offset: number): Chunk | undefined {
    let damaged: Row | undefined;
    for (const row of this.#sql.exec<Row>("SELECT * FROM chunk WHERE base <= ? ORDER BY base DESC", offset)) {
      const columns = columnsOf(row);
      if (columns === undefined) damaged ??= row;
      else if (columns.last >= offset) return chunkOf(row, columns.last);
      if (columns !== undefined) break;
    }
    const later = this.#sql
      .exec<Row>("SELECT * FROM chunk WHERE base > ? ORDER BY base LIMIT 1", offset)
      .toArray()[0];
    const before = damaged && chunkOf(damaged, lastOfDamaged(damaged, later));
    if (before !== undefined && before.last >= offset) return before;
    return later && chunkOf(later, columnsOf(later)?.last ?? lastOfDamaged(later, undefined));
  }

  /**
   * The first chunk whose running greatest timestamp reaches `timestampMs`, found by bisecting the offsets.
   * @throws DamagedLogError when a row on the way cannot be believed
   */
  chunkOfTime(timestampMs: number, logEndOffset: number): Chunk | undefined {
    let low = 0;
    let high = logEndOffset;
    let found: number | undefined;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = this.#sql
        .exec<Row>(
          "SELECT base, last, timestamp_max, leader_epoch, records, bytes, crc FROM chunk WHERE base <= ? ORDER BY base DESC LIMIT 1",
          middle,
        )
        .toArray()[0];
      const columns = row && columnsOf(row);
      if (row === undefined) low = middle + 1;
      else if (columns === undefined)
        throw new DamagedLogError(`the times of the records from offset ${String(row.base)} on are damaged`);
      else if (columns.timestampMax >= timestampMs) {
        found = columns.base;
        high = columns.base;
      } else low = Math.max(columns.last, middle) + 1;
    }
    return found === undefined ? undefined : this.chunkAt(found);
  }

  size(): { readonly chunks: number; readonly bytes: number } {
    return this.#sql
      .exec<{ chunks: number; bytes: number }>(
        "SELECT count(*) AS chunks, coalesce(sum(bytes), 0) AS bytes FROM chunk",
      )
      .one();
  }

  /** Rows that cannot be believed are left out. */
  epochs(): { readonly leaderEpoch: number; readonly startOffset: number }[] {
    return this.#sql
      .exec<Row>(
        "SELECT leader_epoch, start_offset, leader, crc FROM epoch ORDER BY leader_epoch DESC LIMIT 100",
      )
      .toArray()
      .flatMap(({ leader_epoch: leaderEpoch, start_offset: startOffset, leader, crc }) => {
        if (!isOffset(leaderEpoch) || !isOffset(startOffset) || typeof leader !== "number") return [];
        const isRight = crc === null || crc === rowChecksum([leaderEpoch, startOffset, leader]);
        return isRight ? [{ leaderEpoch, startOffset }] : [];
      })
      .reverse();
  }
}

/** Undefined when the row is not the one that was written. */
function keyOf(row: Row): KeyEntry | undefined {
  const { key, hash, base, last, at_ms: timestampMs, fingerprint, crc } = row;
  if (typeof key !== "string" || typeof hash !== "string" || typeof timestampMs !== "number")
    return undefined;
  if (typeof base !== "number" || typeof last !== "number") return undefined;
  if (fingerprint !== null && typeof fingerprint !== "string") return undefined;
  if (crc !== null && crc !== rowChecksum([key, hash, base, last, timestampMs, fingerprint]))
    return undefined;
  return {
    hash,
    ...(fingerprint !== null && { fingerprint }),
    baseOffset: base,
    lastOffset: last,
    timestampMs,
  };
}

function join(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}
