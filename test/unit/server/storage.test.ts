import { describe, expect, it } from "vitest";
import { makeServerConfig } from "../../../core/server/config.ts";
import { NOT_KNOWN } from "../../../core/server/fingerprint.ts";
import { connectionIdOf, NO_CONNECTION, type Token } from "../../../core/server/ids.ts";
import { packRequests, type RoutedRequest, unpackRequests } from "../../../core/server/messages.ts";
import { type PendingRequest, PendingRequests } from "../../../core/server/pending.ts";
import { MemberStorage } from "../../../core/server/storage.ts";
import { EMPTY_META } from "../../../core/server/storage-backend.ts";
import { encodeRows } from "../../../core/wire/snapshot-codec.ts";
import { appendTxn } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { makeEntry } from "../../../core/zab/log-entry.ts";
import { asSid } from "../../../core/zab/membership.ts";
import type { LogPosition } from "../../../core/zab/messages.ts";
import type { LogRow } from "../../../core/zab/txn-log.ts";
import { asEpoch, type Zxid, zxid } from "../../../core/zab/zxid.ts";
import { NO_SESSION, type SessionId } from "../../../core/znode/types.ts";
import { MemoryBackend } from "../../../sim/memory-backend.ts";
import { START } from "../../sim/script.ts";

const RETAIN_NOTHING = { logRetainTxns: 0, diffBytesMax: 0 };

/** A batch that creates /n{counter} for every counter. */
function creates(after: LogPosition, counters: readonly number[], committed: Zxid, epoch = 1) {
  const writer = new ByteWriter(256);
  for (const counter of counters) {
    appendTxn(
      writer,
      { session: NO_SESSION, xid: 0, zxid: zxid(epoch, counter), timeMs: 1 },
      {
        type: "create",
        path: `/n${counter}`,
        data: null,
        ephemeral: false,
        parentCversion: counter,
        withStat: false,
      },
    );
  }
  const entry = makeEntry(after, writer.view().slice());
  if (entry === undefined) throw new Error("the counters follow");
  return {
    write: { type: "append" as const, ...entry, committed },
    end: { zxid: entry.last, chain: entry.chain },
  };
}

function filled(): { backend: MemoryBackend; storage: MemberStorage; end: LogPosition } {
  const backend = new MemoryBackend();
  const storage = new MemberStorage(backend);
  storage.recover();
  storage.persist([
    { type: "acceptedEpoch", epoch: asEpoch(1), to: null },
    { type: "currentEpoch", epoch: asEpoch(1) },
    { type: "initialized" },
  ]);
  const a = creates(START, [1, 2, 3], zxid(0, 0));
  const b = creates(a.end, [4, 5], zxid(1, 2));
  storage.persist([a.write]);
  storage.persist([b.write]);
  return { backend, storage, end: b.end };
}

const names = (storage: MemberStorage): string =>
  (storage.recover().tree.children("/") ?? []).filter((name) => name !== "zookeeper").join(" ");

