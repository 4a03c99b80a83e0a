/** Quarantine of damaged tables, until a quorum has confirmed the state that replaces them (decision 0014). */
import type { TableId } from "../../../core/server/storage-backend.ts";
import { tablesIn } from "../../shared/sql.ts";
import { makeTable, SCHEMA, type TableSchema } from "./schema.ts";
import { isUnreadable } from "./sqlite-error.ts";

const PREFIX = "quarantine_";

const isAside = (sql: SqlStorage, name: string): boolean => tablesIn(sql).includes(PREFIX + name);

/**
 * Moves a table into quarantine by renaming it, which reads none of its rows, and creates it again.
 * @param replaces whether it replaces a table that is already in quarantine; otherwise that one is kept, and this table is
 * dropped
 */
export function setAside(sql: SqlStorage, table: TableSchema, replaces: boolean): void {
  const { name } = table;
  const isFree = !isAside(sql, name) || (replaces && drop(sql, PREFIX + name));
  if (isFree) sql.exec(`ALTER TABLE ${name} RENAME TO ${PREFIX}${name}`);
  else if (!drop(sql, name)) rename(sql, name);
  makeTable(sql, table);
}

/** Drops a table. @returns false if a cursor is still open, or if unreadable pages cannot be freed */
function drop(sql: SqlStorage, name: string): boolean {
  try {
    sql.exec(`DROP TABLE IF EXISTS ${name}`);
    return true;
  } catch {
    return false;
  }
}

/** Renames a table that cannot be dropped, although one of its name is in quarantine. */
function rename(sql: SqlStorage, name: string): void {
  let number = 2;
  while (isAside(sql, `${name}_${number}`)) number += 1;
  sql.exec(`ALTER TABLE ${name} RENAME TO ${PREFIX}${name}_${number}`);
}

/**
 * The state in quarantine.
 * Invariant: there is at most one, and the member never recovers from it. Tables that cannot be dropped stay beside it.
 * @source decision 0014
 */
export class Quarantine {
  readonly #sql: SqlStorage;
  /** tables of the current state that are already in quarantine */
  #asideAtStart: ReadonlySet<string>;
  #isPresent = false;

  /** @param asideAtStart names of the tables that `migrate` has moved into quarantine */
  constructor(sql: SqlStorage, asideAtStart: ReadonlySet<string>) {
    this.#sql = sql;
    this.#asideAtStart = asideAtStart;
    this.refresh();
  }

  /** Whether a state is in quarantine. */
  get isPresent(): boolean {
    return this.#isPresent;
  }

  /** Reads the list of tables again, after a rollback. */
  refresh(): void {
    this.#isPresent = tablesIn(this.#sql).some((name) => name.startsWith(PREFIX));
  }

  /** Moves all tables into quarantine; the meta values are copied. @param replaces see `StorageBackend.quarantine` */
  fill(replaces: boolean): void {
    for (const table of SCHEMA) {
      if (this.#asideAtStart.has(table.name)) continue;
      if (table.name === "meta") this.#copyMeta(replaces);
      else if (table.isDerived) this.#empty(table);
      else setAside(this.#sql, table, replaces);
    }
    this.#isPresent = true;
  }

  /** Empties the tables of a tree whose rows cannot be deleted. The tree that is already in quarantine stays there. */
  takeTree(table: TableId): void {
    for (const each of SCHEMA) if (each.tree === table) this.#empty(each);
    this.refresh();
  }

  /** Deletes the rows of a table, which are not needed; moves the table if that is not possible. */
  #empty(table: TableSchema): void {
    try {
      this.#sql.exec(`DELETE FROM ${table.name}`);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      setAside(this.#sql, table, false);
    }
  }

  #copyMeta(replaces: boolean): void {
    if (replaces && !drop(this.#sql, `${PREFIX}meta`)) return;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${PREFIX}meta AS SELECT * FROM meta`);
  }

  /** Deletes the state in quarantine, as far as possible now. */
  drop(): void {
    for (const name of tablesIn(this.#sql)) if (name.startsWith(PREFIX)) drop(this.#sql, name);
    this.#asideAtStart = new Set();
    this.refresh();
  }
}
