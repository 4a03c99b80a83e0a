/** Another write under a number that its session has used. */
import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import type { ServerAnswer } from "../../../core/server/answers.ts";
import { fingerprintOf, NOT_KNOWN, PreparedFingerprints } from "../../../core/server/fingerprint.ts";
import type { Token } from "../../../core/server/ids.ts";
import type { PeerMessage } from "../../../core/server/messages.ts";
import { isAnotherWrite, isOfAnotherWrite } from "../../../core/server/reuse.ts";
import { encodeWrite } from "../../../core/wire/jute/requests.ts";
import { asEpoch, ZXID_ZERO } from "../../../core/zab/zxid.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import { CreateMode, type SessionId, type Txn, type WriteRequest } from "../../../core/znode/types.ts";
import type { Cluster } from "../../../sim/cluster.ts";
import { codeOf, create, ensemble, open, setData, write } from "../../sim/world.ts";

const del = (path: string): WriteRequest => ({ type: "delete", path, version: -1 });
const multi = (...ops: WriteRequest[]): WriteRequest => ({ type: "multi", ops }) as WriteRequest;

const FIRST: readonly (readonly [name: string, request: WriteRequest])[] = [
  ["create", create("/new")],
  ["create of a sequential", create("/n-", CreateMode.PERSISTENT_SEQUENTIAL)],
  ["setData", setData("/a", 1)],
  ["delete", del("/gone")],
  ["multi", multi(setData("/a", 1), setData("/b", 1))],
  ["sync", { type: "sync" }],
];

const OTHERS: readonly WriteRequest[] = [
  create("/other"),
  create("/new", CreateMode.PERSISTENT, 5),
  create("/other-", CreateMode.PERSISTENT_SEQUENTIAL),
  setData("/a", 9),
  setData("/b", 9),
  del("/b"),
  multi(setData("/b", 9)),
  multi(setData("/a", 9), setData("/b", 1)),
  multi(setData("/a", 1), setData("/b", 1), del("/b")),
  multi(setData("/a", 1), del("/b")),
  { ...create("/new"), mode: CreateMode.EPHEMERAL } as WriteRequest,
  { ...create("/n-"), mode: CreateMode.EPHEMERAL_SEQUENTIAL } as WriteRequest,
  { ...setData("/a", 1), version: 3 } as WriteRequest,
  { type: "sync" },
];

/** Refusals: what was refused with which code, and others that cannot have been. */
const REFUSED: readonly (readonly [code: string, request: WriteRequest, others: readonly WriteRequest[]])[] =
  [
    ["NO_NODE", del("/none"), [create("/none"), setData("/a", 1), del("/b"), create("/a/x")]],
    ["NODE_EXISTS", create("/a"), [create("/none"), setData("/a", 1), del("/a"), { type: "sync" }]],
    ["NOT_EMPTY", del("/full"), [create("/none"), setData("/full", 1), del("/a"), multi(del("/full"))]],
    [
      "BAD_VERSION",
      { ...setData("/a", 1), version: 7 } as WriteRequest,
      [setData("/a", 1), del("/a"), create("/none"), { ...setData("/a", 1), version: 0 } as WriteRequest],
    ],
    [
      "OK",
      multi(setData("/a", 1), del("/none")),
      [
        multi(setData("/a", 1)),
        multi(setData("/a", 1), create("/none", CreateMode.PERSISTENT, 1), del("/b")),
      ],
    ],
  ];

const bytes = (request: WriteRequest): string =>
  JSON.stringify(request, (_, value) => (value instanceof Uint8Array ? [...value] : value));

function world(): { cluster: Cluster; session: SessionId } {
  const cluster = ensemble({ size: 3 });
  for (const path of ["/a", "/b", "/gone"]) write(cluster, 1, create(path));
  return { cluster, session: open(cluster, 1) };
}

const dataOf = (cluster: Cluster, path: string): string =>
  String(must(cluster.leader, "a leader").tree.get(path)?.data ?? null);

