/**
 * The contract between a tree and the store beneath it: whatever leaves memory, and whenever, the tree is the one that is whole
 * in memory. One suite for the store in memory and for SQLite.
 */
import { describe, expect, it } from "vitest";
import { Scrub } from "../../core/server/scrub.ts";
import type { StorageBackend } from "../../core/server/storage-backend.ts";
import { TableStore } from "../../core/server/table-store.ts";
import { MiB } from "../../core/units.ts";
import { ZXID_ZERO, zxid } from "../../core/zab/zxid.ts";
import { Prep } from "../../core/znode/prep.ts";
import type { SessionRow } from "../../core/znode/session.ts";
import { ZnodeTree } from "../../core/znode/tree.ts";
import { addToDigest, emptyTreeDigest } from "../../core/znode/tree-state.ts";
import {
  CreateMode,
  type MultiRequestOp,
  NO_SESSION,
  type SessionId,
  WatchEventType,
  type WriteRequest,
} from "../../core/znode/types.ts";
import { WatchTable } from "../../core/znode/watch.ts";
import { Chance } from "../../sim/random.ts";
import { contentsOf, create, digestOf, remove, sessionId, setData, World } from "../unit/znode/world.ts";
import type { MakeBackend } from "./storage.ts";

const SESSIONS = 3;
const TOPS = ["/a", "/b", "/c", "/a!"];
const MODES = Object.values(CreateMode);

/** A tree over table 0, with what a member does to both. */
class StoredWorld {
  readonly backend: StorageBackend;
  readonly world: World;
  readonly scrub: Scrub;

  constructor(backend: StorageBackend) {
    this.backend = backend;
    this.world = new World(
      ZnodeTree.open(new TableStore(backend, 0), {
        sessions: [],
        lastApplied: ZXID_ZERO,
        digest: emptyTreeDigest(),
        size: 4,
      }),
    );
    this.scrub = new Scrub(backend, 0, emptyTreeDigest());
  }

  get tree(): ZnodeTree {
    return this.world.tree;
  }

  checkpoint(): void {
    const size = this.write();
    expect(size).toBe(this.world.follower.size);
  }

  /** Stores the changes. @returns the number of znodes */
  write(): number {
    const { tree, backend, scrub } = this;
    const changes = tree.takeChanges(scrub.cursor);
    backend.transaction(() => {
      backend.putRows(0, changes.znodes, changes.sessions);
      backend.deleteRows(0, changes.deleted, changes.closed);
    });
    scrub.changed(changes.added, changes.addedUpTo);
    expect(changes.digest).toEqual(tree.digest);
    expect(tree.changedCount).toBe(0);
    return changes.size;
  }

  /** The tree that a start would find, and what its rows are. */
  reopened(): ZnodeTree {
    const { backend } = this;
    const sessions: SessionRow[] = [];
    let digest = emptyTreeDigest();
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const page = backend.readTable(0, cursor, 500);
      digest = addToDigest(digest, page.znodes, page.sessions);
      sessions.push(...page.sessions);
      cursor = page.next;
    }
    const { lastApplied, size } = this.tree;
    return ZnodeTree.open(new TableStore(backend, 0), { sessions, lastApplied, digest, size });
  }

  /** Any of the znodes that are clean leave, and any lists. */
  evict(chance: Chance, oneIn: number): void {
    this.tree.evict(() => chance.oneIn(oneIn));
  }
}

function randomWrite(chance: Chance, session: SessionId): WriteRequest {
  const top = chance.oneOf(TOPS);
  const path = chance.oneOf([
    top,
    `${top}/n${chance.below(6)}`,
    `${top}/n${chance.below(6)}/m${chance.below(3)}`,
  ]);
  const data = chance.oneOf(["", "1", "x".repeat(100)]);
  switch (chance.below(9)) {
    case 0:
    case 1:
      return remove(path);
    case 2:
    case 3:
      return setData(path, data);
    case 4:
      return {
        type: "multi",
        ops: [create(`${path}/k`), setData(path, data), remove(`${path}/k`)] as readonly MultiRequestOp[],
      };
    case 5:
      if (session !== NO_SESSION && chance.oneIn(4)) return { type: "closeSession" };
      return create(path, chance.oneOf(MODES), data);
    default:
      return create(path, chance.oneOf(MODES), data);
  }
}

