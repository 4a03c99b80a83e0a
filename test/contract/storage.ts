/**
 * The contract of {@link StorageBackend}. One suite for memory (in the simulator) and SQLite (in an object). It needs
 * only `describe`, `it` and `expect`, so it runs in Node and in workerd.
 */
import { describe, expect, it } from "vitest";
import { DamagedError } from "../../core/damaged-error.ts";
import {
  EMPTY_META,
  found,
  META_KEYS,
  type Meta,
  type StorageBackend,
  type TableId,
  type TablePage,
} from "../../core/server/storage-backend.ts";
import type { LogRow } from "../../core/zab/txn-log.ts";
import { ZXID_ZERO, zxid } from "../../core/zab/zxid.ts";
import type { SessionRow } from "../../core/znode/session.ts";
import type { ZnodeRow } from "../../core/znode/stat.ts";
import { NO_SESSION, type SessionId } from "../../core/znode/types.ts";

/**
 * Gives `body` an empty storage. Each call of `open` opens the same storage as one that starts would: what was written
 * before is there.
 */
export type MakeBackend = (
  body: (open: () => StorageBackend, damage: Damage) => void,
) => void | Promise<void>;

/** Changes what is stored behind the backend's back, and leaves every checksum as it is. */
export interface Damage {
  znode(table: TableId, path: string, change: Partial<ZnodeRow>): void;
  /** each of both rows has the other's key from then on */
  swapZnodes(table: TableId, a: string, b: string): void;
  session(table: TableId, id: number, change: Partial<SessionRow>): void;
  logRow(seq: number, change: Partial<LogRow>): void;
  /** @param json undefined: the value is deleted */
  meta(key: string, json: string | undefined): void;
  /** all rows are as an earlier version wrote them */
  forgetChecksums(): void;
}

const row = (seq: number, first: number, count = 1): LogRow => ({
  seq,
  first: zxid(1, first),
  last: zxid(1, first + count - 1),
  count,
  bytes: count * 10,
  before: { high: 0xffff_ffff, low: seq },
  after: { high: 0x8000_0000 + seq, low: 0xffff_fff0 + seq },
  committed: zxid(1, Math.max(0, first - 1)),
});

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

const znode = (path: string, data: Uint8Array | null = bytes(1, 2, 3)): ZnodeRow => ({
  path,
  data,
  czxid: zxid(1, 0xffff_ffff),
  mzxid: zxid(0x7fff_ffff, 2),
  pzxid: zxid(1, 3),
  ctime: 1_790_000_000_123,
  mtime: 1_790_000_000_456,
  version: -2_147_483_648,
  cversion: 2_147_483_647,
  aversion: 0,
  ephemeralOwner: NO_SESSION,
});

const session = (id: number): SessionRow => ({
  id: id as SessionId,
  timeoutMs: 4000,
  lastXid: 7,
  lastZxid: zxid(1, 9),
  lastResult: { type: "create", path: `/of-${id}`, stat: null },
});

/** All pages of a table, and how many there were. */
function pages(backend: StorageBackend, table: 0 | 1, bytesMax: number): TablePage[] {
  const all: TablePage[] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined; ) {
    const page: TablePage = backend.readTable(table, cursor, bytesMax);
    all.push(page);
    cursor = page.next;
    expect(all.length).toBeLessThan(10_000);
  }
  return all;
}

const paths = (backend: StorageBackend, table: 0 | 1): string[] =>
  pages(backend, table, 1e6).flatMap((page) => page.znodes.map((each) => each.path));