describe("another write under a used number", () => {
  for (const [name, first] of FIRST) {
    for (const sid of [1, 2, 3]) {
      it(`[SERVER-42] is XID_REUSED after a ${name}, asked at ${sid}, and nothing of it happens`, () => {
        const { cluster, session } = world();
        const done = write(cluster, 1, first, session, 1);
        cluster.settle();
        const before = ["/a", "/b", "/other", "/new"].map((path) => dataOf(cluster, path));
        const others = OTHERS.filter((other) => other.type !== first.type || bytes(other) !== bytes(first));
        for (const other of others) {
          if (other.type === "sync" && first.type === "sync") continue;
          expect(codeOf(write(cluster, sid, other, session, 1)), bytes(other)).toBe("XID_REUSED");
        }
        expect(["/a", "/b", "/other", "/new"].map((path) => dataOf(cluster, path))).toEqual(before);
        const again = write(cluster, sid, first, session, 1);
        expect([codeOf(again), again.zxid]).toEqual([codeOf(done), done.zxid]);
      });
    }
  }

  for (const [code, first, others] of REFUSED) {
    it(`[SERVER-42] is XID_REUSED after a refused ${first.type} (${code}), if it could not be refused so`, () => {
      const { cluster, session } = world();
      write(cluster, 1, create("/full"));
      write(cluster, 1, create("/full/child"));
      expect(codeOf(write(cluster, 1, first, session, 1))).toBe(code);
      cluster.settle();
      for (const sid of [1, 2, 3]) {
        for (const other of others)
          expect(codeOf(write(cluster, sid, other, session, 1)), bytes(other)).toBe("XID_REUSED");
        expect(codeOf(write(cluster, sid, first, session, 1))).toBe(code);
      }
    });
  }

  it("[SERVER-42] is detected from the txn, whatever was written to the znode since", () => {
    const { cluster, session } = world();
    write(cluster, 1, setData("/a", 1), session, 1);
    write(cluster, 1, multi(setData("/a", 2), setData("/b", 2)), session, 2);
    write(cluster, 2, setData("/a", 7));
    cluster.settle();
    for (const sid of [1, 2, 3]) {
      expect(codeOf(write(cluster, sid, setData("/a", 9), session, 1))).toBe("XID_REUSED");
      expect(codeOf(write(cluster, sid, multi(setData("/a", 2), setData("/b", 9)), session, 2))).toBe(
        "XID_REUSED",
      );
      expect(codeOf(write(cluster, sid, setData("/a", 1), session, 1))).toBe("OK");
      expect(codeOf(write(cluster, sid, multi(setData("/a", 2), setData("/b", 2)), session, 2))).toBe("OK");
    }
    expect(dataOf(cluster, "/b")).toBe("2");
  });

  it("[SERVER-42] is returned by a member that applies the first one while the other waits", () => {
    for (const sid of [1, 2, 3]) {
      const { cluster, session } = world();
      const first = multi(setData("/a", 1));
      expect(codeOf(write(cluster, sid, first, session, 1))).toBe("OK");
      // Not settled: what the members note of the commit on disk lags behind, so that they apply the write after their start.
      cluster.crashAll(1_000);
      cluster.startAll();
      expect(codeOf(write(cluster, sid, multi(setData("/a", 9)), session, 1))).toBe("XID_REUSED");
      expect(codeOf(write(cluster, sid, first, session, 1))).toBe("OK");
      cluster.settle();
      expect(dataOf(cluster, "/a")).toBe("1");
    }
  });

  it("[SERVER-42] a sequential create is recognized by a number of eleven characters too", () => {
    for (const [suffix, isIt] of [
      ["2147483647", true],
      ["-000000001", true],
      ["-2147483648", true],
      ["21474", false],
    ]) {
      const path = `/n-${suffix}`;
      const request = create("/n-", CreateMode.PERSISTENT_SEQUENTIAL) as WriteRequest & { data: Uint8Array };
      const txn: Txn = {
        type: "create",
        path,
        data: request.data,
        ephemeral: false,
        parentCversion: 1,
        withStat: request.type === "create" && request.withStat,
      };
      const { opcode, body } = encodeWrite(request);
      expect(isOfAnotherWrite(opcode, body, txn), path).toBe(!isIt);
      const done = { zxid: ZXID_ZERO, result: { type: "create", path, stat: null } } as const;
      expect(isAnotherWrite(request, done, txn, new ZnodeTree()), path).toBe(!isIt);
    }
  });

  it("[SERVER-42] is refused while the first one waits at the same member", () => {
    const { cluster, session } = world();
    const first = cluster.write(2, setData("/a", 1), session, 1);
    const other = cluster.write(2, setData("/b", 2), session, 1);
    const again = cluster.write(2, setData("/a", 1), session, 1);
    const codes = cluster.answered([first, other, again] as Token[]).map(codeOf);
    expect(codes).toEqual(["OK", "XID_REUSED", "OK"]);
    expect(dataOf(cluster, "/b")).not.toBe("2");
  });

  it("[SERVER-42] is refused while the first one is outstanding at another member", () => {
    for (let delay = 0; delay < 8; delay++) {
      const { cluster, session } = world();
      const [one, two] = cluster.followers as unknown as [number, number];
      const first = cluster.write(one, setData("/a", 1), session, 1);
      cluster.runFor(delay);
      const other = cluster.write(two, setData("/b", 2), session, 1);
      const codes = cluster.answered([first, other]).map(codeOf);
      cluster.settle();
      // One of them has the number; the other's result goes to nobody.
      const values = [dataOf(cluster, "/a") === "1", dataOf(cluster, "/b") === "2"];
      expect(codes.filter((code) => code === "OK")).toHaveLength(1);
      expect(codes.filter((code) => code === "XID_REUSED")).toHaveLength(1);
      expect(values).toEqual(codes.map((code) => code === "OK"));
    }
  });

  it("[SERVER-42] is refused after elections, restarts and a SNAP too", () => {
    const { cluster, session } = world();
    write(cluster, 1, create("/new"), session, 1);
    cluster.settle();
    cluster.crashAll(1_000);
    cluster.startAll();
    cluster.settle();
    const down = must(cluster.followers[0], "a follower");
    cluster.crash(down);
    cluster.disks.wipe(down);
    cluster.start(down);
    cluster.settle();
    for (const sid of [1, 2, 3]) {
      expect(codeOf(write(cluster, sid, del("/new"), session, 1))).toBe("XID_REUSED");
      expect(codeOf(write(cluster, sid, create("/other"), session, 1))).toBe("XID_REUSED");
      expect(codeOf(write(cluster, sid, create("/new"), session, 1))).toBe("OK");
    }
  });

  it("[SERVER-42] is never the answer to a repeat, even if the znodes have changed since", () => {
    const { cluster, session } = world();
    const writes = [create("/new"), setData("/new", 1), setData("/é", 1), del("/new")];
    write(cluster, 1, create("/é"));
    for (const [i, each] of writes.entries()) write(cluster, 1, each, session, i + 1);
    write(cluster, 2, create("/new"));
    write(cluster, 2, setData("/é", 7));
    cluster.settle();
    for (const [i, each] of writes.entries()) {
      for (const sid of [1, 2, 3]) expect(codeOf(write(cluster, sid, each, session, i + 1))).toBe("OK");
    }
  });
});

