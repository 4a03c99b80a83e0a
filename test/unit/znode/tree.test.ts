import { describe, expect, test } from "vitest";
import { copyData } from "../../../core/wire/data-pool.ts";
import { appendTxn, TxnCursor } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { ZXID_ZERO, zxid } from "../../../core/zab/zxid.ts";
import { boundedRead } from "../../../core/znode/ops/bounded-read.ts";
import { rowOf, sessionRowOf } from "../../../core/znode/rows.ts";
import { isCounterAhead, nextVersion } from "../../../core/znode/stat.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import {
  CreateMode,
  NO_SESSION,
  type SessionId,
  type Txn,
  type TxnHeader,
  WatchEventType,
} from "../../../core/znode/types.ts";
import { bytes, contentsOf, create, digestOf, remove, START_MS, sessionId, setData, World } from "./world.ts";

const headerAt = (counter: number, session = NO_SESSION, xid = 0): TxnHeader => ({
  session,
  xid,
  zxid: zxid(1, counter),
  timeMs: START_MS + counter,
});
const createTxn = (path: string, parentCversion: number, ephemeral = false): Txn => ({
  type: "create",
  path,
  data: bytes("x"),
  ephemeral,
  parentCversion,
  withStat: true,
});

describe("a new tree", () => {
  test("[ZNODE-8] has the root and three znodes under it, with ZooKeeper's numbers", () => {
    const { tree } = new World();
    expect(tree.size).toBe(4);
    expect(tree.children("/")).toEqual(["zookeeper"]);
    expect(tree.children("/zookeeper")).toEqual(["config", "quota"]);
    const read = (path: string) => tree.read(NO_SESSION, { type: "exists", path, watch: false });
    expect(read("/")).toMatchObject({ stat: { cversion: -1, version: 0, numChildren: 1, czxid: ZXID_ZERO } });
    expect(read("/zookeeper")).toMatchObject({ stat: { cversion: -2, numChildren: 2 } });
    expect(read("/zookeeper/config")).toMatchObject({ stat: { aversion: -1, dataLength: 0 } });
    expect(tree.read(NO_SESSION, { type: "getData", path: "/zookeeper/config", watch: false })).toMatchObject(
      {
        data: new Uint8Array(0),
      },
    );
  });

  test("[ZNODE-13] all new trees have the same digest", () => {
    expect(digestOf(new ZnodeTree())).toBe(digestOf(new ZnodeTree()));
    expect(digestOf(ZnodeTree.load([], [], ZXID_ZERO))).toBe(digestOf(new ZnodeTree()));
  });

  test("[ZNODE-15] has nothing to store", () => {
    const tree = new ZnodeTree();
    const nothing = { high: 0, low: 0 };
    expect(tree.takeChanges()).toEqual({
      lastApplied: ZXID_ZERO,
      znodes: [],
      deleted: [],
      sessions: [],
      closed: [],
      digest: tree.digest,
      size: 4,
      added: nothing,
      addedUpTo: nothing,
    });
  });
});

