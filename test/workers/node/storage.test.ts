/** The storage contract on the object's own SQLite. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { MemberStorage } from "../../../core/server/storage.ts";
import { ByteReader } from "../../../core/wire/reader.ts";
import { readResult, writeResult } from "../../../core/wire/result-codec.ts";
import { valueChecksum } from "../../../core/wire/value-checksum.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { type Zxid, zxid } from "../../../core/zab/zxid.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import { SqliteBackend } from "../../../durable-objects/zooweeper-node/sqlite-backend.ts";
import { damageOf as clientDamageOf, reasonOfStop } from "../../../workers/api/clients/damage.ts";
import type { ApiEnv } from "../../../workers/api/env.ts";
import { type Damage, storageContract } from "../../contract/storage.ts";
import { treeContract } from "../../contract/tree.ts";

let objects = 0;

/** What the status of the ensemble says of a node whose storage cannot be read for this. */
const reasonOf = (broken: string | undefined): string | undefined =>
  reasonOfStop(
    env as unknown as ApiEnv,
    2,
    new Error(`NODE_DOWN: this node cannot read its database: ${broken}`),
  );

const COLUMNS: Readonly<Record<string, string>> = {
  timeoutMs: "timeout_ms",
  lastXid: "last_xid",
  ephemeralOwner: "ephemeral_owner",
  count: "txns",
};
const TABLES = ["meta", "txn_log", "znode_0", "znode_1", "session_0", "session_1"];

function resultBytes(value: unknown): Uint8Array | null {
  if (value === null) return null;
  const writer = new ByteWriter();
  writeResult(writer, value as Parameters<typeof writeResult>[1]);
  return writer.finish();
}

/** The columns that hold a value of a row, and what they hold. */
function columnsOf(name: string, value: unknown): [string, unknown][] {
  if (name === "lastResult") return [["last_result", resultBytes(value)]];
  if (name === "before" || name === "after") {
    const { high, low } = value as { high: number; low: number };
    return [
      [`${name}_high`, high],
      [`${name}_low`, low],
    ];
  }
  if (/zxid|^first$|^last$|^committed$/i.test(name)) {
    const { epoch, counter } = value as Zxid;
    const column = name === "lastZxid" ? "last" : name;
    return [
      [`${column}_epoch`, epoch],
      [`${column}_counter`, counter],
    ];
  }
  return [[COLUMNS[name] ?? name, value]];
}

function damageOf(sql: SqlStorage): Damage {
  const change = (table: string, key: string, id: unknown, columns: object): void => {
    for (const [column, value] of Object.entries(columns).flatMap(([name, value]) => columnsOf(name, value)))
      sql.exec(`UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`, value, id);
  };
  return {
    znode: (table, path, columns) => change(`znode_${table}`, "path", path, columns),
    swapZnodes: (table, a, b) => {
      sql.exec(`UPDATE znode_${table} SET path = ? WHERE path = ?`, "/swapped", a);
      sql.exec(`UPDATE znode_${table} SET path = ? WHERE path = ?`, a, b);
      sql.exec(`UPDATE znode_${table} SET path = ? WHERE path = ?`, b, "/swapped");
    },
    session: (table, id, columns) => change(`session_${table}`, "id", id, columns),
    logRow: (seq, columns) => change("txn_log", "seq", seq, columns),
    meta: (key, json) => {
      if (json === undefined) sql.exec("DELETE FROM meta WHERE key = ?", key);
      else sql.exec("UPDATE meta SET value = ? WHERE key = ?", json, key);
    },
    forgetChecksums: () => {
      for (const table of TABLES) sql.exec(`UPDATE ${table} SET crc = NULL`);
    },
  };
}

async function inObject(body: (storage: DurableObjectStorage) => void): Promise<void> {
  objects += 1;
  const stub = env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`contract-${objects}/1`));
  await runInDurableObject(stub, (_object, state) => body(state.storage));
}

