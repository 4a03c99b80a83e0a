/** `/demo/brokers/{j}`: the demo's broker ports. Broker j of the demo has id j and port 9090 + j. */

import { type Context, Hono } from "hono";
import { html } from "hono/html";
import type { DemoMetadataAnswer, DemoMetadataRequest } from "../../../core/demo/goals.ts";
import { brokerPort, nodePort, receiverOf } from "../../../core/demo/ports.ts";
import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import type { AppEnv } from "../app-env.ts";
import type { BrokerClient } from "../clients/broker-client.ts";
import { brokerDown } from "../clients/node-stub.ts";
import { STATUS_MS } from "../config.ts";
import { ApiError } from "../http/errors.ts";
import { parseInteger } from "../http/params.ts";
import { brokersOf } from "../topics/routes.ts";
import { appendGoal, createGoals, GOALS_TOPIC, goalsOf, requireListed } from "./goals.ts";
import { addScoreBody, demoBody, updateScoreBody } from "./schema.ts";

const PARTITION = 0;

/** Routes of the demo's brokers. */
export const demoBrokerApp = new Hono<AppEnv>()
  .get("/demo/brokers/:j", page)
  .get("/demo/brokers/:j/", page)
  .get("/demo/brokers/:j/data", async (c) => {
    await requireUp(c);
    return c.json(await goalsOf(c, brokerPort(brokerOf(c))), 200, { "cache-control": "no-store" });
  })
  .post("/demo/brokers/:j/addScore", async (c) => {
    const { metadata, gameResults } = await demoBody(c, addScoreBody);
    requireListed(c, metadata.Clients);
    const receiver = receiverOf(metadata.ReceiverIp, await c.var.zoo.size());
    // a retry writes the same metadata again; the partition recognises the goal by its key
    const request = { receiver, clients: metadata.Clients, topic: GOALS_TOPIC };
    const written = await recordMetadata(brokersOf(c), brokerOf(c), request);
    const partition = written.topic.partitions.find((each) => each.partition === PARTITION);
    const placed = partition && { topic: written.topic, partition };
    const clients = written.clients ?? metadata.Clients;
    const meaning = { route: "addScore", clients: metadata.Clients };
    const appended = await appendGoal(c, gameResults, clients, meaning, placed);
    if (appended.replayed) c.header("idempotency-replayed", "true");
    return c.text("OK", 200, {
      "zoo-receiver": `${nodePort(written.receiver)}`,
      "zoo-offset": `${appended.baseOffset}`,
    });
  })
  .post("/demo/brokers/:j/updateScore", async (c) => {
    const goal = await demoBody(c, updateScoreBody);
    await requireUp(c);
    await createGoals(c);
    const clients = `${brokerPort(brokerOf(c))}`;
    await appendGoal(c, goal, clients, { route: "updateScore", clients });
    return c.text("Score Updated");
  });

/** The goals that this broker lists, as a page. */
async function page(c: Context<AppEnv>): Promise<Response> {
  await requireUp(c);
  const port = brokerPort(brokerOf(c));
  const goals = JSON.stringify(await goalsOf(c, port), null, 2);
  const text = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Broker ${port}</title></head>
<body><h1>Data:</h1><pre>${goals}</pre></body>
</html>
`;
  return c.html(text, 200, { "cache-control": "no-store" });
}

/** A call that failed has stored no goal, so it may be sent again even without a key. */
async function recordMetadata(
  brokers: BrokerClient,
  id: number,
  request: DemoMetadataRequest,
): Promise<DemoMetadataAnswer> {
  try {
    return await brokers.at(id, (broker) => broker.demoMetadata(request));
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "UNKNOWN_OUTCOME")) throw error;
    throw new ApiError("BROKER_NOT_AVAILABLE", error.message);
  }
}

/** The broker of the URL. */
const brokerOf = (c: Context<AppEnv>): number => parseInteger("broker", c.req.param("j") ?? "", 0, 99);

async function requireUp(c: Context<AppEnv>): Promise<void> {
  const brokers = brokersOf(c);
  const id = brokerOf(c);
  const broker = brokers.broker(id);
  await brokers.wake();
  try {
    await withTimeout(broker.status(), STATUS_MS);
  } catch (error) {
    throw brokerDown(id, error);
  }
}