/** What clients see is the same in both. */
function compare({ world }: StoredWorld, chance: Chance): void {
  const { tree, follower } = world;
  const parent = chance.oneOf(["/", ...TOPS, "/zookeeper", "/a/n1"]);
  const page = { after: chance.oneOf(["", "n2", "n4", "zz"]), limit: chance.between(1, 4) };
  const request = { type: "getChildren", path: parent, watch: false, withStat: true } as const;
  for (const each of [request, { ...request, page }])
    expect(tree.read(NO_SESSION, each)).toEqual(follower.read(NO_SESSION, each));
  const session = sessionId(chance.between(1, SESSIONS));
  expect([...tree.ephemeralsOf(session)].sort()).toEqual([...follower.ephemeralsOf(session)].sort());
  expect(tree.size).toBe(follower.size);
}

/** Seeds of the histories that the suite runs. */
export const HISTORY_SEEDS = 12;

/**
 * A random history of writes, checkpoints and evictions, over an empty storage.
 * @throws AssertionError if the tree differs from the one that is whole in memory
 */
export function runHistory(backend: StorageBackend, seed: number): void {
  const chance = new Chance(seed);
  const stored = new StoredWorld(backend);
  const { world } = stored;
  const opened = (n: number): void => {
    if (!world.tree.sessions.has(sessionId(n))) world.open(n);
  };
  for (let i = 0; i < 250; i++) {
    const n = chance.below(SESSIONS + 1);
    if (n > 0) opened(n);
    const session = n === 0 ? NO_SESSION : sessionId(n);
    world.write(randomWrite(chance, session), session);
    if (chance.oneIn(5)) stored.checkpoint();
    if (chance.oneIn(3)) stored.evict(chance, chance.between(1, 3));
    if (chance.oneIn(3)) compare(stored, chance);
    if (chance.oneIn(4)) stored.scrub.step(chance.between(1, 800));
  }
  expect(contentsOf(world.tree)).toEqual(contentsOf(world.follower));
  stored.checkpoint();
  const again = stored.reopened();
  expect(digestOf(again)).toBe(digestOf(world.follower));
  expect(contentsOf(again)).toEqual(contentsOf(world.follower));
  expect(stored.scrub.passes).toBeGreaterThan(0);
}

