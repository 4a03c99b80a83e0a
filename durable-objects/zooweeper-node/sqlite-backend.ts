/**
 * A member's storage in the object's SQLite, readable in any SQL browser:
 *
 * | table | one row per |
 * |---|---|
 * | meta | value: promises, checkpoint, identity |
 * | txn_log | group commit: a packed batch and the chain before and after it |
 * | znode_0, session_0, znode_1, session_1 | znode and session as of the checkpoint; `meta.table` says which pair is the tree's |
 *
 * A zxid takes two columns: SQLite's integers come back as doubles.
 */
import { assert, must } from "../../core/assert.ts";
import { crc32c } from "../../core/hash/crc32c.ts";
import {
  EMPTY_META,
  type Meta,
  SESSION_CURSOR,
  SESSION_ROW_BYTES,
  type StorageBackend,
  type TableId,
  type TablePage,
} from "../../core/server/storage.ts";
import { ByteReader } from "../../core/wire/reader.ts";
import { readResult, writeResult } from "../../core/wire/result-codec.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import type { LogRow } from "../../core/zab/txn-log.ts";
import { zxid } from "../../core/zab/zxid.ts";
import type { SessionRow } from "../../core/znode/session.ts";
import type { ZnodeRow } from "../../core/znode/stat.ts";
import { znodeRowBytes } from "../../core/znode/store.ts";
import type { SessionId, WriteResult } from "../../core/znode/types.ts";

const SCHEMA = [
  "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
  `CREATE TABLE IF NOT EXISTS txn_log (seq INTEGER PRIMARY KEY,
     first_epoch INTEGER, first_counter INTEGER, last_epoch INTEGER, last_counter INTEGER,
     txns INTEGER, bytes INTEGER, before_high INTEGER, before_low INTEGER, after_high INTEGER, after_low INTEGER,
     committed_epoch INTEGER, committed_counter INTEGER, batch BLOB)`,
  ...[0, 1].flatMap((table) => [
    `CREATE TABLE IF NOT EXISTS znode_${table} (path TEXT PRIMARY KEY,
       czxid_epoch INTEGER, czxid_counter INTEGER, mzxid_epoch INTEGER, mzxid_counter INTEGER,
       pzxid_epoch INTEGER, pzxid_counter INTEGER, ctime INTEGER, mtime INTEGER,
       version INTEGER, cversion INTEGER, aversion INTEGER, ephemeral_owner INTEGER, data BLOB) WITHOUT ROWID`,
    `CREATE TABLE IF NOT EXISTS session_${table} (id INTEGER PRIMARY KEY, timeout_ms INTEGER,
       last_xid INTEGER, last_epoch INTEGER, last_counter INTEGER, last_result BLOB)`,
  ]),
];

/** Where a row was damaged, and the checksum that it has since. */
export interface DamagedRow {
  readonly seq: number;
  readonly at: number;
  readonly check: number;
}

/** A row of numbers and bytes, as the cursor gives it. */
type Row = readonly SqlStorageValue[];

const num = (row: Row, column: number): number => {
  const value = row[column];
  assert(typeof value === "number", `column ${column} holds a number`);
  return value;
};

const text = (row: Row, column: number): string => {
  const value = row[column];
  assert(typeof value === "string", `column ${column} holds text`);
  return value;
};

const blob = (row: Row, column: number): Uint8Array | null => {
  const value = row[column];
  if (value === null || value === undefined) return null;
  assert(value instanceof ArrayBuffer, `column ${column} holds bytes`);
  return new Uint8Array(value);
};

const zxidAt = (row: Row, column: number) => zxid(num(row, column), num(row, column + 1));

