/**
 * Verification of a row of the log. Each batch has a CRC-32C of everything but its position (base offset, leader epoch,
 * length), which follows from the row and from the batches around it. So only damaged batches are lost, and a reader
 * continues after them.
 */
import { crc32c } from "../hash/crc32c.ts";
import { type BatchHeader, batchAt, isIntact } from "../wire/record-batch-codec.ts";
import { ByteWriter } from "../wire/writer.ts";
import type { PartitionFailure } from "./partition.ts";

/** The columns of a row beside its batches. Offsets and times as in `ChunkPlan`. */
export interface ChunkColumns {
  readonly base: number;
  readonly last: number;
  readonly timestampMax: number;
  readonly leaderEpoch: number;
  readonly records: number;
  readonly bytes: number;
}

/** Offsets that cannot be read: those in [`from`, `next`). */
export interface Damage {
  readonly from: number;
  readonly next: number;
}

/** A batch, or offsets whose batches are damaged; in the order of offsets, without a gap. */
export type Piece = { readonly batch: BatchHeader } | { readonly damage: Damage };

const scratch = new ByteWriter(64);

/** CRC-32C of the columns of a row. @returns an unsigned 32-bit number */
export function chunkChecksum(columns: ChunkColumns): number {
  scratch.reset();
  const { base, last, timestampMax, leaderEpoch, records, bytes } = columns;
  for (const value of [base, last, timestampMax, leaderEpoch, records, bytes]) scratch.i64(value);
  return crc32c(scratch.view());
}

/** CRC-32C of columns of another table, in order. @returns an unsigned 32-bit number */
export function rowChecksum(columns: readonly (string | number | null)[]): number {
  scratch.reset();
  for (const value of columns) scratch.string(value === null ? "" : `${typeof value}:${value}`);
  return crc32c(scratch.view());
}

/**
 * The batches of a row from the one that contains `offset` on, and the damaged ranges between them. Batches are verified
 * only as the caller requests them.
 * @param base offset of the first record of the row
 * @param last offset of its last record
 */
export function* piecesOf(
  data: Uint8Array,
  base: number,
  last: number,
  offset: number,
): Generator<Piece, void> {
  let expected = base;
  let at = 0;
  while (expected <= last) {
    const batch = batchAt(data, at);
    const isInPlace = batch !== undefined && batch.baseOffset === expected && isInside(batch, last);
    if (isInPlace && (batch.lastOffset < offset || isIntact(data, batch))) {
      if (batch.lastOffset >= offset) yield { batch };
      expected = batch.lastOffset + 1;
      at = batch.end;
      continue;
    }
    const next = intactFrom(data, at + 1, expected + 1, last);
    const damage = { from: expected, next: next?.baseOffset ?? last + 1 };
    if (damage.next > offset) yield { damage };
    if (next === undefined) return;
    expected = next.baseOffset;
    at = next.at;
  }
}

const isInside = ({ baseOffset, lastOffset, recordCount }: BatchHeader, last: number): boolean =>
  recordCount === lastOffset - baseOffset + 1 && recordCount > 0 && lastOffset <= last;

/** The first intact batch at or after byte `from` whose offsets are in [`least`, `last`]. */
function intactFrom(data: Uint8Array, from: number, least: number, last: number): BatchHeader | undefined {
  for (let at = from; at < data.length; at++) {
    const batch = batchAt(data, at);
    if (batch === undefined || batch.baseOffset < least || !isInside(batch, last)) continue;
    if (isIntact(data, batch)) return batch;
  }
  return undefined;
}

/**
 * The end of a log whose last row has damaged columns: after its batches, if these are intact. Otherwise it is after as
 * many records as its bytes may have contained, because an assigned offset is never assigned again.
 */
export function endOfDamaged(base: number, data: Uint8Array): number {
  const first = intactFrom(data, 0, 0, Number.MAX_SAFE_INTEGER);
  let end = -1;
  for (let batch = first; batch !== undefined && isIntact(data, batch); batch = batchAt(data, batch.end)) {
    end = batch.lastOffset + 1;
    if (batch.end === data.length) return end;
  }
  return Math.max(end, (first?.baseOffset ?? base) + data.length);
}

/** The answer to a read of offsets that are damaged. Code: CORRUPT_MESSAGE. */
export function corrupt({ from, next }: Damage): PartitionFailure {
  const records =
    next - from === 1
      ? `the record at offset ${from} is`
      : `the records at offsets ${from} to ${next - 1} are`;
  return {
    ok: false,
    code: "CORRUPT_MESSAGE",
    message: `${records} damaged in storage; the next ones begin at offset ${next}`,
    damage: { from, next },
  };
}
