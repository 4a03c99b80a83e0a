import { describe, expect, it } from "vitest";
import { chainBatch } from "../../../core/hash/chain.ts";
import { makeEntry } from "../../../core/zab/log-entry.ts";
import { zxid } from "../../../core/zab/zxid.ts";
import { batchOf, entriesOf, START } from "../../sim/script.ts";

describe("a batch as an entry", () => {
  it("[ZAB-12] continues the log by one, or begins a higher epoch at 1", () => {
    const tail = { zxid: zxid(2, 5), chain: { high: 1, low: 2 } };
    expect(makeEntry(tail, batchOf(2, 6, 3))?.last).toEqual(zxid(2, 8));
    expect(makeEntry(tail, batchOf(3, 1, 1))?.first).toEqual(zxid(3, 1));
    expect(makeEntry(tail, batchOf(9, 1, 1))?.count).toBe(1);
  });

  it("[ZAB-12] has no gap, no repetition and no lower zxid", () => {
    const tail = { zxid: zxid(2, 5), chain: { high: 1, low: 2 } };
    for (const [epoch, counter] of [
      [2, 7],
      [2, 5],
      [2, 1],
      [3, 2],
      [3, 0],
      [1, 6],
      [1, 1],
    ] as const) {
      expect(makeEntry(tail, batchOf(epoch, counter)), `${epoch}.${counter}`).toBeUndefined();
    }
  });

  it("[ZAB-12] with a gap inside is refused too", () => {
    const joined = new Uint8Array([...batchOf(1, 1, 2), ...batchOf(1, 4, 1)]);
    expect(makeEntry(START, joined)).toBeUndefined();
    const across = new Uint8Array([...batchOf(1, 1, 2), ...batchOf(2, 1, 1)]);
    expect(makeEntry(START, across)).toMatchObject({ first: zxid(1, 1), last: zxid(2, 1), count: 3 });
  });

  it("[ZAB-12] has at least one txn", () => {
    expect(makeEntry(START, new Uint8Array(0))).toBeUndefined();
  });

  it("[ZAB-10] has a chain over every byte of every txn", () => {
    const batch = batchOf(1, 1, 3);
    const chain = makeEntry(START, batch)?.chain;
    for (const at of [6, 30, 38, batch.length - 1]) {
      const changed = batch.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(makeEntry(START, changed)?.chain, `byte ${at}`).not.toEqual(chain);
    }
  });

  it("[ZAB-10] has a chain value at every txn", () => {
    const [first, second] = entriesOf(START, [1, 1, 2], [1, 3, 1]);
    const whole = batchOf(1, 1, 3);
    expect(chainBatch(START.chain, whole, 0, batchOf(1, 1, 2).length)).toEqual(first?.chain);
    expect(chainBatch(START.chain, whole, 0, whole.length)).toEqual(second?.chain);
    expect(chainBatch(START.chain, whole, 0, 0)).toEqual(START.chain);
  });
});

describe("a damaged batch", () => {
  it("[ZAB-64] is refused, wherever it is cut off", () => {
    const batch = batchOf(1, 1, 2);
    for (let length = 1; length < batch.length; length++) {
      const entry = makeEntry(START, batch.subarray(0, length));
      expect(entry === undefined || entry.count === 1).toBe(true);
    }
  });
});
