/** Answers that a connection has written and not sent yet, together with the window of unread ones. */
import type { Mark } from "../wire/jute/marks.ts";
import { writeMark } from "../wire/jute/marks.ts";
import { ByteWriter } from "../wire/writer.ts";
import type { Zxid } from "../zab/zxid.ts";
import { AnswerWindow } from "./answer-window.ts";
import { ANSWER_SLACK_BYTES, KEPT_BUFFER_BYTES_MAX, SHARE_COST } from "./config.ts";

/** Initial capacity of a buffer; bytes. */
const CAPACITY = 1024;

/**
 * Packets that are sent as one message, with a mark after every 256 KiB (see {@link AnswerWindow}).
 * Invariant: `#small` is the number of bytes in `writer` that belong to small answers.
 */
export class AnswerBuffer {
  readonly window: AnswerWindow;
  #writer = new ByteWriter(CAPACITY);
  #small = 0;

  /** @param elapsedMs of a monotonic clock */
  constructor(elapsedMs: number) {
    this.window = new AnswerWindow(elapsedMs);
  }

  /** The writer of the next message. It is replaced when a message is sent. */
  get writer(): ByteWriter {
    return this.#writer;
  }

  /** Number of bytes written and not sent. */
  get length(): number {
    return this.#writer.length;
  }

  /** @param reserved expected bytes of the answers under way. @returns whether one more request may be served */
  isOpen(reserved: number): boolean {
    return this.window.isOpen(reserved + this.#writer.length);
  }

  /** Whether one more answer may be written: little is unsent, and the client reads. */
  get hasRoom(): boolean {
    return this.#writer.length < SHARE_COST && this.window.isOpen(this.#writer.length);
  }

  /** Reserves capacity for a long answer of about this many bytes. */
  expect(bytes: number): void {
    if (bytes > KEPT_BUFFER_BYTES_MAX) this.#writer.ensure(bytes + ANSWER_SLACK_BYTES);
  }

  /** Counts a packet that was written. @param before {@link length} before it */
  written(before: number): void {
    const bytes = this.#writer.length - before;
    if (this.window.isSmall(bytes)) this.#small += bytes;
  }

  /**
   * Takes the written bytes, to be sent now.
   * @param newMark returns 64 unpredictable bits; called if a mark is due
   * @returns the bytes, owned by the caller; undefined if nothing was written
   */
  take(elapsedMs: number, zxid: Zxid, newMark: () => Mark): Uint8Array<ArrayBuffer> | undefined {
    const writer = this.#writer;
    if (writer.length === 0) return undefined;
    if (this.window.isMarkDue(writer.length)) {
      const mark = newMark();
      writeMark(writer, zxid, mark);
      this.window.marked(mark, writer.length);
    }
    this.window.sent(elapsedMs, writer.length, this.#small);
    this.#small = 0;
    if (writer.length > KEPT_BUFFER_BYTES_MAX) {
      this.#writer = new ByteWriter(CAPACITY);
      return writer.view();
    }
    const message = writer.finish();
    writer.reset();
    return message;
  }
}
