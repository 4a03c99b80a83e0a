/**
 * Checksums of the rows of a member's storage: CRC-32C over every column of a row, its key included, which detects a
 * changed row, and a row with another row's columns. The checksum of a log row does not cover its batch, which the chain
 * covers.
 *
 * A backend stores the checksum beside the row and verifies it at every read. Rows of an earlier version have no checksum
 * (`null`) and are accepted; they get one when they are next written.
 */
import { DamagedError } from "../damaged-error.ts";
import { crc32c } from "../hash/crc32c.ts";
import { writeSessionRow, writeZnodeRow } from "../wire/snapshot-codec.ts";
import { ByteWriter } from "../wire/writer.ts";
import type { LogRow } from "../zab/txn-log.ts";
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";

const scratch = new ByteWriter(512);

/** CRC-32C of the scratch buffer, which is emptied. */
function take(): number {
  const check = crc32c(scratch.view());
  scratch.reset();
  return check;
}

/** Checksum of a znode row. @returns an unsigned 32-bit number */
export function znodeChecksum(row: ZnodeRow): number {
  writeZnodeRow(scratch, row);
  return take();
}

/** Checksum of a session row. @returns an unsigned 32-bit number */
export function sessionChecksum(row: SessionRow): number {
  writeSessionRow(scratch, row);
  return take();
}

/** Checksum of the columns of a log row beside the batch. @returns an unsigned 32-bit number */
export function logRowChecksum(row: LogRow): number {
  scratch.i64(row.seq);
  scratch.u32pair(row.first.epoch, row.first.counter);
  scratch.u32pair(row.last.epoch, row.last.counter);
  scratch.i32(row.count);
  scratch.i32(row.bytes);
  scratch.u32pair(row.before.high, row.before.low);
  scratch.u32pair(row.after.high, row.after.low);
  scratch.u32pair(row.committed.epoch, row.committed.counter);
  return take();
}

/**
 * @param stored null if the row has none
 * @param what name of the row, for the message
 * @throws DamagedError if the checksums differ
 */
export function verifyChecksum(stored: number | null, actual: number, what: string): void {
  if (stored !== null && stored !== actual) throw new DamagedError(`${what} has a wrong checksum`);
}
