/** Pages of a sorted list of names, and how large a list is on its way to another object. */

/** Which part of the list is wanted. */
export interface PageRequest {
  /** names at most */
  readonly limit: number;
  /** only names behind this one; "": from the start */
  readonly after: string;
}

/** A part of a list of names. */
export interface Page {
  readonly children: readonly string[];
  /** names follow behind the last one */
  readonly more: boolean;
}

/** What a string costs beside its characters when a message is serialised. */
const NAME_OVERHEAD = 8;
/** Bytes of a Stat and of the answer around the list. */
const ANSWER_OVERHEAD = 1_024;

/**
 * Bytes of a name in a message, the greater of two: between objects one for each character of Latin-1, else two for each
 * code unit; in a packet of ZooKeeper, UTF-8. Names hold no surrogates.
 */
function bytesOf(name: string): number {
  let utf8 = name.length;
  let widest = 0;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit > 0x7f) utf8 += unit > 0x7ff ? 2 : 1;
    if (unit > widest) widest = unit;
  }
  return Math.max(utf8, widest > 0xff ? 2 * name.length : name.length) + NAME_OVERHEAD;
}

/** Code units take so many bytes at most. */
const UNIT_BYTES_MAX = 3;

/** Is a list of names too large for a message of `bytesMax`? @param length code units of all names */
export function isTooLarge(names: readonly string[], length: number, bytesMax: number): boolean {
  if (UNIT_BYTES_MAX * length + NAME_OVERHEAD * names.length + ANSWER_OVERHEAD <= bytesMax) return false;
  let bytes = ANSWER_OVERHEAD;
  for (const name of names) {
    bytes += bytesOf(name);
    if (bytes > bytesMax) return true;
  }
  return false;
}

/**
 * The names that follow `after`: as many as are wanted and fit, at least one.
 * @param names in code unit order
 * @param bytesMax of the message that holds them
 */
export function pageOf(names: readonly string[], { limit, after }: PageRequest, bytesMax: number): Page {
  const start = indexBehind(names, after);
  let end = start;
  for (let bytes = ANSWER_OVERHEAD; end < names.length && end - start < limit; end++) {
    bytes += bytesOf(names[end] as string);
    if (bytes > bytesMax && end > start) break;
  }
  return { children: names.slice(start, end), more: end < names.length };
}

/** Index of the first name behind `after`. */
function indexBehind(names: readonly string[], after: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] as string) > after) high = middle;
    else low = middle + 1;
  }
  return low;
}
