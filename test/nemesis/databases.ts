/** The databases of real objects, while the process that they live in is stopped. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Opens, uses and closes a database; what was in its journal is in the file then. */
export function inDatabase<T>(path: string, use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path);
  try {
    return use(database);
  } finally {
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
  }
}

/** Paths of the databases of a directory that hold rows in this table. */
export function databasesOf(dir: string, table: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite")
    .map((name) => join(dir, name))
    .filter((path) =>
      inDatabase(path, (database) => {
        const found = database
          .prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?")
          .get(table);
        return found !== undefined && database.prepare(`SELECT 1 FROM ${table} LIMIT 1`).get() !== undefined;
      }),
    );
}

/** *map sid → path of the database of that node* @param dir of the node objects */
export function nodeDatabases(dir: string): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const path of databasesOf(dir, "meta")) {
    const row = inDatabase(path, (database) =>
      database.prepare("SELECT value FROM meta WHERE key = 'config'").get(),
    );
    if (row !== undefined) found.set((JSON.parse(String(row.value)) as { sid: number }).sid, path);
  }
  return found;
}
