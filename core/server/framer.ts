/** Splits a stream of bytes into length-prefixed packets. */
import { viewOf } from "../hash/chain.ts";
import { FRAME_BYTES_MAX, LENGTH_BYTES } from "../wire/jute/frame.ts";

const NOTHING = new Uint8Array(0);
/** Initial size of the buffer of an incomplete packet; bytes. */
const BUFFER_BYTES_MIN = 256;

/**
 * Collects the bytes of a TCP stream until packets are whole. It reads requests of a client or, with another limit, replies
 * of a server: both are `[i32 length][payload]`.
 *
 * Invariant: the bytes returned, in order, are a prefix of the bytes taken, and less than one packet is kept. A length out
 * of bounds is returned after the packets before it, so that their reader (`FrameCursor`) serves those and then refuses it;
 * it ends the stream, because no later packet can be found.
 * @source ZooKeeper `NIOServerCnxn.readPayload`, `ClientCnxnSocketNIO.doIO`
 */
export class Framer {
  readonly #payloadMax: number;
  /** an incomplete packet: `#buffer` up to `#length` */
  #buffer = NOTHING;
  #length = 0;
  /** bytes of that packet, as far as they are known */
  #needed = LENGTH_BYTES;
  #isBroken = false;

  /** @param payloadMax bytes of the longest payload taken */
  constructor(payloadMax = FRAME_BYTES_MAX) {
    this.#payloadMax = payloadMax;
  }

  /**
   * Takes the next bytes of the stream.
   * @returns the packets that are now whole, concatenated; empty if there is none. It may be a view of `bytes`, which must
   * not change while it is in use.
   */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#isBroken) return NOTHING;
    if (this.#length === 0) return this.#cut(bytes);
    this.#append(bytes);
    if (this.#length < this.#needed) return NOTHING;
    const all = this.#buffer.subarray(0, this.#length);
    this.#buffer = NOTHING;
    this.#length = 0;
    return this.#cut(all);
  }

  /** Keeps the bytes after the last whole packet. @returns the bytes before them */
  #cut(bytes: Uint8Array): Uint8Array {
    const view = viewOf(bytes);
    let at = 0;
    this.#needed = LENGTH_BYTES;
    while (bytes.length - at >= LENGTH_BYTES) {
      const size = view.getInt32(at);
      if (size < 0 || size > this.#payloadMax) {
        this.#isBroken = true;
        return bytes.subarray(0, at + LENGTH_BYTES);
      }
      if (size > bytes.length - at - LENGTH_BYTES) {
        this.#needed = LENGTH_BYTES + size;
        break;
      }
      at += LENGTH_BYTES + size;
    }
    if (at < bytes.length) this.#append(bytes.subarray(at));
    return bytes.subarray(0, at);
  }

  /** Appends to the buffer, which grows with the bytes received, not with the announced length. */
  #append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#buffer.length, BUFFER_BYTES_MIN));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }
}
