/** One WebSocket on which the handshake is done. */
import { FrameCursor } from "../../core/wire/jute/frame.ts";
import { readMark, writeMarkEcho } from "../../core/wire/jute/marks.ts";
import { OpCode, ReservedXid } from "../../core/wire/jute/opcodes.ts";
import { writeBareRequest } from "../../core/wire/jute/requests.ts";
import type { ByteReader } from "../../core/wire/reader.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { CHECK_MS_MAX, CHECKS_PER_TIMEOUT, SILENCE_MS_MAX, SILENCE_OF_TIMEOUT } from "./config.ts";
import { ZooError } from "./errors.ts";
import type { SocketLike } from "./socket.ts";

/** Listener of a channel. It is not called after {@link Channel.close}. */
export interface ChannelOwner {
  /** requests that wait for their answers */
  readonly outstanding: number;
  /** A packet has arrived; the reader is after its header. An error that this throws is {@link onGarbage}. */
  onPacket(xid: number, epoch: number, counter: number, err: number, reader: ByteReader): void;
  /** The server has sent bytes that cannot be decoded. */
  onGarbage(error: Error): void;
  /** The server has been silent for too long; ms. */
  onSilence(ms: number): void;
  /** The socket was closed, by the server or by the network. */
  onClose(code: number, reason: string): void;
}

const CLOSE_NORMAL = 1000;

/**
 * Sends messages and reads packets; keeps the socket alive by pings, returns the server's marks, and notices a silent server.
 *
 * Invariant: after {@link close}, or after the socket was closed, the owner is not called.
 * @source ZooKeeper `ClientCnxnSocket` and the pings of `ClientCnxn.SendThread`
 */
export class Channel {
  readonly #socket: SocketLike;
  readonly #owner: ChannelOwner;
  readonly #timeoutMs: number;
  readonly #checkMs: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #isOpen = true;
  /** whether the server has answered a ping */
  #ponged = false;
  // ms of performance.now()
  #sentAt = performance.now();
  #receivedAt = this.#sentAt;
  #checkedAt = this.#sentAt;

  /** Takes over the socket. @param timeoutMs of the session */
  constructor(socket: SocketLike, timeoutMs: number, owner: ChannelOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#timeoutMs = timeoutMs;
    this.#checkMs = Math.min(timeoutMs / CHECKS_PER_TIMEOUT, CHECK_MS_MAX);
    this.#timer = setInterval(() => this.#check(), this.#checkMs);
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => {
      this.#detach();
      owner.onClose(code, reason);
    };
  }

  /** Sends whole packets as one message, and keeps the bytes. */
  send(message: Uint8Array<ArrayBuffer>): void {
    this.#sentAt = performance.now();
    this.#socket.send(message);
  }

  /** Closes the socket. */
  close(): void {
    if (!this.#isOpen) return;
    this.#detach();
    this.#socket.close(CLOSE_NORMAL);
  }

  #detach(): void {
    this.#isOpen = false;
    clearInterval(this.#timer);
    this.#socket.onclose = null;
    this.#socket.onmessage = null;
  }

  /** A message holds one or more whole packets. */
  #receive(data: unknown): void {
    this.#receivedAt = performance.now();
    try {
      if (!(data instanceof ArrayBuffer)) throw new ZooError("MARSHALLING_ERROR", "the server sent text");
      // a reply may be longer than any request
      const frames = new FrameCursor(new Uint8Array(data), Number.POSITIVE_INFINITY);
      while (this.#isOpen && frames.next()) this.#packet(frames.reader);
    } catch (error) {
      this.#owner.onGarbage(error as Error);
    }
  }

  #packet(reader: ByteReader): void {
    const xid = reader.i32();
    const epoch = reader.u32();
    const counter = reader.u32();
    const err = reader.i32();
    if (xid === ReservedXid.PING) this.#pong(reader);
    this.#owner.onPacket(xid, epoch, counter, err, reader);
  }

  /**
   * The answer to a ping, or a mark, which is returned at once: the server then knows that everything before it has
   * been read.
   */
  #pong(reader: ByteReader): void {
    this.#ponged = true;
    const mark = readMark(reader);
    if (mark === undefined) return;
    const writer = new ByteWriter(32);
    writeMarkEcho(writer, mark);
    this.send(writer.finish());
  }

  /** Pings a server to which nothing was sent for a while, and reports a silent server. */
  #check(): void {
    const now = performance.now();
    const patience = this.#timeoutMs * SILENCE_OF_TIMEOUT;
    const owesPingOnly = this.#ponged && this.#owner.outstanding === 0;
    // a process that was suspended or busy has not read what the server sent meanwhile
    const wasLate = now - this.#checkedAt > this.#checkMs * 1.5;
    this.#checkedAt = now;
    const silence = now - this.#receivedAt;
    if (
      !wasLate &&
      this.#sentAt > this.#receivedAt &&
      silence > (owesPingOnly ? Math.min(patience, SILENCE_MS_MAX) : patience)
    ) {
      this.#owner.onSilence(silence);
      return;
    }
    if (now - this.#sentAt >= this.#checkMs / 2) this.send(PING);
  }
}

const PING = encodePing();

function encodePing(): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(16);
  writeBareRequest(writer, ReservedXid.PING, OpCode.PING);
  return writer.finish();
}
