/** `/demo/nodes/{i}`: the demo's node ports. Node i of the demo has sid i + 1. */

import { type Context, Hono } from "hono";
import { brokerPorts, nodePort } from "../../../core/demo/ports.ts";
import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import type { AppEnv } from "../app-env.ts";
import { readDemoMetadata, writeDemoMetadata } from "../clients/demo-metadata.ts";
import type { EnsembleClient } from "../clients/ensemble-client.ts";
import { nodeDown } from "../clients/node-stub.ts";
import { STATUS_MS } from "../config.ts";
import { parseInteger } from "../http/params.ts";
import { brokersOf } from "../topics/routes.ts";
import { appendGoal, createGoals, requireListed } from "./goals.ts";
import { demoBody, healthCheckBody, metadataBody } from "./schema.ts";

/** Routes of the demo's nodes. */
export const demoNodeApp = new Hono<AppEnv>()
  .get("/demo/nodes/:i", pong)
  .get("/demo/nodes/:i/", pong)
  .post("/demo/nodes/:i", healthCheck)
  .post("/demo/nodes/:i/", healthCheck)
  .get("/demo/nodes/:i/metadata", async (c) => {
    const body = await readDemoMetadata(await nodeOfDemo(c));
    return c.body(body, 200, { "content-type": "application/json", "cache-control": "no-store" });
  })
  .post("/demo/nodes/:i/metadata", async (c) => {
    const { SenderIp, Clients, goal } = await demoBody(c, metadataBody);
    if (goal !== undefined) requireListed(c, Clients);
    const clients = await writeDemoMetadata(await nodeOfDemo(c), {
      sender: SenderIp,
      receiver: `${nodePort(sidOf(c))}`,
      clients: Clients,
      otherwise: brokerPorts(brokersOf(c).count),
      nowMs: Date.now(),
    });
    if (goal !== undefined) {
      await createGoals(c);
      await appendGoal(c, goal, clients, { route: "metadata", sender: SenderIp, clients: Clients });
    }
    return c.text("OK");
  });

async function pong(c: Context<AppEnv>): Promise<Response> {
  await requireUp(c);
  return c.text("pong");
}

async function healthCheck(c: Context<AppEnv>): Promise<Response> {
  await demoBody(c, healthCheckBody);
  await requireUp(c);
  return c.json({ message: "pong", portNumber: `${nodePort(sidOf(c))}` });
}

async function requireUp(c: Context<AppEnv>): Promise<void> {
  const node = await c.var.zoo.node(sidOf(c));
  try {
    await withTimeout(node.status(), STATUS_MS);
  } catch (error) {
    throw nodeDown(sidOf(c), error);
  }
}

/** The ensemble's client bound to the node of the URL. */
async function nodeOfDemo(c: Context<AppEnv>): Promise<EnsembleClient> {
  const sid = sidOf(c);
  await c.var.zoo.node(sid);
  return c.var.zoo.through(sid);
}

const sidOf = (c: Context<AppEnv>): number => parseInteger("node", c.req.param("i") ?? "", 0, 8) + 1;
