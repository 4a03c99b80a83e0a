/** `/v1/sync`: a barrier. Later reads at that node, and reads with its zxid, show everything committed before it. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { nodeOf } from "../http/params.ts";
import type { SyncJson } from "./answers.ts";

/** Route of sync. */
export const syncApp = new Hono<AppEnv>().post("/", async (c) => {
  const { zxid, node } = await c.var.zoo.through(nodeOf(c)).sync();
  return c.json<SyncJson>({ zxid }, 200, { "zoo-zxid": zxid, "zoo-node": String(node) });
});