describe("the Stat", () => {
  test("[ZNODE-6] of a znode through its life", () => {
    const world = new World();
    world.write(create("/a", CreateMode.PERSISTENT, "one"));
    const made = world.last;
    expect(world.stat("/a")).toEqual({
      czxid: made,
      mzxid: made,
      pzxid: made,
      ctime: START_MS + 1,
      mtime: START_MS + 1,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: NO_SESSION,
      dataLength: 3,
      numChildren: 0,
    });
    world.write(setData("/a", "four"));
    const set = world.last;
    expect(world.stat("/a")).toMatchObject({
      czxid: made,
      mzxid: set,
      pzxid: made,
      ctime: START_MS + 1,
      mtime: START_MS + 2,
      version: 1,
      dataLength: 4,
    });
    world.write(create("/a/b"));
    expect(world.stat("/a")).toMatchObject({
      mzxid: set,
      pzxid: world.last,
      version: 1,
      cversion: 1,
      numChildren: 1,
    });
    world.write(remove("/a/b"));
    expect(world.stat("/a")).toMatchObject({
      mzxid: set,
      pzxid: world.last,
      mtime: START_MS + 2,
      cversion: 2,
      numChildren: 0,
    });
  });

  test("[ZNODE-6] a returned Stat does not change", () => {
    const world = new World();
    const result = world.write(create("/a"));
    const before = structuredClone(result);
    world.write(setData("/a", "x"));
    world.write(create("/a/b"));
    expect(result).toEqual(before);
  });

  test("[ZNODE-5] versions wrap around and skip −1, which matches any version", () => {
    expect([0, 2 ** 31 - 1, -(2 ** 31), -3, -2].map(nextVersion)).toEqual([
      1,
      -(2 ** 31),
      -(2 ** 31) + 1,
      -2,
      0,
    ]);
    expect(isCounterAhead(-(2 ** 31), 2 ** 31 - 1)).toBe(true);
    expect(isCounterAhead(5, 5)).toBe(false);
    expect(isCounterAhead(4, 5)).toBe(false);
  });

  test("[ZNODE-17] null and empty data differ, both have length 0", () => {
    const world = new World();
    world.write(create("/a"));
    world.write(setData("/a", null));
    expect(world.tree.read(NO_SESSION, { type: "getData", path: "/a", watch: false })).toMatchObject({
      data: null,
      stat: { dataLength: 0 },
    });
    const none = digestOf(world.tree);
    world.write(setData("/a", "", 1));
    expect(world.tree.read(NO_SESSION, { type: "getData", path: "/a", watch: false })).toMatchObject({
      data: new Uint8Array(0),
      stat: { dataLength: 0 },
    });
    expect(digestOf(world.tree)).not.toBe(none);
  });
});

