/**
 * `/healthz`: the Worker answers. `/readyz`: the ensemble can take a write, possibly after waking up; the request itself
 * does not wake it.
 */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { ApiError } from "../http/errors.ts";
import { summarise } from "./quorum.ts";

/** Routes of health checks. */
export const healthApp = new Hono<AppEnv>()
  .get("/healthz", (c) => c.json({ status: "ok" }))
  .get("/readyz", async (c) => {
    const { ensemble, leader, epoch, hasQuorum, reason, quiet } = summarise(
      c.var.ensemble,
      await c.var.zoo.statuses(),
    );
    if (!hasQuorum) throw new ApiError("NO_QUORUM", reason ?? "there is no quorum");
    return c.json({ status: "ok", ensemble, leader, epoch, quiet }, 200, { "cache-control": "no-store" });
  });