export class SqliteBackend implements StorageBackend {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  /** what the meta table holds, as text, so that only what changed is written */
  readonly #meta = new Map<string, string>();
  /** rows since this object is in memory */
  readonly rows = { log: 0, checkpoint: 0, meta: 0, read: 0 };

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    for (const statement of SCHEMA) this.#sql.exec(statement);
    this.#loadMeta();
  }

  transaction(body: () => void): void {
    try {
      this.#storage.transactionSync(body);
    } catch (error) {
      this.#loadMeta();
      throw error;
    }
  }

  // ── meta ─────────────────────────────────────────────────────────────────

  #loadMeta(): void {
    this.#meta.clear();
    const cursor = this.#sql.exec("SELECT key, value FROM meta");
    for (const row of cursor.raw()) this.#meta.set(text(row, 0), text(row, 1));
    this.rows.read += cursor.rowsRead;
  }

  #write(kind: "log" | "checkpoint" | "meta", statement: string, ...values: unknown[]): void {
    this.rows[kind] += this.#sql.exec(statement, ...values).rowsWritten;
  }

  /** A value beside the core's: identity, faults. */
  value(key: string): string | undefined {
    return this.#meta.get(key);
  }

  setValue(key: string, value: string): void {
    if (this.#meta.get(key) === value) return;
    this.#write("meta", "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value);
    this.#meta.set(key, value);
  }

  /** Deletes everything, the alarm included, but these values. */
  async wipe(keep: readonly string[]): Promise<void> {
    const kept = keep.map((key) => [key, this.value(key)] as const);
    const deleted = this.#storage.deleteAll();
    for (const statement of SCHEMA) this.#sql.exec(statement);
    this.#meta.clear();
    for (const [key, value] of kept) if (value !== undefined) this.setValue(key, value);
    await deleted;
  }

  readMeta(): Meta {
    const read = <K extends keyof Meta>(key: K): Meta[K] => {
      const value = this.#meta.get(key);
      return value === undefined ? EMPTY_META[key] : (JSON.parse(value) as Meta[K]);
    };
    return {
      boot: read("boot"),
      acceptedEpoch: read("acceptedEpoch"),
      promisedTo: read("promisedTo"),
      currentEpoch: read("currentEpoch"),
      initialized: read("initialized"),
      founding: read("founding"),
      needSnap: read("needSnap"),
      peerBoots: read("peerBoots"),
      table: read("table"),
      checkpoint: read("checkpoint"),
      logBase: read("logBase"),
      quiet: read("quiet"),
    };
  }

  writeMeta(meta: Meta): void {
    for (const [key, value] of Object.entries(meta)) this.setValue(key, JSON.stringify(value));
  }

  // ── log ──────────────────────────────────────────────────────────────────

  logRows(): LogRow[] {
    const rows: LogRow[] = [];
    const cursor =
      this.#sql.exec(`SELECT seq, first_epoch, first_counter, last_epoch, last_counter, txns, bytes,
      before_high, before_low, after_high, after_low, committed_epoch, committed_counter FROM txn_log ORDER BY seq`);
    for (const row of cursor.raw()) {
      rows.push({
        seq: num(row, 0),
        first: zxidAt(row, 1),
        last: zxidAt(row, 3),
        count: num(row, 5),
        bytes: num(row, 6),
        before: { high: num(row, 7), low: num(row, 8) },
        after: { high: num(row, 9), low: num(row, 10) },
        committed: zxidAt(row, 11),
      });
    }
    this.rows.read += cursor.rowsRead;
    return rows;
  }

  insert(row: LogRow, batch: Uint8Array): void {
    this.#write(
      "log",
      "INSERT INTO txn_log VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
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
    );
  }

  replace(row: LogRow, batch: Uint8Array): void {
    const deleted = this.#sql.exec("DELETE FROM txn_log WHERE seq = ? RETURNING seq", row.seq).toArray();
    assert(deleted.length === 1, `log row ${row.seq} exists`);
    this.insert(row, batch);
  }

  deleteAfter(seq: number): void {
    this.#write("log", "DELETE FROM txn_log WHERE seq > ?", seq);
  }

  deleteUpTo(seq: number): void {
    this.#write("log", "DELETE FROM txn_log WHERE seq <= ?", seq);
  }

  read(seq: number): Uint8Array {
    this.rows.read += 1;
    const row = this.#sql.exec("SELECT batch FROM txn_log WHERE seq = ?", seq).raw().next();
    const batch = row.done === true ? null : blob(row.value, 0);
    assert(batch !== null, `log row ${seq} exists`);
    return batch;
  }

  /** Inverts a byte in the middle of a row, as a bad disk would. @returns what undoes it; undefined: the log is empty */
  damage(row: "oldest" | "newest"): DamagedRow | undefined {
    const order = row === "oldest" ? "ASC" : "DESC";
    const found = this.#sql.exec(`SELECT seq, batch FROM txn_log ORDER BY seq ${order} LIMIT 1`).raw().next();
    if (found.done === true) return undefined;
    const batch = must(blob(found.value, 1), "a log row holds a batch");
    const at = batch.length >> 1;
    const seq = num(found.value, 0);
    return { seq, at, check: this.#invert(seq, batch, at) };
  }

  /** Undoes {@link damage}, unless the row is another one by now. */
  repair({ seq, at, check }: DamagedRow): void {
    const found = this.#sql.exec("SELECT batch FROM txn_log WHERE seq = ?", seq).raw().next();
    const batch = found.done === true ? null : blob(found.value, 0);
    if (batch !== null && crc32c(batch) === check) this.#invert(seq, batch, at);
  }

  /** @returns the checksum of the changed row */
  #invert(seq: number, batch: Uint8Array, at: number): number {
    batch[at] = ~must(batch[at], "the byte is in the batch");
    this.#sql.exec("UPDATE txn_log SET batch = ? WHERE seq = ?", batch, seq);
    return crc32c(batch);
  }

  // ── tables ───────────────────────────────────────────────────────────────

  putRows(table: TableId, znodes: readonly ZnodeRow[], sessions: readonly SessionRow[]): void {
    for (const row of znodes) {
      this.#write(
        "checkpoint",
        `INSERT OR REPLACE INTO znode_${table} VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
        row.path,
        row.czxid.epoch,
        row.czxid.counter,
        row.mzxid.epoch,
        row.mzxid.counter,
        row.pzxid.epoch,
        row.pzxid.counter,
        row.ctime,
        row.mtime,
        row.version,
        row.cversion,
        row.aversion,
        row.ephemeralOwner,
        row.data,
      );
    }
    for (const row of sessions) {
      this.#write(
        "checkpoint",
        `INSERT OR REPLACE INTO session_${table} VALUES (?,?,?,?,?,?)`,
        row.id,
        row.timeoutMs,
        row.lastXid,
        row.lastZxid.epoch,
        row.lastZxid.counter,
        packResult(row.lastResult),
      );
    }
  }

  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void {
    for (const path of paths) this.#write("checkpoint", `DELETE FROM znode_${table} WHERE path = ?`, path);
    for (const id of sessions) this.#write("checkpoint", `DELETE FROM session_${table} WHERE id = ?`, id);
  }

  clearTable(table: TableId): void {
    this.#write("checkpoint", `DELETE FROM znode_${table}`);
    this.#write("checkpoint", `DELETE FROM session_${table}`);
  }

  readTable(table: TableId, cursor: string, bytesMax: number): TablePage {
    const znodes: ZnodeRow[] = [];
    let bytes = 0;
    const paths = cursor.startsWith(SESSION_CURSOR)
      ? []
      : this.#sql.exec(`SELECT * FROM znode_${table} WHERE path > ? ORDER BY path`, cursor).raw();
    for (const row of paths) {
      this.rows.read += 1;
      const znode: ZnodeRow = {
        path: text(row, 0),
        czxid: zxidAt(row, 1),
        mzxid: zxidAt(row, 3),
        pzxid: zxidAt(row, 5),
        ctime: num(row, 7),
        mtime: num(row, 8),
        version: num(row, 9),
        cversion: num(row, 10),
        aversion: num(row, 11),
        ephemeralOwner: num(row, 12) as SessionId,
        data: blob(row, 13),
      };
      znodes.push(znode);
      bytes += znodeRowBytes(znode);
      if (bytes >= bytesMax) return { znodes, sessions: [], next: znode.path };
    }
    const after = cursor.startsWith(SESSION_CURSOR) ? Number(cursor.slice(SESSION_CURSOR.length)) : 0;
    const sessions: SessionRow[] = [];
    const rows = this.#sql.exec(`SELECT * FROM session_${table} WHERE id > ? ORDER BY id`, after).raw();
    for (const row of rows) {
      this.rows.read += 1;
      const result = blob(row, 5);
      const session: SessionRow = {
        id: num(row, 0) as SessionId,
        timeoutMs: num(row, 1),
        lastXid: num(row, 2),
        lastZxid: zxidAt(row, 3),
        lastResult: unpackResult(result),
      };
      sessions.push(session);
      bytes += SESSION_ROW_BYTES + (result?.length ?? 0);
      if (bytes >= bytesMax) return { znodes, sessions, next: `${SESSION_CURSOR}${session.id}` };
    }
    return { znodes, sessions, next: undefined };
  }
}

function packResult(result: WriteResult | null): Uint8Array | null {
  if (result === null) return null;
  const writer = new ByteWriter(128);
  writeResult(writer, result);
  return writer.finish();
}

const unpackResult = (bytes: Uint8Array | null): WriteResult | null =>
  bytes === null ? null : readResult(new ByteReader(bytes));
