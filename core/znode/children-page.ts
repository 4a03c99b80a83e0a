/** Pages of a sorted list of names, and the size of a list in a message. */

/** The requested part of the list. */
export interface PageRequest {
  /** maximum number of names */
  readonly limit: number;
  /** only names after this one; "": from the start */
  readonly after: string;
}

/** A part of a list of names. */
export interface Page {
  readonly children: readonly string[];
  /** whether more names follow */
  readonly more: boolean;
}

/** Bytes of a string in a message, in addition to its characters. */
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

/** Size in a message of a list of names that is being read. */
export class ListSize {
  readonly #bytesMax: number;
  #bytes = ANSWER_OVERHEAD;
  #names = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether so many names may fit: each has at least one byte. */
  fits(count: number): boolean {
    return ANSWER_OVERHEAD + count * (NAME_OVERHEAD + 1) <= this.#bytesMax;
  }

  /** Whether the names so far do not fit. */
  get isExceeded(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  /** Adds the names of the list that are new since the last call. */
  add(names: readonly string[]): void {
    for (; this.#names < names.length; this.#names++) this.#bytes += bytesOf(names[this.#names] as string);
  }
}

/** Maximum bytes of a code unit. */
const UNIT_BYTES_MAX = 3;

/** Whether a list of names is too large for a message of `bytesMax`. @param length code units of all names */
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
 * The names that follow `after`: as many as requested and fit, at least one.
 * @param names in code unit order
 * @param bytesMax bytes of the message that contains them
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

/** Index of the first name after `after`. */
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
