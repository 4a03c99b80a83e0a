import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import { NO_CONNECTION } from "../../../core/server/ids.ts";
import { packRequests, unpackRequests } from "../../../core/server/messages.ts";
import { MemberStorage } from "../../../core/server/storage.ts";
import { found } from "../../../core/server/storage-backend.ts";
import { WireError } from "../../../core/wire/reader.ts";
import { decodeRows, encodeRows } from "../../../core/wire/snapshot-codec.ts";
import { appendTxn, decodeTxn, TxnCursor } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { makeEntry } from "../../../core/zab/log-entry.ts";
import { asSid } from "../../../core/zab/membership.ts";
import { lastZxidOf, splitAfter } from "../../../core/zab/txn-batch.ts";
import { ZXID_ZERO, zxid } from "../../../core/zab/zxid.ts";
import { makeSessionId, type TxnHeader } from "../../../core/znode/types.ts";
import { MemoryBackend } from "../../../sim/memory-backend.ts";

const SESSION = makeSessionId(1, 5);
const FINGERPRINT = 7 * 2 ** 32 + 12_345;

/** A record to be. */
interface Entry {
  readonly header: TxnHeader;
  readonly fingerprint: number;
}

const header = (counter: number, fingerprint = 0): Entry => ({ header: headerAt(counter), fingerprint });

const headerAt = (counter: number): TxnHeader => ({
  session: SESSION,
  xid: counter,
  zxid: zxid(1, counter),
  timeMs: 1_764_000_000_000,
});

function batchOf(...headers: readonly Entry[]): Uint8Array {
  const writer = new ByteWriter(64);
  for (const each of headers) {
    appendTxn(writer, each.header, { type: "delete", path: "/a" }, each.fingerprint);
  }
  return writer.finish();
}

/** The batch with another format in its first record. */
function ofFormat(format: number, batch: Uint8Array): Uint8Array {
  const changed = batch.slice();
  changed[0] = format;
  return changed;
}

describe("a txn record", () => {
  it("[VER-3] begins with its format: 0 without a fingerprint, as before, and 1 with one", () => {
    expect([...batchOf(header(1)).subarray(0, 4)]).toEqual([0, 0, 0, 38]);
    const batch = batchOf(header(1, FINGERPRINT), header(2));
    expect([...batch.subarray(0, 4)]).toEqual([1, 0, 0, 46]);
    const cursor = new TxnCursor(batch);
    expect([cursor.next(), cursor.fingerprint, cursor.txn()]).toEqual([
      true,
      FINGERPRINT,
      { type: "delete", path: "/a" },
    ]);
    expect([cursor.next(), cursor.fingerprint]).toEqual([true, 0]);
  });

  it("[VER-3] of an unknown format is logged, cut and chained, and cannot be applied", () => {
    const batch = ofFormat(3, batchOf(header(1), header(2)));
    const entry = must(makeEntry({ zxid: ZXID_ZERO, chain: { high: 0, low: 0 } }, batch), "it continues");
    expect([entry.count, entry.first, entry.last]).toEqual([2, zxid(1, 1), zxid(1, 2)]);
    expect(lastZxidOf(batch)).toEqual(zxid(1, 2));
    expect(splitAfter(batch, zxid(1, 1))).toBe(batch.length / 2);
    const cursor = new TxnCursor(batch);
    expect([cursor.next(), cursor.zxid()]).toEqual([true, zxid(1, 1)]);
    expect(() => decodeTxn(batch.subarray(0, batch.length / 2))).toThrow(
      new WireError("a txn record of format 3: this member reads formats up to 1"),
    );
  });

  it("[VER-5] that is in the log and cannot be applied stops the member from starting, and is not damage", () => {
    const backend = new MemoryBackend();
    found(backend);
    const batch = ofFormat(3, batchOf(header(1)));
    const storage = new MemberStorage(backend);
    storage.recover();
    const entry = must(makeEntry(storage.log.last, batch), "it continues the log");
    storage.persist([{ type: "append", ...entry, committed: entry.last }]);
    const again = new MemberStorage(backend);
    expect(() => again.recover()).toThrow("a txn record of format 3");
    expect(again.damage).toBeUndefined();
    expect(new MemberStorage(backend).log.last.zxid).toEqual(zxid(1, 1));
  });
});

describe("a pack of requests", () => {
  it("[VER-3] begins with its format, which is 0: the high byte of a session", () => {
    const request = {
      session: SESSION,
      connection: NO_CONNECTION,
      xid: 1,
      opcode: 5,
      body: new Uint8Array(3),
    };
    const packed = packRequests([request]);
    expect(packed[0]).toBe(0);
    expect(() => unpackRequests(ofFormat(2, packed), asSid(1))).toThrow("a pack of requests of format 2");
  });
});

describe("a chunk of a snapshot", () => {
  const row = {
    id: SESSION,
    timeoutMs: 4_000,
    lastXid: 3,
    lastZxid: zxid(1, 3),
    lastResult: { type: "delete" } as const,
    lastFingerprint: FINGERPRINT,
  };

  it("[VER-8] of format 2 carries fingerprints, and of format 1 none", () => {
    expect(decodeRows(encodeRows([], [row, row], 2)).sessions).toEqual([row, row]);
    const { lastFingerprint: _, ...before } = row;
    expect(decodeRows(encodeRows([], [row], 1)).sessions).toEqual([before]);
  });

  it("[VER-3] of an unknown format is refused with a reason", () => {
    const chunk = ofFormat(9, encodeRows([], []));
    expect(() => decodeRows(chunk)).toThrow("a snapshot of format 9: this member reads formats 1 and 2");
  });
});
