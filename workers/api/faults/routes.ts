/**
 * `/v1/faults`: injects faults into nodes, brokers and demo clients, and ends them. These routes exist only where `FAULTS` is "on".
 * Only the target of a fault gets a message about it: the others have to detect it.
 */

import { type Context, Hono } from "hono";
import type * as v from "valibot";
import { BROKER_FAULTS, type BrokerFault } from "../../../durable-objects/broker/rpc.ts";
import type { FaultName, FaultView } from "../../../durable-objects/shared/faults.ts";
import { CallTimeout, withTimeout } from "../../../durable-objects/shared/timeout.ts";
import { type NodeFault, UNKNOWN_PEERS } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { AppEnv } from "../app-env.ts";
import { brokerCountOf, brokerStub, isBrokerUp } from "../clients/broker-faults.ts";
import { damageOf, isInternal, reasonOfStop } from "../clients/damage.ts";
import { sidsOf } from "../clients/ensemble-client.ts";
import { isRefusal, isReset, type NodeStub } from "../clients/node-stub.ts";
import { DEMO_CLIENT_MAX, FAULT_MS, FAULT_TRIES_MAX, STATUS_MS } from "../config.ts";
import { quorumOf } from "../ensemble/quorum.ts";
import { ApiError, badArguments } from "../http/errors.ts";
import { bodyAs, jsonBody } from "../http/json-body.ts";
import { parseInteger } from "../http/params.ts";
import type { ClientJson, FaultsJson } from "../schema/views.ts";
import { type Cut, cutsOfGroups, cutsOfRing } from "./cuts.ts";
import { brokerFaultBodies, LASTING, nodeFaultBodies, partitionBody } from "./schema.ts";

