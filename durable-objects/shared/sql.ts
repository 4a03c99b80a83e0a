/** Synchronous access to an object's SQLite. */
import { ROWS_AT_ONCE } from "./config.ts";

/** A row of a cursor, as values without names. */
export type Row = readonly SqlStorageValue[];

/** Names of all tables. */
export const tablesIn = (sql: SqlStorage): string[] =>
  sql
    .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .toArray()
    .map(({ name }) => name);

/** Names of the columns of a table, in order; empty if there is no such table. */
export const columnsIn = (sql: SqlStorage, table: string): string[] =>
  sql
    .exec<{ name: string }>("SELECT name FROM pragma_table_info(?)", table)
    .toArray()
    .map(({ name }) => name);

/**
 * Rows of a statement that orders them by their first column and takes a lower bound for it. They are read in groups, so
 * that a reader that stops early, or finds a row damaged, leaves no cursor open: SQLite drops no table while one is. The
 * first group is one row and each further one is twice as long, so that a reader that stops at a number of bytes reads few
 * large rows that it does not use.
 */
export function* inOrder(sql: SqlStorage, statement: string, after: string | number): Generator<Row> {
  let bound: unknown = after;
  for (let rows = 1; ; rows = Math.min(2 * rows, ROWS_AT_ONCE)) {
    const group = [...sql.exec(`${statement} LIMIT ?`, bound, rows).raw()];
    yield* group;
    if (group.length < rows) return;
    bound = group.at(-1)?.[0];
  }
}
