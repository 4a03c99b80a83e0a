/**
 * Finds the close frame in the bytes that a WebSocket server sends. Only headers of frames are read.
 * @source RFC 6455 §5.2
 */

const OPCODE = 0x0f;
const CLOSE = 0x8;
const MASKED = 0x80;
const LENGTH = 0x7f;
/** bytes of a header without a mask, by the length in its second byte */
const headerBytes = (second: number): number => {
  const length = second & LENGTH;
  return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & MASKED) !== 0 ? 4 : 0);
};

/** State of the search, for one direction of one connection. */
export class CloseWatch {
  /** bytes until the next header, including the head of the HTTP answer; undefined while that head is incomplete */
  #skip: number | undefined;
  /** bytes of an incomplete header, or the last bytes of the head of the HTTP answer */
  #head = Buffer.alloc(0);
  #found = false;

  /** @returns whether a close frame has begun so far */
  take(chunk: Buffer): boolean {
    let at = 0;
    if (this.#skip === undefined) {
      const from = this.#head.length;
      this.#head = Buffer.concat([this.#head, chunk]);
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) {
        this.#head = this.#head.subarray(-3);
        return false;
      }
      at = end + 4 - from;
      this.#skip = 0;
      this.#head = Buffer.alloc(0);
    }
    while (!this.#found && at < chunk.length) at = this.#step(chunk, at);
    return this.#found;
  }

  /** @returns position of the next step */
  #step(chunk: Buffer, at: number): number {
    const skip = Math.min(this.#skip ?? 0, chunk.length - at);
    this.#skip = (this.#skip ?? 0) - skip;
    if (skip > 0) return at + skip;
    const before = this.#head.length;
    const known = Buffer.concat([this.#head, chunk.subarray(at, at + 14 - before)]);
    if (((known[0] ?? 0) & OPCODE) === CLOSE) {
      this.#found = true;
      return chunk.length;
    }
    const size = known.length < 2 ? 2 : headerBytes(known[1] ?? 0);
    if (known.length < size) {
      this.#head = known;
      return chunk.length;
    }
    this.#head = Buffer.alloc(0);
    this.#skip = payloadBytes(known);
    return at + size - before;
  }
}

function payloadBytes(header: Buffer): number {
  const length = (header[1] ?? 0) & LENGTH;
  if (length === 126) return header.readUInt16BE(2);
  return length === 127 ? Number(header.readBigUInt64BE(2)) : length;
}
