/** `/v1/ws`: many operations per frame in both directions, the fast path of the SDK. A node serves it; the Worker only connects. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { upgradeRequired } from "../http/errors.ts";
import { nodeOf } from "../http/params.ts";

/** Route of the socket. */
export const wsApp = new Hono<AppEnv>().get("/", async (c) => {
  const node = nodeOf(c);
  // an unknown node is refused before the upgrade, so that a request without Upgrade shows a browser the reason
  if (node !== undefined) await c.var.zoo.node(node);
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") throw upgradeRequired();
  // connections last long, so it is worth reading every node's status to find the leader, where writes are fastest
  if (node === undefined) await c.var.zoo.statuses();
  const zoo = c.var.zoo.through(node);
  return (await zoo.upgrade("/ws")).response;
});