describe("reads", () => {
  test("[ZNODE-16] of a missing znode, and of invalid paths", () => {
    const { tree } = new World();
    for (const type of ["exists", "getData", "getChildren"] as const) {
      for (const path of ["/none", "abc", "/zookeeper/", "/a//b", "/.."]) {
        expect(tree.read(NO_SESSION, { type, path, watch: false, withStat: true })).toEqual({
          type: "error",
          code: "NO_NODE",
        });
      }
      expect(tree.read(NO_SESSION, { type, path: "", watch: false, withStat: true })).toMatchObject({ type });
    }
    expect(tree.read(NO_SESSION, { type: "exists", path: "/a\0", watch: true })).toEqual({
      type: "error",
      code: "BAD_ARGUMENTS",
    });
    expect(tree.children("/none")).toBeUndefined();
  });

  test("[ZNODE-41] the ephemerals of the requesting session, and of no other, by the text of a prefix", () => {
    const world = new World();
    const [one, other] = [world.open(1), world.open(2)];
    world.write(create("/a"));
    for (const path of ["/b", "/ab", "/a/x", "/a/w"]) world.write(create(path, CreateMode.EPHEMERAL), one);
    world.write(create("/a/y", CreateMode.EPHEMERAL), other);
    const of = (session: SessionId, prefixPath: string) =>
      world.tree.read(session, { type: "getEphemerals", prefixPath });
    const found = (...ephemerals: string[]) => ({ type: "getEphemerals", ephemerals });
    for (const all of ["/", "", " ", "\t/ \n"])
      expect(of(one, all)).toEqual(found("/a/w", "/a/x", "/ab", "/b"));
    expect(of(one, "/a")).toEqual(found("/a/w", "/a/x", "/ab"));
    expect(of(one, "/a/")).toEqual(found("/a/w", "/a/x"));
    for (const none of ["/none", "//", "a", " /a"]) expect(of(one, none)).toEqual(found());
    expect(of(other, "/")).toEqual(found("/a/y"));
    for (const none of [NO_SESSION, sessionId(3)]) expect(of(none, "/")).toEqual(found());
    world.write(remove("/ab"), one);
    world.write({ type: "closeSession" }, other);
    expect(of(one, "/a")).toEqual(found("/a/w", "/a/x"));
    expect(of(other, "/")).toEqual(found());
  });

  test("[ZNODE-41] a list of ephemerals that does not fit is refused before it is built", () => {
    const world = new World();
    const session = world.open(1);
    const request = { type: "getEphemerals", prefixPath: "/" } as const;
    const empty = world.tree.answerBytes(session, request);
    for (const path of ["/b", "/abc"]) world.write(create(path, CreateMode.EPHEMERAL), session);
    expect(world.tree.answerBytes(session, request) - empty).toBe(2 * 4 + "/b/abc".length);
    expect(world.tree.answerBytes(session, { ...request, prefixPath: "/b" }) - empty).toBe(4 + "/b".length);
    const outcome = (bytesMax: number) => world.tree.read(session, boundedRead(request, bytesMax));
    expect(outcome(10)).toEqual({ type: "error", code: "ANSWER_TOO_LARGE" });
    expect(outcome(10_000)).toMatchObject({ ephemerals: ["/abc", "/b"] });
    expect(world.tree.watchOf(request, true)).toBeUndefined();
  });

  test("[ZNODE-16] children are sorted, and a leaf has none", () => {
    const world = new World();
    for (const name of ["b", "a", "Z", "10", "9"]) world.write(create(`/${name}`));
    expect(world.tree.children("/")).toEqual(["10", "9", "Z", "a", "b", "zookeeper"]);
    expect(
      world.tree.read(NO_SESSION, { type: "getChildren", path: "/a", watch: false, withStat: true }),
    ).toMatchObject({
      children: [],
    });
  });

  describe("[ZNODE-18] data that came in a batch", () => {
    const SIZES = [0, 1, 64, 65, 100, 1024, 1025, 5000];
    /** Creates a znode of each size and sets its data, all in one batch. */
    const applied = () => {
      const writer = new ByteWriter();
      let counter = 0;
      for (const size of SIZES) {
        const path = `/${size}`;
        const created = { ...createTxn(path, counter), data: new Uint8Array(size).fill(1) } as Txn;
        appendTxn(writer, headerAt(++counter), created);
        if (size % 2 === 0) continue;
        const value = new Uint8Array(size).fill(2);
        appendTxn(writer, headerAt(++counter), { type: "setData", path, data: value, version: 1 });
      }
      const batch = writer.finish();
      const tree = new ZnodeTree();
      for (const cursor = new TxnCursor(batch); cursor.next(); ) tree.apply(cursor.header(), cursor.txn());
      return { tree, batch };
    };
    const expectOwn = (data: Uint8Array | null, size: number, batch: Uint8Array) => {
      expect(data).toEqual(new Uint8Array(size).fill(size % 2 === 0 ? 1 : 2));
      expect(data?.buffer).not.toBe(batch.buffer);
      expect(data?.buffer.byteLength).toBeLessThanOrEqual(Math.max(4096, size));
    };

    test("are the tree's own when they are read", () => {
      const { tree, batch } = applied();
      const answers = SIZES.map((size) =>
        tree.read(NO_SESSION, { type: "getData", path: `/${size}`, watch: false }),
      );
      const digest = digestOf(tree);
      batch.fill(0xff);
      for (const [i, size] of SIZES.entries()) {
        expectOwn((answers[i] as { data: Uint8Array }).data, size, batch);
      }
      expect(digest).toBe(digestOf(applied().tree));
    });

    test("are the tree's own once its digest is known", () => {
      const { tree, batch } = applied();
      const digest = digestOf(tree);
      batch.fill(0xff);
      for (const size of SIZES) expectOwn(tree.get(`/${size}`)?.data ?? null, size, batch);
      expect(digestOf(ZnodeTree.load([...tree.znodes()].map(rowOf), [], tree.lastApplied))).toBe(digest);
    });

    test("are the tree's own in a checkpoint", () => {
      const { tree, batch } = applied();
      const { znodes } = tree.takeChanges();
      batch.fill(0xff);
      for (const size of SIZES) {
        expectOwn(znodes.find(({ path }) => path === `/${size}`)?.data ?? null, size, batch);
      }
    });
  });

  test("[ZNODE-18] pieces that share a slab do not overlap", () => {
    const values = Array.from({ length: 200 }, (_, i) => new Uint8Array(65 + (i % 200)).fill(i));
    const copies = values.map((value) => copyData(value));
    expect(copies).toEqual(values);
  });

  test("[ZNODE-18] data that were read do not change", () => {
    const world = new World();
    world.write(create("/a", CreateMode.PERSISTENT, "x".repeat(100)));
    const read = world.tree.read(NO_SESSION, { type: "getData", path: "/a", watch: false });
    world.write(setData("/a", "y".repeat(100)));
    expect(read).toMatchObject({ data: bytes("x".repeat(100)) });
  });
});

