/** Another write under a number that its session has used. */
import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import type { Token } from "../../../core/server/pending.ts";
import { CreateMode, type SessionId, type WriteRequest } from "../../../core/znode/types.ts";
import type { Cluster } from "../../sim/cluster.ts";
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
  { type: "sync" },
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

  it("[SERVER-42] is refused while the first one waits at the same member", () => {
    const { cluster, session } = world();
    const first = cluster.write(2, setData("/a", 1), session, 1);
    const other = cluster.write(2, setData("/b", 2), session, 1);
    const again = cluster.write(2, setData("/a", 1), session, 1);
    const codes = cluster.answered([first, other, again] as Token[]).map(codeOf);
    expect(codes).toEqual(["OK", "XID_REUSED", "OK"]);
    expect(dataOf(cluster, "/b")).not.toBe("2");
  });

  it("[SERVER-42] is refused when the first one is under way at another member", () => {
    for (let delay = 0; delay < 8; delay++) {
      const { cluster, session } = world();
      const [one, two] = cluster.followers as unknown as [number, number];
      const first = cluster.write(one, setData("/a", 1), session, 1);
      cluster.runFor(delay);
      const other = cluster.write(two, setData("/b", 2), session, 1);
      const codes = cluster.answered([first, other]).map(codeOf);
      // One of them has the number; nobody is told of the other's result.
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
    cluster.wipe(down);
    cluster.start(down);
    cluster.settle();
    for (const sid of [1, 2, 3]) {
      expect(codeOf(write(cluster, sid, del("/new"), session, 1))).toBe("XID_REUSED");
      expect(codeOf(write(cluster, sid, create("/other"), session, 1))).toBe("XID_REUSED");
      expect(codeOf(write(cluster, sid, create("/new"), session, 1))).toBe("OK");
    }
  });

  it("[SERVER-42] is never said of a repeat, though the znodes have changed since", () => {
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
