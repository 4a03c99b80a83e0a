import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../../core/assert.ts";
import { ZOO_ERRORS, type ZooErrorCode } from "../../../core/errors.ts";
import { CHAIN_START, chainBatch } from "../../../core/hash/chain.ts";
import { WireError } from "../../../core/wire/reader.ts";
import { MULTI_OPS_MAX, TxnType } from "../../../core/wire/txn-body.ts";
import { appendTxn, TxnCursor } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { countTxns, lastZxidOf, splitAfter } from "../../../core/zab/txn-batch.ts";
import { compareZxid, zxid } from "../../../core/zab/zxid.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import {
  anonymousSession,
  makeSessionId,
  type SessionId,
  type Txn,
  type TxnHeader,
} from "../../../core/znode/types.ts";

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const path = fc.oneof(
  fc.constantFrom("/", "/a", "/brokers/ids/1", "/ütf/ünï/日本", ""),
  fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => `/${text.replace(/[\ud800-\udfff]/g, "")}`),
);
const data = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });
const code = fc.constantFrom(...(Object.keys(ZOO_ERRORS) as ZooErrorCode[]));

const changeTxn: fc.Arbitrary<Txn> = fc.oneof(
  fc.record({ type: fc.constant("setData" as const), path, data, version: int32 }),
  fc.record({
    type: fc.constant("create" as const),
    path,
    data,
    ephemeral: fc.boolean(),
    parentCversion: int32,
    withStat: fc.boolean(),
  }),
  fc.record({ type: fc.constant("delete" as const), path }),
  fc.record({ type: fc.constant("check" as const), path, version: int32 }),
);
const errorTxn: fc.Arbitrary<Txn> = fc
  .record({ code, ops: fc.nat({ max: MULTI_OPS_MAX }), at: fc.nat({ max: MULTI_OPS_MAX }) })
  .map(({ code, ops, at }) => ({ type: "error", code, ops, at: ops === 0 ? at : at % ops }));
const txn: fc.Arbitrary<Txn> = fc.oneof(
  { weight: 5, arbitrary: changeTxn },
  errorTxn,
  fc.record({ type: fc.constant("multi" as const), txns: fc.array(changeTxn, { maxLength: 6 }) }),
  fc.record({ type: fc.constant("createSession" as const), timeoutMs: int32 }),
  fc.record({ type: fc.constant("closeSession" as const) }),
  fc.constant({ type: "sync" } as const),
);
const session = fc.oneof(
  fc.constantFrom(
    0 as SessionId,
    anonymousSession(9, 2 ** 13 - 1, 2 ** 32 - 1),
    makeSessionId(9, 2 ** 49 - 1),
  ),
  fc
    .record({ sid: fc.integer({ min: 1, max: 9 }), random: fc.integer({ min: 0, max: 2 ** 49 - 1 }) })
    .map(({ sid, random }) => makeSessionId(sid, random)),
);
const header = fc.record({
  session,
  xid: int32,
  zxid: fc
    .record({ epoch: fc.nat(2 ** 31 - 1), counter: fc.nat({ max: 2 ** 32 - 1 }) })
    .map(({ epoch, counter }) => zxid(epoch, counter)),
  timeMs: fc.integer({ min: 0, max: 2 ** 50 }),
});
/** 0: a record of format 0 */
const fingerprint = fc.oneof(fc.constant(0), fc.nat(2 ** 53 - 1));
const entry = fc.record({ header, txn, fingerprint });
type Entry = { header: TxnHeader; txn: Txn; fingerprint?: number };

function encode(entries: readonly Entry[]): Uint8Array {
  const writer = new ByteWriter(16);
  for (const { header, txn, fingerprint } of entries) appendTxn(writer, header, txn, fingerprint);
  return writer.finish();
}

function decode(batch: Uint8Array, start = 0): Entry[] {
  const entries: Entry[] = [];
  const cursor = new TxnCursor(batch, start);
  while (cursor.next()) {
    entries.push({ header: cursor.header(), txn: cursor.txn(), fingerprint: cursor.fingerprint });
  }
  return entries;
}

/** Entries with ascending zxids, as in a log. */
const log = fc.array(entry, { minLength: 1, maxLength: 12 }).map((entries) =>
  entries.map(({ header, txn, fingerprint }, i) => ({
    fingerprint,
    header: { ...header, zxid: zxid(i < 6 ? 1 : 2, (i + 1) * 10) },
    txn,
  })),
);

const setData = (counter: number, value: Uint8Array | null): Entry => ({
  header: { session: makeSessionId(1, 5), xid: counter, zxid: zxid(1, counter), timeMs: 1_700_000_000_000 },
  txn: { type: "setData", path: "/a", data: value, version: counter },
  fingerprint: 0,
});