/** The suite. @param name of the implementation */
export function storageContract(name: string, makeBackend: MakeBackend): void {
  const test = (what: string, body: (open: () => StorageBackend, damage: Damage) => void): void => {
    it(what, () => makeBackend(body));
  };

  describe(`storage: ${name}`, () => {
    describe("the quarantine", () => {
      test("[STORAGE-13] holds one state, the first, and empties the storage of rows but not of meta values", (open) => {
        const backend = open();
        const meta: Meta = { ...EMPTY_META, boot: 7 };
        backend.writeMeta(meta);
        backend.insert(row(1, 1), bytes(...Array(10).fill(1)));
        backend.putRows(0, [znode("/a")], [session(5)]);
        expect(backend.isQuarantined).toBe(false);
        backend.transaction(() => backend.quarantine(false));
        for (const each of [backend, open()]) {
          expect(each.isQuarantined).toBe(true);
          expect(each.logRows()).toEqual([]);
          expect(paths(each, 0)).toEqual([]);
          expect(each.readMeta()).toEqual(meta);
        }
        for (const replaces of [false, true]) {
          backend.putRows(1, [znode("/b")], []);
          backend.insert(row(1, 1), bytes(...Array(10).fill(1)));
          backend.quarantine(replaces);
        }
        expect(paths(backend, 1)).toEqual([]);
        expect(backend.logRows()).toEqual([]);
        backend.putRows(0, [znode("/c")], []);
        backend.dropQuarantine();
        for (const each of [backend, open()]) {
          expect(each.isQuarantined).toBe(false);
          expect(paths(each, 0)).toEqual(["/c"]);
        }
      });

      test("[STORAGE-13] is undone with its transaction, and no new member is founded beside it", (open) => {
        const backend = open();
        backend.putRows(0, [znode("/a")], []);
        const fail = (): void =>
          backend.transaction(() => {
            backend.quarantine(false);
            throw new Error("no");
          });
        expect(fail).toThrow("no");
        expect(backend.isQuarantined).toBe(false);
        expect(paths(backend, 0)).toEqual(["/a"]);
        backend.quarantine(false);
        found(open());
        expect(open().readMeta().founding).toBe(false);
      });
    });

    describe("the meta values", () => {
      test("[STORAGE-1] are those of a member without memory at first", (open) => {
        expect(open().readMeta()).toEqual(EMPTY_META);
      });

      test("[STORAGE-1] are kept whole, also over a start", (open) => {
        const meta: Meta = {
          boot: 12,
          acceptedEpoch: 0x7fff_ffff,
          promisedTo: 3,
          currentEpoch: 5,
          initialized: true,
          founding: true,
          needSnap: true,
          peerBoots: [0, 1_790_000_000, 3],
          table: 1,
          checkpoint: { zxid: zxid(5, 0xffff_ffff), chain: { high: 0xffff_ffff, low: 0x8000_0001 } },
          logBase: { zxid: zxid(4, 1), chain: { high: 1, low: 2 } },
          quiet: '{"epoch":5}',
        };
        const backend = open();
        backend.writeMeta(meta);
        expect(backend.readMeta()).toEqual(meta);
        expect(open().readMeta()).toEqual(meta);
        backend.writeMeta({ ...meta, boot: 13, table: 0, initialized: false });
        expect(open().readMeta()).toEqual({ ...meta, boot: 13, table: 0, initialized: false });
        for (const digest of [{ high: 1, low: 2, confirmed: true }, { high: 1, low: 2 }, undefined]) {
          const now = digest === undefined ? meta : { ...meta, digest };
          backend.writeMeta(now);
          expect(open().readMeta()).toEqual(now);
        }
      });
    });

    describe("the log", () => {
      test("[STORAGE-2] is empty at first", (open) => {
        expect(open().logRows()).toEqual([]);
      });

      test("[STORAGE-2] gives rows back in order, and their batches byte by byte", (open) => {
        const backend = open();
        backend.insert(row(1, 1, 3), bytes(1, 2, 3));
        backend.insert(row(2, 4), bytes(0, 255, 128));
        backend.insert(row(10, 5, 2), bytes());
        for (const each of [backend, open()]) {
          expect(each.logRows()).toEqual([row(1, 1, 3), row(2, 4), row(10, 5, 2)]);
          expect([...each.read(1)]).toEqual([1, 2, 3]);
          expect([...each.read(2)]).toEqual([0, 255, 128]);
          expect([...each.read(10)]).toEqual([]);
        }
      });

      test("[STORAGE-2] keeps what it was given, whatever becomes of the giver's bytes", (open) => {
        const backend = open();
        const batch = bytes(1, 2, 3);
        backend.insert(row(1, 1), batch);
        batch.fill(9);
        expect([...backend.read(1)]).toEqual([1, 2, 3]);
      });

      test("[STORAGE-2] takes a view of a larger buffer for what it shows", (open) => {
        const backend = open();
        backend.insert(row(1, 1), bytes(9, 1, 2, 9).subarray(1, 3));
        expect([...open().read(1)]).toEqual([1, 2]);
      });

      test("[STORAGE-3] replaces a row, batch and all", (open) => {
        const backend = open();
        backend.insert(row(1, 1, 3), bytes(1, 2, 3));
        backend.replace(row(1, 1, 2), bytes(1, 2));
        expect(open().logRows()).toEqual([row(1, 1, 2)]);
        expect([...open().read(1)]).toEqual([1, 2]);
      });

      test("[STORAGE-3] loses the rows after a number, and those up to one, and no others", (open) => {
        const backend = open();
        for (let seq = 1; seq <= 6; seq++) backend.insert(row(seq, seq), bytes(seq));
        backend.deleteAfter(4);
        expect(backend.logRows().map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
        backend.deleteUpTo(2);
        expect(backend.logRows().map(({ seq }) => seq)).toEqual([3, 4]);
        backend.deleteAfter(9);
        backend.deleteUpTo(0);
        expect(
          open()
            .logRows()
            .map(({ seq }) => seq),
        ).toEqual([3, 4]);
        backend.deleteAfter(0);
        expect(open().logRows()).toEqual([]);
      });

      test("[STORAGE-3] takes a number again that was deleted", (open) => {
        const backend = open();
        backend.insert(row(1, 1), bytes(1));
        backend.deleteUpTo(1);
        backend.insert(row(1, 7), bytes(7));
        expect(open().logRows()).toEqual([row(1, 7)]);
        expect([...open().read(1)]).toEqual([7]);
      });

      test("[STORAGE-2] refuses a number twice, and to read or replace what is not there", (open) => {
        const backend = open();
        backend.insert(row(1, 1), bytes(1));
        expect(() => backend.insert(row(1, 2), bytes(2))).toThrow();
        expect(() => backend.read(2)).toThrow();
        expect(() => backend.replace(row(2, 2), bytes(2))).toThrow();
        expect([...backend.read(1)]).toEqual([1]);
      });

      test("[STORAGE-2] holds a batch of 256 KiB", (open) => {
        const backend = open();
        const large = new Uint8Array(256 * 1024).map((_, i) => i * 7);
        backend.insert(row(1, 1, 500), large);
        const back = open().read(1);
        expect(back.length).toBe(large.length);
        expect(back.every((byte, i) => byte === large[i])).toBe(true);
      });
    });

    describe("the tables", () => {
      test("[STORAGE-4] give znodes and sessions back as they were, numbers of every size too", (open) => {
        const backend = open();
        const rows = [
          znode("/"),
          znode("/a", null),
          znode("/b", bytes()),
          { ...znode("/c"), ephemeralOwner: (9 * 2 ** 49 + 5) as SessionId },
          { ...znode("/d"), version: 0, cversion: -1, czxid: ZXID_ZERO },
          znode("/ä€😀 x"),
        ];
        const sessions = [
          session(2 ** 49 + 1),
          { ...session(9 * 2 ** 49 + 5), lastResult: null, lastXid: 0 },
        ];
        backend.putRows(0, rows, sessions);
        for (const each of [backend, open()]) {
          const all = pages(each, 0, 1e6);
          const byPath = new Map(all.flatMap((page) => page.znodes).map((found) => [found.path, found]));
          for (const expected of rows) expect(byPath.get(expected.path)).toEqual(expected);
          expect(byPath.size).toBe(rows.length);
          const byId = new Map(all.flatMap((page) => page.sessions).map((found) => [found.id, found]));
          for (const expected of sessions) expect(byId.get(expected.id)).toEqual(expected);
          expect(byId.size).toBe(sessions.length);
        }
      });

      test("[STORAGE-4] keep the last outcome of a session, whatever it is", (open) => {
        const backend = open();
        const stat = {
          czxid: zxid(1, 1),
          mzxid: zxid(1, 2),
          pzxid: zxid(1, 3),
          ctime: 5,
          mtime: 6,
          version: 7,
          cversion: 8,
          aversion: 0,
          ephemeralOwner: NO_SESSION,
          dataLength: 3,
          numChildren: 2,
        };
        const results = [
          { type: "create", path: "/x", stat } as const,
          { type: "setData", stat } as const,
          { type: "delete" } as const,
          { type: "error", code: "NO_NODE" } as const,
          { type: "sync" } as const,
          { type: "createSession", timeoutMs: 4000 } as const,
          { type: "multi", results: [{ type: "check" }, { type: "error", code: "BAD_VERSION" }] } as const,
        ];
        const sessions = results.map((lastResult, i) => ({ ...session(i + 1), lastResult }));
        backend.putRows(1, [], sessions);
        const found = pages(open(), 1, 1e6).flatMap((page) => page.sessions);
        expect([...found].sort((a, b) => a.id - b.id)).toEqual(sessions);
      });

      test("[STORAGE-4] replace a row of the same key", (open) => {
        const backend = open();
        backend.putRows(0, [znode("/a")], [session(1)]);
        backend.putRows(0, [{ ...znode("/a", bytes(9)), version: 4 }], [{ ...session(1), lastXid: 99 }]);
        const [page] = pages(open(), 0, 1e6);
        expect(page?.znodes).toEqual([{ ...znode("/a", bytes(9)), version: 4 }]);
        expect(page?.sessions).toEqual([{ ...session(1), lastXid: 99 }]);
      });

      test("[STORAGE-4] lose what is deleted, and nothing else", (open) => {
        const backend = open();
        backend.putRows(0, [znode("/a"), znode("/a/b"), znode("/ab")], [session(1), session(2)]);
        backend.deleteRows(0, ["/a", "/nothing"], [1 as SessionId, 77 as SessionId]);
        expect(paths(open(), 0)).toEqual(["/a/b", "/ab"]);
        expect(pages(open(), 0, 1e6).flatMap((page) => page.sessions.map(({ id }) => id))).toEqual([2]);
      });

      test("[STORAGE-5] are two, and know nothing of one another", (open) => {
        const backend = open();
        backend.putRows(0, [znode("/a")], [session(1)]);
        backend.putRows(1, [znode("/b")], [session(2)]);
        expect(paths(backend, 0)).toEqual(["/a"]);
        expect(paths(backend, 1)).toEqual(["/b"]);
        backend.clearTable(0);
        expect(paths(open(), 0)).toEqual([]);
        expect(pages(open(), 0, 1e6).flatMap((page) => page.sessions)).toEqual([]);
        expect(paths(open(), 1)).toEqual(["/b"]);
        expect(pages(open(), 1, 1e6).flatMap((page) => page.sessions.map(({ id }) => id))).toEqual([2]);
      });

      test("[STORAGE-6] are read page by page, every row once, in pages of the size asked for", (open) => {
        const backend = open();
        const rows = Array.from({ length: 60 }, (_, i) =>
          znode(`/n${String(i).padStart(3, "0")}`, new Uint8Array(100)),
        );
        backend.putRows(0, rows, [session(1), session(2), session(3)]);
        const all = pages(backend, 0, 2_000);
        expect(all.length).toBeGreaterThan(3);
        expect(all.length).toBeLessThan(60);
        const found = all.flatMap((page) => page.znodes.map(({ path }) => path));
        expect(found).toEqual(rows.map(({ path }) => path));
        expect(all.flatMap((page) => page.sessions).length).toBe(3);
        // However small the page, it holds a row.
        expect(pages(backend, 0, 1).flatMap((page) => page.znodes).length).toBe(60);
      });

      test("[STORAGE-6] are read on from a cursor though rows were added before and after it", (open) => {
        const backend = open();
        backend.putRows(
          0,
          ["/b", "/d", "/f"].map((path) => znode(path)),
          [],
        );
        const first = backend.readTable(0, "", 1);
        expect(first.znodes.map(({ path }) => path)).toEqual(["/b"]);
        backend.putRows(0, [znode("/a"), znode("/e")], []);
        const rest: string[] = [];
        for (let cursor = first.next; cursor !== undefined; ) {
          const page: TablePage = backend.readTable(0, cursor, 1);
          rest.push(...page.znodes.map(({ path }) => path));
          cursor = page.next;
        }
        expect(rest).toEqual(["/d", "/e", "/f"]);
      });

      test("[STORAGE-6] that are empty are one page", (open) => {
        expect(open().readTable(0, "", 1000)).toEqual({ znodes: [], sessions: [], next: undefined });
      });
    });

    describe("reads of single znodes", () => {
      const childNames = (backend: StorageBackend, path: string, limit = 1e6): string[] => [
        ...backend.readChildren(0, path, "", limit),
      ];
      /** `/p` with a child that has descendants, and siblings whose names sort before, between and behind those. */
      const family = [
        "/p",
        "/p/a",
        "/p/a!",
        "/p/a/b",
        "/p/a/b/c",
        "/p/a/z",
        "/p/a0",
        "/p/b",
        "/p!",
        "/p0",
        "/q/x",
      ];

      test("[STORAGE-14] find a znode as it was put, and nothing where none is", (open) => {
        const backend = open();
        const owned = { ...znode("/e"), ephemeralOwner: (9 * 2 ** 49 + 5) as SessionId };
        backend.putRows(0, [znode("/a", null), owned, znode("/")], []);
        backend.putRows(1, [znode("/b")], []);
        for (const each of [backend, open()]) {
          expect(each.readZnode(0, "/a")).toEqual({ row: znode("/a", null), numChildren: 0 });
          expect(each.readZnode(0, "/e")).toEqual({ row: owned, numChildren: 0 });
          expect(each.readZnode(0, "/")).toEqual({ row: znode("/"), numChildren: 2 });
          expect(each.readZnode(1, "/b")?.row).toEqual(znode("/b"));
          for (const path of ["/b", "", "a", "/a/", "/A", "/\u0000"])
            expect(each.readZnode(0, path)).toBeUndefined();
        }
      });

      test("[STORAGE-14] list children alone, in order and in pages, and count them", (open) => {
        const backend = open();
        backend.putRows(
          0,
          family.map((path) => znode(path)),
          [],
        );
        for (const each of [backend, open()]) {
          expect(childNames(each, "/p")).toEqual(["a", "a!", "a0", "b"]);
          expect(childNames(each, "/p", 2)).toEqual(["a", "a!"]);
          expect(childNames(each, "/p/a")).toEqual(["b", "z"]);
          expect(childNames(each, "/")).toEqual(["p", "p!", "p0"]);
          expect(childNames(each, "/q")).toEqual(["x"]);
          expect(childNames(each, "/p/b")).toEqual([]);
          expect(each.readChildren(0, "/p", "a", 2)).toEqual(["a!", "a0"]);
          expect(each.readChildren(0, "/p", "a0", 9)).toEqual(["b"]);
          expect(each.readChildren(0, "/p", "b", 9)).toEqual([]);
          expect(["/p", "/p/a", "/p/b"].map((path) => each.readZnode(0, path)?.numChildren)).toEqual([
            4, 2, 0,
          ]);
          expect(each.countZnodes(0)).toBe(family.length);
          expect(each.countZnodes(1)).toBe(0);
        }
      });

      test("[STORAGE-14] list the children after a name that none can have", (open) => {
        const backend = open();
        const names = [
          "a",
          "\ud7ff",
          "\ud7ff\ud7ff",
          "\ud7ff\uffef",
          "\uf900",
          "\uff21",
          "x\ud7ff",
          "x\uff21",
        ].sort();
        backend.putRows(
          0,
          ["/p", ...names.flatMap((name) => [`/p/${name}`, `/p/${name}/c`])].map((path) => znode(path)),
          [],
        );
        for (const after of [
          "😀",
          "\ud83d",
          "\udfff",
          "\ud7ff",
          "\ud7ff😀",
          "\uf900😀",
          "x😀",
          "x\ud800y",
          "😀a",
        ]) {
          const behind = names.filter((name) => name > after);
          for (const limit of [1, 2, 9])
            expect(backend.readChildren(0, "/p", after, limit)).toEqual(behind.slice(0, limit));
        }
      });

      test("[STORAGE-14] page through many children with subtrees of their own", (open) => {
        const backend = open();
        const names = Array.from({ length: 300 }, (_, i) => `n${i}`).sort();
        const nested = names.flatMap((name, i) => (i % 3 === 0 ? [`/p/${name}/x`, `/p/${name}/y`] : []));
        backend.putRows(
          0,
          ["/p", ...names.map((name) => `/p/${name}`), ...nested].map((path) => znode(path)),
          [],
        );
        for (const limit of [1, 2, 7, 299, 300]) {
          const found: string[] = [];
          for (let page = backend.readChildren(0, "/p", "", limit); page.length > 0; ) {
            expect(page.length).toBeLessThanOrEqual(limit);
            found.push(...page);
            page = backend.readChildren(0, "/p", found.at(-1) ?? "", limit);
          }
          expect(found).toEqual(names);
        }
        expect(backend.readZnode(0, "/p")?.numChildren).toBe(300);
      });

      test("[STORAGE-15] know the number of many children, and that it is another once they have changed", (open) => {
        const backend = open();
        const many = Array.from({ length: 3_000 }, (_, i) => znode(`/p/n${i}`, null));
        const at = (counter: number): ZnodeRow => ({ ...znode("/p"), pzxid: zxid(1, counter) });
        const count = (): number | undefined => {
          const counts = [backend, open(), open()].map((each) => each.readZnode(0, "/p")?.numChildren);
          expect(new Set(counts).size).toBe(1);
          return counts[0];
        };
        backend.putRows(0, [...many, at(1)], []);
        expect(count()).toBe(3_000);
        // As an earlier version does, which knows of no numbers.
        backend.putRows(0, [znode("/p/more"), at(2)], []);
        expect(count()).toBe(3_001);
        backend.deleteRows(0, ["/p/n1"], []);
        backend.putRows(0, [{ ...at(3), numChildren: 3_000 }], []);
        expect(count()).toBe(3_000);
        backend.deleteRows(
          0,
          many.slice(2).map(({ path }) => path),
          [],
        );
        backend.putRows(0, [{ ...at(4), numChildren: 2 }], []);
        expect(count()).toBe(2);
        backend.clearTable(0);
        backend.putRows(0, [at(3)], []);
        expect(count()).toBe(0);
      });

      test("[STORAGE-15] count a built-in znode that gets its row, or loses it, under the same pzxid", (open) => {
        const backend = open();
        const many = Array.from({ length: 3_000 }, (_, i) => znode(`/n${i}`, null));
        const root: ZnodeRow = { ...znode("/"), pzxid: zxid(1, 1) };
        const count = (): number | undefined => open().readZnode(0, "/")?.numChildren;
        // As a version has stored it that gives no rows to built-in znodes that have not changed.
        backend.putRows(0, [root, ...many], []);
        expect(count()).toBe(3_000);
        backend.putRows(0, [znode("/zookeeper"), znode("/zookeeper/config")], []);
        expect(count()).toBe(3_001);
        backend.putRows(0, [{ ...root, numChildren: 3_001 }], []);
        expect(count()).toBe(3_001);
        backend.deleteRows(0, ["/zookeeper"], []);
        expect(count()).toBe(3_000);
      });

      test("[STORAGE-14] list the ephemerals of a session alone", (open) => {
        const backend = open();
        const [one, two] = [9 * 2 ** 49 + 5, 2 ** 49 + 1] as SessionId[] as [SessionId, SessionId];
        const owned = (path: string, ephemeralOwner: SessionId): ZnodeRow => ({
          ...znode(path),
          ephemeralOwner,
        });
        backend.putRows(0, [owned("/c", one), owned("/a", one), owned("/b", two), znode("/d")], []);
        backend.putRows(1, [owned("/other", one)], []);
        for (const each of [backend, open()]) {
          expect(each.readEphemerals(0, one)).toEqual(["/a", "/c"]);
          expect(each.readEphemerals(0, two)).toEqual(["/b"]);
          expect(each.readEphemerals(0, 3 as SessionId)).toEqual([]);
          expect(each.readEphemerals(0, NO_SESSION)).toEqual([]);
        }
        backend.deleteRows(0, ["/a"], []);
        expect(open().readEphemerals(0, one)).toEqual(["/c"]);
        backend.transaction(() => backend.quarantine(true));
        expect(open().readEphemerals(0, one)).toEqual([]);
        backend.putRows(0, [owned("/again", one)], []);
        expect(open().readEphemerals(0, one)).toEqual(["/again"]);
      });

      test("[STORAGE-8] find a znode damaged that is not as it was put", (open, damage) => {
        open().putRows(0, [znode("/a"), znode("/b", bytes(9)), znode("/c")], []);
        damage.znode(0, "/c", { version: 7 });
        expect(() => open().readZnode(0, "/c")).toThrow(DamagedError);
        damage.swapZnodes(0, "/a", "/b");
        expect(() => open().readZnode(0, "/a")).toThrow(DamagedError);
        expect(() => open().readZnode(0, "/b")).toThrow(DamagedError);
      });
    });

    describe("a transaction", () => {
      test("[STORAGE-7] happens whole", (open) => {
        const backend = open();
        backend.transaction(() => {
          backend.writeMeta({ ...EMPTY_META, boot: 4 });
          backend.insert(row(1, 1), bytes(1));
          backend.putRows(0, [znode("/a")], [session(1)]);
        });
        const again = open();
        expect(again.readMeta().boot).toBe(4);
        expect(again.logRows().length).toBe(1);
        expect(paths(again, 0)).toEqual(["/a"]);
      });

      test("[STORAGE-7] that throws has not happened, and says why", (open) => {
        const backend = open();
        backend.writeMeta({ ...EMPTY_META, boot: 3 });
        backend.insert(row(1, 1, 3), bytes(1, 2, 3));
        backend.putRows(0, [znode("/keep")], [session(1)]);
        expect(() =>
          backend.transaction(() => {
            backend.writeMeta({ ...EMPTY_META, boot: 4 });
            backend.replace(row(1, 1, 1), bytes(1));
            backend.insert(row(2, 4), bytes(4));
            backend.putRows(0, [znode("/a")], [session(2)]);
            backend.deleteRows(0, ["/keep"], [1 as SessionId]);
            backend.clearTable(1);
            throw new Error("the power failed");
          }),
        ).toThrow("the power failed");
        for (const each of [backend, open()]) {
          expect(each.readMeta().boot).toBe(3);
          expect(each.logRows()).toEqual([row(1, 1, 3)]);
          expect([...each.read(1)]).toEqual([1, 2, 3]);
          expect(paths(each, 0)).toEqual(["/keep"]);
          expect(pages(each, 0, 1e6).flatMap((page) => page.sessions.map(({ id }) => id))).toEqual([1]);
        }
      });

      test("[STORAGE-7] reads what it has written", (open) => {
        const backend = open();
        backend.transaction(() => {
          backend.writeMeta({ ...EMPTY_META, boot: 8 });
          backend.insert(row(1, 1), bytes(5));
          expect(backend.readMeta().boot).toBe(8);
          expect([...backend.read(1)]).toEqual([5]);
          backend.deleteAfter(0);
          expect(backend.logRows()).toEqual([]);
        });
        expect(open().logRows()).toEqual([]);
      });
    });

    describe("damage", () => {
      const changes: readonly Partial<ZnodeRow>[] = [
        { data: bytes(1, 2, 4) },
        { data: bytes(1, 2) },
        { data: null },
        { version: 7 },
        { cversion: 7 },
        { aversion: 7 },
        { ctime: 7 },
        { mtime: 7 },
        { czxid: zxid(1, 7) },
        { mzxid: zxid(1, 7) },
        { pzxid: zxid(1, 7) },
        { ephemeralOwner: 7 as SessionId },
      ];
      for (const change of changes) {
        const [column, value] = Object.entries(change)[0] ?? [];
        test(`[STORAGE-8] of a znode is found when its ${column} is ${JSON.stringify(value)}`, (open, damage) => {
          const backend = open();
          backend.putRows(1, [znode("/a"), znode("/b"), znode("/c")], []);
          damage.znode(1, "/b", change);
          expect(() => pages(open(), 1, 1e6)).toThrow(DamagedError);
          expect(() => pages(open(), 1, 1)).toThrow("/b");
        });
      }

      test("[STORAGE-8] of two znodes is found when each has the other's path", (open, damage) => {
        open().putRows(0, [znode("/a"), znode("/b", bytes(9))], []);
        damage.swapZnodes(0, "/a", "/b");
        expect(() => pages(open(), 0, 1e6)).toThrow(DamagedError);
      });

      const sessionChanges: readonly Partial<SessionRow>[] = [
        { timeoutMs: 4001 },
        { lastXid: 8 },
        { lastZxid: zxid(1, 10) },
        { lastResult: null },
        { lastResult: { type: "create", path: "/another", stat: null } },
      ];
      for (const change of sessionChanges) {
        const [column, value] = Object.entries(change)[0] ?? [];
        test(`[STORAGE-8] of a session is found when its ${column} is ${JSON.stringify(value)}`, (open, damage) => {
          open().putRows(0, [], [session(1), session(2)]);
          damage.session(0, 2, change);
          expect(() => pages(open(), 0, 1e6)).toThrow("session 2");
        });
      }

      const logChanges: readonly Partial<LogRow>[] = [
        { first: zxid(2, 2) },
        { last: zxid(1, 9) },
        { count: 2 },
        { bytes: 11 },
        { before: { high: 1, low: 2 } },
        { after: { high: 1, low: 2 } },
        { committed: zxid(1, 2) },
      ];
      for (const change of logChanges) {
        const [column, value] = Object.entries(change)[0] ?? [];
        test(`[STORAGE-8] of a log row is found when its ${column} is ${JSON.stringify(value)}`, (open, damage) => {
          const backend = open();
          for (let seq = 1; seq <= 3; seq++) backend.insert(row(seq, seq), bytes(seq));
          damage.logRow(2, change);
          const found: number[] = [];
          expect(open().logRows((seq) => found.push(seq))).toEqual([row(1, 1), row(3, 3)]);
          expect(found).toEqual([2]);
        });
      }

      for (const key of META_KEYS) {
        test(`[STORAGE-8] of the meta value ${key} is found when it is another or missing`, (open, damage) => {
          open().writeMeta({ ...EMPTY_META, boot: 4, acceptedEpoch: 3, quiet: "{}" });
          for (const json of ["77", undefined]) {
            damage.meta(key, json);
            const found: string[] = [];
            const meta = open().readMeta((what) => found.push(what));
            expect(found).toEqual([expect.stringContaining(key)]);
            expect(meta[key]).toEqual(EMPTY_META[key]);
          }
        });
      }

      test("[STORAGE-8] is found when no meta value is left of a member that has lived", (open, damage) => {
        const backend = open();
        backend.writeMeta({ ...EMPTY_META, boot: 4 });
        backend.insert(row(1, 1), bytes(1));
        for (const key of META_KEYS) damage.meta(key, undefined);
        const found: string[] = [];
        expect(open().readMeta((what) => found.push(what))).toEqual(EMPTY_META);
        expect(found).not.toEqual([]);
      });

      test("[STORAGE-8] is not found in what was written, nor in an empty storage", (open) => {
        const found: unknown[] = [];
        const backend = open();
        backend.readMeta((what) => found.push(what));
        backend.writeMeta({ ...EMPTY_META, boot: 4, digest: { high: 1, low: 2 } });
        backend.writeMeta({ ...EMPTY_META, boot: 5 });
        backend.insert(row(1, 1), bytes(1));
        backend.replace(row(1, 1), bytes(2));
        backend.putRows(0, [znode("/a")], [session(1)]);
        const again = open();
        expect(again.readMeta((what) => found.push(what))).toEqual({ ...EMPTY_META, boot: 5 });
        again.logRows((seq) => found.push(seq));
        pages(again, 0, 1e6);
        expect(found).toEqual([]);
      });

      test("[STORAGE-9] is not looked for in rows without a checksum, which get one when written again", (open, damage) => {
        const backend = open();
        backend.writeMeta({ ...EMPTY_META, boot: 4 });
        backend.insert(row(1, 1), bytes(1));
        backend.putRows(0, [znode("/a"), znode("/b")], [session(1)]);
        damage.forgetChecksums();
        damage.znode(0, "/a", { version: 7 });
        const again = open();
        const found: unknown[] = [];
        expect(again.readMeta((what) => found.push(what)).boot).toBe(4);
        expect(again.logRows((seq) => found.push(seq))).toEqual([row(1, 1)]);
        expect(pages(again, 0, 1e6)[0]?.znodes[0]).toEqual({ ...znode("/a"), version: 7 });
        expect(found).toEqual([]);

        // Of two handles the first may know nothing of the change, and the second may be a copy.
        for (const each of [backend, again]) {
          each.writeMeta({ ...EMPTY_META, boot: 4 });
          each.replace(row(1, 1), bytes(1));
          each.putRows(0, [znode("/a")], [session(1)]);
        }
        damage.meta("boot", "5");
        damage.logRow(1, { count: 7 });
        damage.znode(0, "/a", { version: 7 });
        const last = open();
        last.readMeta((what) => found.push(what));
        last.logRows((seq) => found.push(seq));
        expect(found).toEqual([expect.stringContaining("boot"), 1]);
        expect(() => pages(last, 0, 1e6)).toThrow("/a");
      });
    });
  });
}
