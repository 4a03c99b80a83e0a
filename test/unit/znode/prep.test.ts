import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { zxid } from "../../../core/zab/zxid.ts";
import { Change, Overlay } from "../../../core/znode/overlay.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import {
  anonymousSession,
  CreateMode,
  type MultiRequestOp,
  NO_SESSION,
  type WriteRequest,
} from "../../../core/znode/types.ts";
import { bytes, codeOf, contentsOf, create, digestOf, remove, sessionId, setData, World } from "./world.ts";

const { PERSISTENT, EPHEMERAL, PERSISTENT_SEQUENTIAL, EPHEMERAL_SEQUENTIAL } = CreateMode;
const op = (request: WriteRequest): MultiRequestOp => request as MultiRequestOp;
const check = (path: string, version: number): MultiRequestOp => ({ type: "check", path, version });
const multi = (...ops: MultiRequestOp[]): WriteRequest => ({ type: "multi", ops });

/** /a (version 2) with the child /a/c, and /e, an ephemeral of session 1. */
function furnished(): World {
  const world = new World();
  world.open(1);
  world.write(create("/a"));
  world.write(setData("/a", "1"));
  world.write(setData("/a", "2"));
  world.write(create("/a/c"));
  world.write(create("/e", EPHEMERAL), sessionId(1));
  return world;
}

describe("the order of checks", () => {
  test.each<[string, WriteRequest, string]>([
    ["a flag that is none, before the path", create("bad", 9 as CreateMode), "BAD_ARGUMENTS"],
    ["an ephemeral without a session", create("/x", EPHEMERAL), "BAD_ARGUMENTS"],
    ["no slash", create("bad"), "BAD_ARGUMENTS"],
    ["a NUL", create("/a\0"), "BAD_ARGUMENTS"],
    ["the parent before the path as a whole", create("/none/.."), "NO_NODE"],
    ["an empty component has no parent", create("/a//b"), "NO_NODE"],
    ["a slash at the end", create("/a/"), "BAD_ARGUMENTS"],
    ["the path before what is there", create("/a/.."), "BAD_ARGUMENTS"],
    ["what is there", create("/a"), "NODE_EXISTS"],
    ["the root", create("/"), "NODE_EXISTS"],
    ["below an ephemeral", create("/e/x"), "NO_CHILDREN_FOR_EPHEMERALS"],
    ["below the config", create("/zookeeper/config/x"), "NO_AUTH"],
    ["below the quota all is well", create("/zookeeper/quota/x"), "OK"],
    ["a sequential one named by digits only", create("/a/", PERSISTENT_SEQUENTIAL), "OK"],
    [
      "a sequential one below an ephemeral",
      create("/e/", PERSISTENT_SEQUENTIAL),
      "NO_CHILDREN_FOR_EPHEMERALS",
    ],
  ])("[ZNODE-2] create: %s", (_, request, code) => {
    expect(codeOf(furnished().write(request))).toBe(code);
  });

  test.each<[string, WriteRequest, string]>([
    ["the root", remove("/"), "BAD_ARGUMENTS"],
    ["a built-in one, before its version", remove("/zookeeper", 9), "BAD_ARGUMENTS"],
    ["the config", remove("/zookeeper/config"), "BAD_ARGUMENTS"],
    ["no slash", remove("abc"), "BAD_ARGUMENTS"],
    ["a NUL", remove("/a\0"), "BAD_ARGUMENTS"],
    ["no parent", remove("/none/x", 9), "NO_NODE"],
    ["not there", remove("/a/none", 9), "NO_NODE"],
    ["another version, before the children", remove("/a", 1), "BAD_VERSION"],
    ["children", remove("/a", 2), "NOT_EMPTY"],
    ["version −2 is no wildcard", remove("/a/c", -2), "BAD_VERSION"],
    ["the right version", remove("/a/c", 0), "OK"],
    ["any version", remove("/a/c"), "OK"],
  ])("[ZNODE-4] delete: %s", (_, request, code) => {
    expect(codeOf(furnished().write(request))).toBe(code);
  });

  test.each<[string, WriteRequest, string]>([
    ["a bad path", setData("a", ""), "BAD_ARGUMENTS"],
    ["a slash at the end", setData("/a/", ""), "BAD_ARGUMENTS"],
    ["not there, before the version", setData("/none", "", 9), "NO_NODE"],
    ["another version", setData("/a", "", 1), "BAD_VERSION"],
    ["the config", setData("/zookeeper/config", ""), "NO_AUTH"],
    ["the root", setData("/", "x", 0), "OK"],
    ["the right version", setData("/a", "", 2), "OK"],
    ["any version", setData("/a", ""), "OK"],
  ])("[ZNODE-5] setData: %s", (_, request, code) => {
    expect(codeOf(furnished().write(request))).toBe(code);
  });

  test("[ZNODE-19] a refused write uses a zxid, and changes nothing else", () => {
    const world = furnished();
    const before = contentsOf(world.tree);
    for (const request of [
      create("/a"),
      remove("/none"),
      setData("/a", "", 0),
      multi(op(create("/x")), check("/a", 0)),
    ]) {
      world.write(request);
      expect(world.tree.lastApplied).toEqual(world.last);
      expect(contentsOf(world.tree)).toEqual(before);
      expect(world.tree.changedCount).toBe(furnished().tree.changedCount);
    }
    expect(world.events.length).toBe(furnished().events.length);
  });
});

