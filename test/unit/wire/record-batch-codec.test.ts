import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeText } from "../../../core/broker/json-text.ts";
import { crc32c } from "../../../core/hash/crc32c.ts";
import {
  type BrokerRecord,
  batchesOf,
  decodeBatches,
  encodeRecordBatch,
  stampBatch,
  validateBatches,
} from "../../../core/wire/record-batch-codec.ts";

const LIMITS = { batchBytesMax: 1 << 20, totalBytesMax: 1 << 22 };

const record = (value: string | null, timestampMs = 1_700_000_000_000): BrokerRecord => ({
  key: null,
  value: value === null ? null : encodeText(value),
  headers: [],
  timestampMs,
});

const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** Puts the right CRC on a batch that a test has changed. */
function seal(batch: Uint8Array): Uint8Array {
  new DataView(batch.buffer, batch.byteOffset).setUint32(17, crc32c(batch, 21, batch.length));
  return batch;
}

const arbitraryBytes = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });
const arbitraryRecord: fc.Arbitrary<BrokerRecord> = fc.record({
  key: arbitraryBytes,
  value: arbitraryBytes,
  headers: fc.array(
    fc.record({ key: fc.string({ unit: "grapheme", maxLength: 20 }), value: arbitraryBytes }),
    {
      maxLength: 4,
    },
  ),
  timestampMs: fc.integer({ min: 0, max: 2 ** 45 }),
});

