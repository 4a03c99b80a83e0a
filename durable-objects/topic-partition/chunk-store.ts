/**
 * The partition's rows in SQLite. One row of `chunk` per group commit; its key is the base offset, so a flush writes
 * one row and no index. `timestamp_max` runs, hence a time is found by bisection. Nothing is created before the
 * controller's first word: an object that was never told of a partition stores nothing.
 */
import {
  EMPTY_PARTITION,
  type FlushPlan,
  type KeyEntry,
  type Leadership,
  type PartitionState,
} from "../../core/broker/partition.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epoch (leader_epoch INTEGER PRIMARY KEY, start_offset INTEGER NOT NULL, leader INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS idempotency_key (
  seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, hash TEXT NOT NULL, base INTEGER NOT NULL, last INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, fingerprint TEXT
);
CREATE TABLE IF NOT EXISTS chunk (
  base INTEGER PRIMARY KEY, last INTEGER NOT NULL, timestamp_max INTEGER NOT NULL, leader_epoch INTEGER NOT NULL,
  records INTEGER NOT NULL, bytes INTEGER NOT NULL, data BLOB NOT NULL
);
`;

/** A run of whole batches with contiguous offsets. */
export interface Chunk {
  readonly base: number;
  readonly last: number;
  readonly data: Uint8Array;
}

type ChunkRow = { base: number; last: number; data: ArrayBuffer };

const chunkOf = (row: ChunkRow | undefined): Chunk | undefined =>
  row && { base: row.base, last: row.last, data: new Uint8Array(row.data) };

export class ChunkStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  /** The state as of the last commit, and the greatest timestamp of the log. */
  load(): { readonly state: PartitionState; readonly timestampMax: number } {
    const exists =
      this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'chunk'").toArray().length >
      0;
    if (!exists) return { state: EMPTY_PARTITION, timestampMax: -1 };
    this.#addColumn("idempotency_key", "fingerprint", "TEXT");
    const text = this.#sql
      .exec<{ value: string }>("SELECT value FROM meta WHERE key = 'leadership'")
      .toArray()[0]?.value;
    const end = this.#sql
      .exec<{ last: number; timestamp_max: number }>(
        "SELECT last, timestamp_max FROM chunk ORDER BY base DESC LIMIT 1",
      )
      .toArray()[0];
    return {
      state: {
        leadership: text === undefined ? undefined : (JSON.parse(text) as Leadership),
        logStartOffset: 0,
        logEndOffset: end === undefined ? 0 : end.last + 1,
      },
      timestampMax: end?.timestamp_max ?? -1,
    };
  }

  /** Adds a column to a table of an earlier version; its rows have NULL there: not known. */
  #addColumn(table: string, column: string, type: string): void {
    const columns = this.#sql
      .exec<{ name: string }>("SELECT name FROM pragma_table_info(?)", table)
      .toArray();
    if (columns.every(({ name }) => name !== column))
      this.#sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
  }

  saveLeadership(state: PartitionState, epochBegins: boolean): void {
    const { leadership, logEndOffset } = state;
    if (leadership === undefined) return;
    this.#storage.transactionSync(() => {
      this.#sql.exec(SCHEMA);
      this.#sql.exec("INSERT OR REPLACE INTO meta VALUES ('leadership', ?)", JSON.stringify(leadership));
      if (epochBegins)
        this.#sql.exec(
          "INSERT OR REPLACE INTO epoch VALUES (?, ?, ?)",
          leadership.leaderEpoch,
          logEndOffset,
          leadership.leader,
        );
    });
  }

  /** Stores one group commit, all or nothing, and keeps the newest `keysMax` keys. Returns the chunks as they were joined. @throws when SQLite does */
  commit(plan: FlushPlan, keysMax: number): Chunk[] {
    return this.#storage.transactionSync(() => {
      const chunks = plan.chunks.map((chunk) => {
        const data = join(chunk.parts, chunk.bytes);
        this.#sql.exec(
          "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?)",
          chunk.base,
          chunk.last,
          chunk.timestampMax,
          chunk.leaderEpoch,
          chunk.records,
          chunk.bytes,
          data,
        );
        return { base: chunk.base, last: chunk.last, data };
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
        "INSERT OR REPLACE INTO idempotency_key (key, hash, base, last, at_ms, fingerprint) VALUES (?, ?, ?, ?, ?, ?)",
        key,
        hash,
        baseOffset,
        lastOffset,
        timestampMs,
        fingerprint ?? null,
      );
    if (keys.length > 0)
      this.#sql.exec(
        "DELETE FROM idempotency_key WHERE seq <= (SELECT max(seq) FROM idempotency_key) - ?",
        keysMax,
      );
  }

  /** What is remembered of a key that was used at `sinceMs` or later. */
  keyEntry(key: string, sinceMs: number): KeyEntry | undefined {
    const row = this.#sql
      .exec<{ hash: string; base: number; last: number; at_ms: number; fingerprint: string | null }>(
        "SELECT hash, base, last, at_ms, fingerprint FROM idempotency_key WHERE key = ? AND at_ms >= ?",
        key,
        sinceMs,
      )
      .toArray()[0];
    return (
      row && {
        hash: row.hash,
        ...(row.fingerprint !== null && { fingerprint: row.fingerprint }),
        baseOffset: row.base,
        lastOffset: row.last,
        timestampMs: row.at_ms,
      }
    );
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
    const row = this.#sql
      .exec<ChunkRow>("SELECT base, last, data FROM chunk WHERE base <= ? ORDER BY base DESC LIMIT 1", offset)
      .toArray()[0];
    return row !== undefined && row.last >= offset ? chunkOf(row) : this.#chunkFrom(offset);
  }

  #chunkFrom(offset: number): Chunk | undefined {
    return chunkOf(
      this.#sql
        .exec<ChunkRow>("SELECT base, last, data FROM chunk WHERE base >= ? ORDER BY base LIMIT 1", offset)
        .toArray()[0],
    );
  }

  /** The first chunk whose running greatest timestamp reaches `timestampMs`, found by bisecting the offsets. */
  chunkOfTime(timestampMs: number, logEndOffset: number): Chunk | undefined {
    let low = 0;
    let high = logEndOffset;
    let found: number | undefined;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = this.#sql
        .exec<{ base: number; last: number; timestamp_max: number }>(
          "SELECT base, last, timestamp_max FROM chunk WHERE base <= ? ORDER BY base DESC LIMIT 1",
          middle,
        )
        .toArray()[0];
      if (row === undefined) low = middle + 1;
      else if (row.timestamp_max >= timestampMs) {
        found = row.base;
        high = row.base;
      } else low = Math.max(row.last, middle) + 1;
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

  epochs(): { readonly leaderEpoch: number; readonly startOffset: number }[] {
    return this.#sql
      .exec<{ leader_epoch: number; start_offset: number }>(
        "SELECT leader_epoch, start_offset FROM epoch ORDER BY leader_epoch DESC LIMIT 100",
      )
      .toArray()
      .map((row) => ({ leaderEpoch: row.leader_epoch, startOffset: row.start_offset }))
      .reverse();
  }
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
