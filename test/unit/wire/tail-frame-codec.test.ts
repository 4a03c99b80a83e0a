import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WireError } from "../../../core/wire/reader.ts";
import { decodeTailFrame, encodeTailFrame } from "../../../core/wire/tail-frame-codec.ts";

describe("a tail's frame", () => {
  test("[PARTITION-17] is read as it was written, offsets beyond 32 bits included", () => {
    const offset = fc.nat(Number.MAX_SAFE_INTEGER);
    fc.assert(
      fc.property(
        offset,
        offset,
        offset,
        fc.integer({ min: -1, max: 2 ** 31 - 1 }),
        fc.uint8Array(),
        (next, high, start, epoch, batches) => {
          const frame = {
            nextOffset: next,
            highWatermark: high,
            logStartOffset: start,
            leaderEpoch: epoch,
            batches,
          };
          const read = decodeTailFrame(encodeTailFrame(frame));
          expect({ ...read, batches: Uint8Array.from(read.batches) }).toEqual(frame);
        },
      ),
    );
  });

  test("[PARTITION-17] of another version, or cut short, is refused", () => {
    const bytes = encodeTailFrame({
      nextOffset: 1,
      highWatermark: 1,
      logStartOffset: 0,
      leaderEpoch: 0,
      batches: new Uint8Array(),
    });
    for (let size = 0; size < bytes.length; size++)
      expect(() => decodeTailFrame(bytes.subarray(0, size))).toThrow(WireError);
    bytes[0] = 2;
    expect(() => decodeTailFrame(bytes)).toThrow("version 2");
  });
});
