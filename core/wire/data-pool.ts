/**
 * Copies small pieces of data out of big buffers. A fresh `ArrayBuffer` for each costs half a microsecond,
 * so pieces share slabs of 4 KiB. What a piece keeps alive is at most one slab, never the batch it came from.
 */
import { KiB } from "../units.ts";

/** Up to here V8 keeps an array's bytes in its own heap, which is faster than any slab. */
const HEAP_BYTES_MAX = 64;
const SLAB_BYTES = 4 * KiB;
/** Larger pieces get a buffer of their own, whose cost copying them dwarfs. */
const POOLED_BYTES_MAX = SLAB_BYTES / 4;

let slab = new Uint8Array(SLAB_BYTES);
let used = 0;

/** A copy of `source` from `start` to `end` that shares no memory with it and that nobody else writes to. */
export function copyData(source: Uint8Array, start = 0, end = source.length): Uint8Array {
  const size = end - start;
  if (size <= HEAP_BYTES_MAX || size > POOLED_BYTES_MAX) return source.slice(start, end);
  if (used + size > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  const copy = slab.subarray(used, used + size);
  copy.set(source.subarray(start, end));
  used += size;
  return copy;
}