describe("the storage of a member", () => {
  it("[ZAB-17] rebuilds the tree up to the commit index of the log, also in the middle of a row", () => {
    const { backend } = filled();
    const storage = new MemberStorage(backend);
    const { recovered, tree } = storage.recover();
    expect(recovered).toMatchObject({
      boot: 2,
      acceptedEpoch: 1,
      currentEpoch: 1,
      initialized: true,
      applied: zxid(1, 2),
    });
    expect(tree.lastApplied).toEqual(zxid(1, 2));
    expect(tree.get("/n2")).toBeDefined();
    expect(tree.get("/n3")).toBeUndefined();
    expect(tree.events).toEqual([]);
    expect(storage.log.last.zxid).toEqual(zxid(1, 5));
  });

  it("[ZAB-82] continues the count of its incarnations, or begins at the given number", () => {
    const backend = new MemoryBackend();
    expect(new MemberStorage(backend).recover(700).recovered.boot).toBe(700);
    expect(new MemberStorage(backend).recover(5).recovered.boot).toBe(701);
    expect(new MemberStorage(backend).recover().recovered.boot).toBe(702);
  });

  /** Three rows of the log, the first two of them below the checkpoint. */
  function threeRows(): { backend: MemoryBackend; rows: readonly LogRow[] } {
    const { backend, storage, end } = filled();
    storage.persist([creates(end, [6], zxid(1, 5)).write]);
    const again = new MemberStorage(backend);
    const { tree } = again.recover();
    expect(tree.lastApplied).toEqual(zxid(1, 5));
    again.checkpoint(tree.takeChanges(), { logRetainTxns: 100, diffBytesMax: 1_000_000 });
    return { backend, rows: backend.logRows() };
  }

  const spoil: Readonly<Record<string, (backend: MemoryBackend, row: LogRow, other: LogRow) => void>> = {
    "a bit of it is another": (backend, row) => {
      const batch = backend.read(row.seq).slice();
      batch[batch.length - 1] = (batch[batch.length - 1] ?? 0) ^ 1;
      backend.replace(row, batch);
    },
    "its end is missing": (backend, row) => backend.replace(row, backend.read(row.seq).slice(0, -3)),
    "it holds another row's bytes": (backend, row, other) =>
      backend.replace(row, backend.read(other.seq).slice()),
    "it continues something else": (backend, row) =>
      backend.replace({ ...row, before: { high: 1, low: 2 } }, backend.read(row.seq).slice()),
  };

  for (const [what, damage] of Object.entries(spoil)) {
    it(`[ZAB-16] serves no row above the checkpoint when ${what}, and keeps only its promise`, () => {
      const { backend, rows } = threeRows();
      const boot = backend.readMeta().boot;
      damage(backend, rows[2] as LogRow, rows[0] as LogRow);
      const storage = new MemberStorage(backend);
      expect(storage.meta).toEqual({ ...EMPTY_META, boot, acceptedEpoch: 1 });
      expect(backend.logRows()).toEqual([]);
      const { recovered, tree } = storage.recover(99);
      expect(recovered.boot).toBe(boot + 1);
      expect(recovered.initialized).toBe(false);
      expect(tree.children("/")).toEqual(["zookeeper"]);
    });

    it(`[ZAB-16] drops a row below the checkpoint when ${what}, and the rows before it`, () => {
      const { backend, rows } = threeRows();
      damage(backend, rows[1] as LogRow, rows[0] as LogRow);
      const storage = new MemberStorage(backend);
      expect(storage.log.base.zxid).toEqual(zxid(1, 5));
      expect(storage.log.last.zxid).toEqual(zxid(1, 6));
      expect(storage.meta.initialized).toBe(true);
      expect(names(new MemberStorage(backend))).toBe("n1 n2 n3 n4 n5");
    });
  }

  it("[ZAB-16] that lacks its log up to the checkpoint keeps only its promise", () => {
    const { backend, rows } = threeRows();
    backend.deleteAfter((rows[0] as LogRow).seq);
    expect(new MemberStorage(backend).meta.initialized).toBe(false);
  });

  it("[ZAB-14] continues from a checkpoint when the log below it is cut", () => {
    const { backend } = filled();
    const storage = new MemberStorage(backend);
    const { tree } = storage.recover();
    storage.checkpoint(tree.takeChanges(), RETAIN_NOTHING);
    expect(storage.log.base).toEqual(START);
    expect(storage.logBytes).toBe(0);
    expect(names(new MemberStorage(backend))).toBe("n1 n2");
    const next = creates(storage.log.last, [6], zxid(1, 5));
    storage.persist([next.write]);
    const again = new MemberStorage(backend);
    const second = again.recover().tree;
    expect(second.lastApplied).toEqual(zxid(1, 5));
    again.checkpoint(second.takeChanges(), RETAIN_NOTHING);
    expect(again.log.base.zxid).toEqual(zxid(1, 5));
    expect(names(new MemberStorage(backend))).toBe("n1 n2 n3 n4 n5");
  });

  it("[ZNODE-44] makes a checkpoint during replay when what was applied needs one, and keeps the log", () => {
    const { backend, storage } = filled();
    storage.persist([creates(storage.log.last, [6], zxid(1, 4)).write]);
    const again = new MemberStorage(backend, 2_000);
    const { tree } = again.recover();
    expect(again.meta.checkpoint.zxid).toEqual(zxid(1, 3));
    expect(again.log.base).toEqual(START);
    expect(again.logBytes).toBe(again.log.bytesAfter(zxid(1, 3)));
    expect(tree.lastApplied).toEqual(zxid(1, 4));
    expect(tree.digest).toEqual(new MemberStorage(backend.clone()).recover().tree.digest);
    expect(names(new MemberStorage(backend, 2_000))).toBe("n1 n2 n3 n4");
  });

  it("[ZAB-63] adopts a received snapshot in one transaction, and keeps the old tree until then", () => {
    const { backend, storage } = filled();
    const source = filled();
    const { tree } = new MemberStorage(source.backend).recover();
    const changes = tree.takeChanges();
    storage.persist([{ type: "snapshotBegin" }]);
    storage.persist([{ type: "snapshotChunk", bytes: encodeRows(changes.znodes, changes.sessions) }]);
    expect(names(new MemberStorage(backend))).toBe("n1 n2");
    const at = { zxid: zxid(3, 8), chain: { high: 1, low: 2 } };
    storage.persist([
      { type: "acceptedEpoch", epoch: asEpoch(4), to: null },
      { type: "snapshotSwitch", ...at },
      creates(at, [9], zxid(3, 8), 3).write,
      { type: "currentEpoch", epoch: asEpoch(4) },
    ]);
    const again = new MemberStorage(backend);
    expect(again.log.base).toEqual(at);
    expect(again.recover().recovered.applied).toEqual(zxid(3, 8));
    expect(names(new MemberStorage(backend))).toBe("n1 n2");
    expect(again.meta.table).toBe(1);
    expect(backend.readTable(0, "", 1e6).znodes).toEqual([]);
  });

  it("[ZAB-63] restarts a snapshot over the rest of an interrupted one", () => {
    const { backend, storage } = filled();
    const junk = filled();
    const rows = new MemberStorage(junk.backend).recover().tree.takeChanges();
    storage.persist([{ type: "snapshotBegin" }]);
    storage.persist([{ type: "snapshotChunk", bytes: encodeRows(rows.znodes, []) }]);
    storage.persist([{ type: "snapshotBegin" }]);
    expect(backend.readTable(1, "", 1e6).znodes).toEqual([]);
  });

  it("[ZAB-53] never lowers an epoch", () => {
    const { storage } = filled();
    storage.persist([{ type: "acceptedEpoch", epoch: asEpoch(5), to: null }]);
    expect(() => storage.persist([{ type: "acceptedEpoch", epoch: asEpoch(4), to: null }])).toThrow(
      "never goes back",
    );
    expect(() => storage.persist([{ type: "currentEpoch", epoch: asEpoch(0) }])).toThrow("never goes back");
  });

  it("[STORAGE-7] carries out a persist effect as a whole or not at all", () => {
    const { backend, storage } = filled();
    const next = creates(storage.log.last, [6], zxid(1, 5));
    expect(() =>
      storage.persist([
        next.write,
        { type: "truncate", to: zxid(1, 6) },
        { type: "currentEpoch", epoch: asEpoch(0) },
      ]),
    ).toThrow();
    expect(backend.logRows().length).toBe(2);
    expect(backend.readMeta().currentEpoch).toBe(1);
  });
});

