/** What a connection has written and not sent yet, beside what its client has not read yet. */
import type { Mark } from "../wire/jute/marks.ts";
import { writeMark } from "../wire/jute/marks.ts";
import { ByteWriter } from "../wire/writer.ts";
import type { Zxid } from "../zab/zxid.ts";
import { AnswerWindow } from "./answer-window.ts";
import { ANSWER_SLACK_BYTES, KEPT_BUFFER_BYTES_MAX, SHARE_COST } from "./config.ts";

/** Bytes that a new buffer has room for. */
const CAPACITY = 1024;

/**
 * Packets that leave as one message, with a mark behind every 256 KiB (see {@link AnswerWindow}).
 * Invariant: `#small` is how many of the bytes in `writer` belong to small answers.
 */
export class AnswerBuffer {
  readonly window: AnswerWindow;
  #writer = new ByteWriter(CAPACITY);
  #small = 0;

  /** @param elapsedMs of a clock that nobody sets */
  constructor(elapsedMs: number) {
    this.window = new AnswerWindow(elapsedMs);
  }

  /** Where packets are written. It changes when a message is sent. */
  get writer(): ByteWriter {
    return this.#writer;
  }

  /** Bytes written and not sent. */
  get length(): number {
    return this.#writer.length;
  }

  /** @param reserved bytes of the answers under way. @returns whether one more request may be served */
  isOpen(reserved: number): boolean {
    return this.window.isOpen(reserved + this.#writer.length);
  }

  /** One more answer may be written: what is written leaves soon, and is read. */
  get hasRoom(): boolean {
    return this.#writer.length < SHARE_COST && this.window.isOpen(this.#writer.length);
  }

  /** A long answer of about this many bytes is about to be written: makes room at once. */
  expect(bytes: number): void {
    if (bytes > KEPT_BUFFER_BYTES_MAX) this.#writer.ensure(bytes + ANSWER_SLACK_BYTES);
  }

  /** A packet was written. @param before {@link length} before it */
  written(before: number): void {
    const bytes = this.#writer.length - before;
    if (this.window.isSmall(bytes)) this.#small += bytes;
  }

  /**
   * Takes what is written, to be sent now.
   * @param newMark gives 64 unpredictable bits, where a mark is due
   * @returns undefined when nothing is written; else the caller owns the bytes
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
