/** A stream of packets, cut anywhere. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Framer } from "../../../core/server/framer.ts";
import { FrameCursor } from "../../../core/wire/jute/frame.ts";
import { WireError } from "../../../core/wire/reader.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { inParts } from "./packet-client.ts";

const PAYLOAD_MAX = 700;
const payloads = fc.array(fc.uint8Array({ maxLength: PAYLOAD_MAX }), { maxLength: 12 });
const cuts = fc.array(fc.nat(4_000), { maxLength: 30 });

function packets(all: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const payload of all) writer.buffer(payload);
  return writer.finish();
}

/** The payloads of what a framer gave out, message by message. @throws WireError as the cursor does */
function payloadsIn(messages: readonly Uint8Array[]): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const message of messages) {
    const frames = new FrameCursor(message, PAYLOAD_MAX);
    while (frames.next()) found.push(frames.reader.bytes(frames.reader.left));
  }
  return found;
}

describe("a framer", () => {
  it("[WIRE-13] returns every packet whole, in order, however the bytes are split", () => {
    fc.assert(
      fc.property(payloads, cuts, (all, at) => {
        const framer = new Framer(PAYLOAD_MAX);
        const given = inParts(packets(all), at).map((part) => framer.push(part));
        expect(payloadsIn(given)).toEqual(all);
      }),
      { numRuns: 500 },
    );
  });

  it("[WIRE-13] returns a packet at its last byte, and keeps less than one packet", () => {
    const framer = new Framer();
    const stream = packets([new Uint8Array(3), new Uint8Array(0), new Uint8Array(1)]);
    const sizes = Array.from(stream, (byte) => framer.push(Uint8Array.of(byte)).length);
    expect(sizes).toEqual([0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 0, 5]);
  });

  it("[WIRE-13] ends at a length out of bounds, after the packets before it", () => {
    const bad = fc.constantFrom(-1, -(2 ** 31), PAYLOAD_MAX + 1, 2 ** 31 - 1, 0x72756f6b);
    fc.assert(
      fc.property(payloads, bad, fc.uint8Array({ maxLength: 50 }), cuts, (all, size, rest, at) => {
        const writer = new ByteWriter();
        writer.bytes(packets(all));
        writer.i32(size);
        writer.bytes(rest);
        const framer = new Framer(PAYLOAD_MAX);
        const given = inParts(writer.finish(), at).map((part) => framer.push(part));
        const whole = given.reduce((sum, part) => sum + part.length, 0);
        expect(whole).toBe(packets(all).length + 4);
        const found: Uint8Array[] = [];
        const read = (): void => {
          for (const message of given) {
            const frames = new FrameCursor(message, PAYLOAD_MAX);
            while (frames.next()) found.push(frames.reader.bytes(frames.reader.left));
          }
        };
        expect(read).toThrow(WireError);
        expect(found).toEqual(all);
        expect(framer.push(packets([new Uint8Array(1)])).length).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