/** The suite. @param name of the implementation */
export function treeContract(name: string, makeBackend: MakeBackend): void {
  const test = (what: string, body: (open: () => StorageBackend) => void): void => {
    it(what, () => makeBackend((open) => body(open)));
  };

  describe(`a tree over stored znodes: ${name}`, () => {
    for (let seed = 1; seed <= HISTORY_SEEDS; seed++) {
      test(`[ZNODE-42] is the whole one, whatever leaves memory and whenever, seed ${seed}`, (open) => {
        runHistory(open(), seed);
      });
    }

    test("[ZNODE-43] keeps what has changed until it is stored, and nothing more than the budget beyond", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree } = stored;
      world.write(create("/p"));
      for (let i = 0; i < 200; i++) world.write(create(`/p/n${i}`, CreateMode.PERSISTENT, "x".repeat(500)));
      tree.trim(0);
      expect(tree.bytes).toBeGreaterThan(200 * 500);
      stored.checkpoint();
      tree.trim(20_000);
      expect(tree.bytes).toBeLessThanOrEqual(20_000);
      expect(contentsOf(tree)).toEqual(contentsOf(world.follower));
      tree.trim(20_000);
      expect(tree.bytes).toBeLessThanOrEqual(20_000);
      expect(tree.digest).toEqual(world.follower.digest);
    });

    test("[ZNODE-43] keeps what is used, and lets the rest leave", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree } = stored;
      world.write(create("/p"));
      for (let i = 0; i < 100; i++) world.write(create(`/p/n${i}`));
      stored.checkpoint();
      let reads = 0;
      const { readZnode } = stored.backend;
      stored.backend.readZnode = (table, path) => {
        reads += 1;
        return readZnode.call(stored.backend, table, path);
      };
      const hot = Array.from({ length: 10 }, (_, i) => `/p/n${i * 7}`);
      const budget = 20_000;
      for (let round = 0; round < 50; round++) {
        for (const path of hot) tree.get(path);
        if (round === 10) reads = 0;
        tree.get(`/p/n${round}`);
        tree.trim(budget);
      }
      expect(tree.bytes).toBeLessThanOrEqual(budget);
      // Those that are used are there; each of the others is read once.
      expect(reads).toBeLessThanOrEqual(50);
    });

    test("[ZNODE-43] keeps a list of children that the budget has room for, and reads a longer one again", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree, backend } = stored;
      world.write(create("/p"));
      for (let i = 0; i < 17_000; i++) {
        const header = { session: NO_SESSION, xid: 0, zxid: zxid(2, i + 1), timeMs: 1 };
        const txn = {
          type: "create",
          path: `/p/n${i}`,
          data: null,
          ephemeral: false,
          withStat: false,
        } as const;
        for (const each of [tree, world.follower]) {
          each.apply(header, { ...txn, parentCversion: i + 1 });
          each.events.length = 0;
        }
      }
      stored.checkpoint();
      let pages = 0;
      const { readChildren } = backend;
      backend.readChildren = (...asked) => {
        pages += 1;
        return readChildren.apply(backend, asked);
      };
      tree.trim(10 * MiB);
      expect(tree.children("/p")).toEqual(world.follower.children("/p"));
      expect(pages).toBe(0);
      tree.trim(2 * MiB);
      expect(tree.children("/p")).toEqual(world.follower.children("/p"));
      expect(pages).toBeGreaterThan(0);
      expect(tree.bytes).toBeGreaterThan(2 * MiB);
      tree.trim(2 * MiB);
      expect(tree.bytes).toBeLessThanOrEqual(2 * MiB);
    });

    test("[ZNODE-44] needs a checkpoint when what has changed has a quarter of the budget", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree } = stored;
      world.write(create("/p", CreateMode.PERSISTENT, "x".repeat(40_000)));
      for (let i = 0; i < 10; i++)
        world.write(create(`/n${i}`, CreateMode.PERSISTENT, "x".repeat(i === 0 ? 1 : 40_000)));
      stored.checkpoint();
      tree.evict(() => true);
      const budget = 320_000;
      // a znode that grows
      world.write(setData("/n0", "x".repeat(70_000)));
      expect(tree.needsCheckpoint(budget)).toBe(false);
      world.write(setData("/n0", "x".repeat(85_000)));
      expect(tree.needsCheckpoint(budget)).toBe(true);
      // and one that is deleted, of which only the path is kept
      world.write(remove("/n0"));
      for (let i = 1; i < 10; i++) world.write(remove(`/n${i}`));
      expect(tree.needsCheckpoint(budget)).toBe(false);
      expect(tree.needsCheckpoint(20_000)).toBe(true);
      // a parent counts with its data
      world.write(create("/p/a"));
      expect(tree.needsCheckpoint(160_000)).toBe(true);
      stored.checkpoint();
      expect(tree.needsCheckpoint(1)).toBe(false);
      expect(contentsOf(tree)).toEqual(contentsOf(world.follower));
    });

    test("[ZNODE-43] evicts what was only read while too much has changed, and then needs a checkpoint", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree } = stored;
      world.write(create("/p"));
      for (let i = 0; i < 100; i++) world.write(create(`/p/n${i}`, CreateMode.PERSISTENT, "x".repeat(5_000)));
      stored.checkpoint();
      tree.evict(() => true);
      for (let i = 0; i < 10; i++) world.write(setData(`/p/n${i}`, "y".repeat(5_000)));
      const budget = 20_000;
      tree.trim(budget);
      const changed = tree.bytes;
      expect(changed).toBeGreaterThan(budget);
      expect(tree.needsCheckpoint(budget)).toBe(true);
      for (let i = 10; i < 100; i++) {
        tree.get(`/p/n${i}`);
        tree.trim(budget);
      }
      expect(tree.bytes).toBe(changed);
      stored.checkpoint();
      tree.trim(budget);
      expect(tree.bytes).toBeLessThanOrEqual(budget);
    });

    test("[ZNODE-45] checks any number of znodes without keeping them in memory", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree } = stored;
      world.open(1);
      world.write(create("/p"));
      const paths = Array.from({ length: 20 }, (_, i) => `/p/n${i}`);
      for (const [i, path] of paths.entries()) {
        const mode = i % 2 === 0 ? CreateMode.EPHEMERAL : CreateMode.PERSISTENT;
        world.write(create(path, mode, "x".repeat(5_000)), sessionId(1));
      }
      stored.checkpoint();
      tree.evict(() => true);
      const before = tree.bytes;
      const watches = new WatchTable();
      const seen = { relativeZxid: tree.lastApplied, data: paths, exist: ["/q"], child: ["/p", "/r"] };
      expect(watches.resume(tree, seen, 1)).toEqual([{ type: WatchEventType.DELETED, path: "/r" }]);
      const header = { session: sessionId(1), xid: 0, zxid: zxid(3, 1), timeMs: 1 };
      const ops = paths.map((path) => ({ type: "check", path, version: 0 }) as const);
      const prep = new Prep(tree);
      expect(prep.prepare(header, { type: "multi", ops })).toEqual({ type: "multi", txns: ops });
      expect(prep.prepare(header, { type: "closeSession" })).toEqual({ type: "closeSession" });
      expect(prep.prepare({ ...header, session: NO_SESSION }, remove(paths[0] ?? "")).type).toBe("error");
      expect(tree.bytes - before).toBeLessThan(2_000);
      expect(contentsOf(tree)).toEqual(contentsOf(world.follower));
    });

    test("[ZNODE-45] refuses a list that exceeds the answer without reading all of it", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree, backend } = stored;
      world.write(create("/p"));
      for (let i = 0; i < 9_000; i++) {
        const path = `/p/${String(i).padStart(20, "0")}`;
        const header = { session: NO_SESSION, xid: 0, zxid: zxid(2, i + 1), timeMs: 1 };
        const txn = { type: "create", path, data: null, ephemeral: false, withStat: false } as const;
        tree.apply(header, { ...txn, parentCversion: i + 1 });
      }
      tree.events.length = 0;
      stored.write();
      tree.evict(() => true);
      let names = 0;
      const { readChildren } = backend;
      backend.readChildren = (...asked) => {
        const page = readChildren.apply(backend, asked);
        names += page.length;
        return page;
      };
      const read = (bytesMax: number) =>
        tree.read(NO_SESSION, { type: "getChildren", path: "/p", watch: false, withStat: true, bytesMax });
      const refused = { type: "error", code: "ANSWER_TOO_LARGE" };
      // by their number
      expect(read(9_000 * 9)).toEqual(refused);
      expect(names).toBe(0);
      // by their lengths
      expect(read(100_000)).toEqual(refused);
      expect(names).toBe(4_096);
      expect(read(1_024 + 9_000 * 28 - 1)).toEqual(refused);
      expect(read(1_024 + 9_000 * 28)).toMatchObject({ type: "getChildren", stat: { numChildren: 9_000 } });
    });

    test("[ZNODE-43] remembers no long path of a znode that is not there", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree, backend } = stored;
      world.write(create("/p"));
      world.write(create("/p/a"));
      stored.checkpoint();
      tree.evict(() => true);
      tree.get("/p");
      const asked: number[] = [];
      const { readZnode } = backend;
      backend.readZnode = (table, path) => {
        asked.push(path.length);
        return readZnode.call(backend, table, path);
      };
      for (const length of [1_024, 1_024, 1_025, 1_025]) tree.get(`/p/${"x".repeat(length - 3)}`);
      expect(asked).toEqual([1_024, 1_025, 1_025]);
    });

    test("[ZNODE-42] asks the store once for a znode that is not there, until it is created", (open) => {
      const stored = new StoredWorld(open());
      const { world, tree, backend } = stored;
      world.write(create("/p"));
      world.write(create("/p/a"));
      stored.checkpoint();
      tree.evict(() => true);
      expect([tree.get("/p/b"), tree.get("/q"), tree.get("/p/b")]).toEqual([undefined, undefined, undefined]);
      world.write(create("/p/b"));
      expect(tree.get("/p/b")?.path).toBe("/p/b");
      stored.checkpoint();
      tree.evict(() => true);
      expect(tree.get("/p/b")?.path).toBe("/p/b");
      world.write(remove("/p/b"));
      expect(tree.get("/p/b")).toBeUndefined();
      expect(backend.readZnode(0, "/p/b")).toBeDefined();
      stored.checkpoint();
      expect(tree.get("/p/b")).toBeUndefined();
    });
  });
}
