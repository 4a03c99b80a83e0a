/** Checks the rows of a stored log for damage. */
import { AssertionError } from "../assert.ts";
import { DamagedError } from "../damaged-error.ts";
import { chainBatch, equalChain } from "../hash/chain.ts";
import { makeEntry } from "../zab/log-entry.ts";
import type { LogPosition } from "../zab/messages.ts";
import type { LogRow } from "../zab/txn-log.ts";
import { compareZxid, equalZxid } from "../zab/zxid.ts";
import type { Meta, StorageBackend } from "./storage-backend.ts";

/** The result of {@link checkLog}. */
export type LogCheck =
  /** `kept` continues `base`, or the stored base if undefined. All other rows may be deleted */
  | { readonly ok: true; readonly kept: readonly LogRow[]; readonly base?: Base | undefined }
  /** rows that this member has acknowledged are missing or damaged */
  | { readonly ok: false; readonly damage: string };

/** A new, later beginning of the log. */
interface Base {
  readonly position: LogPosition;
  /** number of the first row that is kept */
  readonly firstSeq: number;
}

/**
 * Checks every row of the log: its numbers and its bytes have to continue the chain. Rows below the checkpoint only serve
 * other members, so damage there costs that part of the log. Damage above it means that this member lacks txns that it has
 * acknowledged.
 *
 * @source Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018 (damage is not the end of the log)
 */
export function checkLog(backend: StorageBackend, { checkpoint, logBase, logged }: Meta): LogCheck {
  const damaged: number[] = [];
  const rows = backend.logRows((seq) => damaged.push(seq));
  /** end of the undamaged rows so far; undefined after a damaged row */
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
      // The checkpoint is at the end of the rows so far, which are not needed.
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

/** Whether this error means that stored data are damaged. */
export const isDamage = (error: unknown): error is Error =>
  error instanceof DamagedError || error instanceof AssertionError;

const positionOf = (row: LogRow): LogPosition => ({ zxid: row.last, chain: row.after });

/** The batch of a row; undefined if its bytes are damaged. */
function batchOf(backend: StorageBackend, row: LogRow): Uint8Array | undefined {
  try {
    const batch = backend.read(row.seq);
    return isWhole(row, batch) ? batch : undefined;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/** Whether the bytes of a row match its columns. */
function isWhole(row: LogRow, batch: Uint8Array): boolean {
  if (batch.length !== row.bytes) return false;
  try {
    return equalChain(chainBatch(row.before, batch), row.after);
  } catch (error) {
    if (error instanceof AssertionError) return false;
    throw error;
  }
}

/** Whether the row continues `end`, txn by txn. */
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
