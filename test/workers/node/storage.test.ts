/** The storage contract on the object's own SQLite. */
import { env, runInDurableObject } from "cloudflare:test";
import { SqliteBackend } from "../../../durable-objects/zooweeper-node/sqlite-backend.ts";
import { storageContract } from "../../contract/storage.ts";

let objects = 0;

storageContract("SQLite in workerd", async (body) => {
  objects += 1;
  const stub = env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`contract-${objects}/1`));
  await runInDurableObject(stub, (_object, state) => {
    body(() => new SqliteBackend(state.storage));
  });
});
