/** `/v1/ws`: many operations per frame in both directions, the fast path of the SDK. A node serves it; the Worker only connects. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { badArguments } from "../http/errors.ts";
import { nodeOf } from "../http/params.ts";

/** Route of the socket. */
export const wsApp = new Hono<AppEnv>().get("/", async (c) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    throw badArguments("this is a WebSocket: send Upgrade: websocket");
  }
  const node = nodeOf(c);
  // connections last long, so finding the leader, where writes are fastest, is worth reading every node's status
  if (node === undefined) await c.var.zoo.statuses();
  const zoo = c.var.zoo.through(node);
  return (await zoo.upgrade("/ws")).response;
});
