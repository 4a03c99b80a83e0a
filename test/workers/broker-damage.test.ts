/** A broker whose rows are damaged: it keeps its id, and recovers by itself. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { BrokerStatus } from "../../durable-objects/broker/rpc.ts";
import { call, json } from "./broker-helpers.ts";

const broker = (id: number) => env.BROKER.get(env.BROKER.idFromName(`default/${id}`));

/** Changes what is stored while nobody has it in memory. */
async function damage(id: number, change: (sql: SqlStorage) => void): Promise<void> {
  await runInDurableObject(broker(id), (_object, { storage }) => change(storage.sql));
  await evictDurableObject(broker(id));
}

/** Its status once it is registered; the test's own timeout is the bound. */
async function registered(id: number): Promise<BrokerStatus> {
  for (;;) {
    const status = await broker(id).status();
    if (status.registered) return status;
    await scheduler.wait(10);
  }
}

async function whole(): Promise<void> {
  for (;;) {
    const { brokers } = await json<{ brokers: number[] }>(await call("/brokers"));
    if (brokers?.length === 3) return;
    await scheduler.wait(10);
  }
}

const stored = (sql: SqlStorage, key: string): string =>
  String(sql.exec("SELECT value FROM meta WHERE key = ?", key).one().value);

/** Makes the row say that this is broker 1. */
const asOther = (sql: SqlStorage, key: string): void => {
  const value = stored(sql, key).replace('"id":0', '"id":1');
  sql.exec("UPDATE meta SET value = ? WHERE key = ?", value, key);
};

const CASES: Readonly<Record<string, (sql: SqlStorage) => void>> = {
  "its identity is another broker's": (sql) => asOther(sql, "identity"),
  "the copy of its identity is another broker's": (sql) => asOther(sql, "identity_copy"),
  "its identity is no JSON": (sql) => sql.exec("UPDATE meta SET value = '{' WHERE key = 'identity'"),
  "its identity is missing": (sql) => sql.exec("DELETE FROM meta WHERE key = 'identity'"),
  "its session is another number": (sql) => sql.exec("UPDATE meta SET value = '7' WHERE key = 'session'"),
  "its boots are no number": (sql) => sql.exec("UPDATE meta SET value = 'x' WHERE key = 'boot'"),
  "its counters are no JSON": (sql) =>
    sql.exec("INSERT OR REPLACE INTO meta (key, value, crc) VALUES ('counters', '{', NULL)"),
  "it has slept in a session that is not its own": (sql) =>
    sql.exec("INSERT OR REPLACE INTO meta (key, value, crc) VALUES ('sleeping', '{\"session\":7}', 7)"),
  "its rows have the checksums of each other": (sql) => {
    const crc = sql.exec("SELECT crc FROM meta WHERE key = 'boot'").one().crc;
    sql.exec("UPDATE meta SET crc = ? WHERE key = 'identity'", crc);
  },
};

describe("a damaged row of a broker", () => {
  for (const [what, change] of Object.entries(CASES)) {
    test(`[BROKER-50] does not matter when ${what}`, async () => {
      await whole();
      await damage(0, change);
      expect(await registered(0)).toMatchObject({ id: 0 });
      expect((await registered(1)).id).toBe(1);
    });
  }

  test("[BROKER-50] loses its identity if both rows are damaged, until the next request", async () => {
    await whole();
    await damage(0, (sql) => {
      for (const key of ["identity", "identity_copy"]) asOther(sql, key);
    });
    const goal = (): Promise<Response> =>
      call("/demo/brokers/0/addScore", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          metadata: { ReceiverIp: "8080", Clients: "9090" },
          gameResults: { Minute: 1, Player: "A", Club: "B", Score: "1-0" },
        }),
      });
    while ((await goal()).status !== 200) await scheduler.wait(10);
    expect(await registered(0)).toMatchObject({ id: 0 });
    // a broker that nobody addresses is started again as well
    await damage(0, (sql) => sql.exec("DELETE FROM meta"));
    await whole();
    expect(await registered(0)).toMatchObject({ id: 0 });
  });

  test("[BROKER-50] of an earlier version has no checksum, and is accepted unless it names another broker", async () => {
    const identity = { ensemble: "earlier", id: 0, ensembleSize: 3, brokerCount: 2 };
    const stub = (id: number) => env.BROKER.get(env.BROKER.idFromName(`earlier/${id}`));
    for (const [id, names] of [
      [0, ["identity"]],
      [1, ["identity", "identity_copy"]],
    ] as const) {
      await runInDurableObject(stub(id), (_object, { storage: { sql } }) => {
        sql.exec("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
        sql.exec("INSERT INTO meta VALUES ('boot', '7')");
        // the first row of broker 1 names broker 0
        names.forEach((name, at) => {
          sql.exec("INSERT INTO meta VALUES (?, ?)", name, JSON.stringify({ ...identity, id: at }));
        });
      });
      await evictDurableObject(stub(id));
      expect(await stub(id).status()).toMatchObject({ id, boot: 8 });
      // that start has stored it with a checksum, twice
      await runInDurableObject(stub(id), (_object, { storage: { sql } }) => {
        const rows = sql
          .exec("SELECT value FROM meta WHERE key LIKE 'identity%' AND crc IS NOT NULL")
          .toArray();
        expect(rows.map(({ value }) => JSON.parse(String(value)).id)).toEqual([id, id]);
      });
    }
  });
});
