/** `/v1/live`: the streams of a page over one WebSocket. It only reads, so it needs no token. */
import { type Context, Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { sidsOf } from "../clients/ensemble-client.ts";
import { PartitionClient } from "../clients/partition-client.ts";
import { eventSource, eventVector, faultyBrokersOf } from "../ensemble/event-stream.ts";
import { badArguments, upgradeRequired } from "../http/errors.ts";
import { positionFromText, recordSource } from "../records/record-stream.ts";
import { brokersOf } from "../topics/routes.ts";
import { type Subscription, serveLive } from "./live-socket.ts";

/** Route of the socket. */
export const liveApp = new Hono<AppEnv>().get("/", (c) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    throw upgradeRequired();
  }
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  serveLive(server, (subscription) => open(c, subscription));
  return new Response(null, { status: 101, webSocket: client });
});

async function open(c: Context<AppEnv>, subscription: Subscription) {
  if (subscription.subscribe === "events")
    return eventSource(c.var.zoo, sidsOf(await c.var.zoo.size()), eventVector(subscription.since), {
      replay: subscription.replay !== undefined,
      brokers: faultyBrokersOf(c),
    });
  const { topic, partition, offset, since } = subscription;
  const seen = since === undefined ? undefined : positionFromText(since);
  if (since !== undefined && seen === undefined) throw badArguments("since must be an id of this channel");
  const first = seen?.offset ?? offset;
  return recordSource(new PartitionClient(brokersOf(c)), {
    topic,
    partition,
    format: "json",
    from: first === undefined ? { type: "tail", records: 0 } : { type: "offset", offset: first },
    topicId: seen?.topicId,
  });
}
