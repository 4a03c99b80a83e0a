/** `/demo/nodes/{i}`: what the demo's node ports answer. Node i of the demo has sid i + 1. */
import { type Context, Hono } from "hono";
import { readDemoMetadata, writeDemoMetadata } from "../clients/demo-metadata.ts";
import type { EnsembleClient } from "../clients/ensemble-client.ts";
import { withTimeout } from "../clients/node-stub.ts";
import type { AppEnv } from "../env.ts";
import { ApiError } from "../errors.ts";
import { parseInteger } from "../params.ts";
import { jsonBody } from "../schema/json-body.ts";
import { demoMetadataBody } from "../schema/requests.ts";

/** Wait for a node to say that it lives. */
const PONG_MS = 1_000;

export const demoNodeApp = new Hono<AppEnv>()
  .get("/demo/nodes/:i", pong)
  .get("/demo/nodes/:i/", pong)
  .get("/demo/nodes/:i/metadata", async (c) => {
    const body = await readDemoMetadata(await nodeOfDemo(c));
    return c.body(body, 200, { "content-type": "application/json", "cache-control": "no-store" });
  })
  .post("/demo/nodes/:i/metadata", jsonBody(demoMetadataBody), async (c) => {
    const { SenderIp, Clients } = c.req.valid("json");
    await writeDemoMetadata(await nodeOfDemo(c), SenderIp, Clients);
    return c.text("OK");
  });

async function pong(c: Context<AppEnv>): Promise<Response> {
  const node = await c.var.zoo.node(sidOf(c));
  try {
    await withTimeout(node.status(), PONG_MS);
  } catch {
    throw new ApiError("NODE_DOWN", `node ${sidOf(c)} is down`);
  }
  return c.text("pong");
}

/** The ensemble's client bound to the node of the URL. */
async function nodeOfDemo(c: Context<AppEnv>): Promise<EnsembleClient> {
  const sid = sidOf(c);
  await c.var.zoo.node(sid);
  return c.var.zoo.through(sid);
}

const sidOf = (c: Context<AppEnv>): number => parseInteger("node", c.req.param("i") ?? "", 0, 8) + 1;
