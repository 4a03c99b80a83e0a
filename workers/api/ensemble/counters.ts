/** `/v1/counters`: requests, alarms and rows of every node and broker, as last reported; wakes nothing. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { brokerCountOf, statusOfBroker } from "../clients/broker-faults.ts";

/** Route of the counters. */
export const countersApp = new Hono<AppEnv>().get("/", async (c) => {
  const ids = Array.from({ length: brokerCountOf(c.env) }, (_, id) => id);
  const [nodes, brokers] = await Promise.all([
    c.var.zoo.statuses(),
    Promise.all(ids.map((id) => statusOfBroker(c.env, c.var.ensemble, id))),
  ]);
  const body = {
    nodes: nodes.map((node) =>
      node.up
        ? { sid: node.sid, up: true, boot: node.boot, quietSince: node.quietSince, counters: node.counters }
        : { sid: node.sid, up: false },
    ),
    brokers: brokers.map((broker, id) =>
      broker === undefined
        ? { id, up: false }
        : { id, up: true, boot: broker.boot, quietSince: broker.quietSince, counters: broker.counters },
    ),
  };
  return c.json(body, 200, { "cache-control": "no-store" });
});