storageContract("SQLite in workerd", (body) =>
  inObject((storage) => body(() => new SqliteBackend(storage), damageOf(storage.sql))),
);

treeContract("SQLite in workerd", (body) =>
  inObject((storage) => body(() => new SqliteBackend(storage), damageOf(storage.sql))),
);

/** The tables of the versions before rows had checksums. */
const OLD_SCHEMA = [
  "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
  `CREATE TABLE txn_log (seq INTEGER PRIMARY KEY,
     first_epoch INTEGER, first_counter INTEGER, last_epoch INTEGER, last_counter INTEGER,
     txns INTEGER, bytes INTEGER, before_high INTEGER, before_low INTEGER, after_high INTEGER, after_low INTEGER,
     committed_epoch INTEGER, committed_counter INTEGER, batch BLOB)`,
  ...[0, 1].flatMap((table) => [
    `CREATE TABLE znode_${table} (path TEXT PRIMARY KEY,
       czxid_epoch INTEGER, czxid_counter INTEGER, mzxid_epoch INTEGER, mzxid_counter INTEGER,
       pzxid_epoch INTEGER, pzxid_counter INTEGER, ctime INTEGER, mtime INTEGER,
       version INTEGER, cversion INTEGER, aversion INTEGER, ephemeral_owner INTEGER, data BLOB) WITHOUT ROWID`,
    `CREATE TABLE session_${table} (id INTEGER PRIMARY KEY, timeout_ms INTEGER,
       last_xid INTEGER, last_epoch INTEGER, last_counter INTEGER, last_result BLOB)`,
  ]),
];
const OLD_META = {
  boot: 3,
  acceptedEpoch: 2,
  promisedTo: 1,
  currentEpoch: 2,
  initialized: true,
  founding: false,
  needSnap: false,
  peerBoots: [0, 4, 5],
  table: 0,
  checkpoint: { zxid: { epoch: 2, counter: 9 }, chain: { high: 7, low: 8 } },
  logBase: { zxid: { epoch: 2, counter: 9 }, chain: { high: 7, low: 8 } },
  quiet: null,
};

function writeOld(sql: SqlStorage): void {
  for (const table of TABLES) sql.exec(`DROP TABLE ${table}`);
  for (const statement of OLD_SCHEMA) sql.exec(statement);
  for (const [key, value] of Object.entries(OLD_META))
    sql.exec("INSERT INTO meta VALUES (?, ?)", key, JSON.stringify(value));
  const znode = "INSERT INTO znode_0 VALUES (?, 2, 1, 2, 1, 2, 1, 5, 6, 0, 1, 0, 0, ?)";
  sql.exec(znode, "/old", new Uint8Array([1, 2]));
  sql.exec(znode, "/old/child", null);
  sql.exec("INSERT INTO session_0 VALUES (77, 4000, 1, 2, 3, NULL)");
}

describe("a database of an earlier version", () => {
  it("[STORAGE-9] is accepted, and its rows get a checksum when they are written again", () =>
    inObject((storage) => {
      const { sql } = storage;
      writeOld(sql);
      const member = new MemberStorage(new SqliteBackend(storage));
      const { recovered, tree } = member.recover();
      expect(member.damage).toBeUndefined();
      expect(recovered).toMatchObject({ boot: 4, acceptedEpoch: 2, initialized: true });
      expect(tree.children("/old")).toEqual(["child"]);
      expect([...(tree.get("/old")?.data ?? [])]).toEqual([1, 2]);
      expect(tree.sessions.size).toBe(1);
      const unchecked = (): unknown =>
        sql.exec("SELECT count(*) AS n FROM znode_0 WHERE crc IS NULL").one().n;
      expect(unchecked()).toBe(2);
      const [row] = new SqliteBackend(storage).readTable(0, "", 1e6).znodes;
      new SqliteBackend(storage).putRows(0, row === undefined ? [] : [row], []);
      expect(unchecked()).toBe(1);
      // Its digest is known since the start: a row that is missing is missed from now on.
      sql.exec("DELETE FROM znode_0 WHERE path = '/old/child'");
      const again = new MemberStorage(new SqliteBackend(storage));
      again.recover();
      expect(again.damage).toContain("checkpoint");
    }));

  it("[STORAGE-9] gets the column also in the table that has no tree yet", () =>
    inObject((storage) => {
      writeOld(storage.sql);
      const backend = new SqliteBackend(storage);
      const { znodes, sessions } = backend.readTable(0, "", 1e6);
      backend.putRows(1, znodes, sessions);
      expect(storage.sql.exec("SELECT count(crc) AS n FROM znode_1").one().n).toBe(2);
      expect(storage.sql.exec("SELECT count(crc) AS n FROM session_1").one().n).toBe(1);
    }));
});

