import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  avalanche,
  CHAIN_START,
  chainBatch,
  chainHash,
  equalChain,
  hashToText,
  newLanes,
  viewOf,
} from "../../../core/hash/chain.ts";

/** A record as batches hold them. */
function record(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setInt32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

const join = (records: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(records.flatMap((each) => [...each]));

function hash(bytes: Uint8Array, high = 0, low = 0): string {
  const lanes = newLanes();
  chainHash(high, low, viewOf(bytes), 0, bytes.length, lanes);
  return [...lanes].join();
}

const records = fc.array(fc.uint8Array({ maxLength: 40 }).map(record), { minLength: 1, maxLength: 8 });

describe("the chain hash", () => {
  test("[HASH-1] is the same for the same records, wherever in memory they are", () => {
    fc.assert(
      fc.property(records, fc.nat(9), (all, offset) => {
        const batch = join(all);
        const elsewhere = new Uint8Array(batch.length + 20).fill(7);
        elsewhere.set(batch, offset);
        const chain = chainBatch(CHAIN_START, elsewhere, offset, offset + batch.length);
        expect(chain).toEqual(chainBatch(CHAIN_START, batch));
      }),
    );
  });

  test("[HASH-1] differs when any bit differs", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(), (bytes, pick) => {
        const other = bytes.slice();
        const bit = pick % (bytes.length * 8);
        other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(hash(other)).not.toBe(hash(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  test("[HASH-1] differs when trailing zeros or lengths differ", () => {
    const seen = new Set(Array.from({ length: 65 }, (_, size) => hash(new Uint8Array(size))));
    expect(seen.size).toBe(65);
  });

  test("[HASH-1] depends on everything before it, and on its order", () => {
    fc.assert(
      fc.property(records, fc.nat(), (all, pick) => {
        const whole = chainBatch(CHAIN_START, join(all));
        const dropped = all.filter((_, i) => i !== pick % all.length);
        expect(equalChain(chainBatch(CHAIN_START, join(dropped)), whole)).toBe(false);
        const swapped = [...all].reverse();
        const same = swapped.every((each, i) => Buffer.compare(each, all[i] ?? new Uint8Array()) === 0);
        expect(equalChain(chainBatch(CHAIN_START, join(swapped)), whole)).toBe(same);
      }),
    );
  });

  test("[HASH-1] collides no more often than chance: 100,000 small numbers, both halves spread", () => {
    const seen = new Set<string>();
    const buckets = new Array<number>(256).fill(0);
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    const lanes = newLanes();
    for (let i = 0; i < 100_000; i++) {
      view.setUint32(4, i);
      chainHash(0, 0, viewOf(bytes), 0, 8, lanes);
      seen.add([...lanes].join());
      const bucket = (lanes[1] ?? 0) & 0xff;
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    expect(seen.size).toBe(100_000);
    for (const count of buckets) expect(count).toBeGreaterThan(250);
  });

  test("[HASH-1] halves are unsigned, and the text has sixteen digits", () => {
    fc.assert(
      fc.property(records, (all) => {
        const chain = chainBatch(CHAIN_START, join(all));
        for (const half of [chain.high, chain.low]) expect(half).toBe(half >>> 0);
        expect(hashToText(chain)).toMatch(/^[0-9a-f]{16}$/);
      }),
    );
    expect(hashToText({ high: 1, low: 0xffffffff })).toBe("00000001ffffffff");
  });

  test("[HASH-1] never changes: every later version must verify a stored chain", () => {
    const text = new TextEncoder().encode("the log of an ensemble");
    expect(hashToText(chainBatch(CHAIN_START, record(text)))).toMatchInlineSnapshot(`"b316b1f0729ee96c"`);
    expect(hashToText(chainBatch({ high: 1, low: 2 }, new Uint8Array(4)))).toMatchInlineSnapshot(
      `"6366226669854741"`,
    );
  });

  test("[HASH-2] ranges that do not hold whole records are refused", () => {
    const bytes = record(new Uint8Array(8));
    for (let end = 1; end < bytes.length; end++)
      expect(() => chainBatch(CHAIN_START, bytes, 0, end)).toThrow(/whole records/);
    expect(() => chainBatch(CHAIN_START, new Uint8Array([0xff, 0xff, 0xff, 0xff]))).toThrow(/whole records/);
    expect(chainBatch(CHAIN_START, new Uint8Array(0))).toEqual(CHAIN_START);
  });

  test("[HASH-1] the last step is a bijection", () => {
    const seen = new Set<number>();
    for (let i = 0; i < 65_536; i++) seen.add(avalanche(Math.imul(i, 65_537)));
    expect(seen.size).toBe(65_536);
  });
});
