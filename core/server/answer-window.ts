/**
 * How many bytes of answers one connection may have unread. A Durable Object does not know what its WebSocket still holds, so
 * the client has to show what it has read: behind every 256 KiB of answers the node sends a mark, an unpredictable number,
 * and the client sends it back. What was sent before the mark is read then.
 *
 * A client that does not know of marks is served up to a bound of its own. Its small answers count as read after a while:
 * it would otherwise have to connect again every few minutes.
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
 * The bytes of one connection that were sent and are not read.
 * Invariant: 0 ≤ read ≤ sent; a client that sends marks back has read exactly what it has shown.
 * @source decision 0013
 */
export class AnswerWindow {
  /** the client sends marks back: it said so in its handshake, or did it */
  #echoes = false;
  /** bytes sent in all */
  #sent = 0;
  /** of these, bytes that count as read */
  #read = 0;
  /** small answers of a client without marks that do not count as read yet; bytes */
  #small = 0;
  /** bytes sent since the client has too much unread */
  #excess = 0;
  #heardAt: number;
  /** when the client has shown last that it reads, or began to have too much unread; ms */
  #progressAt: number;
  #markedAt = 0;
  /** marks that did not come back, oldest first, with the bytes sent before each */
  #marks: { readonly mark: Mark; readonly sent: number }[] = [];

  constructor(now: number) {
    this.#heardAt = now;
    this.#progressAt = now;
  }

  /** Bytes sent that the client has not shown to have read. */
  get unread(): number {
    return this.#sent - this.#read;
  }

  /** Does the client send marks back? */
  get echoes(): boolean {
    return this.#echoes;
  }

  /** The client says that it sends marks back. */
  announced(): void {
    this.#echoes = true;
  }

  /** @param reserved bytes of the answers under way. @returns whether one more request may be served */
  isOpen(reserved: number): boolean {
    return this.unread + reserved < (this.#echoes ? UNREAD_BYTES_MAX : UNREAD_BYTES_END);
  }

  /** Too much is unread to keep this connection. */
  get overrun(): boolean {
    return (this.#echoes ? this.#excess : this.unread) >= UNREAD_BYTES_END;
  }

  /** @returns whether the client should have read by now, and did not */
  isStalled(now: number): boolean {
    return this.#echoes && this.unread >= UNREAD_BYTES_MAX && now - this.#progressAt > STALL_MS_MAX;
  }

  /** A message of the client came. */
  heard(now: number): void {
    if (!this.#echoes && this.#small > 0) {
      const read = Math.min(this.#small, Math.max(0, now - this.#heardAt) * SMALL_BYTES_PER_MS);
      this.#small -= read;
      this.#read += read;
    }
    this.#heardAt = now;
  }

  /** A message was sent. @param small bytes of the small answers in it */
  sent(now: number, bytes: number, small: number): void {
    if (this.unread < UNREAD_BYTES_MAX) {
      this.#progressAt = now;
      this.#excess = 0;
    } else this.#excess += bytes;
    this.#sent += bytes;
    if (!this.#echoes) this.#small += small;
  }

  /** @param bytes of the message that is about to be sent. @returns whether it should end with a mark */
  isMarkDue(bytes: number): boolean {
    return this.#sent + bytes - this.#markedAt >= MARK_BYTES;
  }

  /** The message of `bytes` that is about to be sent ends with this mark. */
  marked(mark: Mark, bytes: number): void {
    this.#markedAt = this.#sent + bytes;
    this.#marks.push({ mark, sent: this.#markedAt });
  }

  /** The client sends a mark back. One that is unknown, or came back before, changes nothing. */
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