describe("apply", () => {
  /** One of every kind, in an order in which each has an effect. */
  const history: [TxnHeader, Txn][] = [
    [headerAt(1, sessionId(1)), { type: "createSession", timeoutMs: 5000 }],
    [headerAt(2), createTxn("/a", 1)],
    [headerAt(3, sessionId(1), 1), createTxn("/a/e", 1, true)],
    [headerAt(4, sessionId(1), 2), { type: "setData", path: "/a", data: null, version: 1 }],
    [
      headerAt(5),
      {
        type: "multi",
        txns: [
          createTxn("/a/m", 2),
          { type: "check", path: "/a", version: 1 },
          { type: "setData", path: "/a/m", data: bytes("z"), version: 1 },
        ],
      },
    ],
    [headerAt(6, sessionId(1), 3), { type: "error", code: "NO_NODE", ops: 0, at: 0 }],
    [headerAt(7), { type: "delete", path: "/a/m" }],
    [headerAt(8), { type: "sync" }],
    [headerAt(9, sessionId(1), 4), { type: "error", code: "BAD_VERSION", ops: 3, at: 1 }],
    [headerAt(10, sessionId(1)), { type: "closeSession" }],
    [headerAt(11), createTxn("/a/m", 3)],
  ];

  test("[ZNODE-11] a txn applied twice has the same result as applied once", () => {
    const once = new ZnodeTree();
    const twice = new ZnodeTree();
    for (const [header, txn] of history) {
      once.apply(header, txn);
      twice.apply(header, txn);
      twice.apply(header, txn);
      expect(contentsOf(twice), JSON.stringify(txn)).toEqual(contentsOf(once));
      expect(digestOf(twice)).toBe(digestOf(once));
      expect(twice.lastApplied).toEqual(header.zxid);
    }
  });

  test("[ZNODE-11] the end of a history applied again changes nothing", () => {
    for (let from = 0; from < history.length; from++) {
      const tree = new ZnodeTree();
      for (const [header, txn] of history) tree.apply(header, txn);
      const before = contentsOf(tree);
      for (const [header, txn] of history.slice(from)) tree.apply(header, txn);
      const after = contentsOf(tree) as { znodes: unknown };
      expect(after.znodes, `from ${from}`).toEqual((before as { znodes: unknown }).znodes);
      expect(tree.lastApplied).toEqual(zxid(1, 11));
    }
  });

  test("[ZNODE-11] an older txn on a newer tree lowers no counter, zxid or last result", () => {
    const tree = new ZnodeTree();
    const session = sessionId(1);
    tree.apply(headerAt(1, session), { type: "createSession", timeoutMs: 5000 });
    tree.apply(headerAt(2, session, 1), createTxn("/a", 1));
    tree.apply(headerAt(3, session, 2), { type: "delete", path: "/a" });
    tree.apply(headerAt(4, session, 3), createTxn("/b", 2));
    const last = sessionRowOf(tree.sessions.get(session) as never);
    tree.apply(headerAt(2, session, 1), createTxn("/a", 1));
    expect(tree.stat(tree.get("/") as never)).toMatchObject({ pzxid: zxid(1, 4), cversion: 2 * 2 - 3 });
    expect(sessionRowOf(tree.sessions.get(session) as never)).toEqual(last);
    expect(tree.lastApplied).toEqual(zxid(1, 4));
  });

  test.each<[string, Txn, string]>([
    ["a child of nothing", createTxn("/x/y", 1), "NO_NODE"],
    ["a path that is none", createTxn("x", 1), "BAD_ARGUMENTS"],
    ["an empty path", createTxn("", 1), "BAD_ARGUMENTS"],
    ["what is there", createTxn("/zookeeper", 1), "NODE_EXISTS"],
    ["an ephemeral of no session", createTxn("/x", 1, true), "SESSION_EXPIRED"],
    ["data of nothing", { type: "setData", path: "/x", data: null, version: 1 }, "NO_NODE"],
    ["the end of the root", { type: "delete", path: "/" }, "BAD_ARGUMENTS"],
    ["the end of a parent", { type: "delete", path: "/p" }, "NOT_EMPTY"],
    ["a session without an id", { type: "createSession", timeoutMs: 1 }, "BAD_ARGUMENTS"],
  ])("[ZNODE-10] of a txn that prep never makes changes nothing: %s", (_, txn, code) => {
    const tree = new ZnodeTree();
    tree.apply(headerAt(1), createTxn("/p", 1));
    tree.apply(headerAt(2), createTxn("/p/c", 1));
    const before = contentsOf(tree);
    expect(tree.apply(headerAt(3), txn)).toEqual({ type: "error", code });
    expect(contentsOf(tree)).toEqual(before);
    expect(tree.lastApplied).toEqual(zxid(1, 3));
  });

  test("[ZNODE-10] an op that does not nest is refused in its place, and the rest of the multi is carried out", () => {
    const tree = new ZnodeTree();
    const txns: Txn[] = [
      { type: "multi", txns: [] },
      { type: "sync" },
      { type: "closeSession" },
      createTxn("/a", 1),
    ];
    expect(tree.apply(headerAt(1), { type: "multi", txns })).toMatchObject({
      results: [
        ...txns.slice(0, 3).map(() => ({ type: "error", code: "MARSHALLING_ERROR" })),
        { type: "create" },
      ],
    });
  });

  test("[ZNODE-7] closing a session deletes all its ephemerals and no others, whatever the txn lists", () => {
    const tree = new ZnodeTree();
    for (const n of [1, 2]) tree.apply(headerAt(n, sessionId(n)), { type: "createSession", timeoutMs: 1 });
    tree.apply(headerAt(3, sessionId(1)), createTxn("/one", 1, true));
    tree.apply(headerAt(4, sessionId(1)), createTxn("/also", 2, true));
    tree.apply(headerAt(5, sessionId(2)), createTxn("/two", 3, true));
    tree.apply(headerAt(6), createTxn("/mine", 4));
    tree.apply(headerAt(7, sessionId(1)), { type: "closeSession" });
    expect(tree.children("/")).toEqual(["mine", "two", "zookeeper"]);
    expect(tree.ephemeralsOf(sessionId(2))).toEqual(new Set(["/two"]));
    expect(tree.stat(tree.get("/") as never)).toMatchObject({ pzxid: zxid(1, 7), numChildren: 3 });
  });

  test("[ZNODE-20] reports the changes, in order", () => {
    const { CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED } = WatchEventType;
    const world = new World();
    const session = world.open(1);
    world.write({
      type: "multi",
      ops: [
        create("/a") as never,
        create("/a/b", CreateMode.PERSISTENT) as never,
        setData("/a/b", "x") as never,
        remove("/a/b") as never,
      ],
    });
    world.write(create("/a/e", CreateMode.EPHEMERAL), session);
    world.write(remove("/none"));
    world.write({ type: "closeSession" }, session);
    expect(world.events.map(({ type, path }) => [type, path])).toEqual([
      [CREATED, "/a"],
      [CHILDREN_CHANGED, "/"],
      [CREATED, "/a/b"],
      [CHILDREN_CHANGED, "/a"],
      [DATA_CHANGED, "/a/b"],
      [DELETED, "/a/b"],
      [CHILDREN_CHANGED, "/a"],
      [CREATED, "/a/e"],
      [CHILDREN_CHANGED, "/a"],
      [DELETED, "/a/e"],
      [CHILDREN_CHANGED, "/a"],
    ]);
  });
});