describe("requests on their way to the leader", () => {
  it("[SERVER-15] are decoded from their message unchanged", () => {
    const requests: RoutedRequest[] = [
      { session: 0 as SessionId, connection: NO_CONNECTION, xid: 0, opcode: 1, body: new Uint8Array(0) },
      {
        session: (9 * 2 ** 49 + 12_345) as SessionId,
        connection: connectionIdOf(asSid(9), (2 ** 26 - 1) as Token),
        xid: 0x7fff_ffff,
        opcode: -11,
        body: new Uint8Array([1, 2, 3]),
      },
      {
        session: 5 as SessionId,
        connection: NO_CONNECTION,
        xid: -1,
        opcode: 14,
        body: new Uint8Array(1000).fill(7),
      },
    ];
    expect(unpackRequests(packRequests(requests), asSid(1))).toMatchObject(requests);
    expect(unpackRequests(packRequests([]), asSid(1))).toEqual([]);
  });

  it("[SERVER-17] that are cut short are refused", () => {
    const packed = packRequests([
      { session: 1 as SessionId, connection: NO_CONNECTION, xid: 1, opcode: 1, body: new Uint8Array(9) },
    ]);
    expect(() => unpackRequests(packed.subarray(0, packed.length - 1), asSid(1))).toThrow();
    expect(() => unpackRequests(packed.subarray(0, 7), asSid(1))).toThrow();
  });
});