describe("a batch of txns", () => {
  test("[WIRE-9] holds the txns that were added", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 10 }), (entries) => {
        expect(decode(encode(entries))).toEqual(entries);
      }),
      { numRuns: 300 },
    );
  });

  test("[WIRE-9] has the documented layout", () => {
    const batch = encode([
      {
        header: { session: makeSessionId(1, 2), xid: 3, zxid: zxid(4, 5), timeMs: 6 },
        txn: { type: "setData", path: "/a", data: new Uint8Array([7]), version: 8 },
      },
    ]);
    expect(Buffer.from(batch).toString("hex")).toBe(
      [
        "0000002f",
        "0002000000000002",
        "00000003",
        "0000000400000005",
        "0000000000000006",
        "00000005",
        "000000022f61",
        "0000000107",
        "00000008",
      ].join(""),
    );
  });

  test("[WIRE-5] distinguishes null data from empty data", () => {
    const [none, empty] = decode(encode([setData(1, null), setData(2, new Uint8Array(0))]));
    expect(none?.txn).toMatchObject({ data: null });
    expect(empty?.txn).toMatchObject({ data: new Uint8Array(0) });
  });

  test("[WIRE-9] can be traversed without decoding", () => {
    const cursor = new TxnCursor(encode([setData(1, null), setData(2, null), setData(3, null)]));
    const seen: [number, number, number, number][] = [];
    while (cursor.next()) seen.push([cursor.epoch, cursor.counter, cursor.start, cursor.end]);
    expect(seen.map(([, counter]) => counter)).toEqual([1, 2, 3]);
    expect(seen.map(([, , start]) => start)).toEqual([0, ...seen.slice(0, -1).map(([, , , end]) => end)]);
    expect(cursor.next()).toBe(false);
    expect(cursor.next()).toBe(false);
  });
});

describe("cutting a batch", () => {
  test("[WIRE-10] splitAfter, lastZxidOf and countTxns agree at every zxid", () => {
    fc.assert(
      fc.property(log, (entries) => {
        const batch = encode(entries);
        expect(countTxns(batch)).toBe(entries.length);
        expect(lastZxidOf(batch)).toEqual(entries.at(-1)?.header.zxid);
        for (const counter of [0, 5, ...entries.map((each) => each.header.zxid.counter), 15, 999]) {
          for (const epoch of [1, 2]) {
            const at = splitAfter(batch, zxid(epoch, counter));
            const before = entries.filter((each) => compareZxid(each.header.zxid, zxid(epoch, counter)) <= 0);
            expect(decode(batch.subarray(0, at))).toEqual(before);
            expect(decode(batch, at)).toEqual(entries.slice(before.length));
            expect(countTxns(batch, at)).toBe(before.length);
            expect(lastZxidOf(batch, at)).toEqual(before.at(-1)?.header.zxid);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test("[WIRE-10] an empty batch has no last", () => {
    const none = new Uint8Array(0);
    expect([lastZxidOf(none), countTxns(none), splitAfter(none, zxid(1, 1))]).toEqual([undefined, 0, 0]);
    expect(new TxnCursor(none).next()).toBe(false);
  });

  test("[HASH-2] the chain does not depend on where batches end", () => {
    fc.assert(
      fc.property(log, fc.nat(), (entries, pick) => {
        const batch = encode(entries);
        const cut = splitAfter(batch, zxid(1, (pick % 7) * 10));
        const whole = chainBatch(CHAIN_START, batch);
        expect(chainBatch(chainBatch(CHAIN_START, batch, 0, cut), batch, cut)).toEqual(whole);
        expect(chainBatch(chainBatch(CHAIN_START, batch.slice(0, cut)), batch.slice(cut))).toEqual(whole);
      }),
    );
  });
});

describe("bytes that are no batch", () => {
  const refused = (act: () => unknown): void => {
    try {
      act();
    } catch (error) {
      expect(error).toBeInstanceOf(WireError);
    }
  };

  test("[WIRE-3] a batch that is cut short anywhere is refused by every traversal", () => {
    const batch = encode([setData(1, new Uint8Array(5)), setData(2, null)]);
    const border = splitAfter(batch, zxid(1, 1));
    for (let size = 1; size < batch.length; size++) {
      if (size === border) continue;
      const cut = batch.slice(0, size);
      expect(() => decode(cut)).toThrow(WireError);
      expect(() => countTxns(cut)).toThrow(WireError);
      expect(() => lastZxidOf(cut)).toThrow(WireError);
      expect(() => chainBatch(CHAIN_START, cut)).toThrow(AssertionError);
    }
  });

  test("[WIRE-3] [ZNODE-10] damaged bytes are refused or decoded; the tree applies decoded txns without throwing", () => {
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (entries, hits) => {
          const batch = encode(entries);
          for (const [at, byte] of hits) batch[at % batch.length] = byte;
          const tree = new ZnodeTree();
          refused(() => {
            for (const { header, txn } of decode(batch)) tree.apply(header, txn);
          });
          refused(() => countTxns(batch));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("[WIRE-3] random bytes are refused or decoded, without larger allocations", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => refused(() => decode(noise))),
      { numRuns: 500 },
    );
    const batch = encode([{ header: { ...setData(1, null).header }, txn: { type: "sync" } }]);
    const huge = new Uint8Array([...batch, 0x7f, 0xff, 0xff, 0xff]);
    const view = new DataView(huge.buffer);
    view.setInt32(0, huge.length - 4);
    view.setInt32(32, TxnType.MULTI);
    expect(() => decode(huge)).toThrow(/does not fit/);
  });

  test("[WIRE-3] a multi within a multi, a session within a multi and an unknown type are refused", () => {
    const multi = encode([
      { header: setData(1, null).header, txn: { type: "multi", txns: [{ type: "delete", path: "/a" }] } },
    ]);
    const view = new DataView(multi.buffer);
    for (const type of [14, -10, -11, 9, 99]) {
      view.setInt32(40, type);
      expect(() => decode(multi)).toThrow(/not part of a multi/);
    }
    view.setInt32(32, 77);
    expect(() => decode(multi)).toThrow(/no txn of type 77/);
  });

  test("[WIRE-3] bytes after a txn's body are refused", () => {
    const batch = encode([{ header: setData(1, null).header, txn: { type: "delete", path: "/a" } }]);
    const longer = new Uint8Array([...batch, 0]);
    new DataView(longer.buffer).setInt32(0, longer.length - 4);
    expect(() => decode(longer)).toThrow(/longer than its txn/);
  });
});
