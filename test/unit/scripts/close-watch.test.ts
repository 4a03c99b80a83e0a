import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CloseWatch } from "../../../scripts/local/close-watch.ts";

const HEAD = Buffer.from("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");

function frame(first: number, length: number): Buffer {
  const header =
    length < 126
      ? Buffer.from([first, length])
      : length < 65_536
        ? Buffer.from([first, 126, length >> 8, length & 255])
        : Buffer.from([first, 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255]);
  // payloads look like close frames
  return Buffer.concat([header, Buffer.alloc(length, 0x88)]);
}

describe("the close frame of a server", () => {
  test("[HTTP-50] is found in any split of any frames, and nowhere else", () => {
    const frames = fc.array(
      fc.record({
        first: fc.constantFrom(0x82, 0x02, 0x80, 0x81, 0x89, 0x8a, 0xc2),
        length: fc.constantFrom(0, 1, 2, 125, 126, 300, 65_535, 65_536, 70_000),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(
        frames,
        fc.array(fc.integer({ min: 1, max: 70_000 })),
        fc.boolean(),
        (list, cuts, closes) => {
          const bytes = Buffer.concat([HEAD, ...list.map(({ first, length }) => frame(first, length))]);
          const all = closes ? Buffer.concat([bytes, frame(0x88, 2)]) : bytes;
          const watch = new CloseWatch();
          let at = 0;
          const take = (size: number): void => {
            const end = Math.min(all.length, at + size);
            if (end === at) return;
            expect(watch.take(all.subarray(at, end))).toBe(end > bytes.length);
            at = end;
          };
          for (const size of cuts) take(size);
          for (let i = 0; i < 20; i++) take(1);
          take(all.length);
        },
      ),
    );
  });
});
