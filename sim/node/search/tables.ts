/** Tables of whole numbers in typed arrays, for a search of millions of states. */
import { assert } from "../../../core/assert.ts";

const mix = (h: number, word: number): number => {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const x = h ^ k;
  return (Math.imul((x << 13) | (x >>> 19), 5) + 0xe6546b64) | 0;
};

const finish = (hash: number): number => {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
};

/** *map (a, b) → value*, all of them ≥ 0; open addressing. */
export class PairTable {
  #keys = new Int32Array(2 * 1024);
  #values = new Int32Array(1024).fill(-1);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** The value of a pair, or −1. */
  get(a: number, b: number): number {
    const mask = this.#values.length - 1;
    for (let at = finish(mix(mix(0, a), b)) & mask; ; at = (at + 1) & mask) {
      const value = this.#values[at] as number;
      if (value === -1 || (this.#keys[2 * at] === a && this.#keys[2 * at + 1] === b)) return value;
    }
  }

  set(a: number, b: number, value: number): void {
    if (this.#count * 2 >= this.#values.length) this.#grow();
    this.#put(a, b, value);
    this.#count += 1;
  }

  #put(a: number, b: number, value: number): void {
    const mask = this.#values.length - 1;
    let at = finish(mix(mix(0, a), b)) & mask;
    while (this.#values[at] !== -1) at = (at + 1) & mask;
    this.#keys[2 * at] = a;
    this.#keys[2 * at + 1] = b;
    this.#values[at] = value;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Int32Array(keys.length * 2);
    this.#values = new Int32Array(values.length * 2).fill(-1);
    for (let at = 0; at < values.length; at++) {
      const value = values[at] as number;
      if (value !== -1) this.#put(keys[2 * at] as number, keys[2 * at + 1] as number, value);
    }
  }
}

/** Numbers values by their text: equal texts get equal numbers. */
export class Interner<T> {
  readonly #ids = new Map<string, number>();
  readonly items: T[] = [];

  /** @param make makes the value of a new text */
  id(key: string, make: () => T): number {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.items.length;
    this.#ids.set(key, id);
    this.items.push(make());
    return id;
  }

  at(id: number): T {
    return this.items[id] as T;
  }
}

const CHUNK_BITS = 18;
const CHUNK = 1 << CHUNK_BITS;

/** An append-only list of records of whole numbers. */
export class RecordList {
  readonly #width: number;
  readonly #chunks: Int32Array[] = [];
  length = 0;

  constructor(width: number) {
    this.#width = width;
  }

  push(record: Int32Array): number {
    const at = this.length;
    if ((at & (CHUNK - 1)) === 0) this.#chunks.push(new Int32Array(CHUNK * this.#width));
    (this.#chunks[at >> CHUNK_BITS] as Int32Array).set(record, (at & (CHUNK - 1)) * this.#width);
    this.length += 1;
    return at;
  }

  read(at: number, into: Int32Array): void {
    const chunk = this.#chunks[at >> CHUNK_BITS] as Int32Array;
    const start = (at & (CHUNK - 1)) * this.#width;
    for (let i = 0; i < this.#width; i++) into[i] = chunk[start + i] as number;
  }

  field(at: number, index: number): number {
    return (this.#chunks[at >> CHUNK_BITS] as Int32Array)[(at & (CHUNK - 1)) * this.#width + index] as number;
  }

  setField(at: number, index: number, value: number): void {
    (this.#chunks[at >> CHUNK_BITS] as Int32Array)[(at & (CHUNK - 1)) * this.#width + index] = value;
  }

  /** Whether a record begins with these numbers. */
  startsWith(at: number, record: Int32Array, length: number): boolean {
    const chunk = this.#chunks[at >> CHUNK_BITS] as Int32Array;
    const start = (at & (CHUNK - 1)) * this.#width;
    for (let i = 0; i < length; i++) if (chunk[start + i] !== record[i]) return false;
    return true;
  }
}

/**
 * Set of states. A hash gives the slot, and the states themselves are compared, so that two states are never confused.
 */
export class StateSet {
  readonly list: RecordList;
  readonly #length: number;
  #slots = new Int32Array(1 << 16).fill(-1);

  /** @param length numbers per state @param extra numbers that are stored with it */
  constructor(length: number, extra: number) {
    this.#length = length;
    this.list = new RecordList(length + extra);
  }

  get size(): number {
    return this.list.length;
  }

  /** Adds a state. @returns its number; ~number if the state is new */
  add(record: Int32Array): number {
    if (this.list.length * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    let at = this.#hash(record) & mask;
    for (;;) {
      const known = this.#slots[at] as number;
      if (known === -1) break;
      if (this.list.startsWith(known, record, this.#length)) return known;
      at = (at + 1) & mask;
    }
    const index = this.list.push(record);
    this.#slots[at] = index;
    return ~index;
  }

  #hash(record: Int32Array): number {
    let h = 0;
    for (let i = 0; i < this.#length; i++) h = mix(h, record[i] as number);
    return finish(h);
  }

  #grow(): void {
    assert(this.#slots.length < 2 ** 30, "the table of states has room");
    const slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const record = new Int32Array(this.#length + 8);
    const mask = slots.length - 1;
    for (let index = 0; index < this.list.length; index++) {
      for (let i = 0; i < this.#length; i++) record[i] = this.list.field(index, i);
      let at = this.#hash(record) & mask;
      while (slots[at] !== -1) at = (at + 1) & mask;
      slots[at] = index;
    }
    this.#slots = slots;
  }
}
