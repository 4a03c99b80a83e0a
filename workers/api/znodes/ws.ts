/** `/v1/ws`: many operations per frame, both ways; the fast path of the SDK. A node speaks it, the Worker only connects. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { badArguments } from "../http/errors.ts";
import { nodeOf } from "../http/params.ts";

export const wsApp = new Hono<AppEnv>().get("/", async (c) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    throw badArguments("this is a WebSocket: send Upgrade: websocket");
  }
  const node = nodeOf(c);
  // a connection lives long, so it is worth a round of questions to find the leader, where writes are shortest
  if (node === undefined) await c.var.zoo.statuses();
  const zoo = c.var.zoo.through(node);
  return (await zoo.upgrade("/ws")).response;
});
