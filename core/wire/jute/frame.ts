/**
 * Frames: `[i32 length][payload]`, any number of whole ones in one message, none split over two.
 * @source ZooKeeper `NIOServerCnxn`; `jute.maxbuffer`
 */
import { ByteReader, WireError } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";

/** The longest payload that a server takes: `jute.maxbuffer`'s default. Replies may be longer. */
export const FRAME_BYTES_MAX = 0xfffff;

/** Bytes of the length that leads a payload. */
export const LENGTH_BYTES = 4;

/** Begins a frame. @returns what {@link endFrame} needs */
export function beginFrame(writer: ByteWriter): number {
  const at = writer.length;
  writer.i32(0);
  return at;
}

/** Ends the frame begun at `at`: its length is known now. */
export function endFrame(writer: ByteWriter, at: number): void {
  writer.patchI32(at, writer.length - at - LENGTH_BYTES);
}

/**
 * Walks the frames of a message that holds whole ones; a stream is cut into such messages by `Framer`. `reader` stands at the
 * payload of the current one and ends with it.
 */
export class FrameCursor {
  readonly reader: ByteReader;
  readonly #message: Uint8Array;
  readonly #end: number;
  readonly #payloadMax: number;
  #next = 0;

  /** @param payloadMax bytes of the longest payload taken */
  constructor(message: Uint8Array, payloadMax = FRAME_BYTES_MAX) {
    this.#message = message;
    this.reader = new ByteReader(message);
    this.#end = message.length;
    this.#payloadMax = payloadMax;
  }

  /** Bytes behind the current frame. */
  get left(): number {
    return this.#end - this.#next;
  }

  get ended(): boolean {
    return this.#next === this.#end;
  }

  /** Another cursor at the same place. */
  copy(): FrameCursor {
    const copy = new FrameCursor(this.#message, this.#payloadMax);
    copy.#next = this.#next;
    return copy;
  }

  /** Steps to the next frame. @returns false at the end. @throws WireError for a frame too long or not whole */
  next(): boolean {
    if (this.#next === this.#end) return false;
    const { reader } = this;
    reader.at = this.#next;
    reader.end = this.#end;
    const size = reader.i32();
    if (size < 0 || size > this.#payloadMax) throw new WireError(`a frame of ${size} bytes`);
    if (size > reader.left) throw new WireError("a frame is split over two messages");
    reader.end = reader.at + size;
    this.#next = reader.end;
    return true;
  }
}