describe("the digest", () => {
  test("[ZNODE-13] depends on every number that a checkpoint keeps", () => {
    const world = new World();
    const session = world.open(1);
    world.write(create("/a", CreateMode.EPHEMERAL, "data"), session);
    const znodes = [...world.tree.znodes()].map(rowOf);
    const sessions = [...world.tree.sessions.values()].map(sessionRowOf);
    const base = digestOf(world.tree);
    const node = znodes.find((row) => row.path === "/a");
    if (node === undefined) throw new Error("/a was created");
    const variants = [
      { data: bytes("dAta") },
      { data: null },
      { data: bytes("data\0") },
      { czxid: zxid(1, 9) },
      { mzxid: zxid(2, 2) },
      { pzxid: zxid(1, 9) },
      { ctime: 1 },
      { mtime: 1 },
      { mtime: node.mtime + 2 ** 32 },
      { version: 1 },
      { cversion: 1 },
      { aversion: 1 },
      { ephemeralOwner: NO_SESSION },
    ];
    const digests = variants.map((variant) => {
      const rows = znodes.map((row) => (row.path === "/a" ? { ...row, ...variant } : row));
      return digestOf(ZnodeTree.load(rows, sessions, ZXID_ZERO));
    });
    expect(new Set([base, ...digests]).size).toBe(variants.length + 1);
    const [row] = sessions;
    if (row === undefined) throw new Error("the session is open");
    const ofSession = [{ timeoutMs: 1 }, { lastXid: 7 }, { lastZxid: zxid(1, 7) }, { lastResult: null }].map(
      (variant) => digestOf(ZnodeTree.load(znodes, [{ ...row, ...variant }], ZXID_ZERO)),
    );
    expect(new Set([base, ...ofSession]).size).toBe(5);
  });

  test("[ZNODE-13] changes when data of two znodes are exchanged", () => {
    const worlds = [
      ["1", "2"],
      ["2", "1"],
    ].map(([a = "", b = ""]) => {
      const world = new World();
      world.write(create("/a", CreateMode.PERSISTENT, a));
      world.write(create("/b", CreateMode.PERSISTENT, b));
      return digestOf(world.tree);
    });
    expect(worlds[0]).not.toBe(worlds[1]);
  });
});

