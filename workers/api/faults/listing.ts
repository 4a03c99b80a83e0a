/** The list of faults: which objects are up, and the faults of each. */
import type { Context } from "hono";
import type { FaultView } from "../../../durable-objects/shared/faults.ts";
import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import type { AppEnv } from "../app-env.ts";
import { brokerCountOf, brokerStub, isBrokerUp } from "../clients/broker-faults.ts";
import { sidsOf } from "../clients/ensemble-client.ts";
import { STATUS_MS } from "../config.ts";
import type { ClientJson, FaultsJson } from "../schema/views.ts";

/** Which objects are up, and the faults of each. */
export async function listing(c: Context<AppEnv>): Promise<FaultsJson> {
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
