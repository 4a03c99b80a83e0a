import { describe, expect, test } from "vitest";
import { AnswerWindow } from "../../../core/server/answer-window.ts";
import { MARK_BYTES, STALL_MS_MAX, UNREAD_BYTES_END, UNREAD_BYTES_MAX } from "../../../core/server/config.ts";

const mark = (low: number): { high: number; low: number } => ({ high: 7, low });

/** Sends a message of `bytes` that ends with a mark. */
function sendMarked(window: AnswerWindow, now: number, bytes: number, low: number): void {
  window.marked(mark(low), bytes);
  window.sent(now, bytes, 0);
}

describe("answers that are not read", () => {
  test("[NODE-40] a client that sends marks back is served up to 1 MiB ahead of what it has read", () => {
    const window = new AnswerWindow(0);
    window.announced();
    sendMarked(window, 0, UNREAD_BYTES_MAX - 1, 1);
    expect(window.isOpen(0)).toBe(true);
    expect(window.isOpen(1), "answers under way count").toBe(false);
    sendMarked(window, 0, 5 * UNREAD_BYTES_MAX, 2);
    expect(window.isOpen(0)).toBe(false);
    expect(window.overrun, "one answer may be long").toBe(false);
    window.echoed(1, mark(1));
    expect(window.unread).toBe(5 * UNREAD_BYTES_MAX);
    window.echoed(2, mark(2));
    expect(window.unread).toBe(0);
    expect(window.isOpen(0)).toBe(true);
  });

  test("[NODE-40] a mark that was never sent, or was returned before, counts as no progress", () => {
    const window = new AnswerWindow(0);
    window.announced();
    sendMarked(window, 0, 100, 1);
    sendMarked(window, 0, 100, 2);
    window.echoed(1, mark(3));
    expect(window.unread).toBe(200);
    window.echoed(1, mark(2));
    window.sent(1, 50, 0);
    window.echoed(1, mark(1));
    window.echoed(1, mark(2));
    expect(window.unread).toBe(50);
  });

  test("[NODE-40] a mark is due after every 256 KiB", () => {
    const window = new AnswerWindow(0);
    expect(window.isMarkDue(MARK_BYTES - 1)).toBe(false);
    expect(window.isMarkDue(MARK_BYTES)).toBe(true);
    window.sent(0, MARK_BYTES - 1, 0);
    sendMarked(window, 0, 1, 1);
    expect(window.isMarkDue(MARK_BYTES - 1)).toBe(false);
    expect(window.isMarkDue(MARK_BYTES)).toBe(true);
  });

  test("[NODE-40] a client with too much unread data is stalled after 20 s without progress", () => {
    const window = new AnswerWindow(0);
    window.announced();
    sendMarked(window, 1_000, 100, 1);
    sendMarked(window, 2_000, UNREAD_BYTES_MAX, 2);
    expect(window.isStalled(2_000 + STALL_MS_MAX)).toBe(false);
    expect(window.isStalled(2_001 + STALL_MS_MAX)).toBe(true);
    window.echoed(9_000, mark(1));
    expect(window.isStalled(9_000 + STALL_MS_MAX)).toBe(false);
    expect(window.isStalled(9_001 + STALL_MS_MAX)).toBe(true);
    window.echoed(9_001, mark(2));
    expect(window.isStalled(1e9), "a client that has read all is idle, not stalled").toBe(false);
  });

  test("[NODE-40] unread watch events overrun the connection; one long answer does not", () => {
    const window = new AnswerWindow(0);
    window.announced();
    window.sent(0, 3 * UNREAD_BYTES_END, 0);
    expect(window.overrun).toBe(false);
    for (let sent = 0; sent < UNREAD_BYTES_END; sent += 1_000_000) {
      expect(window.overrun).toBe(false);
      window.sent(0, 1_000_000, 0);
    }
    expect(window.overrun).toBe(true);
  });

  test("[NODE-40] a client without marks has a limit of its own for unread data", () => {
    const window = new AnswerWindow(0);
    window.sent(0, UNREAD_BYTES_MAX, 0);
    expect(window.isOpen(0)).toBe(true);
    window.sent(0, UNREAD_BYTES_END - UNREAD_BYTES_MAX - 1, 0);
    expect([window.isOpen(0), window.isOpen(1), window.overrun]).toEqual([true, false, false]);
    window.heard(1e9);
    expect(window.unread, "long answers do not count as read").toBe(UNREAD_BYTES_END - 1);
    window.sent(1e9, 1, 0);
    expect(window.overrun).toBe(true);
  });

  test("[NODE-40] small answers of a client without marks count as read while it sends requests", () => {
    const window = new AnswerWindow(0);
    window.sent(0, 2_000_000, 2_000_000);
    expect(window.unread).toBe(2_000_000);
    window.heard(100);
    expect(window.unread).toBeLessThan(2_000_000);
    expect(window.unread).toBeGreaterThan(1_000_000);
    window.heard(50);
    window.heard(10_000);
    expect(window.unread).toBe(0);
    window.heard(20_000);
    expect(window.unread).toBe(0);
  });
});
