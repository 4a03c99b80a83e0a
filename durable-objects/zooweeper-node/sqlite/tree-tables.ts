/** The two pairs of tables of znodes and sessions: the tree as of the checkpoint, and the target of a SNAP. */
import { sessionChecksum, verifyChecksum, znodeChecksum } from "../../../core/server/checksums.ts";
import {
  SESSION_CURSOR,
  SESSION_ROW_BYTES,
  type TableId,
  type TablePage,
} from "../../../core/server/storage-backend.ts";
import { znodeRowBytes } from "../../../core/wire/snapshot-codec.ts";
import { builtInChildrenOf } from "../../../core/znode/path.ts";
import type { SessionRow } from "../../../core/znode/session.ts";
import type { ZnodeRow } from "../../../core/znode/stat.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import type { ChangedZnode, StoredZnode } from "../../../core/znode/znode-store.ts";
import { inOrder, type Row } from "../../shared/sql.ts";
import { ChildCounts } from "./child-counts.ts";
import { childrenOf, countChildren, rangeOf } from "./child-range.ts";
import { blob, crcAt, i32, num, text, zxidAt } from "./columns.ts";
import { packResult, unpackResult } from "./last-result.ts";
import type { RowCounts } from "./row-counts.ts";

/**
 * The rows of both pairs.
 * Invariant: every row has a checksum over all its columns, null in rows of an earlier version.
 * @source ZooKeeper's `FileSnap`; the second pair: decision 0001
 */
export class TreeTables {
  readonly #sql: SqlStorage;
  readonly #rows: RowCounts;
  readonly #counts: readonly [ChildCounts, ChildCounts];

  constructor(sql: SqlStorage, rows: RowCounts) {
    this.#sql = sql;
    this.#rows = rows;
    this.#counts = [new ChildCounts(sql, rows, 0), new ChildCounts(sql, rows, 1)];
  }

  /** Whether neither pair has a znode. */
  get isEmpty(): boolean {
    return [0, 1].every(
      (table) => this.#sql.exec(`SELECT 1 FROM znode_${table} LIMIT 1`).toArray().length === 0,
    );
  }

  /** Writes znodes and sessions, or replaces them. */
  put(table: TableId, znodes: readonly ChangedZnode[], sessions: readonly SessionRow[]): void {
    this.#counts[table].store();
    for (const row of znodes) {
      // the tree counts every built-in znode, with or without a row
      this.#counts[table].put(row, (row.numChildren ?? 0) - builtInChildrenOf(row.path).length);
      this.#write(
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

  /** Deletes znodes and sessions. */
  delete(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void {
    for (const path of paths) {
      this.#write(`DELETE FROM znode_${table} WHERE path = ?`, path);
      this.#counts[table].delete(path);
    }
    for (const id of sessions) this.#write(`DELETE FROM session_${table} WHERE id = ?`, id);
  }

  /** Deletes all rows of a pair. */
  clear(table: TableId): void {
    this.#write(`DELETE FROM znode_${table}`);
    this.#write(`DELETE FROM session_${table}`);
    this.#counts[table].clear();
  }

  /** Forgets what was derived from the rows and is not stored, because the tables are others now. */
  forget(): void {
    for (const counts of this.#counts) counts.forget();
  }

  /** One page of a pair. See `StorageBackend.readTable`. @throws DamagedError */
  read(table: TableId, cursor: string, bytesMax: number): TablePage {
    const znodes: ZnodeRow[] = [];
    let bytes = 0;
    const paths = cursor.startsWith(SESSION_CURSOR)
      ? []
      : inOrder(this.#sql, `SELECT * FROM znode_${table} WHERE path > ? ORDER BY path`, cursor);
    for (const row of paths) {
      this.#rows.read += 1;
      const znode = znodeOf(row);
      znodes.push(znode);
      bytes += znodeRowBytes(znode);
      if (bytes >= bytesMax) return { znodes, sessions: [], next: znode.path };
    }
    const after = cursor.startsWith(SESSION_CURSOR) ? Number(cursor.slice(SESSION_CURSOR.length)) : 0;
    const sessions: SessionRow[] = [];
    for (const row of inOrder(this.#sql, `SELECT * FROM session_${table} WHERE id > ? ORDER BY id`, after)) {
      this.#rows.read += 1;
      const session = sessionOf(row);
      sessions.push(session);
      bytes += SESSION_ROW_BYTES + (blob(row, 5)?.length ?? 0);
      if (bytes >= bytesMax) return { znodes, sessions, next: `${SESSION_CURSOR}${session.id}` };
    }
    return { znodes, sessions, next: undefined };
  }

  /** See `StorageBackend.readZnode`. @throws DamagedError */
  znode(table: TableId, path: string): StoredZnode | undefined {
    const { from, end } = rangeOf(path);
    const [found] = [
      ...this.#sql
        .exec(
          `SELECT *, EXISTS (SELECT 1 FROM znode_${table} WHERE path > ?2 AND path < ?3) FROM znode_${table} WHERE path = ?1`,
          path,
          from,
          end,
        )
        .raw(),
    ];
    this.#rows.read += 1;
    if (found === undefined) return undefined;
    const row = znodeOf(found);
    return { row, numChildren: found[ZNODE_COLUMNS] === 0 ? 0 : this.#countChildren(table, row) };
  }

  #countChildren(table: TableId, row: ZnodeRow): number {
    const builtIn = this.#countRows(table, builtInChildrenOf(row.path));
    const others = this.#counts[table].get(row);
    if (others !== undefined) return others + builtIn;
    const numChildren = countChildren(this.#sql, table, row.path);
    this.#rows.read += numChildren;
    // A received snapshot brings no numbers.
    this.#counts[table].keep(row, numChildren - builtIn);
    return numChildren;
  }

  /** The number of these znodes that have a row. */
  #countRows(table: TableId, paths: readonly string[]): number {
    const isStored = `SELECT 1 FROM znode_${table} WHERE path = ?`;
    return paths.filter((path) => this.#sql.exec(isStored, path).toArray().length > 0).length;
  }

  /** See `StorageBackend.readChildren`. */
  children(table: TableId, path: string, after: string, limit: number): string[] {
    const names = childrenOf(this.#sql, table, path, after, limit);
    this.#rows.read += names.length;
    return names;
  }

  /** See `StorageBackend.readEphemerals`. */
  ephemerals(table: TableId, session: SessionId): string[] {
    // The second condition is that of the index.
    const statement = `SELECT path FROM znode_${table} WHERE ephemeral_owner = ? AND ephemeral_owner > 0 ORDER BY path`;
    const paths = [...this.#sql.exec(statement, session).raw()].map((row) => text(row, 0));
    this.#rows.read += paths.length;
    return paths;
  }

  /** See `StorageBackend.countZnodes`. */
  count(table: TableId): number {
    const [row] = [...this.#sql.exec(`SELECT count(*) FROM znode_${table}`).raw()];
    return Number(row?.[0]);
  }

  #write(statement: string, ...values: unknown[]): void {
    this.#rows.checkpoint += this.#sql.exec(statement, ...values).rowsWritten;
  }
}

/** Columns of a znode. */
const ZNODE_COLUMNS = 15;

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
