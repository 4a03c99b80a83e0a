/** A member's storage when SQLite cannot read a page, or has no room. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { DamagedError, StorageError } from "../../../core/damaged-error.ts";
import { zxid } from "../../../core/zab/zxid.ts";
import type { ZnodeRow } from "../../../core/znode/stat.ts";
import { NO_SESSION } from "../../../core/znode/types.ts";
import { SqliteBackend } from "../../../durable-objects/zooweeper-node/sqlite-backend.ts";

const MALFORMED = "database disk image is malformed: SQLITE_CORRUPT";
const FULL = "database or disk is full: SQLITE_FULL";

let objects = 0;
async function inObject(body: (storage: DurableObjectStorage) => void): Promise<void> {
  objects += 1;
  const stub = env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`unreadable-${objects}/1`));
  await runInDurableObject(stub, (_object, state) => body(state.storage));
}

/** The storage, whose statements fail with the message that `failing` returns. */
function withFailures(
  storage: DurableObjectStorage,
  failing: (statement: string) => string | undefined,
): DurableObjectStorage {
  const exec = (statement: string, ...values: unknown[]): unknown => {
    const message = failing(statement);
    if (message !== undefined) throw new Error(message);
    return storage.sql.exec(statement, ...values);
  };
  const transactionSync = (body: () => unknown): unknown => storage.transactionSync(body);
  return { sql: { exec }, transactionSync } as unknown as DurableObjectStorage;
}

const znode = (path: string): ZnodeRow => ({
  path,
  data: new Uint8Array([1]),
  czxid: zxid(1, 1),
  mzxid: zxid(1, 1),
  pzxid: zxid(1, 1),
  ctime: 1,
  mtime: 1,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: NO_SESSION,
});

describe("a page of the tree that SQLite cannot read", () => {
  it("[STORAGE-10] is damage for every read of the tree", () =>
    inObject((storage) => {
      new SqliteBackend(storage).putRows(0, [znode("/a")], []);
      const backend = new SqliteBackend(
        withFailures(storage, (statement) =>
          /^SELECT (?!name).*\bznode_0\b/.test(statement) ? MALFORMED : undefined,
        ),
      );
      expect(backend.broken).toBeUndefined();
      const reads: readonly (() => unknown)[] = [
        () => backend.readTable(0, "", 1000),
        () => backend.readZnode(0, "/a"),
        () => backend.readChildren(0, "/", "", 10),
        () => backend.countZnodes(0),
      ];
      for (const read of reads) expect(read).toThrow(DamagedError);
      expect(backend.readZnode(1, "/a")).toBeUndefined();
    }));
});

describe("a storage without room", () => {
  it("[STORAGE-11] fails a write, and a read with an error that is no damage", () =>
    inObject((storage) => {
      let isFull = false;
      const backend = new SqliteBackend(withFailures(storage, () => (isFull ? FULL : undefined)));
      backend.putRows(0, [znode("/a")], []);
      isFull = true;
      expect(() => backend.putRows(0, [znode("/b")], [])).toThrow(FULL);
      expect(() => backend.clearTable(0)).toThrow(FULL);
      const read = (): unknown => backend.readZnode(0, "/a");
      expect(read).toThrow(StorageError);
      expect(read).not.toThrow(DamagedError);
    }));

  it("[STORAGE-15] counts many children of a received tree, and stores their number with the next rows", () =>
    inObject((storage) => {
      let isFull = false;
      const isWrite = (statement: string): boolean => /^(INSERT|DELETE|UPDATE)/.test(statement);
      const open = (): SqliteBackend =>
        new SqliteBackend(
          withFailures(storage, (statement) => (isFull && isWrite(statement) ? FULL : undefined)),
        );
      const backend = open();
      const paths = ["/p", ...Array.from({ length: 3_000 }, (_, i) => `/p/n${i}`)];
      backend.putRows(0, paths.map(znode), []);
      const stored = (): unknown => storage.sql.exec("SELECT count(*) AS n FROM children_0").one().n;
      const count = (): unknown => backend.readZnode(0, "/p")?.numChildren;
      isFull = true;
      expect([count(), stored()]).toEqual([3_000, 0]);
      const { read } = backend.rows;
      expect([count(), backend.rows.read - read]).toEqual([3_000, 1]);
      isFull = false;
      backend.putRows(0, [], []);
      expect([stored(), open().readZnode(0, "/p")?.numChildren]).toEqual([1, 3_000]);
      backend.transaction(() => backend.quarantine(true));
      backend.putRows(0, [znode("/p"), znode("/p/a")], []);
      expect([count(), stored()]).toEqual([1, 0]);
    }));
});

describe("pages of a table", () => {
  it("[STORAGE-6] read few large rows that do not fit", () =>
    inObject((storage) => {
      const statements: number[] = [];
      const exec = (statement: string, ...values: unknown[]): unknown => {
        const cursor = storage.sql.exec(statement, ...values);
        if (!statement.includes("WHERE path > ?")) return cursor;
        const rows = [...cursor.raw()];
        statements.push(rows.length);
        return { raw: () => rows };
      };
      const backend = new SqliteBackend({ sql: { exec } } as unknown as DurableObjectStorage);
      const large = (i: number): ZnodeRow => ({ ...znode(`/n${100 + i}`), data: new Uint8Array(100_000) });
      backend.putRows(
        0,
        Array.from({ length: 40 }, (_, i) => large(i)),
        [],
      );
      expect(backend.readTable(0, "", 64_000).znodes).toHaveLength(1);
      expect(statements.splice(0)).toEqual([1]);
      expect(backend.readTable(0, "", 950_000).znodes).toHaveLength(10);
      expect(statements.splice(0)).toEqual([1, 2, 4, 8]);
      const { znodes } = backend.readTable(0, "", 1e9);
      expect(znodes.map(({ path }) => path)).toEqual(Array.from({ length: 40 }, (_, i) => large(i).path));
      expect(statements).toEqual([1, 2, 4, 8, 16, 9]);
    }));
});
