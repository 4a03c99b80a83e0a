import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ZOO_ERRORS, type ZooErrorCode } from "../../../core/errors.ts";
import { ByteReader, WireError } from "../../../core/wire/reader.ts";
import { readResult, writeResult } from "../../../core/wire/result-codec.ts";
import { decodeRows, encodeRows, znodeRowBytes } from "../../../core/wire/snapshot-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { zxid } from "../../../core/zab/zxid.ts";
import type { SessionRow } from "../../../core/znode/session.ts";
import type { ZnodeRow } from "../../../core/znode/stat.ts";
import type { ChangeResult, SessionId, Stat, WriteResult } from "../../../core/znode/types.ts";

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const session = safe.map((each) => each as SessionId);
const id = fc
  .record({ epoch: fc.nat(2 ** 31 - 1), counter: fc.nat({ max: 2 ** 32 - 1 }) })
  .map(({ epoch, counter }) => zxid(epoch, counter));
const path = fc.constantFrom("/", "/a", "/日本/x", "/a/b-0000000001");
const stat: fc.Arbitrary<Stat> = fc.record({
  czxid: id,
  mzxid: id,
  pzxid: id,
  ctime: safe,
  mtime: safe,
  version: int32,
  cversion: int32,
  aversion: int32,
  ephemeralOwner: session,
  dataLength: int32,
  numChildren: int32,
});
const change: fc.Arbitrary<ChangeResult> = fc.oneof(
  fc.record({ type: fc.constant("create" as const), path, stat: fc.option(stat, { nil: null }) }),
  fc.record({ type: fc.constant("setData" as const), stat }),
  fc.constantFrom<ChangeResult>({ type: "delete" }, { type: "check" }),
  fc.record({
    type: fc.constant("error" as const),
    code: fc.constantFrom(...(Object.keys(ZOO_ERRORS) as ZooErrorCode[])),
  }),
);
const result: fc.Arbitrary<WriteResult | null> = fc.oneof(
  change,
  fc.record({ type: fc.constant("multi" as const), results: fc.array(change, { maxLength: 4 }) }),
  fc.record({ type: fc.constant("createSession" as const), timeoutMs: int32 }),
  fc.constantFrom<WriteResult | null>({ type: "closeSession" }, { type: "sync" }, null),
);
const znodeRow: fc.Arbitrary<ZnodeRow> = fc.record({
  path,
  data: fc.option(fc.uint8Array({ maxLength: 200 }), { nil: null }),
  czxid: id,
  mzxid: id,
  pzxid: id,
  ctime: safe,
  mtime: safe,
  version: int32,
  cversion: int32,
  aversion: int32,
  ephemeralOwner: session,
});
const sessionRow: fc.Arbitrary<SessionRow> = fc.record({
  id: session,
  timeoutMs: int32,
  lastXid: int32,
  lastZxid: id,
  lastResult: result,
});

describe("rows", () => {
  test("[ZNODE-14] are decoded unchanged, and share no memory with the chunk", () => {
    fc.assert(
      fc.property(
        fc.array(znodeRow, { maxLength: 6 }),
        fc.array(sessionRow, { maxLength: 4 }),
        (znodes, sessions) => {
          const chunk = encodeRows(znodes, sessions);
          const rows = decodeRows(chunk);
          chunk.fill(0xff);
          expect(rows).toEqual({ znodes, sessions });
        },
      ),
      { numRuns: 200 },
    );
  });

  test("[ZNODE-14] a chunk's size is that of its rows and nine bytes", () => {
    fc.assert(
      fc.property(fc.array(znodeRow, { maxLength: 6 }), (znodes) => {
        expect(encodeRows(znodes, []).length).toBe(
          9 + znodes.reduce((sum, row) => sum + znodeRowBytes(row), 0),
        );
      }),
    );
  });

  test("[ZNODE-14] the first byte is the version, and another version is refused", () => {
    const chunk = encodeRows([], []);
    expect([...chunk]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0]);
    chunk[0] = 3;
    expect(() => decodeRows(chunk)).toThrow(/format 3/);
  });

  test("[WIRE-3] a chunk that is cut, extended or damaged is refused or decoded, nothing else", () => {
    fc.assert(
      fc.property(
        fc.array(znodeRow, { minLength: 1, maxLength: 3 }),
        fc.array(sessionRow, { maxLength: 2 }),
        fc.nat(),
        fc.nat(255),
        (znodes, sessions, at, byte) => {
          const chunk = encodeRows(znodes, sessions);
          expect(() => decodeRows(chunk.slice(0, at % chunk.length))).toThrow(WireError);
          expect(() => decodeRows(Uint8Array.from([...chunk, byte]))).toThrow(/left behind/);
          chunk[at % chunk.length] = byte;
          try {
            decodeRows(chunk);
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a session's last result", () => {
  const read = (...bytes: readonly number[]): unknown => readResult(new ByteReader(Uint8Array.from(bytes)));

  test("[SESSION-3] is stored and read again", () => {
    fc.assert(
      fc.property(result, (each) => {
        const writer = new ByteWriter();
        writeResult(writer, each);
        const reader = new ByteReader(writer.view());
        expect(readResult(reader)).toEqual(each);
        expect(reader.left).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("[WIRE-3] invalid bytes are refused", () => {
    expect(() => read()).toThrow(WireError);
    expect(() => read(99)).toThrow(/no result/);
    expect(() => read(6, 0x7f, 0xff, 0xff, 0xff)).toThrow(/does not fit/);
    expect(() => read(6, 0, 0, 0, 1, 6, 0, 0, 0, 0)).toThrow(/no result with tag 6/);
  });
});