describe("a table that is missing, or has other columns", () => {
  for (const table of TABLES) {
    it(`[STORAGE-10] costs the member its state, but does not stop it: ${table}`, () =>
      inObject((storage) => {
        writeOld(storage.sql);
        new MemberStorage(new SqliteBackend(storage)).recover();
        // The log is empty at this checkpoint, and the other tables are.
        const isMissed = table === "meta" || table.endsWith("_0");
        for (const change of [`DROP TABLE ${table}`, `ALTER TABLE ${table} RENAME COLUMN crc TO other`]) {
          writeOld(storage.sql);
          new MemberStorage(new SqliteBackend(storage)).recover();
          storage.sql.exec(change);
          const member = new MemberStorage(new SqliteBackend(storage));
          const { recovered } = member.recover(9);
          expect(recovered.initialized).toBe(!isMissed);
          expect(member.damage === undefined).toBe(!isMissed);
        }
      }));
  }
});

describe("a storage in quarantine", () => {
  const namesOf = (sql: SqlStorage): unknown[] =>
    sql
      .exec("SELECT name FROM sqlite_master WHERE name LIKE 'quarantine%' ORDER BY name")
      .toArray()
      .map(({ name }) => name);

  it("[STORAGE-13] keeps every row and the meta values, until it is deleted", () =>
    inObject((storage) => {
      const { sql } = storage;
      writeOld(sql);
      new MemberStorage(new SqliteBackend(storage)).recover();
      sql.exec("UPDATE meta SET value = '9' WHERE key = 'currentEpoch'");
      const member = new MemberStorage(new SqliteBackend(storage));
      member.recover();
      expect(member.isQuarantined).toBe(true);
      const count = (table: string): unknown => sql.exec(`SELECT count(*) AS n FROM ${table}`).one().n;
      expect(["quarantine_znode_0", "quarantine_session_0", "znode_0"].map(count)).toEqual([2, 1, 0]);
      const { value } = sql.exec("SELECT value FROM quarantine_meta WHERE key = 'peerBoots'").one();
      expect(value).toBe("[0,4,5]");
      // The next starts find nothing wrong and keep it.
      const next = new MemberStorage(new SqliteBackend(storage));
      next.recover();
      expect([next.damage, next.isQuarantined]).toEqual([undefined, true]);
      next.dropQuarantine();
      expect(namesOf(sql)).toEqual([]);
      expect(new MemberStorage(new SqliteBackend(storage)).isQuarantined).toBe(false);
    }));

  for (const [table, column] of [
    ["znode_0", "version"],
    ["session_0", "timeout_ms"],
  ] as const) {
    it(`[STORAGE-13] is replaced by a later one, whichever row was read last: ${table}`, () =>
      inObject((storage) => {
        const { sql } = storage;
        for (let damages = 1; damages <= 2; damages++) {
          writeOld(sql);
          new MemberStorage(new SqliteBackend(storage)).recover();
          sql.exec(`UPDATE ${table} SET ${column} = 'x'`);
          const member = new MemberStorage(new SqliteBackend(storage));
          expect(member.recover().recovered.initialized).toBe(false);
          expect(member.isQuarantined).toBe(true);
          const [row] = sql.exec(`SELECT ${column} AS damaged FROM quarantine_${table}`).toArray();
          expect(row).toEqual({ damaged: "x" });
        }
      }));
  }

  it("[STORAGE-13] has the rows of a table that had other columns", () =>
    inObject((storage) => {
      const { sql } = storage;
      writeOld(sql);
      new MemberStorage(new SqliteBackend(storage)).recover();
      sql.exec("ALTER TABLE znode_0 RENAME COLUMN crc TO other");
      const member = new MemberStorage(new SqliteBackend(storage));
      member.recover();
      expect(sql.exec("SELECT path FROM quarantine_znode_0").toArray()).toEqual([
        { path: "/old" },
        { path: "/old/child" },
      ]);
      expect(sql.exec("SELECT id FROM quarantine_session_0").toArray()).toEqual([{ id: 77 }]);
    }));
});