describe("record batch", () => {
  test("[BATCH-1] a batch has Kafka's layout, byte by byte", () => {
    // laid out by hand from the format's table; the CRC alone is computed
    const batch = encodeRecordBatch([
      { key: encodeText("k"), value: encodeText("v1"), headers: [], timestampMs: 1000 },
      { key: null, value: null, headers: [{ key: "h", value: encodeText("x") }], timestampMs: 999 },
    ]);
    const body =
      "0000" + // attributes
      "00000001" + // last offset delta
      "00000000000003e8" + // base timestamp
      "00000000000003e8" + // max timestamp
      "ffffffffffffffff" + // producer id
      "ffff" +
      "ffffffff" +
      "00000002" + // count
      "12" +
      "00" +
      "00" +
      "00" +
      "02" +
      "6b" +
      "04" +
      "7631" +
      "00" + // 9 bytes
      "14" +
      "00" +
      "01" +
      "02" +
      "01" +
      "01" +
      "02" +
      "02" +
      "68" +
      "02" +
      "78"; // 10 bytes, timestamp −1, offset +1
    const crc = crc32c(hex(body), 0, body.length / 2);
    const length = (body.length / 2 + 9).toString(16).padStart(8, "0");
    const head = `0000000000000000${length}ffffffff02${crc.toString(16).padStart(8, "0")}`;
    expect(Buffer.from(batch).toString("hex")).toBe(head + body);
  });

  test("[BATCH-1] an encoded batch is decoded unchanged, whatever it contains", () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryRecord, { minLength: 1, maxLength: 20 }),
        fc.nat(2 ** 40),
        (records, base) => {
          const batch = encodeRecordBatch(records);
          expect(validateBatches(batch, LIMITS)).toMatchObject({ ok: true, records: records.length });
          stampBatch(batch, 0, base, 7);
          const [header] = [...batchesOf(batch)];
          expect(header).toMatchObject({
            baseOffset: base,
            lastOffset: base + records.length - 1,
            leaderEpoch: 7,
          });
          expect(decodeBatches(batch)).toEqual(
            records.map((each, index) => ({ ...each, offset: base + index })),
          );
        },
      ),
    );
  });

  test("[BATCH-2] base offset and leader epoch lie outside of the CRC", () => {
    const batch = encodeRecordBatch([record("a"), record("b")]);
    stampBatch(batch, 0, 2 ** 45 + 3, 2 ** 31 - 1);
    expect(validateBatches(batch, LIMITS)).toMatchObject({
      ok: true,
      batches: [{ baseOffset: 2 ** 45 + 3 }],
    });
  });

  test("[BATCH-3] every changed bit after the leader epoch is detected", () => {
    const good = encodeRecordBatch([record("hello"), record(null)]);
    for (let at = 16; at < good.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bad = good.slice();
        bad[at] = (bad[at] ?? 0) ^ (1 << bit);
        expect(validateBatches(bad, LIMITS).ok, `byte ${at} bit ${bit}`).toBe(false);
      }
    }
  });

  test("[BATCH-3] cut, lengthened and empty input is refused", () => {
    const good = encodeRecordBatch([record("hello")]);
    for (let size = 1; size < good.length; size++)
      expect(validateBatches(good.subarray(0, size), LIMITS)).toMatchObject({
        ok: false,
        code: "CORRUPT_MESSAGE",
      });
    expect(validateBatches(Uint8Array.of(...good, 0), LIMITS)).toMatchObject({
      ok: false,
      code: "CORRUPT_MESSAGE",
    });
    expect(validateBatches(new Uint8Array(), LIMITS)).toMatchObject({ ok: false, code: "INVALID_RECORD" });
  });

  test("[BATCH-3] random bytes with a correct CRC never throw", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 120 }),
        fc.integer({ min: 1, max: 9 }),
        (noise, count) => {
          const batch = new Uint8Array(61 + noise.length);
          batch.set(encodeRecordBatch([record("x")]).subarray(0, 61));
          batch.set(noise, 61);
          const view = new DataView(batch.buffer);
          view.setInt32(8, batch.length - 12);
          view.setInt32(23, count - 1);
          view.setInt32(57, count);
          const check = validateBatches(seal(batch), LIMITS);
          if (check.ok) expect(decodeBatches(batch)).toHaveLength(count);
          else expect(check.code).toBe("INVALID_RECORD");
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("[BATCH-4] old magic, control and transactional batches, unknown codecs and wrong counts are refused", () => {
    const change = (at: number, value: number): Uint8Array => {
      const batch = encodeRecordBatch([record("x")]);
      batch[at] = value;
      return seal(batch);
    };
    expect(validateBatches(change(16, 1), LIMITS)).toMatchObject({ code: "INVALID_RECORD" });
    expect(validateBatches(change(22, 32), LIMITS)).toMatchObject({ code: "INVALID_RECORD" });
    expect(validateBatches(change(22, 16), LIMITS)).toMatchObject({ code: "INVALID_RECORD" });
    expect(validateBatches(change(22, 5), LIMITS)).toMatchObject({ code: "INVALID_RECORD" });
    expect(validateBatches(change(26, 1), LIMITS)).toMatchObject({ code: "INVALID_RECORD" });
    expect(validateBatches(change(60, 0), LIMITS)).toMatchObject({ code: "INVALID_RECORD" });
  });

  test("[BATCH-5] limits hold for one batch and for the request", () => {
    const batch = encodeRecordBatch([record("x".repeat(100))]);
    const two = Uint8Array.of(...batch, ...batch);
    expect(validateBatches(batch, { batchBytesMax: batch.length - 1, totalBytesMax: 1e6 })).toMatchObject({
      code: "MESSAGE_TOO_LARGE",
    });
    expect(validateBatches(two, { batchBytesMax: 1e6, totalBytesMax: two.length - 1 })).toMatchObject({
      code: "MESSAGE_TOO_LARGE",
    });
    expect(validateBatches(two, { batchBytesMax: batch.length, totalBytesMax: two.length })).toMatchObject({
      ok: true,
      records: 2,
    });
  });

  test("[BATCH-6] reading may start inside a batch and stop at a count", () => {
    const first = encodeRecordBatch([record("0"), record("1"), record("2")]);
    const second = encodeRecordBatch([record("3"), record("4")]);
    stampBatch(first, 0, 10, 0);
    stampBatch(second, 0, 13, 0);
    const both = Uint8Array.of(...first, ...second);
    expect(decodeBatches(both, 11).map((each) => each.offset)).toEqual([11, 12, 13, 14]);
    expect(decodeBatches(both, 12, 2).map((each) => each.offset)).toEqual([12, 13]);
    expect(decodeBatches(both, 15)).toEqual([]);
  });
});
