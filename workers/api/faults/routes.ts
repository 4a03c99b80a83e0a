/**
 * `/v1/faults`: injects faults into nodes, brokers and demo clients, and ends them. These routes exist only where `FAULTS` is "on".
 * Only the target of a fault is informed; the others have to detect it.
 */
import { type Context, Hono } from "hono";
import { BROKER_FAULTS, type BrokerFault } from "../../../durable-objects/broker/rpc.ts";
import type { NodeFault } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { AppEnv } from "../app-env.ts";
import { brokerStub } from "../clients/broker-faults.ts";
import { DEMO_CLIENT_MAX } from "../config.ts";
import { ApiError } from "../http/errors.ts";
import { jsonBody } from "../http/json-body.ts";
import { parseInteger } from "../http/params.ts";
import { healBroker, healNodes, inflict, inflictOnNode, tooFewWhole } from "./inflict.ts";
import { listing } from "./listing.ts";
import {
  brokerIdOf,
  checkPeers,
  cutsOf,
  ENDS,
  faultOf,
  isEnd,
  lastingOf,
  nodesOf,
  targetSids,
} from "./requests.ts";
import { brokerFaultBodies, LASTING, nodeFaultBodies, partitionBody } from "./schema.ts";

/** Routes of the faults. */
export const faultsApp = new Hono<AppEnv>()
  .use(async (c, next) => {
    if (c.env.FAULTS !== "on") throw new ApiError("NOT_FOUND", "faults are switched off here");
    return next();
  })
  .get("/", async (c) => c.json(await listing(c), 200, { "cache-control": "no-store" }))
  .post("/nodes/:sid/:fault", async (c) => {
    const sids = await targetSids(c, c.req.param("sid"));
    const name = c.req.param("fault");
    if (isEnd(name))
      return c.json({ ...nodesOf(sids), fault: name, healed: await healNodes(c, sids, ENDS[name]) });
    const order = await faultOf<NodeFault>(c, name, nodeFaultBodies);
    if ("peers" in order) await checkPeers(c, order.peers ?? []);
    if ("force" in order && !order.force && sids.length > 1) throw tooFewWhole(0, sids.length);
    await Promise.all(sids.map((sid) => inflictOnNode(c, sid, order)));
    return c.json({ ...nodesOf(sids), ...order });
  })
  .delete("/nodes/:sid/:fault", async (c) => {
    const sids = await targetSids(c, c.req.param("sid"));
    const fault = lastingOf(c.req.param("fault"), LASTING);
    return c.json({ ...nodesOf(sids), fault, healed: await healNodes(c, sids, fault) });
  })
  .post("/partition", jsonBody(partitionBody), async (c) => {
    const body = c.req.valid("json");
    const cuts = await cutsOf(c, body);
    const { ttlMs } = body;
    await Promise.all(
      cuts.map(({ sid, peers, direction }) =>
        inflictOnNode(c, sid, { fault: "isolate", peers, direction, ttlMs }),
      ),
    );
    return c.json({ cuts, ttlMs });
  })
  .delete("/partition", async (c) => {
    const sids = await targetSids(c, "all");
    return c.json({ ...nodesOf(sids), fault: "isolate", healed: await healNodes(c, sids, "isolate") });
  })
  .post("/brokers/:id/:fault", async (c) => {
    const id = brokerIdOf(c, c.req.param("id"));
    const name = c.req.param("fault");
    if (isEnd(name)) return c.json({ broker: id, fault: name, healed: await healBroker(c, id, ENDS[name]) });
    const order = await faultOf<BrokerFault>(c, name, brokerFaultBodies);
    await inflict("BROKER_NOT_AVAILABLE", order.fault, () =>
      brokerStub(c.env, c.var.ensemble, id).fault(order),
    );
    return c.json({ broker: id, ...order });
  })
  .delete("/brokers/:id/:fault", async (c) => {
    const id = brokerIdOf(c, c.req.param("id"));
    const fault = lastingOf(c.req.param("fault"), BROKER_FAULTS);
    return c.json({ broker: id, fault, healed: await healBroker(c, id, fault) });
  })
  .post("/clients/:k/:action{end|start}", async (c) => {
    const client = parseInteger("client", c.req.param("k"), 0, DEMO_CLIENT_MAX);
    return passOn(c, `/clients/${client}/${c.req.param("action")}`);
  })
  .post("/heal", async (c) => {
    const { nodes, brokers, clients } = await listing(c);
    await Promise.all([
      healNodes(
        c,
        nodes.map(({ sid }) => sid),
      ),
      ...brokers.map(({ id }) => healBroker(c, id)),
      ...clients
        .filter(({ up }) => !up)
        .map(({ client }) =>
          c.env.GATEWAY?.fetch(`http://gateway/clients/${client}/start`, { method: "POST" }),
        ),
    ]);
    return c.json({ nodes: nodes.length, brokers: brokers.length, clients: clients.length });
  });

/** Forwards a request to the gateway, which runs the demo clients. */
async function passOn(c: Context<AppEnv>, path: string): Promise<Response> {
  if (c.env.GATEWAY === undefined) throw new ApiError("NOT_FOUND", "there are no demo clients here");
  const response = await c.env.GATEWAY.fetch(`http://gateway${path}`, { method: "POST" });
  const body = await response.json<Record<string, unknown>>();
  if (response.ok) return c.json(body);
  const detail = typeof body.detail === "string" ? body.detail : "the gateway refused";
  throw new ApiError(response.status === 404 ? "NOT_FOUND" : "SYSTEM_ERROR", detail);
}
