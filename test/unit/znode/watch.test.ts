import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ZXID_ZERO, zxid } from "../../../core/zab/zxid.ts";
import { CreateMode, type WatchEvent, WatchEventType, type WatchKind } from "../../../core/znode/types.ts";
import { type Fired, WatchTable } from "../../../core/znode/watch.ts";
import { create, remove, setData, World } from "./world.ts";

const { CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED } = WatchEventType;
const event = (type: WatchEventType, path: string): WatchEvent => ({ type, path });
const toWhom = (fired: readonly Fired[]): [number, WatchEventType][] =>
  fired.map(({ watcher, event }) => [watcher, event.type]);

describe("standard watches", () => {
  test.each<[WatchKind, WatchEventType, boolean]>([
    ["data", CREATED, true],
    ["data", DATA_CHANGED, true],
    ["data", DELETED, true],
    ["data", CHILDREN_CHANGED, false],
    ["exists", CREATED, true],
    ["exists", DATA_CHANGED, true],
    ["exists", DELETED, true],
    ["exists", CHILDREN_CHANGED, false],
    ["child", CREATED, false],
    ["child", DATA_CHANGED, false],
    ["child", DELETED, true],
    ["child", CHILDREN_CHANGED, true],
  ])("[WATCH-2] a %s watch and event %i: fires %s", (kind, type, fires) => {
    const table = new WatchTable();
    table.register(kind, "/a", 7);
    expect(table.fire([event(type, "/b"), event(type, "/a/b"), event(type, "/")])).toEqual([]);
    expect(table.fire([event(type, "/a")])).toEqual(fires ? [{ watcher: 7, event: event(type, "/a") }] : []);
    expect(table.count).toBe(fires ? 0 : 1);
  });

  test("[WATCH-1] fire once, and again only after they are set again", () => {
    const table = new WatchTable();
    table.register("data", "/a", 1);
    table.register("data", "/a", 1);
    expect(table.count).toBe(1);
    expect(table.fire([event(DATA_CHANGED, "/a"), event(DATA_CHANGED, "/a")]).length).toBe(1);
    expect(table.fire([event(DATA_CHANGED, "/a")])).toEqual([]);
    table.register("data", "/a", 1);
    expect(table.fire([event(DELETED, "/a")]).length).toBe(1);
  });

  test("[WATCH-3] data and exists watches of one watcher on one path are one; a deletion is reported once", () => {
    const table = new WatchTable();
    for (const kind of ["data", "exists", "child"] as const) table.register(kind, "/a", 1);
    table.register("child", "/a", 2);
    expect(table.count).toBe(3);
    expect(toWhom(table.fire([event(DELETED, "/a")]))).toEqual([
      [1, DELETED],
      [2, DELETED],
    ]);
    expect(table.count).toBe(0);
  });

  test("[WATCH-3] watchers are notified in the order in which they registered, events in their own order", () => {
    const table = new WatchTable();
    for (const watcher of [5, 3, 9]) table.register("data", "/a", watcher);
    table.register("child", "/", 3);
    expect(toWhom(table.fire([event(CREATED, "/a"), event(CHILDREN_CHANGED, "/")]))).toEqual([
      [5, CREATED],
      [3, CREATED],
      [9, CREATED],
      [3, CHILDREN_CHANGED],
    ]);
  });

  test("[WATCH-4] a closed connection gets no event, and leaves no state", () => {
    const table = new WatchTable();
    table.register("data", "/a", 1);
    table.register("child", "/a", 1);
    table.register("data", "/a", 2);
    table.removeWatcher(1);
    table.removeWatcher(1);
    expect(table.count).toBe(1);
    expect(toWhom(table.fire([event(DELETED, "/a")]))).toEqual([[2, DELETED]]);
  });

  test("[WATCH-5] the empty path is watched as the root", () => {
    const table = new WatchTable();
    table.register("child", "", 1);
    expect(table.fire([event(CHILDREN_CHANGED, "/")]).length).toBe(1);
  });

  test("[WATCH-1] any sequence of registrations and events gives the same events as a plain list of pairs", () => {
    const step = fc.record({
      do: fc.constantFrom("data", "exists", "child", "fire", "fire", "remove"),
      path: fc.constantFrom("/", "/a", "/a/b"),
      watcher: fc.integer({ min: 1, max: 3 }),
      type: fc.constantFrom(...Object.values(WatchEventType)),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = new WatchTable();
        let pairs: string[] = [];
        const pair = (where: string, path: string, watcher: number): string => `${where} ${path} ${watcher}`;
        for (const { do: what, path, watcher, type } of steps) {
          if (what === "remove") {
            table.removeWatcher(watcher);
            pairs = pairs.filter((each) => !each.endsWith(` ${watcher}`));
          } else if (what === "fire") {
            const tables =
              type === CHILDREN_CHANGED ? ["child"] : type === DELETED ? ["data", "child"] : ["data"];
            const hit = new Set(
              [1, 2, 3].filter((each) => tables.some((where) => pairs.includes(pair(where, path, each)))),
            );
            const told = table.fire([event(type, path)]).map((fired) => fired.watcher);
            expect(told.length).toBe(hit.size);
            expect(new Set(told)).toEqual(hit);
            pairs = pairs.filter((each) => !tables.some((where) => each.startsWith(`${where} ${path} `)));
          } else {
            table.register(what, path, watcher);
            const mine = pair(what === "child" ? "child" : "data", path, watcher);
            if (!pairs.includes(mine)) pairs.push(mine);
          }
          expect(table.count).toBe(pairs.length);
        }
      }),
    );
  });
});

