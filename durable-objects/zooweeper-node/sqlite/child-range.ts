/**
 * The children of a znode in a table that is ordered by path. The descendants of `/a` are the paths between `/a/` and
 * `/a0`; those of a child are skipped by one seek, so a list reads as many rows as it has names, however large the subtrees
 * are. Paths contain no surrogates, so the order of their UTF-8 bytes is that of their code units.
 */
import type { TableId } from "../../../core/server/storage-backend.ts";
import { text } from "./columns.ts";

/** A character greater than every character of a path. */
const LAST = "\u{10ffff}";
/** Rows of the first group, and of a group after a skipped subtree. */
const GROUP_MIN = 2;
const GROUP_MAX = 512;

/** The range of a znode's descendants: their paths are greater than `from` and less than `end`. */
export function rangeOf(path: string): { readonly from: string; readonly end: string } {
  const parent = path === "/" ? "" : path;
  return { from: `${parent}/`, end: `${parent}0` };
}

/**
 * The name after which the table lists the names that follow `after`. A name holds no surrogates, but `after` may: the names
 * that follow it in code unit order are those behind every name that continues its beginning with U+D7FF.
 */
function boundOf(after: string): string {
  const at = after.search(/[\ud800-\udfff]/);
  return at === -1 ? after : `${after.slice(0, at)}\ud7ff${LAST}`;
}

/** See `StorageBackend.readChildren`. */
export function childrenOf(
  sql: SqlStorage,
  table: TableId,
  path: string,
  after: string,
  limit: number,
): string[] {
  const { from, end } = rangeOf(path);
  const statement = `SELECT path FROM znode_${table} WHERE path > ? AND path < ? ORDER BY path LIMIT ?`;
  const names: string[] = [];
  let bound = from + boundOf(after);
  for (let group = GROUP_MIN; names.length < limit; ) {
    const count = Math.min(group, limit - names.length);
    let isSkipping = false;
    let found = 0;
    // Reads the whole group at once, because SQLite cannot drop a table while a cursor is open.
    for (const row of [...sql.exec(statement, bound, end, count).raw()]) {
      found += 1;
      const name = text(row, 0).slice(from.length);
      const slash = name.indexOf("/");
      if (slash !== -1) {
        bound = `${from}${name.slice(0, slash)}/${LAST}`;
        isSkipping = true;
        break;
      }
      names.push(name);
      bound = from + name;
    }
    if (!isSkipping && found < count) break;
    group = isSkipping ? GROUP_MIN : Math.min(2 * group, GROUP_MAX);
  }
  return names;
}

/** The number of children of a znode, counted one by one within SQLite. */
export function countChildren(sql: SqlStorage, table: TableId, path: string): number {
  const { from, end } = rangeOf(path);
  // The first row after a child, or after the subtree of a child if a descendant was found.
  const statement = `WITH RECURSIVE found(path) AS (
      SELECT (SELECT path FROM znode_${table} WHERE path > ?1 AND path < ?2 ORDER BY path LIMIT 1)
      UNION ALL
      SELECT (SELECT next.path FROM znode_${table} next WHERE next.path < ?2 AND next.path > CASE
          WHEN instr(substr(found.path, ?3), '/') = 0 THEN found.path
          ELSE substr(found.path, 1, ?3 + instr(substr(found.path, ?3), '/') - 1) || '${LAST}'
        END ORDER BY next.path LIMIT 1)
      FROM found WHERE found.path IS NOT NULL
    )
    SELECT count(*) FROM found WHERE path IS NOT NULL AND instr(substr(path, ?3), '/') = 0`;
  const [row] = [...sql.exec(statement, from, end, from.length + 1).raw()];
  return Number(row?.[0]);
}