/** Of the last txn with this result the tree keeps nothing by which this other write could be told. */
interface Alike {
  readonly name: string;
  readonly first: WriteRequest;
  readonly code: string;
  readonly other: WriteRequest;
  /** what others do in between */
  readonly since?: readonly WriteRequest[];
}

const data = (path: string, byte: number): WriteRequest => ({
  type: "create",
  path,
  data: new Uint8Array([byte]),
  mode: CreateMode.PERSISTENT,
  withStat: false,
});

const ALIKE: readonly Alike[] = [
  {
    name: "other data, overwritten since",
    first: setData("/a", 1),
    code: "OK",
    other: setData("/a", 2),
    since: [setData("/a", 3)],
  },
  {
    name: "another path, written since",
    first: setData("/a", 1),
    code: "OK",
    other: setData("/b", 1),
    since: [setData("/b", 3)],
  },
  {
    name: "another path, made since",
    first: del("/gone"),
    code: "OK",
    other: del("/b"),
    since: [del("/b"), create("/b")],
  },
  {
    name: "other data of a znode that was deleted since",
    first: data("/new", 1),
    code: "OK",
    other: data("/new", 2),
    since: [del("/new")],
  },
  {
    name: "a multi of as many operations",
    first: multi(setData("/a", 1), setData("/b", 1)),
    code: "OK",
    other: multi(setData("/b", 2), del("/gone")),
  },
  { name: "another expected version", first: setData("/a", 1, 0), code: "OK", other: setData("/a", 1) },
  {
    name: "another mode",
    first: create("/new"),
    code: "OK",
    other: create("/new", CreateMode.EPHEMERAL),
  },
  { name: "a write after a refused one", first: del("/none"), code: "NO_NODE", other: create("/other") },
  { name: "a multi after a refused one", first: create("/a"), code: "NODE_EXISTS", other: multi(del("/b")) },
];

