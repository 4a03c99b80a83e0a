/** Packets of a client that wait to be served, as the bytes that came. */
import { Fifo } from "../fifo.ts";
import type { FrameCursor } from "../wire/jute/frame.ts";
import { INBOX_BYTES_MAX } from "./config.ts";

/** A message, or what is left of it. */
export interface WaitingPackets {
  readonly message: Uint8Array;
  /** stands before the next packet to serve */
  readonly frames: FrameCursor;
}

/**
 * Messages in the order in which they came.
 * Invariant: none of them is served completely; `#bytes` is what is left of all.
 */
export class PacketInbox {
  readonly #messages = new Fifo<WaitingPackets>();
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** More waits than any client has that waits for answers. */
  get isOverfull(): boolean {
    return this.#bytes > INBOX_BYTES_MAX;
  }

  /** The message that is served next; undefined when none waits. */
  get first(): WaitingPackets | undefined {
    return this.#messages.first;
  }

  /** Lets what is left of a message wait. */
  push(message: Uint8Array, frames: FrameCursor): void {
    this.#messages.push({ message, frames });
    this.#bytes += frames.left;
  }

  /** Some of the first message has been served. @param bytes of it; it goes when nothing is left */
  served(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#messages.first?.frames.ended === true) this.#messages.shift();
  }
}
