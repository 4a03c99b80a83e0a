/** A cursor over big-endian bytes that never reads past their end. */
import { copyData } from "./data-pool.ts";
import { internUtf8 } from "./intern.ts";

const HIGH = 2 ** 32;

/** The bytes do not match the layout. The caller answers MARSHALLING_ERROR. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** The 64 bits at `at` as a number. @throws WireError beyond the safe integers */
export function i64At(view: DataView, at: number): number {
  const value = view.getInt32(at) * HIGH + view.getUint32(at + 4);
  if (!Number.isSafeInteger(value)) throw new WireError("a 64-bit number is out of range");
  return value;
}

/**
 * Reads big-endian numbers and jute values in order.
 * Invariant: `at ≤ end`; a read that would go beyond `end` throws WireError.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  /** all bytes; {@link at} and {@link end} are offsets in it */
  readonly view: DataView;
  /** next byte to read */
  at: number;
  /** one past the last byte that may be read */
  end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  #take(count: number): number {
    const at = this.at;
    if (count < 0 || at + count > this.end)
      throw new WireError(`${count} bytes wanted, ${this.end - at} left`);
    this.at = at + count;
    return at;
  }

  u8(): number {
    return this.view.getUint8(this.#take(1));
  }

  bool(): boolean {
    return this.u8() !== 0;
  }

  i16(): number {
    return this.view.getInt16(this.#take(2));
  }

  i32(): number {
    return this.view.getInt32(this.#take(4));
  }

  u32(): number {
    return this.view.getUint32(this.#take(4));
  }

  /** 64 bits as a number. @throws WireError beyond the safe integers */
  i64(): number {
    return i64At(this.view, this.#take(8));
  }

  /** Steps over `count` bytes. @returns their offset in {@link view} */
  skip(count: number): number {
    return this.#take(count);
  }

  /** A view of the next `count` bytes; it shares their memory. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** jute buffer; a view, or null. */
  buffer(): Uint8Array | null {
    const size = this.i32();
    return size === -1 ? null : this.bytes(size);
  }

  /** jute buffer; a copy that outlives the bytes read, or null. */
  bufferCopy(): Uint8Array | null {
    const size = this.i32();
    if (size === -1) return null;
    const at = this.#take(size);
    return copyData(this.#bytes, at, at + size);
  }

  /** jute ustring. @throws WireError for null or bad UTF-8 */
  string(): string {
    const size = this.i32();
    const at = this.#take(size);
    const text = internUtf8(this.#bytes, at, at + size);
    if (text === undefined) throw new WireError("a string is not valid UTF-8");
    return text;
  }

  /** jute vector length; null reads as 0. @param elementBytesMin bounds the allocation for a hostile count */
  count(elementBytesMin: number): number {
    const count = this.i32();
    if (count < -1 || count * elementBytesMin > this.left)
      throw new WireError(`a vector of ${count} does not fit`);
    return Math.max(count, 0);
  }
}
