/** Quarantine of damaged tables, until a quorum has confirmed the state that replaces them (decision 0014). */
import { tablesIn } from "../../shared/sql.ts";
import { makeTable, SCHEMA, type TableSchema } from "./schema.ts";

const PREFIX = "quarantine_";

const isAside = (sql: SqlStorage, name: string): boolean => tablesIn(sql).includes(PREFIX + name);

/**
 * Moves a table into quarantine by renaming it, which reads none of its rows, and creates it again.
 * @param replaces whether it replaces a table that is already in quarantine; otherwise that one is kept, and this table is
 * dropped
 */
export function setAside(sql: SqlStorage, table: TableSchema, replaces: boolean): void {
  const { name } = table;
  const isFree = !isAside(sql, name) || (replaces && dropAside(sql, name));
  sql.exec(isFree ? `ALTER TABLE ${name} RENAME TO ${PREFIX}${name}` : `DROP TABLE ${name}`);
  makeTable(sql, table);
}

/** Drops a table in quarantine. @returns false if a cursor is still open, or if unreadable pages cannot be freed */
function dropAside(sql: SqlStorage, name: string): boolean {
  try {
    sql.exec(`DROP TABLE IF EXISTS ${PREFIX}${name}`);
    return true;
  } catch {
    return false;
  }
}

/**
 * The state in quarantine.
 * Invariant: there is at most one, and the member never recovers from it.
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
      else if (table.isDerived) this.#sql.exec(`DELETE FROM ${table.name}`);
      else setAside(this.#sql, table, replaces);
    }
    this.#isPresent = true;
  }

  #copyMeta(replaces: boolean): void {
    if (replaces && !dropAside(this.#sql, "meta")) return;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${PREFIX}meta AS SELECT * FROM meta`);
  }

  /** Deletes the state in quarantine, as far as possible now. */
  drop(): void {
    for (const { name } of SCHEMA) dropAside(this.#sql, name);
    this.#asideAtStart = new Set();
    this.refresh();
  }
}
