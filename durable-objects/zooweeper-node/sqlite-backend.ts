/**
 * A member's storage in the object's SQLite, readable in any SQL browser:
 *
 * | table | one row per |
 * |---|---|
 * | meta | value: promises, checkpoint, identity |
 * | txn_log | group commit: a packed batch and the chain before and after it |
 * | znode_0, session_0, znode_1, session_1 | znode and session as of the checkpoint; `meta.table` says which pair is the tree's |
 * | quarantine_… | row of the table of that name in which damage was found, until a quorum has confirmed what replaces it |
 *
 * Every table has a column `crc`, see {@link znodeChecksum}: null in the rows of an earlier version.
 * A zxid takes two columns: SQLite's integers come back as doubles.
 */
import { assert, must } from "../../core/assert.ts";
import { crc32c } from "../../core/hash/crc32c.ts";
import {
  DamagedError,
  logRowChecksum,
  sessionChecksum,
  valueChecksum,
  verifyChecksum,
  znodeChecksum,
} from "../../core/server/checksums.ts";
import {
  EMPTY_META,
  META_KEYS,
  type Meta,
  type OnDamage,
  SESSION_CURSOR,
  SESSION_ROW_BYTES,
  type StorageBackend,
  type TableId,
  type TablePage,
} from "../../core/server/storage.ts";
import { ByteReader, WireError } from "../../core/wire/reader.ts";
import { readResult, writeResult } from "../../core/wire/result-codec.ts";
import { znodeRowBytes } from "../../core/wire/snapshot-codec.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import type { LogRow } from "../../core/zab/txn-log.ts";
import { zxid } from "../../core/zab/zxid.ts";
import type { SessionRow } from "../../core/znode/session.ts";
import type { ZnodeRow } from "../../core/znode/stat.ts";
import type { SessionId, WriteResult } from "../../core/znode/types.ts";

/** What a table is made of: its columns, the last one `crc`, and what stands behind them. */
interface TableSchema {
  readonly name: string;
  readonly columns: readonly string[];
  readonly options?: string;
}

const SCHEMA: readonly TableSchema[] = [
  { name: "meta", columns: ["key TEXT PRIMARY KEY", "value", "crc INTEGER"], options: "WITHOUT ROWID" },
  {
    name: "txn_log",
    columns: [
      "seq INTEGER PRIMARY KEY",
      ..."first_epoch first_counter last_epoch last_counter txns bytes before_high before_low after_high after_low"
        .concat(" committed_epoch committed_counter")
        .split(" ")
        .map((name) => `${name} INTEGER`),
      "batch BLOB",
      "crc INTEGER",
    ],
  },
  ...[0, 1].flatMap((table) => [
    {
      name: `znode_${table}`,
      columns: [
        "path TEXT PRIMARY KEY",
        ..."czxid_epoch czxid_counter mzxid_epoch mzxid_counter pzxid_epoch pzxid_counter ctime mtime"
          .concat(" version cversion aversion ephemeral_owner")
          .split(" ")
          .map((name) => `${name} INTEGER`),
        "data BLOB",
        "crc INTEGER",
      ],
      options: "WITHOUT ROWID",
    },
    {
      name: `session_${table}`,
      columns: [
        "id INTEGER PRIMARY KEY",
        ..."timeout_ms last_xid last_epoch last_counter".split(" ").map((name) => `${name} INTEGER`),
        "last_result BLOB",
        "crc INTEGER",
      ],
    },
  ]),
];

/**
 * The number of what is above, in `meta.schema`. Before 3 none was stored: 1 had no checksums. Raise it with every change that
 * the version before must not read, and add the step that leads to it.
 */
const SCHEMA_VERSION = 3;

/** What each schema added to the tables of the one before, in order. A step is never changed. */
const MIGRATIONS: readonly { readonly schema: number; readonly lacks: string; readonly change: string }[] = [
  { schema: 2, lacks: "crc", change: "ADD COLUMN crc INTEGER" },
];

const namesOf = ({ columns }: TableSchema): (string | undefined)[] =>
  columns.map((column) => column.split(" ")[0]);

/** The columns of a table; none: there is no such table. */
const columnsIn = (sql: SqlStorage, table: string): string[] =>
  sql
    .exec<{ name: string }>(`SELECT name FROM pragma_table_info('${table}')`)
    .toArray()
    .map(({ name }) => name);

