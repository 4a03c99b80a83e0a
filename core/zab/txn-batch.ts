/**
 * The framing of packed txns. A batch is a sequence of records; the same bytes are the row of the log and the message to a
 * peer. Zab reads the length and the zxid of a record; everything else is the payload of the proposer (see the txn codec).
 *
 * Record:
 * | bytes | field | |
 * |---|---|---|
 * | 1 | format | of the payload; Zab reads records of every format |
 * | 3 | length | of what follows, at least 32 |
 * | 12 | – | payload |
 * | 4 + 4 | epoch, counter | two u32, the zxid |
 * | … | – | payload |
 */
import { WireError } from "../wire/reader.ts";
import { compareZxid, type Zxid, zxid } from "./zxid.ts";

/** bytes of format and length */
export const LENGTH_BYTES = 4;
/** mask of the length in the first four bytes, read as a number */
export const LENGTH_MASK = 0xff_ffff;
/** least number of bytes after the length field: the header of a txn without a body */
export const HEADER_BYTES = 32;
/** offset of the zxid in a record */
export const ZXID_AT = LENGTH_BYTES + 12;

/**
 * Steps over the records of `[0, end)`. `visit` gets the offsets of a record and its end, and returns false to stop.
 * @throws WireError when the batch does not end with a whole record
 */
function walk(batch: Uint8Array, end: number, visit: (start: number, end: number) => boolean): void {
  let at = 0;
  while (at < end) {
    const size = at + LENGTH_BYTES + HEADER_BYTES <= end ? u32At(batch, at) & LENGTH_MASK : -1;
    const next = at + LENGTH_BYTES + size;
    if (size < HEADER_BYTES || next > end) throw new WireError("a batch does not end with a whole record");
    if (!visit(at, next)) return;
    at = next;
  }
}

const u32At = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>>
  0;

const zxidAt = (batch: Uint8Array, record: number): Zxid =>
  zxid(u32At(batch, record + ZXID_AT), u32At(batch, record + ZXID_AT + 4));

/** The zxids of a batch, as plain numbers, in order. `visit` returns false to stop. @throws WireError */
export function walkZxids(batch: Uint8Array, visit: (epoch: number, counter: number) => boolean): void {
  walk(batch, batch.length, (at) => visit(u32At(batch, at + ZXID_AT), u32At(batch, at + ZXID_AT + 4)));
}

/** zxid of the last record that ends at or before `end`; undefined for an empty batch. @throws WireError */
export function lastZxidOf(batch: Uint8Array, end = batch.length): Zxid | undefined {
  let last = -1;
  walk(batch, end, (at) => {
    last = at;
    return true;
  });
  return last === -1 ? undefined : zxidAt(batch, last);
}

/** Number of records. @throws WireError */
export function countTxns(batch: Uint8Array, end = batch.length): number {
  let count = 0;
  walk(batch, end, () => {
    count += 1;
    return true;
  });
  return count;
}

/** Offset of the first record after `after`; the length of the batch if there is none. @throws WireError */
export function splitAfter(batch: Uint8Array, after: Zxid): number {
  let offset = 0;
  walk(batch, batch.length, (at, next) => {
    if (compareZxid(zxidAt(batch, at), after) > 0) return false;
    offset = next;
    return true;
  });
  return offset;
}

/** The record at `zxid`, as a view of the batch; undefined if the batch has none. @throws WireError */
export function recordAt(batch: Uint8Array, wanted: Zxid): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  walk(batch, batch.length, (at, next) => {
    if (compareZxid(zxidAt(batch, at), wanted) !== 0) return true;
    found = batch.subarray(at, next);
    return false;
  });
  return found;
}
