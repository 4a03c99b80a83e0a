/** `/v1/ensemble`: the status of every node, also while some are down. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { summarise } from "./quorum.ts";

/** Route of the status. */
export const ensembleApp = new Hono<AppEnv>().get("/", async (c) => {
  const nodes = await c.var.zoo.statuses();
  return c.json(summarise(c.var.ensemble, nodes), 200, { "cache-control": "no-store" });
});
