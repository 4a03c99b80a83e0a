/**
 * A memo for short ASCII strings read off the wire. The same few thousand paths occur again and again; returning the
 * previous string saves decoding it, and its hash for map look-ups is already computed. It affects only speed: a string is
 * compared byte by byte before it is returned.
 */
import { readUtf8 } from "./utf8.ts";

/** Slots, a power of two: with the longest strings the memo takes about 1 MiB. */
const SLOTS = 8192;
const BYTES_MAX = 96;

const slots = new Array<string>(SLOTS).fill("");

/** Reads the UTF-8 of `[start, end)`; undefined when it is not valid. */
export function internUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  const size = end - start;
  if (size > BYTES_MAX) return readUtf8(bytes, start, end);
  let hash = size;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  const known = slots[slot] as string;
  if (known.length === size && isSame(known, bytes, start)) return known;
  const text = readUtf8(bytes, start, end);
  // Fewer characters than bytes means that it is not ASCII, where comparing units with bytes would be wrong.
  if (text !== undefined && text.length === size) slots[slot] = text;
  return text;
}

function isSame(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
