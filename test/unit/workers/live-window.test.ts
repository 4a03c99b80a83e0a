/** Limits of what a client of `/v1/live` may leave unread. */
import { describe, expect, it } from "vitest";
import {
  LIVE_MARK_CHARS,
  LIVE_STALL_MS_MAX,
  LIVE_UNPROVEN_CHARS_MAX,
  LIVE_UNREAD_CHARS_MAX,
  LIVE_WAIT_CHARS,
} from "../../../workers/api/config.ts";
import { LiveWindow } from "../../../workers/api/live/live-window.ts";

const FRAME = 64 * 1024;

/** Sends frames until `until`. @returns characters sent */
function send(window: LiveWindow, until: () => boolean, each: (chars: number) => void = () => {}): number {
  let chars = 0;
  while (!until()) {
    window.sent(0, FRAME);
    chars += FRAME;
    each(FRAME);
    if (chars > 64 * 1024 * 1024) throw new Error("there is no bound");
  }
  return chars;
}

describe("the window of a live socket", () => {
  it("[HTTP-84] makes sources wait at 1 MiB, and is overrun at 4 MiB", () => {
    const window = new LiveWindow(0);
    expect(send(window, () => !window.hasRoom)).toBe(LIVE_WAIT_CHARS);
    expect(send(window, () => window.overrun)).toBe(LIVE_UNREAD_CHARS_MAX - LIVE_WAIT_CHARS + FRAME);
  });

  it("[HTTP-84] counts the marks that a client returns, and nothing else", () => {
    const window = new LiveWindow(0);
    const marks: string[] = [];
    let at = 0;
    const sendWithMarks = (chars: number): void => {
      for (let sent = 0; sent < chars; sent += FRAME) {
        window.sent(0, FRAME);
        if (window.isMarkDue) marks.push(window.mark(`mark ${at++}`));
      }
    };
    for (let round = 0; round < 100; round++) {
      sendWithMarks(LIVE_MARK_CHARS);
      expect(marks).toHaveLength(1);
      window.heard(0, LIVE_MARK_CHARS, marks.shift());
      expect([window.hasRoom, window.overrun]).toEqual([true, false]);
    }
    // from now on it claims to read, with marks that it has guessed or sent before
    for (const mark of ["mark 0", "mark 999", "guessed", undefined]) {
      sendWithMarks(LIVE_MARK_CHARS);
      window.heard(0, Number.MAX_SAFE_INTEGER, mark);
    }
    expect(window.hasRoom).toBe(false);
    sendWithMarks(LIVE_UNREAD_CHARS_MAX);
    expect(window.overrun).toBe(true);
  });

  it("[HTTP-84] ends a client that returns no marks after 8 MiB, whatever it claims to have read", () => {
    const window = new LiveWindow(0);
    const chars = send(
      window,
      () => window.overrun,
      (each) => window.heard(0, each),
    );
    expect(chars).toBe(LIVE_UNPROVEN_CHARS_MAX + FRAME);
  });

  it("[HTTP-84] is stalled if the client reads nothing for 20 s while sources wait", () => {
    const window = new LiveWindow(0);
    window.sent(1_000, LIVE_WAIT_CHARS - 1);
    expect(window.isStalled(LIVE_STALL_MS_MAX * 2)).toBe(false);
    window.sent(2_000, FRAME);
    expect(window.isStalled(2_000 + LIVE_STALL_MS_MAX)).toBe(false);
    expect(window.isStalled(2_001 + LIVE_STALL_MS_MAX)).toBe(true);
    window.heard(5_000, FRAME - 2);
    expect(window.isStalled(2_001 + LIVE_STALL_MS_MAX)).toBe(false);
    window.heard(6_000, FRAME);
    expect(window.isStalled(LIVE_STALL_MS_MAX * 9)).toBe(false);
  });
});
