/** The logs of the members, read from their databases after the end of the runtime, and their common prefix. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { TxnCursor } from "../../core/wire/txn-codec.ts";
import { zxid } from "../../core/zab/zxid.ts";
import { type LogEntry, plain, zxidText, zxidToNumber } from "../../sim/history/history.ts";

export interface MemberLog {
  readonly sid: number;
  /** zxid of the entry before the first one; 0: it holds everything */
  readonly base: number;
  /** its tree came as a snapshot: it is in the table that receives them */
  readonly snapshot: boolean;
  /** the bytes of each txn's record, a character a byte */
  readonly entries: readonly LoggedTxn[];
}

export interface LoggedTxn {
  readonly zxid: number;
  readonly bytes: string;
}

/** @param objectsDir holds one database a member */
export function readLogs(objectsDir: string): MemberLog[] {
  return readdirSync(objectsDir)
    .filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
    .map((name) => readLog(join(objectsDir, name)))
    .sort((a, b) => a.sid - b.sid);
}

function readLog(file: string): MemberLog {
  const database = new DatabaseSync(file);
  try {
    const value = (key: string): unknown => {
      const row = database.prepare("SELECT value FROM meta WHERE key = ?").get(key);
      return row === undefined ? undefined : JSON.parse(String(row.value));
    };
    const { sid } = value("config") as { sid: number };
    const base = value("logBase") as { zxid: { epoch: number; counter: number } } | undefined;
    const rows = database.prepare("SELECT batch FROM txn_log ORDER BY seq").all();
    return {
      sid,
      base: base === undefined ? 0 : zxidToNumber(zxid(base.zxid.epoch, base.zxid.counter)),
      snapshot: value("table") === 1,
      entries: rows.flatMap(({ batch }) => entriesOf(batch as Uint8Array)),
    };
  } finally {
    database.close();
  }
}

function entriesOf(batch: Uint8Array): LoggedTxn[] {
  const entries: LoggedTxn[] = [];
  for (const cursor = new TxnCursor(batch); cursor.next(); ) {
    const bytes = Buffer.from(batch.subarray(cursor.start, cursor.end)).toString("latin1");
    entries.push({ zxid: zxidToNumber(cursor.zxid()), bytes });
  }
  return entries;
}

function decoded({ bytes }: LoggedTxn): LogEntry {
  const cursor = new TxnCursor(Buffer.from(bytes, "latin1"));
  cursor.next();
  return plain({ ...cursor.header(), txn: cursor.txn() });
}

/**
 * What was committed: what a quorum holds, now that nobody writes any more.
 * @param earlier logs as they were while nobody wrote either: what has been cut off since
 * @param faults where members differ, or nobody has an entry any more
 */
export function committedOf(
  logs: readonly MemberLog[],
  earlier: readonly MemberLog[],
  size: number,
  faults: string[],
): LogEntry[] {
  return commonOf(logs, earlier, size, faults).map(decoded);
}

/** {@link committedOf} as bytes. */
export function commonOf(
  logs: readonly MemberLog[],
  earlier: readonly MemberLog[],
  size: number,
  faults: string[],
): LoggedTxn[] {
  const known = [...earlier, ...logs];
  if (logs.length !== size) faults.push(`[log] ${logs.length} of ${size} members have a database`);
  if (!known.some(({ base }) => base === 0)) faults.push("[log] nobody has the beginning of the log");
  const all = new Map<number, { readonly entry: LoggedTxn; readonly sid: number }>();
  for (const { sid, entries } of known) {
    for (const entry of entries) {
      const other = all.get(entry.zxid);
      if (other === undefined) all.set(entry.zxid, { entry, sid });
      else if (other.entry.bytes !== entry.bytes) {
        faults.push(`[log] members ${other.sid} and ${sid} differ at ${zxidText(entry.zxid)}`);
      }
    }
  }
  for (const base of new Set(known.map((log) => log.base))) {
    if (base > 0 && !all.has(base)) faults.push(`[log] nobody has the txn at ${zxidText(base)} any more`);
  }
  const order = [...all.keys()].sort((a, b) => a - b);
  for (const { sid, base, entries } of known) checkWhole(sid, base, entries, order, faults);
  const quorum = Math.floor(size / 2) + 1;
  const ends = logs.map(({ base, entries }) => entries.at(-1)?.zxid ?? base).sort((a, b) => b - a);
  const end = ends[quorum - 1] ?? 0;
  return order.filter((at) => at <= end).map((at) => (all.get(at) as { entry: LoggedTxn }).entry);
}

/** From its base to its end a member holds everything that anybody holds, in its order. */
function checkWhole(
  sid: number,
  base: number,
  entries: readonly LoggedTxn[],
  order: readonly number[],
  faults: string[],
): void {
  const end = entries.at(-1)?.zxid ?? base;
  const wanted = order.filter((at) => at > base && at <= end);
  const wrong = wanted.findIndex((at, i) => entries[i]?.zxid !== at);
  if (wrong === -1 && wanted.length === entries.length) return;
  const at = wanted[wrong === -1 ? wanted.length - 1 : wrong] ?? base;
  faults.push(`[log] member ${sid} lacks the txn at ${zxidText(at)}, or has it out of order`);
}
