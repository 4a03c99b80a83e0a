/** Damaged tables that are set aside until a quorum has confirmed what replaces them (decision 0014). */
import { tablesIn } from "../../shared/sql.ts";
import { makeTable, SCHEMA, type TableSchema } from "./schema.ts";

const PREFIX = "quarantine_";

const isAside = (sql: SqlStorage, name: string): boolean => tablesIn(sql).includes(PREFIX + name);

/**
 * Renames a table, which reads none of its rows, and makes it again.
 * @param replaces what was set aside of it before; else that is kept, and this table is dropped
 */
export function setAside(sql: SqlStorage, table: TableSchema, replaces: boolean): void {
  const { name } = table;
  const isFree = !isAside(sql, name) || (replaces && dropAside(sql, name));
  sql.exec(isFree ? `ALTER TABLE ${name} RENAME TO ${PREFIX}${name}` : `DROP TABLE ${name}`);
  makeTable(sql, table);
}

/** @returns false: a cursor is still open somewhere, or pages of the table cannot be read, and so not be freed */
function dropAside(sql: SqlStorage, name: string): boolean {
  try {
    sql.exec(`DROP TABLE IF EXISTS ${PREFIX}${name}`);
    return true;
  } catch {
    return false;
  }
}

/**
 * The state that is set aside.
 * Invariant: it is one state at most, and never part of what the member recovers from.
 * @source decision 0014
 */
export class Quarantine {
  readonly #sql: SqlStorage;
  /** tables of the current state that are set aside already */
  #asideAtStart: ReadonlySet<string>;
  #isPresent = false;

  /** @param asideAtStart names of the tables that `migrate` has set aside */
  constructor(sql: SqlStorage, asideAtStart: ReadonlySet<string>) {
    this.#sql = sql;
    this.#asideAtStart = asideAtStart;
    this.refresh();
  }

  /** A state is set aside. */
  get isPresent(): boolean {
    return this.#isPresent;
  }

  /** Looks again at what is there, after a transaction was rolled back. */
  refresh(): void {
    this.#isPresent = tablesIn(this.#sql).some((name) => name.startsWith(PREFIX));
  }

  /** Sets all tables aside; the meta values are copied. @param replaces see `StorageBackend.quarantine` */
  fill(replaces: boolean): void {
    for (const table of SCHEMA) {
      if (this.#asideAtStart.has(table.name)) continue;
      if (table.name === "meta") this.#copyMeta(replaces);
      else setAside(this.#sql, table, replaces);
    }
    this.#isPresent = true;
  }

  #copyMeta(replaces: boolean): void {
    if (replaces && !dropAside(this.#sql, "meta")) return;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${PREFIX}meta AS SELECT * FROM meta`);
  }

  /** Deletes what is set aside, as far as that is possible now. */
  drop(): void {
    for (const { name } of SCHEMA) dropAside(this.#sql, name);
    this.#asideAtStart = new Set();
    this.refresh();
  }
}