/** A write was answered as this one, txn and all. */
const alike = (a: ServerAnswer, b: ServerAnswer): void =>
  expect([codeOf(a), a.zxid]).toEqual([codeOf(b), b.zxid]);

describe("another write that differs from the first only in its bytes", () => {
  for (const { name, first, code, other, since = [] } of ALIKE) {
    it(`[SERVER-48] is XID_REUSED at the member that took the first and at the leader: ${name}`, () => {
      for (const origin of [1, 2, 3]) {
        const { cluster, session } = world();
        const leader = must(cluster.leader, "a leader").sid;
        const done = write(cluster, origin, first, session, 1);
        expect(codeOf(done)).toBe(code);
        for (const each of since) expect(codeOf(write(cluster, 3, each))).toBe("OK");
        cluster.settle();
        const before = must(cluster.leader, "a leader").tree.lastApplied;
        for (const sid of new Set([origin, leader])) {
          expect(codeOf(write(cluster, sid, other, session, 1)), `${origin} then ${sid}`).toBe("XID_REUSED");
        }
        expect(must(cluster.leader, "a leader").tree.lastApplied).toEqual(before);
        for (const sid of [1, 2, 3]) alike(write(cluster, sid, first, session, 1), done);
        // The number is no longer the last one.
        expect(codeOf(write(cluster, origin, setData("/a", 8), session, 2))).toBe("OK");
        cluster.settle();
        for (const sid of new Set([origin, leader])) {
          expect(codeOf(write(cluster, sid, other, session, 1)), `${origin} then ${sid}`).toBe("XID_REUSED");
        }
        for (const sid of [1, 2, 3]) alike(write(cluster, sid, first, session, 1), done);
      }
    });

    it(`[SERVER-48] is XID_REUSED at the leader while the first is outstanding: ${name}`, () => {
      for (let delay = 0; delay < 12; delay++) {
        const { cluster, session } = world();
        const leader = must(cluster.leader, "a leader").sid;
        const follower = must(cluster.followers[0], "a follower");
        const one = cluster.write(follower, first, session, 1);
        cluster.runFor(delay);
        const two = cluster.write(leader, other, session, 1);
        const codes = cluster.answered([one, two]).map(codeOf);
        // Whichever reaches the leader first has the number.
        expect(codes.filter((each) => each === "XID_REUSED")).toHaveLength(1);
      }
    });
  }

  it("[SERVER-48] is refused by the leader when it is forwarded, and does not use the number", () => {
    for (let delay = 0; delay < 12; delay++) {
      const { cluster, session } = world();
      const [one, two] = cluster.followers as unknown as [number, number];
      const first = cluster.write(one, setData("/a", 1), session, 1);
      cluster.runFor(delay);
      const other = cluster.write(two, setData("/a", 2), session, 1);
      const codes = cluster.answered([first, other]).map(codeOf);
      expect([...codes].sort()).toEqual(["OK", "XID_REUSED"]);
      cluster.settle();
      expect(dataOf(cluster, "/a")).toBe(codes[0] === "OK" ? "1" : "2");
      const won = setData("/a", codes[0] === "OK" ? 1 : 2);
      for (const sid of [1, 2, 3]) expect(codeOf(write(cluster, sid, won, session, 1))).toBe("OK");
    }
  });

  it("[SERVER-48] is refused by a REJECT whose `code` a member that does not know XID_REUSED can answer", () => {
    const { cluster, session } = world();
    const [one, two] = cluster.followers as unknown as [number, number];
    const rejects: PeerMessage[] = [];
    cluster.onMessage = (_from, to, message) => {
      if (message.type === "REJECT" && to === two) rejects.push(message);
    };
    // What the leader has committed does not reach the other one before its own request has left.
    cluster.clog(must(cluster.leader, "a leader").sid, two, 50);
    expect(codeOf(write(cluster, one, multi(setData("/a", 1)), session, 1))).toBe("OK");
    const other = cluster.write(two, multi(setData("/b", 1)), session, 1);
    cluster.answered([other]);
    cluster.settle();
    expect(rejects).toMatchObject([
      { code: "THROTTLED", exactly: "XID_REUSED", requests: [{ session, xid: 1 }] },
    ]);
    expect(dataOf(cluster, "/b")).not.toBe("1");
  });

  it("[SERVER-48] leaves the right fingerprint if it was taken for the first one and refused later", () => {
    const first = setData("/a", 1);
    const other = setData("/a", 1, 0);
    for (let delay = 0; delay < 12; delay++) {
      const { cluster, session } = world();
      const [one, two] = cluster.followers as unknown as [number, number];
      const tokens = [cluster.write(one, first, session, 1)];
      cluster.runFor(delay);
      tokens.push(cluster.write(two, other, session, 1));
      const codes = cluster.answered(tokens).map(codeOf);
      cluster.settle();
      const leader = must(cluster.leader, "a leader").sid;
      const [won, lost] =
        codeOf(write(cluster, leader, first, session, 1)) === "OK" ? [first, other] : [other, first];
      expect(codes).toContain("OK");
      // A repeat of what happened is refused nowhere.
      for (const sid of [1, 2, 3]) expect(codeOf(write(cluster, sid, won, session, 1))).toBe("OK");
      expect(codeOf(write(cluster, leader, lost, session, 1))).toBe("XID_REUSED");
    }
  });

  it("[SERVER-48] is returned by a leader that has stepped down and whose own txns a quorum has committed", () => {
    const { cluster, session } = world();
    const leader = must(cluster.leader, "a leader").sid;
    const done = write(cluster, leader, multi(setData("/a", 1)), session, 1);
    cluster.isolate(leader);
    cluster.runUntil(() => cluster.leader !== undefined && cluster.leader.sid !== leader);
    cluster.heal();
    cluster.settle();
    expect(codeOf(write(cluster, leader, multi(setData("/b", 1)), session, 1))).toBe("XID_REUSED");
    alike(write(cluster, leader, multi(setData("/a", 1)), session, 1), done);
  });
});

