/** Work in slices, so that many sockets do not delay other work. */
import { describe, expect, it } from "vitest";
import { STREAM_UNREAD_MAX } from "../../../durable-objects/shared/config.ts";
import { inSlices, StreamWindow } from "../../../durable-objects/shared/sockets.ts";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe("many sockets", () => {
  it("[NODE-42] are written in slices of 64, each in a turn of its own, after the current turn", async () => {
    const written: number[] = [];
    let turns = 0;
    let over = false;
    const turn = (): void => {
      turns += 1;
      if (!over) setImmediate(turn);
    };
    await new Promise<void>((resolve) => {
      inSlices(upTo(2_000), (socket) => written.push(socket), resolve);
      expect(written).toEqual([]);
      setImmediate(turn);
    });
    over = true;
    expect(written).toEqual(upTo(2_000));
    expect(turns).toBeGreaterThan(1);
  });

  it("[NODE-42] that fit into one slice are written at once", () => {
    const written: number[] = [];
    let done = false;
    inSlices(
      upTo(64),
      (socket) => written.push(socket),
      () => {
        done = true;
      },
    );
    expect([written.length, done]).toEqual([64, true]);
  });
});

describe("the window of a stream's socket", () => {
  it("[NODE-45] is open while its reader reports what it has read, and overrun once if it does not", () => {
    const window = new StreamWindow();
    const part = STREAM_UNREAD_MAX / 4;
    for (let i = 1; i <= 100; i++) {
      expect(window.sent(part)).toBe("open");
      window.heard(`read:${i * part}`);
    }
    // a message that is no report, or reports more than was sent, or less than before, gives no room
    for (const message of ["beat", "read:-1", "read:1e9", `read:${1_000 * part}`, "read:7", "read:"])
      window.heard(message);
    const outcomes = Array.from({ length: 6 }, () => window.sent(part));
    expect(outcomes).toEqual(["open", "open", "open", "open", "overrun", "over"]);
    window.heard(`read:${105 * part}`);
    expect(window.sent(1), "an event was left out, so the stream does not go on").toBe("over");
  });
});