describe("loading", () => {
  test("[ZNODE-14] rows that do not form a whole tree stop the member", () => {
    const world = new World();
    const session = world.open(1);
    world.write(create("/a"));
    world.write(create("/a/b", CreateMode.EPHEMERAL), session);
    const znodes = [...world.tree.znodes()].map(rowOf);
    const sessions = [...world.tree.sessions.values()].map(sessionRowOf);
    expect(() =>
      ZnodeTree.load(
        znodes.filter((row) => row.path !== "/a"),
        sessions,
        ZXID_ZERO,
      ),
    ).toThrow(/has its parent/);
    expect(() => ZnodeTree.load(znodes, [], ZXID_ZERO)).toThrow(/has its session/);
    expect(() => ZnodeTree.load(znodes, [...sessions, ...sessions], ZXID_ZERO)).toThrow(/added once/);
  });

  test("[ZNODE-15] returned rows do not change with the tree, and each change is returned once", () => {
    const world = new World();
    world.write(create("/a", CreateMode.PERSISTENT, "1"));
    const first = world.tree.takeChanges();
    const before = structuredClone(first);
    world.write(setData("/a", "2"));
    world.write(setData("/a", "3"));
    world.write(create("/b"));
    world.write(remove("/b"));
    expect(first).toEqual(before);
    const second = world.tree.takeChanges();
    expect(second.znodes.map((row) => [row.path, row.version])).toEqual([
      ["/", 0],
      ["/a", 2],
    ]);
    expect(second.deleted).toEqual(["/b"]);
    expect(world.tree.changedCount).toBe(0);
  });

  test("[ZNODE-15] a znode that is deleted and created again is stored, not deleted", () => {
    const world = new World();
    world.write(create("/a"));
    world.tree.takeChanges();
    world.write(remove("/a"));
    world.write(create("/a", CreateMode.PERSISTENT, "again"));
    const changes = world.tree.takeChanges();
    expect(changes.deleted).toEqual([]);
    expect(changes.znodes.map((row) => row.path)).toContain("/a");
  });
});