describe("fingerprints", () => {
  const header = (counter: number, epoch = 1) => ({
    session: 7 as SessionId,
    xid: counter,
    zxid: { epoch: asEpoch(epoch), counter },
    timeMs: 0,
  });

  it("[SERVER-48] depend on opcode, length and bytes, and are never NOT_KNOWN", () => {
    const body = new Uint8Array([1, 2, 3]);
    const all = [
      fingerprintOf(1, body),
      fingerprintOf(2, body),
      fingerprintOf(1, new Uint8Array([1, 2, 4])),
      fingerprintOf(1, new Uint8Array(0)),
      fingerprintOf(2, new Uint8Array(0)),
      fingerprintOf(1, new Uint8Array(1 << 22)),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(all).not.toContain(NOT_KNOWN);
    expect(all.every(Number.isSafeInteger)).toBe(true);
    expect(fingerprintOf(1, body.slice())).toBe(all[0]);
  });

  it("[SERVER-48] of prepared writes are found by number, and taken by zxid in order", () => {
    const prepared = new PreparedFingerprints();
    for (let i = 1; i <= 100; i++) prepared.add(header(i), i * 10);
    for (let i = 1; i <= 60; i++) expect(prepared.take(header(i).zxid)).toBe(i * 10);
    for (let i = 101; i <= 400; i++) prepared.add(header(i), i * 10);
    expect(prepared.find(7 as SessionId, 60)).toBe(NOT_KNOWN);
    expect(prepared.find(8 as SessionId, 61)).toBe(NOT_KNOWN);
    for (let i = 61; i <= 400; i++) expect(prepared.find(7 as SessionId, i)).toBe(i * 10);
    expect(prepared.take(header(200).zxid)).toBe(2_000);
    expect(prepared.find(7 as SessionId, 199)).toBe(NOT_KNOWN);
    // Another leader's txn ends what was not committed.
    expect(prepared.take(header(1, 2).zxid)).toBe(NOT_KNOWN);
    expect(prepared.find(7 as SessionId, 400)).toBe(NOT_KNOWN);
  });
});
