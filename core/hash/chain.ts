/**
 * A 64-bit hash that chains: the result of one record seeds the next, so two logs with the same chain
 * value hold the same records in the same order. It finds corruption and divergence; it is no defence
 * against somebody who forges records.
 *
 * State is two 32-bit lanes. Each round is a bijection of the lanes for a fixed word, and of the word for
 * fixed lanes, so a difference in one word cannot vanish within its round.
 * JavaScript has no fast 64-bit integer: BigInt would cost a hundred times more.
 *
 * @source after MurmurHash3 x86_128 (public domain), cut to two of its four lanes
 */

import { assert } from "../assert.ts";

/** Chain value of a log up to and including one of its records: 64 bits as two unsigned halves. */
export interface Chain {
  readonly high: number;
  readonly low: number;
}

/** Chain value of the empty log. */
export const CHAIN_START: Chain = { high: 0, low: 0 };

/** Result of a hash: its two lanes. A typed array, because V8 boxes many an int32 that is kept in an object. */
export const newLanes = (): Int32Array => new Int32Array(2);

/** One round of the first lane; `h1`, `h2`, `word` are any int32. */
export function mixFirst(h1: number, h2: number, word: number): number {
  let k = Math.imul(word, 0x239b961b);
  k = Math.imul((k << 15) | (k >>> 17), 0xab0e9789);
  const h = h1 ^ k;
  return (Math.imul((((h << 19) | (h >>> 13)) + h2) | 0, 5) + 0x561ccd1b) | 0;
}

/** One round of the second lane, after {@link mixFirst} of the same pair of words. */
export function mixSecond(h2: number, h1: number, word: number): number {
  let k = Math.imul(word, 0xab0e9789);
  k = Math.imul((k << 16) | (k >>> 16), 0x38b34ae5);
  const h = h2 ^ k;
  return (Math.imul((((h << 17) | (h >>> 15)) + h1) | 0, 5) + 0x0bcaa747) | 0;
}

/** Spreads every input bit over the whole word; a bijection of 32 bits. */
export function avalanche(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Ends a hash: mixes both lanes with the input's length and leaves them in `out`. */
export function finishHash(h1: number, h2: number, size: number, out: Int32Array): void {
  let first = h1 ^ size;
  let second = h2 ^ size;
  first = (first + second) | 0;
  second = (second + first) | 0;
  first = avalanche(first);
  second = avalanche(second);
  first = (first + second) | 0;
  out[0] = first;
  out[1] = second + first;
}

/** The bytes as {@link chainHash} reads them: one load of four bytes instead of four loads. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * Extends the chain (`high`, `low`) by one record, the bytes of `[start, end)`, and writes the new value to `out`.
 * Any change of a record's bytes, or of its place in the chain, changes the value.
 */
export function chainHash(
  high: number,
  low: number,
  view: DataView,
  start: number,
  end: number,
  out: Int32Array,
): void {
  let h1 = high | 0;
  let h2 = low | 0;
  let i = start;
  for (; i + 8 <= end; i += 8) {
    h1 = mixFirst(h1, h2, view.getInt32(i, true));
    h2 = mixSecond(h2, h1, view.getInt32(i + 4, true));
  }
  if (i < end) {
    let first = 0;
    if (i + 4 <= end) {
      first = view.getInt32(i, true);
      i += 4;
    }
    let rest = 0;
    while (i < end) rest = (rest << 8) | view.getUint8(i++);
    h1 = mixFirst(h1, h2, first);
    h2 = mixSecond(h2, h1, rest);
  }
  finishHash(h1, h2, end - start, out);
}

/**
 * Extends the chain by every record of `[start, end)`, each preceded by a byte and its length as a u24 (see the txn
 * batch). The borders between batches have no effect: only records count.
 * @throws AssertionError if the range does not hold whole records
 */
export function chainBatch(before: Chain, batch: Uint8Array, start = 0, end = batch.length): Chain {
  const lanes = newLanes();
  lanes[0] = before.high;
  lanes[1] = before.low;
  const view = viewOf(batch);
  let at = start;
  while (at < end) {
    const size = at + 4 <= end ? view.getInt32(at) & 0xff_ffff : -1;
    assert(size >= 0 && size <= end - at - 4, "a chained range holds whole records");
    const next = at + 4 + size;
    chainHash(lanes[0] as number, lanes[1] as number, view, at, next, lanes);
    at = next;
  }
  return { high: (lanes[0] as number) >>> 0, low: (lanes[1] as number) >>> 0 };
}

/** Whether both values stand for the same history. */
export const equalChain = (a: Chain, b: Chain): boolean => a.high === b.high && a.low === b.low;

/** Sixteen hex digits, for logs and for comparing members. */
export function hashToText(hash: Chain): string {
  return hash.high.toString(16).padStart(8, "0") + hash.low.toString(16).padStart(8, "0");
}