/**
 * Brings the tables to the shape of this version: makes those that are missing, and takes the steps of {@link MIGRATIONS} that
 * an earlier version has not taken. A table of any other shape is damaged and cannot be written to: it is set aside, and an
 * empty one is made. Its reader notices that rows are missing.
 * @returns names of the tables that were set aside
 * @throws Error, and changes nothing, when a later version has written it: a deployment that is taken back reaches all
 * members, and none of them must forget
 */
function migrate(sql: SqlStorage): ReadonlySet<string> {
  const schema = schemaOf(sql);
  if (schema > SCHEMA_VERSION) {
    throw new Error(
      `its storage is of schema ${schema}, and this version reads schemas up to ${SCHEMA_VERSION}`,
    );
  }
  const aside = new Set<string>();
  for (const table of SCHEMA) {
    const found = new Set(columnsIn(sql, table.name));
    const names = namesOf(table);
    const isLater = found.size > names.length && names.every((name) => name !== undefined && found.has(name));
    if (isLater) throw new Error(`a later version has added columns to the table ${table.name}`);
  }
  for (const table of SCHEMA) {
    const names = namesOf(table);
    const has = columnsIn(sql, table.name).join(" ");
    if (has === names.join(" ")) continue;
    const step = MIGRATIONS.find(({ lacks }) => has === names.filter((column) => column !== lacks).join(" "));
    if (step !== undefined) sql.exec(`ALTER TABLE ${table.name} ${step.change}`);
    else if (has === "") makeTable(sql, table);
    else {
      setAside(sql, table, false);
      aside.add(table.name);
    }
  }
  return aside;
}

const makeTable = (sql: SqlStorage, { name, columns, options = "" }: TableSchema): void => {
  sql.exec(`CREATE TABLE ${name} (${columns.join(", ")}) ${options}`);
};

const QUARANTINE = "quarantine_";

/** Rows of a table that are in memory at once while it is read; one is at most about 1 MiB. */
const ROWS_AT_ONCE = 32;

const quarantineTables = (sql: SqlStorage): string[] =>
  sql
    .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .toArray()
    .map(({ name }) => name)
    .filter((name) => name.startsWith(QUARANTINE));

/**
 * Renames a table, which reads none of its rows, and makes it again.
 * @param replaces what was set aside of it before
 */
function setAside(sql: SqlStorage, table: TableSchema, replaces: boolean): void {
  const { name } = table;
  const isFree = !quarantineTables(sql).includes(QUARANTINE + name) || (replaces && dropAside(sql, name));
  sql.exec(isFree ? `ALTER TABLE ${name} RENAME TO ${QUARANTINE}${name}` : `DROP TABLE ${name}`);
  makeTable(sql, table);
}

/** @returns false: a cursor is still open somewhere, or pages of the table cannot be read, and so not be freed */
function dropAside(sql: SqlStorage, name: string): boolean {
  try {
    sql.exec(`DROP TABLE IF EXISTS ${QUARANTINE}${name}`);
    return true;
  } catch {
    return false;
  }
}

/** The schema that the storage says it is of; 0: it says none, or nothing that can be believed, and its tables tell. */
function schemaOf(sql: SqlStorage): number {
  if (!columnsIn(sql, "meta").includes("crc")) return 0;
  try {
    const [row] = sql.exec("SELECT value, crc FROM meta WHERE key = 'schema'").toArray();
    const value = String(row?.value);
    const schema = Number(value);
    return row?.crc === valueChecksum("schema", value) && Number.isSafeInteger(schema) ? schema : 0;
  } catch {
    // Who loads the table next finds its pages damaged.
    return 0;
  }
}

/** Where a row was damaged, and the checksum that it has since. */
export interface DamagedRow {
  readonly seq: number;
  readonly at: number;
  readonly check: number;
}

/** A row of numbers and bytes, as the cursor gives it. */
type Row = readonly SqlStorageValue[];

function num(row: Row, column: number, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  const value = row[column];
  // A float or a number that does not fit would be cut to what fits before its checksum is compared.
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new DamagedError(`column ${column} of ${String(row[0])} holds no number of its range`);
  }
  return value;
}

const u32 = (row: Row, column: number): number => num(row, column, 0, 0xffff_ffff);
const i32 = (row: Row, column: number): number => num(row, column, -0x8000_0000, 0x7fff_ffff);

function text(row: Row, column: number): string {
  const value = row[column];
  if (typeof value !== "string") throw new DamagedError(`column ${column} holds no text`);
  return value;
}

function blob(row: Row, column: number): Uint8Array | null {
  const value = row[column];
  if (value === null || value === undefined) return null;
  if (!(value instanceof ArrayBuffer)) {
    throw new DamagedError(`column ${column} of ${String(row[0])} holds no bytes`);
  }
  return new Uint8Array(value);
}