describe("a table of a later version", () => {
  for (const table of TABLES) {
    it(`[STORAGE-12] is left unchanged, and the database counts as unreadable: ${table}`, () =>
      inObject((storage) => {
        writeOld(storage.sql);
        new MemberStorage(new SqliteBackend(storage)).recover();
        storage.sql.exec(`ALTER TABLE ${table} ADD COLUMN later INTEGER`);
        const rows = (name: string): unknown => storage.sql.exec(`SELECT count(*) AS n FROM ${name}`).one().n;
        const before = TABLES.map(rows);
        const { broken } = new SqliteBackend(storage);
        expect(broken).toContain(`added columns to the table ${table}`);
        expect(reasonOf(broken)).toBe(
          `it does not start: a later version has added columns to the table ${table}. Deploy that version or a later one`,
        );
        expect(TABLES.map(rows)).toEqual(before);
        storage.sql.exec(`ALTER TABLE ${table} DROP COLUMN later`);
        const member = new MemberStorage(new SqliteBackend(storage));
        expect(member.recover().recovered.initialized).toBe(true);
        expect(member.damage).toBeUndefined();
      }));
  }
});

describe("a database that cannot be used for another reason", () => {
  it("[NODE-50] is reported with its reason", () =>
    inObject((storage) => {
      storage.sql.exec("DROP TABLE IF EXISTS znode_0");
      storage.sql.exec("CREATE VIEW znode_0 AS SELECT 1 AS path");
      const { broken } = new SqliteBackend(storage);
      expect(broken).toContain("view znode_0");
      expect(reasonOf(broken)).toBe(`it does not start: it cannot read its database: ${broken}`);
      // It may be a full disk: nothing says that a wipe would help.
      const said = new Error(`NODE_DOWN: this node cannot read its database: ${broken}`);
      expect(clientDamageOf(env as unknown as ApiEnv, "default", 2, said)).toBeUndefined();
      const failed = new Error("NODE_DOWN: this node cannot start: no room");
      expect(reasonOfStop(env as unknown as ApiEnv, 2, failed)).toBe("it does not start: no room");
    }));
});