/** Routes of the faults. */
export const faultsApp = new Hono<AppEnv>()
  .use(async (c, next) => {
    if (c.env.FAULTS !== "on") throw new ApiError("NOT_FOUND", "faults are switched off here");
    return next();
  })
  .get("/", async (c) => c.json(await listing(c), 200, { "cache-control": "no-store" }))
  .post("/nodes/:sid/:fault", async (c) => {
    const sids = await sidsOfVictims(c, c.req.param("sid"));
    const name = c.req.param("fault");
    if (isEnd(name))
      return c.json({ ...who(sids), fault: name, healed: await healNodes(c, sids, ENDS[name]) });
    const order = await faultOf<NodeFault>(c, name, nodeFaultBodies);
    if ("peers" in order) await checkPeers(c, order.peers ?? []);
    if ("force" in order && !order.force && sids.length > 1) throw tooFewWhole(0, sids.length);
    await Promise.all(sids.map((sid) => inflictOnNode(c, sid, order)));
    return c.json({ ...who(sids), ...order });
  })
  .delete("/nodes/:sid/:fault", async (c) => {
    const sids = await sidsOfVictims(c, c.req.param("sid"));
    const fault = lastingOf(c.req.param("fault"), LASTING);
    return c.json({ ...who(sids), fault, healed: await healNodes(c, sids, fault) });
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
    const sids = await sidsOfVictims(c, "all");
    return c.json({ ...who(sids), fault: "isolate", healed: await healNodes(c, sids, "isolate") });
  })
  .post("/brokers/:id/:fault", async (c) => {
    const id = brokerIdOf(c, c.req.param("id"));
    const name = c.req.param("fault");
    if (isEnd(name)) return c.json({ broker: id, fault: name, healed: await healBroker(c, id, ENDS[name]) });
    const order = await faultOf<BrokerFault>(c, name, brokerFaultBodies);
    await inflict("BROKER_NOT_AVAILABLE", name, () => brokerStub(c.env, c.var.ensemble, id).fault(order));
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

// ── nodes ──────────────────────────────────────────────────────────────────

/** One node, or `all`. */
async function sidsOfVictims(c: Context<AppEnv>, text: string): Promise<readonly number[]> {
  if (text === "all") return sidsOf(await c.var.zoo.size());
  const sid = parseInteger("sid", text, 1, 9);
  await c.var.zoo.node(sid);
  return [sid];
}

const who = (sids: readonly number[]) => ({
  ...(sids.length === 1 ? { node: sids[0] } : {}),
  nodes: sids,
});

/** *map action → the fault that it ends*; undefined: all */
const ENDS = { revive: "kill", resume: "pause", heal: undefined } as const;
const isEnd = (name: string): name is keyof typeof ENDS => Object.hasOwn(ENDS, name);

/** @throws ApiError NOT_FOUND */
function lastingOf(text: string, names: readonly FaultName[]): FaultName {
  const fault = names.find((name) => name === text);
  if (fault !== undefined) return fault;
  throw new ApiError("NOT_FOUND", `the faults that can be ended are ${names.join(", ")}`);
}

/** Parses a fault and its body. @throws ApiError NOT_FOUND, BAD_ARGUMENTS */
async function faultOf<T extends { readonly fault: string }>(
  c: Context<AppEnv>,
  name: string,
  bodies: Readonly<Record<string, v.GenericSchema>>,
): Promise<T> {
  const schema = Object.hasOwn(bodies, name) ? bodies[name] : undefined;
  if (schema === undefined) {
    const names = [...Object.keys(bodies), ...Object.keys(ENDS)];
    throw new ApiError("NOT_FOUND", `the faults are ${names.join(", ")}`);
  }
  return { fault: name, ...((await bodyAs(c, schema)) as object) } as unknown as T;
}

async function checkPeers(c: Context<AppEnv>, peers: readonly number[]): Promise<void> {
  const size = await c.var.zoo.size();
  if (new Set(peers).size < peers.length) throw badArguments("a node is named twice");
  if (peers.some((peer) => peer > size)) throw badArguments(`the ensemble has the nodes 1 to ${size}`);
}

async function cutsOf(
  c: Context<AppEnv>,
  body: v.InferOutput<typeof partitionBody>,
): Promise<readonly Cut[]> {
  const sids = sidsOf(await c.var.zoo.size());
  if ("ring" in body) return cutsOfRing(sids);
  await checkPeers(c, body.groups.flat());
  return cutsOfGroups(body.groups, sids, body.oneWay);
}

/** A wipe deletes data, and a corruption may: a majority of whole nodes has to remain. */
const tooFewWhole = (left: number, size: number): ApiError =>
  new ApiError(
    "WOULD_LOSE_MAJORITY",
    `only ${left} of ${size} nodes would be left whole, ${quorumOf(size)} are needed; "force": true does it all the same`,
  );

/**
 * Calls a node, and explains the failure if its database is damaged. An object that was loaded from such a database may be
 * unusable; the next call reaches a new one.
 */
async function reach<T>(
  c: Context<AppEnv>,
  sid: number,
  call: (node: NodeStub) => Promise<T>,
  triesLeft = FAULT_TRIES_MAX,
): Promise<T> {
  try {
    return await call(await c.var.zoo.node(sid));
  } catch (error) {
    if (triesLeft > 1 && isInternal(error)) return reach(c, sid, call, triesLeft - 1);
    const reason = reasonOfStop(c.env, sid, error) ?? damageOf(c.env, c.var.ensemble, sid, error)?.reason;
    if (reason === undefined) throw error;
    throw new ApiError("NODE_DOWN", `node ${sid} is down: ${reason}`);
  }
}

function inflictOnNode(c: Context<AppEnv>, sid: number, order: NodeFault): Promise<void> {
  return inflict("NODE_DOWN", order.fault, async () => {
    let left = await reach(c, sid, (node) => node.fault(order));
    if (left === UNKNOWN_PEERS) {
      left = await tooFewOthers(c, sid);
      if (left === undefined) await reach(c, sid, (node) => node.fault({ fault: "wipe", force: true }));
    }
    if (left !== undefined) throw tooFewWhole(left, await c.var.zoo.size());
    if (order.fault === "corrupt") throw new ApiError("NOT_FOUND", `the log of node ${sid} is empty`);
  });
}

/** Number of other nodes that serve, if it is too small; for a node that cannot check this itself. */
async function tooFewOthers(c: Context<AppEnv>, sid: number): Promise<number | undefined> {
  const views = await c.var.zoo.statuses();
  const left = views.filter((view) => view.sid !== sid && view.up && view.serving).length;
  return left < quorumOf(views.length) ? left : undefined;
}

/** @returns *map sid → faults that were ended* */
async function healNodes(
  c: Context<AppEnv>,
  sids: readonly number[],
  fault?: FaultName,
): Promise<Readonly<Record<number, readonly FaultName[]>>> {
  const healed: Record<number, readonly FaultName[]> = {};
  await Promise.all(
    sids.map((sid) =>
      inflict("NODE_DOWN", "heal", async () => {
        healed[sid] = await (await c.var.zoo.node(sid)).heal(fault);
      }),
    ),
  );
  return healed;
}

/** Faults that end the object, and with it the call; the first two are done by any end of the object. */
const LOSE_MEMORY: readonly string[] = ["crash", "evict"];
const ENDING: readonly string[] = [...LOSE_MEMORY, "kill", "wipe", "corrupt"];

/** Whether this fault ended the object: the error names the fault. */
const isDone = (fault: string, { message }: Error): boolean =>
  ENDING.includes(fault) && (LOSE_MEMORY.includes(fault) || message.includes(fault));

/** Calls the target, again if another fault ended it before this one was done. */
async function inflict(
  code: "NODE_DOWN" | "BROKER_NOT_AVAILABLE",
  fault: string,
  call: () => Promise<void>,
): Promise<void> {
  const died = new ApiError("UNKNOWN_OUTCOME", "it died during the request");
  for (let tries = 1; ; tries++) {
    try {
      await withTimeout(call(), FAULT_MS);
      return;
    } catch (error) {
      // the first attempt may have been carried out, which leaves too few whole nodes
      if (tries > 1 && error instanceof ApiError && error.code === "WOULD_LOSE_MAJORITY") throw died;
      if (error instanceof ApiError) throw error;
      if (error instanceof CallTimeout) throw new ApiError("UNKNOWN_OUTCOME", error.message);
      if (isRefusal(error))
        throw new ApiError(code, "it is dead already; revive it first", { retryable: false });
      if (!isReset(error)) throw error;
      if (isDone(fault, error as Error)) return;
      if (tries === FAULT_TRIES_MAX) throw died;
    }
  }
}

// ── brokers and clients ────────────────────────────────────────────────────

/** @returns the faults that were ended */
async function healBroker(c: Context<AppEnv>, id: number, fault?: FaultName): Promise<readonly FaultName[]> {
  let healed: readonly FaultName[] = [];
  await inflict("BROKER_NOT_AVAILABLE", "heal", async () => {
    healed = await brokerStub(c.env, c.var.ensemble, id).heal(fault);
  });
  return healed;
}

function brokerIdOf(c: Context<AppEnv>, text: string): number {
  const count = brokerCountOf(c.env);
  const id = parseInteger("id", text, 0, 2 ** 31 - 1);
  if (id >= count) throw new ApiError("NOT_FOUND", `there are the brokers 0 to ${count - 1}`);
  return id;
}

/** Which objects are up, as seen from outside, and the faults that each of them holds. */
async function listing(c: Context<AppEnv>): Promise<FaultsJson> {
  const ids = sidsOf(brokerCountOf(c.env)).map((n) => n - 1);
  const sids = sidsOf(await c.var.zoo.size());
  const [statuses, faults, brokers, clients] = await Promise.all([
    c.var.zoo.statuses(),
    Promise.all(sids.map((sid) => faultsOf(async () => (await c.var.zoo.node(sid)).faults()))),
    Promise.all(
      ids.map(async (id) => ({
        id,
        up: await isBrokerUp(c.env, c.var.ensemble, id),
        faults: await faultsOf(() => brokerStub(c.env, c.var.ensemble, id).faults()),
      })),
    ),
    clientsOf(c),
  ]);
  const nodes = statuses.map(({ sid, up }, at) => ({ sid, up, faults: faults[at] ?? [] }));
  return { nodes, brokers, clients };
}

async function faultsOf(ask: () => Promise<readonly FaultView[]>): Promise<readonly FaultView[]> {
  try {
    return await withTimeout(ask(), STATUS_MS);
  } catch {
    return [];
  }
}

/** The demo clients of a local run; none elsewhere. */
async function clientsOf(c: Context<AppEnv>): Promise<readonly ClientJson[]> {
  try {
    const response = await c.env.GATEWAY?.fetch("http://gateway/clients");
    return response?.ok ? await response.json<ClientJson[]>() : [];
  } catch {
    return [];
  }
}

async function passOn(c: Context<AppEnv>, path: string): Promise<Response> {
  if (c.env.GATEWAY === undefined) throw new ApiError("NOT_FOUND", "there are no demo clients here");
  const response = await c.env.GATEWAY.fetch(`http://gateway${path}`, { method: "POST" });
  const body = await response.json<Record<string, unknown>>();
  if (response.ok) return c.json(body);
  const detail = typeof body.detail === "string" ? body.detail : "the gateway refused";
  throw new ApiError(response.status === 404 ? "NOT_FOUND" : "SYSTEM_ERROR", detail);
}
