/**
 * How much of `/v1/live` its client has not read. A WebSocket does not tell what it still holds, and a client could say
 * that it has read what it has not; so it has to send back marks, unpredictable texts that the server puts between the
 * frames (decision 0013). A client of an earlier version only counts what it has read: it is believed up to a bound.
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
  /** characters sent in all */
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

  /** Notes that `mark` is sent after everything so far. @returns the mark */
  mark(mark: string): string {
    this.#markedAt = this.#sent;
    this.#marks.push({ mark, sent: this.#sent });
    return mark;
  }

  /** The client has read `chars` since its last report. @param mark the last one that it has read; an unknown one is ignored */
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