describe("sequential znodes", () => {
  test("[ZNODE-3] are numbered by the parent's creations, of any kind; deletions do not count", () => {
    const world = new World();
    const session = world.open(1);
    world.write(create("/q"));
    const made = [PERSISTENT_SEQUENTIAL, EPHEMERAL_SEQUENTIAL, PERSISTENT_SEQUENTIAL].map((mode) =>
      world.write(create("/q/n-", mode), session),
    );
    world.write(create("/q/plain"));
    world.write(remove("/q/plain"));
    made.push(world.write(create("/q/", PERSISTENT_SEQUENTIAL)));
    expect(made.map((result) => (result.type === "create" ? result.path : result.type))).toEqual([
      "/q/n-0000000000",
      "/q/n-0000000001",
      "/q/n-0000000002",
      "/q/0000000004",
    ]);
    expect(world.stat("/q")).toMatchObject({ cversion: 2 * 5 - 4, numChildren: 4 });
  });

  test("[ZNODE-3] get their numbers before earlier ones are applied", () => {
    const world = new World();
    world.write(create("/q"));
    const txns = Array.from({ length: 5 }, () => world.prepare(create("/q/n-", PERSISTENT_SEQUENTIAL)));
    expect(txns.map((txn) => (txn.type === "create" ? txn.path : ""))).toEqual(
      [0, 1, 2, 3, 4].map((n) => `/q/n-000000000${n}`),
    );
    world.commit();
    expect(world.tree.children("/q")?.length).toBe(5);
  });
});

