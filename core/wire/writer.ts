/** A growing big-endian byte buffer. Strings are UTF-8, as jute writes them. */
import { assert } from "../assert.ts";
import { utf8Length, writeUtf8 } from "./utf8.ts";

const HIGH = 2 ** 32;

/** Writes a safe integer as 64 bits, two's complement. */
export function putI64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / HIGH));
  view.setUint32(at + 4, value >>> 0);
}

/**
 * Writes big-endian numbers and jute values in order.
 * Invariant: the first `length` bytes of the buffer are what was written; it doubles when it is full.
 */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  /** bytes written */
  length = 0;

  /** @param capacity bytes to begin with */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Makes room for `count` more bytes at once, rather than step by step. */
  ensure(count: number): void {
    const end = this.length + count;
    if (end <= this.#bytes.length) return;
    const grown = new Uint8Array(end);
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** The bytes that {@link claim} made room for, and those before; good until something else is written. */
  get numbers(): DataView {
    return this.#view;
  }

  /** Makes room for `count` bytes that the caller writes. @returns their offset */
  claim(count: number): number {
    return this.#reserve(count);
  }

  #reserve(count: number): number {
    const at = this.length;
    const end = at + count;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.length = end;
    return at;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  i16(value: number): void {
    const at = this.#reserve(2);
    this.#view.setInt16(at, value);
  }

  i32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value);
  }

  /** A safe integer as 64 bits, two's complement. */
  i64(value: number): void {
    const at = this.#reserve(8);
    putI64(this.#view, at, value);
  }

  /** Two halves of 64 bits, as a zxid is kept. */
  u32pair(high: number, low: number): void {
    const at = this.#reserve(8);
    this.#view.setUint32(at, high);
    this.#view.setUint32(at + 4, low);
  }

  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  /** jute buffer: i32 length (−1 = null), bytes. */
  buffer(value: Uint8Array | null): void {
    if (value === null) {
      this.i32(-1);
      return;
    }
    this.i32(value.length);
    this.bytes(value);
  }

  /** jute ustring: i32 byte length, UTF-8. */
  string(value: string): void {
    const size = utf8Length(value);
    this.i32(size);
    const at = this.#reserve(size);
    writeUtf8(value, this.#bytes, at);
  }

  /** Overwrites four bytes written before, e.g. a length that is known only at the end. */
  patchI32(at: number, value: number): void {
    assert(at + 4 <= this.length, "a patch lies within the bytes written");
    this.#view.setInt32(at, value);
  }

  /** A view of what was written; later writes may move the buffer, so take it last. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }

  /** What was written, in a buffer of its own that is exactly as long. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }

  /** Forgets what was written; the buffer stays. */
  reset(): void {
    this.length = 0;
  }
}