/** Null: the row has none. */
const crcAt = (row: Row, column: number): number | null => (row[column] === null ? null : u32(row, column));

const zxidAt = (row: Row, column: number) => zxid(u32(row, column), u32(row, column + 1));

export class SqliteBackend implements StorageBackend {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  /** what the meta table holds, as text, so that only what changed is written */
  readonly #meta = new Map<string, string>();
  /** keys of values that are damaged */
  readonly #damaged = new Set<string>();
  /** keys of values that have no checksum */
  readonly #unchecked = new Set<string>();
  #isQuarantined = false;
  /** tables of the current state that are set aside already */
  #setAsideAtStart: ReadonlySet<string> = new Set();
  /** why the database cannot be read, in SQLite's words; undefined: it can. Only {@link wipe} helps */
  #broken: string | undefined;
  /** rows since this object is in memory */
  readonly rows = { log: 0, checkpoint: 0, meta: 0, read: 0 };

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    try {
      this.#setAsideAtStart = migrate(this.#sql);
      this.#isQuarantined = quarantineTables(this.#sql).length > 0;
      this.#loadMeta();
    } catch (error) {
      // An object whose constructor throws could not even be wiped.
      this.#broken = error instanceof Error ? error.message : String(error);
    }
  }

  get broken(): string | undefined {
    return this.#broken;
  }

  transaction(body: () => void): void {
    try {
      this.#storage.transactionSync(body);
    } catch (error) {
      this.#loadMeta();
      this.#isQuarantined = quarantineTables(this.#sql).length > 0;
      throw error;
    }
  }

  // ── quarantine ───────────────────────────────────────────────────────────

  get isQuarantined(): boolean {
    return this.#isQuarantined;
  }

  quarantine(replaces: boolean): void {
    for (const table of SCHEMA) {
      if (table.name === "meta") this.#copyMeta(replaces);
      else if (!this.#setAsideAtStart.has(table.name)) setAside(this.#sql, table, replaces);
    }
    this.#isQuarantined = true;
  }

  #copyMeta(replaces: boolean): void {
    if (this.#setAsideAtStart.has("meta") || (replaces && !dropAside(this.#sql, "meta"))) return;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${QUARANTINE}meta AS SELECT * FROM meta`);
  }

  dropQuarantine(): void {
    for (const { name } of SCHEMA) dropAside(this.#sql, name);
    this.#setAsideAtStart = new Set();
    this.#isQuarantined = quarantineTables(this.#sql).length > 0;
  }

  // ── meta ─────────────────────────────────────────────────────────────────

  #loadMeta(): void {
    this.#meta.clear();
    this.#damaged.clear();
    this.#unchecked.clear();
    const cursor = this.#sql.exec("SELECT key, value, crc FROM meta");
    for (const row of cursor.raw()) {
      const key = String(row[0]);
      try {
        const value = text(row, 1);
        const crc = crcAt(row, 2);
        if (crc === null) this.#unchecked.add(key);
        else verifyChecksum(crc, valueChecksum(key, value), `meta value ${key}`);
        JSON.parse(value);
        this.#meta.set(key, value);
      } catch (error) {
        if (!(error instanceof DamagedError || error instanceof SyntaxError)) throw error;
        this.#damaged.add(key);
      }
    }
    this.rows.read += cursor.rowsRead;
  }

  #write(kind: "log" | "checkpoint" | "meta", statement: string, ...values: unknown[]): void {
    this.rows[kind] += this.#sql.exec(statement, ...values).rowsWritten;
  }

  /** A value beside the core's: identity, faults. */
  value(key: string): string | undefined {
    return this.#meta.get(key);
  }

  /** @param value JSON */
  setValue(key: string, value: string): void {
    if (this.#meta.get(key) === value && !this.#unchecked.has(key)) return;
    const crc = valueChecksum(key, value);
    this.#write("meta", "INSERT OR REPLACE INTO meta (key, value, crc) VALUES (?, ?, ?)", key, value, crc);
    this.#meta.set(key, value);
    this.#damaged.delete(key);
    this.#unchecked.delete(key);
  }

  /**
   * Deletes everything, the alarm included, but these values. One that was broken keeps none of them, and goes on from life
   * `boot`: it must not pass for a member that never lived.
   */
  async wipe(keep: readonly string[], boot: number): Promise<void> {
    const wasBroken = this.#broken !== undefined;
    const kept = keep.map((key) => [key, this.value(key)] as const);
    const deleted = this.#storage.deleteAll();
    migrate(this.#sql);
    this.#meta.clear();
    this.#damaged.clear();
    this.#unchecked.clear();
    this.#broken = undefined;
    this.#isQuarantined = false;
    this.#setAsideAtStart = new Set();
    for (const [key, value] of kept) if (value !== undefined) this.setValue(key, value);
    if (wasBroken) this.writeMeta({ ...EMPTY_META, boot });
    await deleted;
  }

  readMeta(onDamage?: OnDamage): Meta {
    for (const key of this.#damaged) if (isMetaKey(key)) onDamage?.(`meta value ${key}`);
    const isNew = !META_KEYS.some((key) => this.#meta.has(key) || this.#damaged.has(key));
    if (onDamage !== undefined && (!isNew || !this.#isEmpty)) {
      for (const key of META_KEYS) {
        if (!this.#meta.has(key) && !this.#damaged.has(key)) onDamage(`meta value ${key}, which is missing`);
      }
    }
    const read = <K extends keyof Meta>(key: K): Meta[K] => {
      const value = this.#meta.get(key);
      return value === undefined ? EMPTY_META[key] : (JSON.parse(value) as Meta[K]);
    };
    const digest = read("digest") ?? undefined;
    const logged = read("logged") ?? undefined;
    return {
      ...(digest && { digest }),
      ...(logged && { logged }),
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

  /** Nothing but what is in the meta table: this member has not lived. */
  get #isEmpty(): boolean {
    if (this.#isQuarantined) return false;
    return ["txn_log", "znode_0", "znode_1"].every(
      (table) => this.#sql.exec(`SELECT 1 FROM ${table} LIMIT 1`).toArray().length === 0,
    );
  }

  writeMeta(meta: Meta): void {
    // A storage that holds a member says of which schema it is.
    const schema = SCHEMA_VERSION;
    for (const [key, value] of Object.entries({ schema, digest: undefined, logged: undefined, ...meta }))
      this.setValue(key, JSON.stringify(value ?? null));
  }

  // ── log ──────────────────────────────────────────────────────────────────

  logRows(onDamage?: (seq: number) => void): LogRow[] {
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
    this.rows.read += cursor.rowsRead;
    return rows;
  }

  insert(row: LogRow, batch: Uint8Array): void {
    this.#write(
      "log",
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
    const [row] = [...this.#sql.exec("SELECT batch FROM txn_log WHERE seq = ?", seq).raw()];
    const batch = row === undefined ? null : blob(row, 0);
    if (batch === null) throw new DamagedError(`log row ${seq} is missing`);
    return batch;
  }

  /** Inverts a byte in the middle of a row, as a bad disk would. @returns what undoes it; undefined: the log is empty */
  damage(row: "oldest" | "newest"): DamagedRow | undefined {
    const order = row === "oldest" ? "ASC" : "DESC";
    const [found] = [...this.#sql.exec(`SELECT seq, batch FROM txn_log ORDER BY seq ${order} LIMIT 1`).raw()];
    if (found === undefined) return undefined;
    const batch = must(blob(found, 1), "a log row holds a batch");
    const at = batch.length >> 1;
    const seq = num(found, 0);
    return { seq, at, check: this.#invert(seq, batch, at) };
  }

  /** Undoes {@link damage}, unless the row is another one by now. */
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

  // ── tables ───────────────────────────────────────────────────────────────

  putRows(table: TableId, znodes: readonly ZnodeRow[], sessions: readonly SessionRow[]): void {
    for (const row of znodes) {
      this.#write(
        "checkpoint",
        `INSERT OR REPLACE INTO znode_${table} VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
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
        znodeChecksum(row),
      );
    }
    for (const row of sessions) {
      this.#write(
        "checkpoint",
        `INSERT OR REPLACE INTO session_${table} VALUES (?,?,?,?,?,?,?)`,
        row.id,
        row.timeoutMs,
        row.lastXid,
        row.lastZxid.epoch,
        row.lastZxid.counter,
        packResult(row.lastResult, row.lastFingerprint ?? 0),
        sessionChecksum(row),
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
      : this.#inOrder(`SELECT * FROM znode_${table} WHERE path > ? ORDER BY path`, cursor);
    for (const row of paths) {
      this.rows.read += 1;
      const znode = znodeOf(row);
      znodes.push(znode);
      bytes += znodeRowBytes(znode);
      if (bytes >= bytesMax) return { znodes, sessions: [], next: znode.path };
    }
    const after = cursor.startsWith(SESSION_CURSOR) ? Number(cursor.slice(SESSION_CURSOR.length)) : 0;
    const sessions: SessionRow[] = [];
    for (const row of this.#inOrder(`SELECT * FROM session_${table} WHERE id > ? ORDER BY id`, after)) {
      this.rows.read += 1;
      const session = sessionOf(row);
      sessions.push(session);
      bytes += SESSION_ROW_BYTES + (blob(row, 5)?.length ?? 0);
      if (bytes >= bytesMax) return { znodes, sessions, next: `${SESSION_CURSOR}${session.id}` };
    }
    return { znodes, sessions, next: undefined };
  }

  /**
   * Rows of a statement that orders them by their first column and takes a lower bound for it. They are read in groups, so
   * that a reader that stops early, or finds a row damaged, leaves no cursor open: SQLite drops no table while one is.
   */
  *#inOrder(statement: string, after: string | number): Generator<Row> {
    for (let bound: unknown = after; ; ) {
      const group = [...this.#sql.exec(`${statement} LIMIT ${ROWS_AT_ONCE}`, bound).raw()];
      yield* group;
      if (group.length < ROWS_AT_ONCE) return;
      bound = group.at(-1)?.[0];
    }
  }
}

const isMetaKey = (key: string): boolean =>
  key === "digest" || key === "logged" || META_KEYS.some((each) => each === key);

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

/** @throws DamagedError */
function znodeOf(row: Row): ZnodeRow {
  const znode: ZnodeRow = {
    path: text(row, 0),
    czxid: zxidAt(row, 1),
    mzxid: zxidAt(row, 3),
    pzxid: zxidAt(row, 5),
    ctime: num(row, 7, Number.MIN_SAFE_INTEGER),
    mtime: num(row, 8, Number.MIN_SAFE_INTEGER),
    version: i32(row, 9),
    cversion: i32(row, 10),
    aversion: i32(row, 11),
    ephemeralOwner: num(row, 12) as SessionId,
    data: blob(row, 13),
  };
  const crc = crcAt(row, 14);
  if (crc !== null) verifyChecksum(crc, znodeChecksum(znode), `znode ${znode.path}`);
  return znode;
}

/** @throws DamagedError */
function sessionOf(row: Row): SessionRow {
  const session: SessionRow = {
    id: num(row, 0) as SessionId,
    timeoutMs: i32(row, 1),
    lastXid: i32(row, 2),
    lastZxid: zxidAt(row, 3),
    ...unpackResult(blob(row, 5), row),
  };
  const crc = crcAt(row, 6);
  if (crc !== null) verifyChecksum(crc, sessionChecksum(session), `session ${session.id}`);
  return session;
}

/** Format of what follows a result. Versions before 2 read the result and leave the rest alone. */
const FINGERPRINT_FORMAT = 1;
/** Bytes of format and fingerprint. */
const FINGERPRINT_BYTES = 9;

/** Packs `result · u8 format · i64 fingerprint · u32 CRC-32C of the two`; a fingerprint that is not known is left out. */
function packResult(result: WriteResult | null, fingerprint: number): Uint8Array | null {
  if (result === null) return null;
  const writer = new ByteWriter(128);
  writeResult(writer, result);
  if (fingerprint === 0) return writer.finish();
  const at = writer.length;
  writer.u8(FINGERPRINT_FORMAT);
  writer.i64(fingerprint);
  writer.i32(crc32c(writer.view(), at, at + FINGERPRINT_BYTES) | 0);
  return writer.finish();
}

/** @throws DamagedError */
function unpackResult(
  bytes: Uint8Array | null,
  row: Row,
): Pick<SessionRow, "lastResult" | "lastFingerprint"> {
  if (bytes === null) return { lastResult: null };
  try {
    const reader = new ByteReader(bytes);
    const lastResult = readResult(reader);
    const lastFingerprint = readFingerprint(bytes, reader);
    return lastFingerprint === 0 ? { lastResult } : { lastResult, lastFingerprint };
  } catch (error) {
    if (error instanceof WireError) throw new DamagedError(`the last result of session ${String(row[0])}`);
    throw error;
  }
}

/** 0: there is none, or it is damaged or of a later format, and others know what the request was. */
function readFingerprint(bytes: Uint8Array, reader: ByteReader): number {
  const { at, left } = reader;
  if (left !== FINGERPRINT_BYTES + 4 || reader.u8() !== FINGERPRINT_FORMAT) return 0;
  if (crc32c(bytes, at, at + FINGERPRINT_BYTES) !== new ByteReader(bytes, at + FINGERPRINT_BYTES).u32())
    return 0;
  return reader.i64();
}
