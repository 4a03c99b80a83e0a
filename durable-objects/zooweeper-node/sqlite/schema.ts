/** The tables of a member's storage, and their migration from earlier versions. */
import { must } from "../../../core/assert.ts";
import { valueChecksum } from "../../../core/wire/value-checksum.ts";
import { columnsIn } from "../../shared/sql.ts";

/** Definition of a table: its columns, the last one `crc`, and the options after them. */
export interface TableSchema {
  readonly name: string;
  readonly columns: readonly string[];
  readonly options?: string;
  /** columns and rows of its index */
  readonly index?: string;
  /** its rows are derived from other tables: it is emptied when these move into quarantine */
  readonly isDerived?: true;
}

/** All tables of a member. */
export const SCHEMA: readonly TableSchema[] = [
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
      index: "(ephemeral_owner) WHERE ephemeral_owner > 0",
    },
    {
      name: `children_${table}`,
      columns: [
        "path TEXT PRIMARY KEY",
        ..."pzxid_epoch pzxid_counter children".split(" ").map((name) => `${name} INTEGER`),
        "crc INTEGER",
      ],
      options: "WITHOUT ROWID",
      isDerived: true as const,
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
 * The number of this schema, stored in `meta.schema`. Schemas before 3 stored none; 1 had no checksums. Increment it with
 * every change that the previous version must not read, and add the migration step.
 */
export const SCHEMA_VERSION = 3;

/** The migration steps, in order. A step is never changed. */
const MIGRATIONS: readonly { readonly schema: number; readonly lacks: string; readonly change: string }[] = [
  { schema: 2, lacks: "crc", change: "ADD COLUMN crc INTEGER" },
];

const namesOf = ({ columns }: TableSchema): (string | undefined)[] =>
  columns.map((column) => column.split(" ")[0]);

/**
 * Migrates the tables to this version: creates missing ones, and runs the steps of {@link MIGRATIONS} that are not done
 * yet. A table with other columns is damaged and cannot be written: it is passed to `setAside`, which leaves an empty one.
 * Its reader detects the missing rows.
 * @returns names of the tables that were moved into quarantine
 * @throws Error, without any change, if a later version has written the storage: a rollback of a deployment reaches all
 * members, and none of them may lose its state
 */
export function migrate(sql: SqlStorage, setAside: (table: TableSchema) => void): ReadonlySet<string> {
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
      setAside(table);
      aside.add(table.name);
    }
  }
  for (const table of SCHEMA) makeIndex(sql, table);
  return aside;
}

/** Creates a table that does not exist, with its index. */
export const makeTable = (sql: SqlStorage, table: TableSchema): void => {
  const { name, columns, options = "" } = table;
  sql.exec(`CREATE TABLE ${name} (${columns.join(", ")}) ${options}`);
  makeIndex(sql, table);
};

/**
 * Creates the index of a table, unless it has one. An earlier version does not create it, but SQLite maintains it there. An
 * index keeps its name when its table is renamed, so there are two names: one for the state in quarantine, one for the
 * current state.
 */
function makeIndex(sql: SqlStorage, { name, index }: TableSchema): void {
  if (index === undefined) return;
  const indexes = sql
    .exec<{ name: string; tbl_name: string }>(
      "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    )
    .toArray();
  if (indexes.some((each) => each.tbl_name === name)) return;
  const free = [`${name}_a`, `${name}_b`].find((each) => indexes.every((taken) => taken.name !== each));
  sql.exec(`CREATE INDEX ${must(free, "at most one state is in quarantine")} ON ${name} ${index}`);
}

/** The stored number of the schema; 0 if there is none, or if it is damaged, so that it has to be derived from the tables. */
function schemaOf(sql: SqlStorage): number {
  if (!columnsIn(sql, "meta").includes("crc")) return 0;
  try {
    const [row] = sql.exec("SELECT value, crc FROM meta WHERE key = 'schema'").toArray();
    const value = String(row?.value);
    const schema = Number(value);
    return row?.crc === valueChecksum("schema", value) && Number.isSafeInteger(schema) ? schema : 0;
  } catch {
    // The next reader of the table detects its damaged pages.
    return 0;
  }
}
