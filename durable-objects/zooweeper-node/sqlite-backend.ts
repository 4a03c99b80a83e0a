/**
 * A member's storage in the object's SQLite, readable in any SQL browser:
 *
 * | table | one row per |
 * |---|---|
 * | meta | value: promises, checkpoint, identity |
 * | txn_log | group commit: a packed batch and the chain before and after it |
 * | znode_0, session_0, znode_1, session_1 | znode and session as of the checkpoint; `meta.table` says which pair is the tree's |
 * | children_0, children_1 | znode with many children: how many it has in the znode table of that number |
 * | quarantine_… | row of a damaged table of that name, until a quorum has confirmed the state that replaces it |
 *
 * Every table has a column `crc`, see `znodeChecksum`: null in the rows of an earlier version. A zxid takes two columns:
 * SQLite's integers are returned as doubles.
 */
import {
  EMPTY_META,
  type Meta,
  type OnDamage,
  type StorageBackend,
  type TableId,
  type TablePage,
} from "../../core/server/storage-backend.ts";
import type { LogRow } from "../../core/zab/txn-log.ts";
import type { SessionRow } from "../../core/znode/session.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { ChangedZnode, StoredZnode } from "../../core/znode/znode-store.ts";
import { type DamagedRow, LogTable } from "./sqlite/log-table.ts";
import { MetaTable } from "./sqlite/meta-table.ts";
import { Quarantine, setAside } from "./sqlite/quarantine.ts";
import type { RowCounts } from "./sqlite/row-counts.ts";
import { migrate } from "./sqlite/schema.ts";
import { storageError } from "./sqlite/sqlite-error.ts";
import { TreeTables } from "./sqlite/tree-tables.ts";

/**
 * The storage of a member: its tables, transactions over all of them, and whether they can be read at all.
 * Invariant: after a transaction that threw, memory and tables are unchanged.
 * @source the contract is {@link StorageBackend}; `test/contract/storage.ts` runs it on this and on its twin in memory
 */
export class SqliteBackend implements StorageBackend {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  /** rows since this object is in memory */
  readonly rows: RowCounts = { log: 0, checkpoint: 0, meta: 0, read: 0 };
  readonly #meta: MetaTable;
  readonly #log: LogTable;
  readonly #tree: TreeTables;
  #quarantine: Quarantine | undefined;
  /** SQLite's message if the database cannot be read; undefined if it can. Only {@link wipe} repairs it */
  #broken: string | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#meta = new MetaTable(this.#sql, this.rows);
    this.#log = new LogTable(this.#sql, this.rows);
    this.#tree = new TreeTables(this.#sql, this.rows);
    try {
      this.#open();
    } catch (error) {
      // An object whose constructor throws could not be wiped.
      this.#broken = error instanceof Error ? error.message : String(error);
    }
  }

  #open(): void {
    const aside = migrate(this.#sql, (table) => setAside(this.#sql, table, false));
    this.#quarantine = new Quarantine(this.#sql, aside);
    this.#meta.load();
  }

  /** Why the database cannot be read; undefined if it can. */
  get broken(): string | undefined {
    return this.#broken;
  }

  transaction(body: () => void): void {
    try {
      this.#storage.transactionSync(body);
    } catch (error) {
      this.#meta.load();
      this.#quarantine?.refresh();
      throw error;
    }
  }

  /**
   * Deletes everything, the alarm included, except these values. A broken storage keeps none of them, and continues from
   * incarnation `boot`, so that it does not look like that of a new member.
   */
  async wipe(keep: readonly string[], boot: number): Promise<void> {
    const wasBroken = this.#broken !== undefined;
    const kept = keep.map((key) => [key, this.value(key)] as const);
    const deleted = this.#storage.deleteAll();
    this.#meta.clear();
    this.#open();
    this.#broken = undefined;
    for (const [key, value] of kept) if (value !== undefined) this.setValue(key, value);
    if (wasBroken) this.writeMeta({ ...EMPTY_META, boot });
    await deleted;
  }

  // ── quarantine ───────────────────────────────────────────────────────────

  get isQuarantined(): boolean {
    return this.#quarantine?.isPresent === true;
  }

  quarantine(replaces: boolean): void {
    this.#quarantine?.fill(replaces);
    this.#tree.forget();
  }

  dropQuarantine(): void {
    this.#quarantine?.drop();
  }

  // ── meta ─────────────────────────────────────────────────────────────────

  /** A value beside the core's, as JSON: identity, faults. */
  value(key: string): string | undefined {
    return this.#meta.value(key);
  }

  /** Writes a value beside the core's. @param value JSON */
  setValue(key: string, value: string): void {
    this.#meta.setValue(key, value);
  }

  readMeta(onDamage?: OnDamage): Meta {
    return this.#meta.read(() => this.#hasRows(), onDamage);
  }

  writeMeta(meta: Meta): void {
    this.#meta.write(meta);
  }

  /** Whether other tables than meta have rows, so that this member has lived. */
  #hasRows(): boolean {
    return this.isQuarantined || !this.#log.isEmpty || !this.#tree.isEmpty;
  }

  // ── log ──────────────────────────────────────────────────────────────────

  logRows(onDamage?: (seq: number) => void): LogRow[] {
    return this.#log.rows(onDamage);
  }

  insert(row: LogRow, batch: Uint8Array): void {
    this.#log.insert(row, batch);
  }

  replace(row: LogRow, batch: Uint8Array): void {
    this.#log.replace(row, batch);
  }

  deleteAfter(seq: number): void {
    this.#log.deleteAfter(seq);
  }

  deleteUpTo(seq: number): void {
    this.#log.deleteUpTo(seq);
  }

  read(seq: number): Uint8Array {
    return this.#log.read(seq);
  }

  /** Inverts a byte of the log, like a failing disk. @returns the argument of {@link repair}; undefined if the log is empty */
  damage(row: "oldest" | "newest"): DamagedRow | undefined {
    return this.#log.damage(row);
  }

  /** Undoes {@link damage}. */
  repair(row: DamagedRow): void {
    this.#log.repair(row);
  }

  // ── tree ─────────────────────────────────────────────────────────────────

  putRows(table: TableId, znodes: readonly ChangedZnode[], sessions: readonly SessionRow[]): void {
    this.#tree.put(table, znodes, sessions);
  }

  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void {
    this.#tree.delete(table, paths, sessions);
  }

  clearTable(table: TableId): void {
    this.#tree.clear(table);
  }

  readTable(table: TableId, cursor: string, bytesMax: number): TablePage {
    try {
      return this.#tree.read(table, cursor, bytesMax);
    } catch (error) {
      throw storageError(error);
    }
  }

  readZnode(table: TableId, path: string): StoredZnode | undefined {
    try {
      return this.#tree.znode(table, path);
    } catch (error) {
      throw storageError(error);
    }
  }

  readChildren(table: TableId, path: string, after: string, limit: number): readonly string[] {
    try {
      return this.#tree.children(table, path, after, limit);
    } catch (error) {
      throw storageError(error);
    }
  }

  readEphemerals(table: TableId, session: SessionId): readonly string[] {
    try {
      return this.#tree.ephemerals(table, session);
    } catch (error) {
      throw storageError(error);
    }
  }

  countZnodes(table: TableId): number {
    try {
      return this.#tree.count(table);
    } catch (error) {
      throw storageError(error);
    }
  }
}
