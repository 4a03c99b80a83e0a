/** The unanswered requests of a session, as the bytes that are sent, and sent again after a reconnect. */
import { Fifo } from "../../core/fifo.ts";
import { LENGTH_BYTES } from "../../core/wire/jute/frame.ts";
import type { OpCode } from "../../core/wire/jute/opcodes.ts";
import type { Reply } from "../../core/wire/jute/ops/op.ts";
import { opcodeOf, writeRequest } from "../../core/wire/jute/requests.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import type { ReadRequest, WriteRequest } from "../../core/znode/types.ts";
import { checkLength } from "./arguments.ts";
import { MESSAGE_BYTES_MAX, OUTSTANDING_MAX, XID_MAX } from "./config.ts";
import { ZooError } from "./errors.ts";
import type { WatchListener } from "./types.ts";

/** The watch of a read. */
export interface WatchOfRead {
  readonly kind: "data" | "child";
  readonly listener: WatchListener;
}

/** A request that waits for its answer. */
export interface PendingRequest {
  readonly xid: number;
  readonly opcode: OpCode;
  /** "" if it names no znode */
  readonly path: string;
  readonly isWrite: boolean;
  /** sent over any connection */
  sent: boolean;
  /** sent again over a later connection */
  sentAgain: boolean;
  /** the message that contains it, once that is complete, and its place there: kept for sending it again */
  message: Uint8Array | undefined;
  start: number;
  end: number;
  /** registered when the answer comes */
  readonly watch: WatchOfRead | undefined;
  /** takes the result from the answer */
  readonly pick: (reply: Reply) => unknown;
  readonly succeed: (result: unknown) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Numbers, encodes and keeps requests until they are answered. What one tick issues is one message.
 *
 * Invariant: pending requests are in the order of their numbers, which is the order of their answers. The newest of them
 * (`#open`) are in the message that is being written; each of the others is in a complete message.
 * @source ZooKeeper `ClientCnxn`: outgoingQueue and pendingQueue
 */
export class Outbox {
  /** the message that is being written; other packets of the connection may be added to it */
  readonly writer = new ByteWriter(4096);
  readonly #pending = new Fifo<PendingRequest>();
  #open: PendingRequest[] = [];
  #lastXid: number;

  /** @param lastXid number of the session's last request, from which a continued session continues */
  constructor(lastXid: number) {
    this.#lastXid = lastXid;
  }

  /** requests that wait for their answers */
  get length(): number {
    return this.#pending.length;
  }

  /** Whether every number is used. If numbers began at 1 again, requests would be repeats and get old results. */
  get isExhausted(): boolean {
    return this.#lastXid >= XID_MAX;
  }

  get isFull(): boolean {
    return this.#pending.length >= OUTSTANDING_MAX;
  }

  /** Whether the message that is being written is long enough to be sent before the end of the tick. */
  get isLong(): boolean {
    return this.writer.length >= MESSAGE_BYTES_MAX;
  }

  /** Encodes a request under the next number. @throws ZooError TOO_LARGE; nothing is written then, and no number taken */
  add(
    request: WriteRequest | ReadRequest,
    isWrite: boolean,
    watch: WatchOfRead | undefined,
    pick: (reply: Reply) => unknown,
    succeed: (result: unknown) => void,
    fail: (error: unknown) => void,
  ): void {
    const { writer } = this;
    const start = writer.length;
    const xid = this.#lastXid + 1;
    try {
      writeRequest(writer, xid, request);
      checkLength(writer.length - start - LENGTH_BYTES);
    } catch (error) {
      // half a packet would corrupt all that follow
      writer.length = start;
      throw error;
    }
    this.#lastXid = xid;
    const pending: PendingRequest = {
      xid,
      opcode: opcodeOf(request),
      path: "path" in request ? request.path : "",
      isWrite,
      sent: false,
      sentAgain: false,
      message: undefined,
      start,
      end: writer.length,
      watch,
      pick,
      succeed,
      fail,
    };
    this.#pending.push(pending);
    this.#open.push(pending);
  }

  /**
   * Completes the message that is being written.
   * @param leaves whether it is sent now; if not, its requests wait for a connection
   * @returns undefined when nothing is written
   */
  seal(leaves: boolean): Uint8Array<ArrayBuffer> | undefined {
    if (this.writer.length === 0) return undefined;
    // the socket and unanswered requests keep the bytes, so the buffer is not reused
    const message = this.writer.finish();
    this.writer.reset();
    for (const pending of this.#open) {
      pending.message = message;
      if (leaves) pending.sent = true;
    }
    this.#open = [];
    return message;
  }

  /** Writes every pending request again, in order, with its number and bytes. @param flush sends what is written so far */
  repeat(flush: () => void): void {
    for (const pending of this.#pending.items()) {
      if (pending.message === undefined) continue;
      if (this.isLong) flush();
      const start = this.writer.length;
      this.writer.bytes(pending.message.subarray(pending.start, pending.end));
      pending.start = start;
      pending.end = this.writer.length;
      pending.sentAgain = pending.sent;
      this.#open.push(pending);
    }
  }

  /** Takes the request of an answer. @throws ZooError MARSHALLING_ERROR if it is not the oldest: that one fails */
  take(xid: number): PendingRequest {
    const pending = this.#pending.shift();
    if (pending?.xid === xid) return pending;
    pending?.fail(lossOf(pending));
    throw new ZooError(
      "MARSHALLING_ERROR",
      `request ${xid} is answered before ${pending?.xid ?? "it was sent"}`,
    );
  }

  /** Fails all requests. @param cause why requests were not carried out; undefined: the connection was lost */
  fail(cause: ZooError | undefined): void {
    for (const pending of this.#pending.drain()) pending.fail(lossOf(pending, cause));
  }
}

/** The session has later writes than this one, and the node has forgotten its result. */
export const forgotten = (pending: PendingRequest): ZooError =>
  new ZooError(
    "UNKNOWN_OUTCOME",
    `the connection was lost before the answer came, and the result is remembered no more (${pending.path})`,
  );

/** The error of a request without an answer: a write that was sent may have been carried out. */
function lossOf(pending: PendingRequest, cause?: ZooError): ZooError {
  return pending.isWrite && pending.sent
    ? new ZooError("UNKNOWN_OUTCOME", `the connection was lost before the answer came (${pending.path})`)
    : (cause ??
        new ZooError(
          "CONNECTION_LOSS",
          `the connection was lost before the request was carried out (${pending.path})`,
        ));
}