describe("watches and txns", () => {
  function watching(...watches: [WatchKind, string][]): {
    world: World;
    table: WatchTable;
    fired: () => [WatchEventType, string][];
  } {
    const world = new World();
    world.write(create("/a"));
    world.write(create("/a/b"));
    world.events.length = 0;
    const table = new WatchTable();
    for (const [kind, path] of watches) table.register(kind, path, 1);
    return {
      world,
      table,
      fired: () => table.fire(world.events.splice(0)).map(({ event }) => [event.type, event.path]),
    };
  }

  test("[WATCH-2] a creation notifies its exists watchers and those of the parent's children", () => {
    const { world, fired } = watching(["exists", "/a/c"], ["child", "/a"], ["data", "/a"], ["child", "/"]);
    world.write(create("/a/c"));
    expect(fired()).toEqual([
      [CREATED, "/a/c"],
      [CHILDREN_CHANGED, "/a"],
    ]);
  });

  test("[WATCH-2] a deletion notifies the watchers of the znode and of its parent's children", () => {
    const { world, fired } = watching(["data", "/a/b"], ["child", "/a/b"], ["child", "/a"]);
    world.write(remove("/a/b"));
    expect(fired()).toEqual([
      [DELETED, "/a/b"],
      [CHILDREN_CHANGED, "/a"],
    ]);
  });

  test("[WATCH-2] the end of a session is a deletion of each of its ephemerals", () => {
    const { world, table, fired } = watching(["child", "/a"]);
    const session = world.open(1);
    world.write(create("/a/e1", CreateMode.EPHEMERAL), session);
    world.write(create("/a/e2", CreateMode.EPHEMERAL), session);
    world.events.length = 0;
    table.register("data", "/a/e1", 1);
    table.register("exists", "/a/e2", 1);
    world.write({ type: "closeSession" }, session);
    expect(fired()).toEqual([
      [DELETED, "/a/e1"],
      [CHILDREN_CHANGED, "/a"],
      [DELETED, "/a/e2"],
    ]);
  });

  test("[WATCH-2] a failed multi notifies no watcher, a successful one notifies in the order of its operations", () => {
    const { world, fired } = watching(["data", "/a"], ["child", "/a"], ["data", "/a/b"]);
    const ops = [setData("/a/b", "x") as never, setData("/a", "x") as never, remove("/a/b") as never];
    world.write({ type: "multi", ops: [...ops, remove("/none") as never] });
    expect(fired()).toEqual([]);
    world.write({ type: "multi", ops });
    expect(fired()).toEqual([
      [DATA_CHANGED, "/a/b"],
      [DATA_CHANGED, "/a"],
      [CHILDREN_CHANGED, "/a"],
    ]);
  });
});

describe("watches of a client that reconnects", () => {
  test("[WATCH-6] missed events are sent, the other watches are set again", () => {
    const world = new World();
    for (const path of ["/same", "/set", "/gone", "/grown"]) world.write(create(path));
    const seen = world.last;
    world.write(setData("/set", "x"));
    world.write(remove("/gone"));
    world.write(create("/grown/c"));
    world.write(create("/made"));
    const table = new WatchTable();
    const missed = table.resume(
      world.tree,
      {
        relativeZxid: seen,
        data: ["/same", "/set", "/gone"],
        exist: ["/made", "/none"],
        child: ["/grown", "/same", "/gone"],
      },
      4,
    );
    expect(missed.map(({ type, path }) => [type, path])).toEqual([
      [DATA_CHANGED, "/set"],
      [DELETED, "/gone"],
      [CREATED, "/made"],
      [CHILDREN_CHANGED, "/grown"],
      [DELETED, "/gone"],
    ]);
    expect(table.count).toBe(3);
    expect(
      toWhom(
        table.fire([event(DATA_CHANGED, "/same"), event(CREATED, "/none"), event(CHILDREN_CHANGED, "/same")]),
      ),
    ).toEqual([
      [4, DATA_CHANGED],
      [4, CREATED],
      [4, CHILDREN_CHANGED],
    ]);
  });

  test("[WATCH-6] zxids of a later epoch are later", () => {
    const world = new World();
    world.write(create("/a"));
    const table = new WatchTable();
    const watches = { data: ["/a"], exist: [], child: ["/a"] };
    expect(table.resume(world.tree, { relativeZxid: zxid(2, 0), ...watches }, 1)).toEqual([]);
    expect(table.resume(world.tree, { relativeZxid: ZXID_ZERO, ...watches }, 1).length).toBe(2);
  });
});
