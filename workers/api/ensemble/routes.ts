/** `/v1/ensemble`: every member's own view, also while some are dead. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { summarise } from "./quorum.ts";

export const ensembleApp = new Hono<AppEnv>().get("/", async (c) => {
  const nodes = await c.var.zoo.statuses();
  return c.json(summarise(c.var.ensemble, nodes), 200, { "cache-control": "no-store" });
});
