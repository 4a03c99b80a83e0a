/**
 * `/v1/faults`: ends and brings back nodes, brokers and demo clients. These routes exist only where `FAULTS` is "on".
 * A fault tells nobody but its victim: the others have to notice.
 */
import { type Context, Hono } from "hono";
import { brokerStub, isBrokerUp } from "../clients/broker-faults.ts";
import { sidsOf } from "../clients/ensemble-client.ts";
import { CallTimeout, isRefusal, isReset, withTimeout } from "../clients/node-stub.ts";
import type { AppEnv } from "../env.ts";
import { ApiError } from "../errors.ts";
import { parseInteger } from "../params.ts";

const FAULTS = ["kill", "revive", "crash"] as const;
type Fault = (typeof FAULTS)[number];

/** Wait for a victim. A kill or crash ends the call with the object, which is a success. */
const FAULT_MS = 5_000;
const CLIENTS_MAX = 64;

export const faultsApp = new Hono<AppEnv>()
  .use(async (c, next) => {
    if (c.env.FAULTS !== "on") throw new ApiError("NOT_FOUND", "faults are switched off here");
    return next();
  })
  .get("/", async (c) => c.json(await listing(c), 200, { "cache-control": "no-store" }))
  .post("/nodes/:sid/:fault", async (c) => {
    const sid = parseInteger("sid", c.req.param("sid"), 1, 9);
    const fault = faultOf(c.req.param("fault"));
    await c.var.zoo.node(sid);
    await inflict("NODE_DOWN", fault, async () => (await c.var.zoo.node(sid)).fault(fault));
    return c.json({ node: sid, fault });
  })
  .post("/brokers/:id/:fault", async (c) => {
    const id = brokerIdOf(c, c.req.param("id"));
    const fault = faultOf(c.req.param("fault"));
    await inflict("BROKER_NOT_AVAILABLE", fault, () => brokerStub(c.env, c.var.ensemble, id).fault(fault));
    return c.json({ broker: id, fault });
  })
  .post("/clients/:k/:action{end|start}", async (c) => {
    const client = parseInteger("client", c.req.param("k"), 0, CLIENTS_MAX);
    return passOn(c, `/clients/${client}/${c.req.param("action")}`);
  })
  .post("/heal", async (c) => {
    const { nodes, brokers, clients } = await listing(c);
    await Promise.all([
      ...nodes.map(async ({ sid }) =>
        inflict("NODE_DOWN", "revive", async () => (await c.var.zoo.node(sid)).fault("revive")),
      ),
      ...brokers.map(({ id }) =>
        inflict("BROKER_NOT_AVAILABLE", "revive", () =>
          brokerStub(c.env, c.var.ensemble, id).fault("revive"),
        ),
      ),
      ...clients
        .filter(({ up }) => !up)
        .map(({ client }) =>
          c.env.GATEWAY?.fetch(`http://gateway/clients/${client}/start`, { method: "POST" }),
        ),
    ]);
    return c.json({ nodes: nodes.length, brokers: brokers.length, clients: clients.length });
  });

function faultOf(text: string): Fault {
  const fault = FAULTS.find((candidate) => candidate === text);
  if (fault === undefined) throw new ApiError("NOT_FOUND", `the faults are ${FAULTS.join(", ")}`);
  return fault;
}

/** Calls the victim. A kill or crash ends the object, and with it the call. */
async function inflict(
  code: "NODE_DOWN" | "BROKER_NOT_AVAILABLE",
  fault: Fault,
  call: () => Promise<void>,
): Promise<void> {
  try {
    await withTimeout(call(), FAULT_MS);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (error instanceof CallTimeout) throw new ApiError("UNKNOWN_OUTCOME", error.message);
    if (isRefusal(error)) throw new ApiError(code, "it is dead already; revive it first");
    if (fault === "revive" || !isReset(error)) throw error;
  }
}

function brokerIdOf(c: Context<AppEnv>, text: string): number {
  const count = brokerCountOf(c);
  const id = parseInteger("id", text, 0, 2 ** 31 - 1);
  if (id >= count) throw new ApiError("NOT_FOUND", `there are the brokers 0 to ${count - 1}`);
  return id;
}

function brokerCountOf(c: Context<AppEnv>): number {
  const count = Number(c.env.BROKER_COUNT);
  return Number.isInteger(count) && count > 0 ? count : 0;
}

interface ClientView {
  readonly client: number;
  readonly port: number;
  readonly up: boolean;
}

/** Who is up, as an outsider sees it. */
async function listing(c: Context<AppEnv>): Promise<{
  readonly nodes: readonly { readonly sid: number; readonly up: boolean }[];
  readonly brokers: readonly { readonly id: number; readonly up: boolean }[];
  readonly clients: readonly ClientView[];
}> {
  const ids = sidsOf(brokerCountOf(c)).map((n) => n - 1);
  const [nodes, brokers, clients] = await Promise.all([
    c.var.zoo.statuses(),
    Promise.all(ids.map(async (id) => ({ id, up: await isBrokerUp(c.env, c.var.ensemble, id) }))),
    clientsOf(c),
  ]);
  return { nodes: nodes.map(({ sid, up }) => ({ sid, up })), brokers, clients };
}

/** The demo clients of a local run; none elsewhere. */
async function clientsOf(c: Context<AppEnv>): Promise<readonly ClientView[]> {
  try {
    const response = await c.env.GATEWAY?.fetch("http://gateway/clients");
    return response?.ok ? await response.json<ClientView[]>() : [];
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