describe("multi", () => {
  test("[ZNODE-9] each operation sees those before it", () => {
    const world = new World();
    const result = world.write(
      multi(
        op(create("/a")),
        op(create("/a/b")),
        op(setData("/a/b", "x", 0)),
        check("/a/b", 1),
        op(remove("/a/b", 1)),
        op(remove("/a", 0)),
        op(create("/a", PERSISTENT, "new")),
      ),
    );
    expect(result).toMatchObject({
      type: "multi",
      results: [
        { type: "create" },
        { type: "create" },
        { type: "setData", stat: { version: 1 } },
        { type: "check" },
        { type: "delete" },
        { type: "delete" },
        { type: "create" },
      ],
    });
    expect(world.tree.get("/a")?.data).toEqual(bytes("new"));
    expect(world.stat("/a").czxid).toEqual(world.last);
  });

  test("[ZNODE-9] the first refusal undoes all, and the result names the operation", () => {
    const world = furnished();
    const before = digestOf(world.tree);
    const result = world.write(
      multi(op(create("/x")), op(setData("/a", "y")), check("/a", 9), op(create("/none/y"))),
    );
    expect(result).toEqual({
      type: "multi",
      results: ["OK", "OK", "BAD_VERSION", "RUNTIME_INCONSISTENCY"].map((code) => ({ type: "error", code })),
    });
    expect(digestOf(world.tree)).toBe(before);
    expect(codeOf(world.write(setData("/a", "", 2)))).toBe("OK");
    expect(codeOf(world.write(create("/x")))).toBe("OK");
  });

  test("[ZNODE-9] only this multi's changes are undone, not earlier outstanding ones", () => {
    const world = new World();
    world.prepare(create("/a"));
    world.prepare(setData("/a", "1"));
    world.prepare(
      multi(op(setData("/a", "2")), op(setData("/a", "3")), op(create("/a/b")), op(remove("/none"))),
    );
    world.prepare(setData("/a", "4", 1));
    world.prepare(create("/a/b"));
    expect(codeOf(world.commit(1))).toBe("OK");
    expect(world.waiting).toBe(4);
    world.commit();
    expect(world.stat("/a")).toMatchObject({ version: 2, cversion: 1, numChildren: 1 });
  });

  test("[ZNODE-9] an empty multi succeeds and uses a zxid; a refused operation fails at its place", () => {
    const world = new World();
    expect(world.write(multi())).toEqual({ type: "multi", results: [] });
    expect(world.tree.lastApplied).toEqual(world.last);
    const refused: MultiRequestOp = { type: "refused", code: "INVALID_ACL" };
    expect(world.write(multi(op(create("/a")), refused))).toMatchObject({
      results: [{ code: "OK" }, { code: "INVALID_ACL" }],
    });
    expect(world.write(multi(op(remove("/none")), refused))).toMatchObject({
      results: [{ code: "NO_NODE" }, { code: "RUNTIME_INCONSISTENCY" }],
    });
  });

  test("[ZNODE-9] all or nothing, wherever the failure is", () => {
    const good = (i: number): MultiRequestOp => op(i % 2 === 0 ? create(`/n${i}`) : setData("/a", String(i)));
    fc.assert(
      fc.property(fc.nat(8), fc.nat(8), fc.boolean(), (size, at, ahead) => {
        const world = furnished();
        const before = contentsOf(world.tree);
        const ops = Array.from({ length: size + 1 }, (_, i) => good(i));
        ops.splice(at % ops.length, 0, check("/a", 7));
        if (ahead) world.prepare({ type: "sync" });
        world.prepare(multi(...ops));
        world.commit();
        expect(contentsOf(world.tree)).toEqual(before);
        expect(world.prep.outstanding).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});

describe("sessions at the leader", () => {
  test("[SESSION-2] a write of a session that does not exist, or is closing, is refused", () => {
    const world = new World();
    expect(codeOf(world.write(create("/a"), sessionId(1)))).toBe("SESSION_EXPIRED");
    world.open(1);
    world.prepare({ type: "closeSession" }, sessionId(1));
    world.prepare(create("/a"), sessionId(1));
    expect(codeOf(world.commit())).toBe("SESSION_EXPIRED");
    expect(codeOf(world.write(create("/a"), sessionId(1)))).toBe("SESSION_EXPIRED");
    expect(codeOf(world.write({ type: "closeSession" }, sessionId(1)))).toBe("SESSION_EXPIRED");
    expect(codeOf(world.write({ type: "createSession", timeoutMs: 5 }, sessionId(1)))).toBe("OK");
  });

  test("[SESSION-2] a session may write as soon as its opening is proposed", () => {
    const world = new World();
    world.prepare({ type: "createSession", timeoutMs: 5 }, sessionId(1));
    expect(world.prep.isOpen(sessionId(1))).toBe(true);
    world.prepare(create("/e", EPHEMERAL), sessionId(1));
    expect(codeOf(world.commit())).toBe("OK");
    expect(world.stat("/e").ephemeralOwner).toBe(sessionId(1));
  });

  test("[SESSION-2] the values that stand for no session cannot be opened or closed, and own nothing", () => {
    const world = new World();
    for (const session of [NO_SESSION, anonymousSession(1, 1, 1)]) {
      expect(codeOf(world.write({ type: "createSession", timeoutMs: 5 }, session))).toBe("BAD_ARGUMENTS");
      expect(codeOf(world.write({ type: "closeSession" }, session))).toBe("BAD_ARGUMENTS");
      expect(codeOf(world.write(create("/e", EPHEMERAL_SEQUENTIAL), session))).toBe("BAD_ARGUMENTS");
      expect(codeOf(world.write(setData("/", "x"), session))).toBe("OK");
    }
    expect(world.tree.sessions.size).toBe(0);
  });

  test("[SESSION-7] closing lists the session's ephemerals, outstanding creations and deletions included", () => {
    const world = new World();
    const session = world.open(1);
    world.open(2);
    world.write(create("/old", EPHEMERAL), session);
    world.write(create("/gone", EPHEMERAL), session);
    world.prepare(create("/new", EPHEMERAL), session);
    world.prepare(create("/other", EPHEMERAL), sessionId(2));
    world.prepare(remove("/gone"), session);
    world.prepare(create("/brief", EPHEMERAL), session);
    world.prepare(remove("/brief"));
    const closing = world.prepare({ type: "closeSession" }, session);
    expect(closing).toEqual({ type: "closeSession" });
    expect(world.prepare(create("/old"))).toMatchObject({ type: "create" });
    expect(world.prepare(setData("/new", "x"))).toMatchObject({ code: "NO_NODE" });
    world.commit();
    expect(world.tree.children("/")).toEqual(["old", "other", "zookeeper"]);
    expect(world.stat("/").numChildren).toBe(3);
  });

  test("[SESSION-7] a parent can be deleted once the close that empties it is prepared", () => {
    const world = new World();
    const session = world.open(1);
    world.write(create("/p"));
    world.write(create("/p/e", EPHEMERAL), session);
    world.prepare({ type: "closeSession" }, session);
    world.prepare(remove("/p"));
    expect(world.commit()).toEqual({ type: "delete" });
  });

  test("[SESSION-8] the number of a session's last write includes outstanding and refused writes", () => {
    const world = new World();
    const session = world.open(1);
    expect(world.prep.lastXidOf(session)).toBe(0);
    world.prepare(create("/a"), session);
    world.prepare(remove("/none"), session);
    expect(world.prep.lastXidOf(session)).toBe(2);
    expect(world.tree.sessions.get(session)?.lastXid).toBe(0);
    world.commit();
    expect(world.prep.lastXidOf(session)).toBe(2);
    expect(world.tree.sessions.get(session)?.lastXid).toBe(2);
    expect(world.prep.lastXidOf(sessionId(9))).toBe(0);
  });

  test("[SESSION-8] a closed session has no last write; while it closes, a repeat is still recognized", () => {
    const world = new World();
    const session = world.open(1);
    world.write(create("/a"), session);
    world.prepare({ type: "closeSession" }, session);
    expect(world.prep.lastXidOf(session)).toBe(2);
    world.commit();
    expect(world.prep.lastXidOf(session)).toBe(0);
    expect(world.prep.isOpen(session)).toBe(false);
  });

  test("[SESSION-8] the overlay of thousands of sessions is released, and remains correct", () => {
    const world = new World();
    for (let n = 1; n <= 1100; n++) {
      world.open(n);
      world.write(setData("/", String(n)), sessionId(n));
    }
    for (const n of [1, 1024, 1100]) {
      expect(world.prep.lastXidOf(sessionId(n))).toBe(1);
      expect(world.prep.isOpen(sessionId(n))).toBe(true);
    }
  });
});

describe("the overlay", () => {
  test("[ZNODE-12] a new leader discards its outstanding changes", () => {
    const world = new World();
    world.open(1);
    world.prepare(create("/a"));
    world.prepare({ type: "closeSession" }, sessionId(1));
    world.prep.reset();
    expect(world.prep.outstanding).toBe(0);
    expect(world.prep.isOpen(sessionId(1))).toBe(true);
    expect(world.prepare(setData("/a", "x"))).toMatchObject({ code: "NO_NODE" });
  });

  test("[ZNODE-12] releases applied changes, and no others", () => {
    const world = new World();
    for (let i = 0; i < 1500; i++) world.prepare(create(`/n${i}`));
    expect(world.prep.outstanding).toBe(3000);
    world.commit(1499);
    expect(world.prep.outstanding).toBe(2);
    expect(world.prepare(create("/n1499"))).toMatchObject({ code: "NODE_EXISTS" });
    world.commit();
    expect(world.prep.outstanding).toBe(0);
  });

  test("[ZNODE-12] a change that a rollback uncovered is released like any other", () => {
    const overlay = new Overlay(new ZnodeTree());
    const change = (counter: number, version: number) =>
      new Change(zxid(1, counter), "/x", version, 0, 0, NO_SESSION, true);
    overlay.put(change(1, 0));
    const mark = overlay.mark();
    overlay.put(change(2, 1));
    overlay.put(change(2, 2));
    overlay.rollback(mark);
    expect(overlay.get("/x")?.version).toBe(0);
    overlay.dropUpTo(1, 1);
    expect(overlay.get("/x")).toBeUndefined();
    expect(() => overlay.rollback(-1)).toThrow(/outstanding/);
  });

  test("[ZNODE-12] a change is not released before the tree has applied it", () => {
    const world = new World();
    world.prepare(create("/a"));
    expect(() => world.prep.committed(zxid(1, 1))).toThrow(/not applied/);
  });
});