describe("a value of another type", () => {
  const changes: readonly string[] = [
    "UPDATE znode_0 SET data = 'text' WHERE path = '/old'",
    "UPDATE znode_0 SET version = 'text' WHERE path = '/old'",
    "UPDATE znode_0 SET version = NULL WHERE path = '/old'",
    "UPDATE znode_0 SET version = version + 4294967296 WHERE path = '/old'",
    "UPDATE znode_0 SET version = version + 0.5 WHERE path = '/old'",
    "UPDATE znode_0 SET crc = 'text' WHERE path = '/old'",
    "UPDATE znode_0 SET path = x'2f61' WHERE path = '/old/child'",
    "UPDATE session_0 SET last_result = x'63'",
    "UPDATE session_0 SET timeout_ms = NULL",
    "UPDATE meta SET value = 'no JSON' WHERE key = 'currentEpoch'",
    "UPDATE meta SET value = NULL WHERE key = 'currentEpoch'",
    "UPDATE meta SET value = x'31' WHERE key = 'currentEpoch'",
    "UPDATE meta SET value = (SELECT value FROM meta WHERE key = 'boot') WHERE key = 'currentEpoch'",
  ];
  for (const change of changes) {
    it(`[STORAGE-10] costs the member its state, but does not stop it: ${change}`, () =>
      inObject((storage) => {
        writeOld(storage.sql);
        const backend = new SqliteBackend(storage);
        const { znodes, sessions } = backend.readTable(0, "", 1e6);
        backend.putRows(0, znodes, sessions);
        new MemberStorage(backend).recover();
        storage.sql.exec(change);
        const member = new MemberStorage(new SqliteBackend(storage));
        const { recovered, tree } = member.recover();
        expect(member.damage).toBeDefined();
        expect(recovered).toMatchObject({ initialized: false, acceptedEpoch: 2, peerBoots: [0, 4, 5] });
        expect(recovered.boot).toBeGreaterThan(4);
        expect(tree.get("/old")).toBeUndefined();
      }));
  }
});

describe("a database of a later version", () => {
  it("[VER-7] is refused with a reason and left unchanged", () =>
    inObject((storage) => {
      const { sql } = storage;
      new MemberStorage(new SqliteBackend(storage)).recover();
      const schema = (): unknown[] => sql.exec("SELECT value, crc FROM meta WHERE key = 'schema'").toArray();
      expect(schema()).toEqual([{ value: "3", crc: valueChecksum("schema", "3") }]);
      sql.exec("UPDATE meta SET value = '4', crc = ? WHERE key = 'schema'", valueChecksum("schema", "4"));
      const rows = (): unknown[] => sql.exec("SELECT * FROM meta ORDER BY key").toArray();
      const before = rows();
      const { broken } = new SqliteBackend(storage);
      expect(broken).toBe("its storage is of schema 4, and this version reads schemas up to 3");
      expect(rows()).toEqual(before);
      expect(reasonOf(broken)).toContain("reads schemas up to 3. Deploy that version");
    }));
});

describe("the fingerprint of a session's last request", () => {
  const session = {
    id: 77 as SessionId,
    timeoutMs: 4_000,
    lastXid: 1,
    lastZxid: zxid(2, 3),
    lastResult: { type: "delete" },
    lastFingerprint: 7 * 2 ** 32 + 9,
  } as const;

  it("[VER-8] is stored after the result, where earlier versions do not read", () =>
    inObject((storage) => {
      const backend = new SqliteBackend(storage);
      backend.putRows(0, [], [session]);
      expect(backend.readTable(0, "", 1e6).sessions).toEqual([session]);
      const { last_result: bytes } = storage.sql.exec("SELECT last_result FROM session_0").one();
      expect(readResult(new ByteReader(new Uint8Array(bytes as ArrayBuffer)))).toEqual({ type: "delete" });
    }));

  it("[VER-8] counts as unknown if it is damaged, or of a later format", () =>
    inObject((storage) => {
      const backend = new SqliteBackend(storage);
      backend.putRows(0, [], [session]);
      const { last_result: bytes } = storage.sql.exec("SELECT last_result FROM session_0").one();
      for (const at of [1, 6, 12]) {
        const changed = new Uint8Array(bytes as ArrayBuffer).slice();
        changed[at] = (changed[at] ?? 0) ^ 4;
        storage.sql.exec("UPDATE session_0 SET last_result = ?", changed);
        const { lastFingerprint: _, ...rest } = session;
        expect(backend.readTable(0, "", 1e6).sessions).toEqual([rest]);
      }
    }));
});
