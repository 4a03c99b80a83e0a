/** `/v1/ws`: many operations per frame in both directions, the fast path of the SDK. A node serves it; the Worker only connects. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { upgradeRequired } from "../http/errors.ts";
import { nodeOf } from "../http/params.ts";

/** Route of the socket. */
export const wsApp = new Hono<AppEnv>().get("/", async (c) => {
  const node = nodeOf(c);
  // a node that does not exist is refused first: a client that may not see why it gets no socket asks without Upgrade
  if (node !== undefined) await c.var.zoo.node(node);
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") throw upgradeRequired();
  // connections last long, so finding the leader, where writes are fastest, is worth reading every node's status
  if (node === undefined) await c.var.zoo.statuses();
  const zoo = c.var.zoo.through(node);
  return (await zoo.upgrade("/ws")).response;
});
