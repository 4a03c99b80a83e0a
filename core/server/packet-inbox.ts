/** Packets of a client that wait to be served, undecoded. */
import { Fifo } from "../fifo.ts";
import type { FrameCursor } from "../wire/jute/frame.ts";
import { INBOX_BYTES_MAX } from "./config.ts";

/** A message, or the unserved rest of one. */
export interface WaitingPackets {
  readonly message: Uint8Array;
  /** positioned before the next packet to serve */
  readonly frames: FrameCursor;
}

/**
 * Messages in the order of arrival.
 * Invariant: each has an unserved rest; `#bytes` is the total of these rests.
 */
export class PacketInbox {
  readonly #messages = new Fifo<WaitingPackets>();
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** Whether more waits than any client sends that waits for answers. */
  get isOverfull(): boolean {
    return this.#bytes > INBOX_BYTES_MAX;
  }

  /** The message that is served next; undefined if none waits. */
  get first(): WaitingPackets | undefined {
    return this.#messages.first;
  }

  /** Queues the rest of a message. */
  push(message: Uint8Array, frames: FrameCursor): void {
    this.#messages.push({ message, frames });
    this.#bytes += frames.left;
  }

  /** Counts served bytes of the first message, and removes it when none is left. @param bytes number of served bytes */
  served(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#messages.first?.frames.ended === true) this.#messages.shift();
  }
}
