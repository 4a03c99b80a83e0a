/** The contract of a broker's rows on SQLite in an object, and a broker of a later version. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { BrokerRecords } from "../../core/broker/broker-records.ts";
import { valueChecksum } from "../../core/wire/value-checksum.ts";
import { SqliteBroker } from "../../durable-objects/broker/sqlite-broker.ts";
import { brokerContract } from "../contract/broker.ts";

let objects = 0;

brokerContract("SQLite in workerd", async (body) => {
  objects += 1;
  const stub = env.BROKER.get(env.BROKER.idFromName(`contract/${objects}`));
  await runInDurableObject(stub, (_object, { storage }) =>
    body(
      () => new SqliteBroker(storage),
      (key, change) => {
        if (change === undefined) storage.sql.exec("DELETE FROM meta WHERE key = ?", key);
        if (change?.value !== undefined)
          storage.sql.exec("UPDATE meta SET value = ? WHERE key = ?", change.value, key);
        if (change?.crc !== undefined)
          storage.sql.exec("UPDATE meta SET crc = ? WHERE key = ?", change.crc, key);
      },
    ),
  );
});

describe("a broker of a later version", () => {
  test("[VER-7] refuses every call with a reason, changes nothing, and runs once that version is back", async () => {
    const identity = { ensemble: "later", id: 0, ensembleSize: 3, brokerCount: 1 };
    const stub = () => env.BROKER.get(env.BROKER.idFromName("later/0"));
    await runInDurableObject(stub(), (_object, { storage }) =>
      new BrokerRecords(new SqliteBroker(storage), "later/0").identify(identity),
    );
    const setSchema = async (schema: string): Promise<void> => {
      await runInDurableObject(stub(), (_object, { storage }) => {
        storage.sql.exec(
          "UPDATE meta SET value = ?, crc = ? WHERE key = 'schema'",
          schema,
          valueChecksum("schema", schema),
        );
      });
      await evictDurableObject(stub());
    };
    const rows = () =>
      runInDurableObject(stub(), (_object, { storage }) =>
        storage.sql.exec("SELECT key, value FROM meta ORDER BY key").toArray(),
      );
    await setSchema("2");
    const before = await rows();
    let message = "";
    const refused = stub().status();
    try {
      await refused;
    } catch (error) {
      message = String(error);
    }
    // a call that was refused keeps its object in memory until it is disposed of
    (refused as unknown as Partial<Disposable>)[Symbol.dispose]?.();
    expect(message).toContain(
      "BROKER_DOWN: its storage is of schema 2, and this version reads schemas up to 1",
    );
    expect(await rows()).toEqual(before);
    await setSchema("1");
    expect(await stub().status()).toMatchObject({ id: 0, boot: 1 });
  });
});
