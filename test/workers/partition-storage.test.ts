/** The contract of a partition's rows on SQLite in an object. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { SqlitePartition } from "../../durable-objects/topic-partition/sqlite-partition.ts";
import { type PartitionDamage, partitionContract } from "../contract/partition.ts";

const damageOf = (sql: SqlStorage): PartitionDamage => ({
  meta: (name, value) => {
    if (value === undefined) sql.exec("DELETE FROM meta WHERE key = ?", name);
    else sql.exec("UPDATE meta SET value = ? WHERE key = ?", value, name);
  },
  chunk: (base, change) => {
    if (change === undefined) sql.exec("DELETE FROM chunk WHERE base = ?", base);
    if (change?.data !== undefined) sql.exec("UPDATE chunk SET data = ? WHERE base = ?", change.data, base);
    if (change?.last !== undefined)
      sql.exec("UPDATE chunk SET last = ? WHERE base = ?", String(change.last), base);
  },
  key: (key, { hash }) => sql.exec("UPDATE idempotency_key SET hash = ? WHERE key = ?", hash, key),
  epoch: (leaderEpoch, { startOffset }) =>
    sql.exec("UPDATE epoch SET start_offset = ? WHERE leader_epoch = ?", startOffset, leaderEpoch),
  forgetChecksums: () => {
    for (const table of ["meta", "epoch", "idempotency_key", "chunk"])
      sql.exec(`UPDATE ${table} SET crc = NULL`);
  },
});

let objects = 0;

partitionContract("SQLite in workerd", async (body) => {
  objects += 1;
  const stub = env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName(`contract/id/${objects}`));
  await runInDurableObject(stub, (_object, { storage }) =>
    body(() => new SqlitePartition(storage), damageOf(storage.sql)),
  );
});
