/** Which rows of a stored log are as they were written. */
import { AssertionError } from "../assert.ts";
import { chainBatch, equalChain } from "../hash/chain.ts";
import { makeEntry } from "../zab/log-entry.ts";
import type { LogPosition } from "../zab/messages.ts";
import type { LogRow } from "../zab/txn-log.ts";
import { compareZxid, equalZxid } from "../zab/zxid.ts";
import { DamagedError } from "./checksums.ts";
import type { Meta, StorageBackend } from "./storage-backend.ts";

/** What {@link checkLog} has found. */
export type LogCheck =
  /** `kept` continues `base`; undefined: the stored base. The other rows may be deleted */
  | { readonly ok: true; readonly kept: readonly LogRow[]; readonly base?: Base | undefined }
  /** rows that this member has acknowledged are missing or damaged */
  | { readonly ok: false; readonly damage: string };

/** The log begins later than it did. */
interface Base {
  readonly position: LogPosition;
  /** number of the first row that may stay */
  readonly firstSeq: number;
}

/**
 * Looks at every row of the log: its numbers and its bytes have to continue the chain. Rows below the checkpoint are there for
 * other members only, so damage there costs that part of the log. Damage above it means that this member does not have what it
 * has acknowledged.
 *
 * @source Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018 (damage is not the end of the log)
 */
export function checkLog(backend: StorageBackend, { checkpoint, logBase, logged }: Meta): LogCheck {
  const damaged: number[] = [];
  const rows = backend.logRows((seq) => damaged.push(seq));
  /** the end of the undamaged rows so far; undefined behind a damaged row */
  let end: LogPosition | undefined = logBase;
  let base: LogPosition | null = null;
  let kept: LogRow[] = [];
  for (const row of rows) {
    if (damaged.length > 0 && (damaged[0] as number) < row.seq) {
      while (damaged.length > 0 && (damaged[0] as number) < row.seq) damaged.shift();
      end = undefined;
    }
    const batch = batchOf(backend, row);
    if (end !== undefined && batch !== undefined && continues(end, row, batch)) {
      end = positionOf(row);
      kept.push(row);
    } else if (batch !== undefined && continues(checkpoint, row, batch)) {
      // The checkpoint is the end of the rows before: nothing of them is needed.
      base = checkpoint;
      end = positionOf(row);
      kept = [row];
    } else if (compareZxid(row.last, checkpoint.zxid) <= 0) {
      base = end = positionOf(row);
      kept = [];
    } else return { ok: false, damage: `log row ${row.seq}` };
  }
  if (damaged.length > 0) return { ok: false, damage: `log row ${damaged[0]}` };
  if (end === undefined || compareZxid(end.zxid, checkpoint.zxid) < 0) {
    return { ok: false, damage: "the log does not reach the checkpoint" };
  }
  if (logged !== undefined && compareZxid(end.zxid, logged) < 0) {
    return { ok: false, damage: "the newest rows of the log are missing" };
  }
  const firstSeq = kept[0]?.seq ?? (rows.at(-1)?.seq ?? 0) + 1;
  return { ok: true, kept, base: base === null ? undefined : { position: base, firstSeq } };
}

/** Does this error mean that stored data are not what was written? */
export const isDamage = (error: unknown): error is Error =>
  error instanceof DamagedError || error instanceof AssertionError;

const positionOf = (row: LogRow): LogPosition => ({ zxid: row.last, chain: row.after });

/** Undefined when the bytes are not those that were written. */
function batchOf(backend: StorageBackend, row: LogRow): Uint8Array | undefined {
  try {
    const batch = backend.read(row.seq);
    return isWhole(row, batch) ? batch : undefined;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/** Do the bytes of a row say the same as its numbers? */
function isWhole(row: LogRow, batch: Uint8Array): boolean {
  if (batch.length !== row.bytes) return false;
  try {
    return equalChain(chainBatch(row.before, batch), row.after);
  } catch (error) {
    if (error instanceof AssertionError) return false;
    throw error;
  }
}

/** Does the row continue `end`, txn by txn? */
function continues(end: LogPosition, row: LogRow, batch: Uint8Array): boolean {
  if (!equalChain(end.chain, row.before)) return false;
  const entry = makeEntry(end, batch);
  return (
    entry !== undefined &&
    entry.count === row.count &&
    equalZxid(entry.first, row.first) &&
    equalZxid(entry.last, row.last)
  );
}
