/**
 * Cache of encoded lists of children. A list is identified by its array: the tree returns the same array until the children change.
 */
import { MiB } from "../../units.ts";
import type { ByteReader } from "../reader.ts";
import { ByteWriter } from "../writer.ts";

/** Shorter lists are encoded each time. */
const NAMES_MIN = 256;
/** Maximum of bytes of all cached lists. */
const BYTES_MAX = 8 * MiB;

/**
 * *map list → its vector of ustring*.
 * Invariant: the bytes kept are at most {@link BYTES_MAX}; a list's bytes are those that `writeNames` would write.
 * @source ZooKeeper `ResponseCache`
 */
export class EncodedNames {
  /** least recently used first */
  readonly #kept = new Map<readonly string[], Uint8Array>();
  #bytes = 0;

  /** Number of cached bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes a vector of ustring. */
  write(writer: ByteWriter, names: readonly string[]): void {
    if (names.length < NAMES_MIN) writeNames(writer, names);
    else writer.bytes(this.#encoded(names));
  }

  #encoded(names: readonly string[]): Uint8Array {
    const known = this.#kept.get(names);
    if (known !== undefined) {
      this.#kept.delete(names);
      this.#kept.set(names, known);
      return known;
    }
    const writer = new ByteWriter(names.length * 16);
    writeNames(writer, names);
    const encoded = writer.view();
    if (encoded.length > BYTES_MAX) return encoded;
    this.#kept.set(names, encoded);
    this.#bytes += encoded.buffer.byteLength;
    for (const [list, bytes] of this.#kept) {
      if (this.#bytes <= BYTES_MAX || list === names) break;
      this.#kept.delete(list);
      this.#bytes -= bytes.buffer.byteLength;
    }
    return encoded;
  }
}

/** Writes a vector of ustring. */
export function writeNames(writer: ByteWriter, names: readonly string[]): void {
  writer.i32(names.length);
  for (const name of names) writer.string(name);
}

/** Reads a vector of ustring. @throws WireError */
export function readNames(reader: ByteReader): string[] {
  const count = reader.count(4);
  const names: string[] = [];
  for (let i = 0; i < count; i++) names.push(reader.string());
  return names;
}
