/** The tables of a member's storage, and how those of earlier versions become them. */
import { valueChecksum } from "../../../core/wire/value-checksum.ts";
import { columnsIn } from "../../shared/sql.ts";

/** What a table is made of: its columns, the last one `crc`, and what stands behind them. */
export interface TableSchema {
  readonly name: string;
  readonly columns: readonly string[];
  readonly options?: string;
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
export const SCHEMA_VERSION = 3;

/** What each schema added to the tables of the one before, in order. A step is never changed. */
const MIGRATIONS: readonly { readonly schema: number; readonly lacks: string; readonly change: string }[] = [
  { schema: 2, lacks: "crc", change: "ADD COLUMN crc INTEGER" },
];

const namesOf = ({ columns }: TableSchema): (string | undefined)[] =>
  columns.map((column) => column.split(" ")[0]);

/**
 * Brings the tables to the shape of this version: makes those that are missing, and takes the steps of {@link MIGRATIONS} that
 * an earlier version has not taken. A table of any other shape is damaged and cannot be written to: it is passed to
 * `setAside`, which leaves an empty one. Its reader notices that rows are missing.
 * @returns names of the tables that were set aside
 * @throws Error, and changes nothing, when a later version has written it: a deployment that is taken back reaches all
 * members, and none of them must forget
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
  return aside;
}

/** Makes a table that is not there. */
export const makeTable = (sql: SqlStorage, { name, columns, options = "" }: TableSchema): void => {
  sql.exec(`CREATE TABLE ${name} (${columns.join(", ")}) ${options}`);
};

/** The stored number of the schema; 0: none is stored, or the value is damaged, so the tables have to show it. */
function schemaOf(sql: SqlStorage): number {
  if (!columnsIn(sql, "meta").includes("crc")) return 0;
  try {
    const [row] = sql.exec("SELECT value, crc FROM meta WHERE key = 'schema'").toArray();
    const value = String(row?.value);
    const schema = Number(value);
    return row?.crc === valueChecksum("schema", value) && Number.isSafeInteger(schema) ? schema : 0;
  } catch {
    // The next reader of the table finds its pages damaged.
    return 0;
  }
}
