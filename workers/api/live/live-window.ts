/**
 * Flow control of `/v1/live`. A WebSocket does not reveal how much of its data is unread, and a client could report more
 * than it has read; so it has to return marks, unpredictable texts that the server sends between the frames (decision
 * 0013). A client of an earlier version only reports counts, which are accepted up to a bound.
 */

import {
  LIVE_MARK_CHARS,
  LIVE_STALL_MS_MAX,
  LIVE_UNPROVEN_CHARS_MAX,
  LIVE_UNREAD_CHARS_MAX,
  LIVE_WAIT_CHARS,
} from "../config.ts";

/** Characters that were sent and read. Invariant: 0 ≤ proven ≤ sent, and 0 ≤ reported ≤ sent. */
export class LiveWindow {
  /** total of characters sent */
  #sent = 0;
  /** of these, characters that the client has reported as read */
  #reported = 0;
  /** of these, characters that a mark has proven to be read */
  #proven = 0;
  #marks: { readonly mark: string; readonly sent: number }[] = [];
  #markedAt = 0;
  /** time of the last progress of the client, or when it began to have too much unread, ms */
  #progressAt: number;

  constructor(now: number) {
    this.#progressAt = now;
  }

  get #unread(): number {
    return this.#sent - (this.#proven > 0 ? this.#proven : this.#reported);
  }

  get hasRoom(): boolean {
    return this.#unread < LIVE_WAIT_CHARS;
  }

  get overrun(): boolean {
    return this.#unread > LIVE_UNREAD_CHARS_MAX || this.#sent - this.#proven > LIVE_UNPROVEN_CHARS_MAX;
  }

  isStalled(now: number): boolean {
    return !this.hasRoom && now - this.#progressAt > LIVE_STALL_MS_MAX;
  }

  sent(now: number, chars: number): void {
    if (this.hasRoom) this.#progressAt = now;
    this.#sent += chars;
  }

  get isMarkDue(): boolean {
    return this.#sent - this.#markedAt >= LIVE_MARK_CHARS;
  }

  /** Records that `mark` is sent after everything so far. @returns the mark */
  mark(mark: string): string {
    this.#markedAt = this.#sent;
    this.#marks.push({ mark, sent: this.#sent });
    return mark;
  }

  /**
   * Handles a report that the client has read `chars` since its last one.
   * @param mark the last mark that it has read; an unknown one is ignored
   */
  heard(now: number, chars: number, mark?: string): void {
    if (chars > 0 && this.#proven === 0) this.#progressAt = now;
    this.#reported = Math.min(this.#sent, this.#reported + chars);
    const at = this.#marks.findIndex((each) => each.mark === mark);
    const found = this.#marks[at];
    if (found === undefined) return;
    this.#marks.splice(0, at + 1);
    this.#proven = found.sent;
    this.#progressAt = now;
  }
}