describe("requests that wait", () => {
  const request = (session: number, xid: number, deadline = 100): PendingRequest => ({
    type: "write",
    token: (session * 1000 + xid) as Token,
    session: session as SessionId,
    connection: NO_CONNECTION,
    xid,
    opcode: 1,
    body: new Uint8Array(0),
    fingerprint: NOT_KNOWN,
    origin: asSid(1),
    read: null,
    deadline,
    sent: false,
  });

  it("[SERVER-8] leave in the order of their session", () => {
    const pending = new PendingRequests();
    for (const xid of [1, 2, 3]) {
      pending.add(request(1, xid));
      pending.add(request(2, xid));
    }
    expect(pending.length).toBe(6);
    for (const xid of [1, 2, 3]) expect(pending.shift(1 as SessionId)?.xid).toBe(xid);
    expect(pending.has(1 as SessionId)).toBe(false);
    expect(pending.first(2 as SessionId)?.xid).toBe(1);
    expect(pending.length).toBe(3);
    expect(pending.shift(1 as SessionId)).toBeUndefined();
  });

  it("[SERVER-8] keep their order when some are removed, in a queue that has been long", () => {
    const pending = new PendingRequests();
    for (let xid = 1; xid <= 5000; xid++) pending.add(request(1, xid));
    for (let xid = 1; xid <= 3000; xid++) expect(pending.shift(1 as SessionId)?.xid).toBe(xid);
    pending.removeToken((4000 + 1000) as Token);
    pending.removeToken((4001 + 1000) as Token);
    expect(pending.length).toBe(1998);
    const rest = pending.writes().map(({ xid }) => xid);
    expect(rest[0]).toBe(3001);
    expect(rest).not.toContain(4000);
    expect([...rest].sort((a, b) => a - b)).toEqual(rest);
  });

  it("[SERVER-3] are answered at their deadline at the latest", () => {
    const pending = new PendingRequests();
    pending.add(request(1, 1, 300));
    pending.add(request(2, 1, 100));
    pending.add(request(1, 2, 200));
    expect(pending.deadline).toBe(100);
    expect(pending.expired(99)).toEqual([]);
    expect(
      pending
        .expired(200)
        .map(({ session, xid }) => `${session}/${xid}`)
        .sort(),
    ).toEqual(["1/2", "2/1"]);
    expect(pending.deadline).toBe(300);
    expect(pending.expired(300).length).toBe(1);
    expect(pending.deadline).toBe(Number.POSITIVE_INFINITY);
    expect(pending.length).toBe(0);
  });
});

describe("the configuration of a member", () => {
  it("[ZAB-23] depends on the tick, and refuses values that cannot work", () => {
    const config = makeServerConfig({ tickTimeMs: 200 });
    expect(config.sessionTimeoutMsMin).toBe(400);
    expect(config.sessionTimeoutMsMax).toBe(12_000);
    expect(makeServerConfig({ logRetainTxns: 5 }).logRetainTxns).toBe(5);
    expect(() => makeServerConfig({ sessionTimeoutMsMin: 0 })).toThrow("positive");
    expect(() => makeServerConfig({ sessionTimeoutMsMin: 10, sessionTimeoutMsMax: 5 })).toThrow("range");
    expect(() => makeServerConfig({ checkpointLogBytesMax: 1e9 })).toThrow("fits into a DIFF");
  });
});
