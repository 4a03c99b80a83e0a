/**
 * Flow control of answers. A Durable Object does not know how much of its WebSocket's data is unread, so the client has to
 * acknowledge what it has read: after every 256 KiB of answers the node sends a mark, an unpredictable number, and the
 * client returns it. Everything sent before the mark then counts as read.
 *
 * A client that does not return marks is served up to a separate bound. Its small answers count as read after a while;
 * otherwise it would have to reconnect every few minutes.
 */
import type { Mark } from "../wire/jute/marks.ts";
import {
  MARK_BYTES,
  SMALL_BYTES_MAX,
  SMALL_BYTES_PER_MS,
  STALL_MS_MAX,
  UNREAD_BYTES_END,
  UNREAD_BYTES_MAX,
} from "./config.ts";

/**
 * The bytes of one connection that were sent and not read.
 * Invariant: 0 ≤ read ≤ sent; for a client that returns marks, `read` is exactly what it has acknowledged.
 * @source decision 0013
 */
export class AnswerWindow {
  /** whether the client returns marks: it announced that in its handshake, or has returned one */
  #echoes = false;
  /** total of bytes sent */
  #sent = 0;
  /** total of bytes that count as read */
  #read = 0;
  /** bytes of small answers to a client without marks that do not count as read yet */
  #small = 0;
  /** bytes sent since the client has had too much unread */
  #excess = 0;
  #heardAt: number;
  /** when the client last acknowledged reading, or began to have too much unread; ms */
  #progressAt: number;
  #markedAt = 0;
  /** marks not returned yet, oldest first, with the bytes sent before each */
  #marks: { readonly mark: Mark; readonly sent: number }[] = [];

  constructor(now: number) {
    this.#heardAt = now;
    this.#progressAt = now;
  }

  /** Bytes sent that do not count as read. */
  get unread(): number {
    return this.#sent - this.#read;
  }

  /** Whether the client returns marks. */
  get echoes(): boolean {
    return this.#echoes;
  }

  /** Records that the client announced to return marks. */
  announced(): void {
    this.#echoes = true;
  }

  /** @param reserved expected bytes of the answers under way. @returns whether one more request may be served */
  isOpen(reserved: number): boolean {
    return this.unread + reserved < (this.#echoes ? UNREAD_BYTES_MAX : UNREAD_BYTES_END);
  }

  /** Whether so much is unread that the connection must be closed. */
  get overrun(): boolean {
    return (this.#echoes ? this.#excess : this.unread) >= UNREAD_BYTES_END;
  }

  /** Whether the client has too much unread and has read nothing for too long. */
  isStalled(now: number): boolean {
    return this.#echoes && this.unread >= UNREAD_BYTES_MAX && now - this.#progressAt > STALL_MS_MAX;
  }

  /** Records a message of the client. */
  heard(now: number): void {
    if (!this.#echoes && this.#small > 0) {
      const read = Math.min(this.#small, Math.max(0, now - this.#heardAt) * SMALL_BYTES_PER_MS);
      this.#small -= read;
      this.#read += read;
    }
    this.#heardAt = now;
  }

  /** Records a message that was sent. @param small bytes of the small answers in it */
  sent(now: number, bytes: number, small: number): void {
    if (this.unread < UNREAD_BYTES_MAX) {
      this.#progressAt = now;
      this.#excess = 0;
    } else this.#excess += bytes;
    this.#sent += bytes;
    if (!this.#echoes) this.#small += small;
  }

  /** @param bytes length of the message about to be sent. @returns whether it should end with a mark */
  isMarkDue(bytes: number): boolean {
    return this.#sent + bytes - this.#markedAt >= MARK_BYTES;
  }

  /** Records the mark at the end of the message of `bytes` about to be sent. */
  marked(mark: Mark, bytes: number): void {
    this.#markedAt = this.#sent + bytes;
    this.#marks.push({ mark, sent: this.#markedAt });
  }

  /** Handles a returned mark. An unknown mark, or one returned before, changes nothing. */
  echoed(now: number, { high, low }: Mark): void {
    const at = this.#marks.findIndex(({ mark }) => mark.high === high && mark.low === low);
    const found = this.#marks[at];
    if (found === undefined) return;
    this.#marks.splice(0, at + 1);
    this.#echoes = true;
    this.#small = 0;
    this.#read = Math.max(this.#read, found.sent);
    this.#progressAt = now;
    if (this.unread < UNREAD_BYTES_MAX) this.#excess = 0;
  }

  isSmall(bytes: number): boolean {
    return bytes <= SMALL_BYTES_MAX;
  }
}
