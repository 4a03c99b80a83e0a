/** The demo's `/metadata`, read and written through one node. */
import {
  DEMO_PARENTS,
  DEMO_PATHS,
  type DemoZnode,
  demoBrokerWrite,
  demoEnsembleData,
  renderDemoMetadata,
} from "../../../core/broker/demo-metadata.ts";
import { CreateMode, NO_SESSION, type ReadRequest, type WriteRequest } from "../../../core/znode/types.ts";
import type { ReadResult } from "../../../durable-objects/zooweeper-node/rpc.ts";
import { ApiError } from "../errors.ts";
import { summarise } from "../quorum.ts";
import type { EnsembleClient } from "./ensemble-client.ts";

/** How often a write is tried again while others create or delete the same znodes. */
const ATTEMPTS_MAX = 5;

/** Records `clients` for the broker on port `sender`, creating what is missing. */
export async function writeDemoMetadata(zoo: EnsembleClient, sender: string, clients: string): Promise<void> {
  const { set, create } = demoBrokerWrite(sender, clients);
  await setOrCreate(zoo, set, create);
}

/**
 * The metadata as node `through` has it once it is in sync: every node gives the same bytes. Writes nothing, since it
 * needs no token: who leads is what the nodes say.
 */
export async function readDemoMetadata(through: EnsembleClient): Promise<string> {
  const names = await childrenOf(through, DEMO_PATHS.brokers);
  const brokers = await Promise.all(names.map((name) => znodeOf(through, name)));
  // after the reads: they wait out an election
  const { leader } = summarise(through.name, await through.statuses());
  if (leader === null) throw new ApiError("NO_QUORUM", "the ensemble has no leader now");
  return renderDemoMetadata({
    ensemble: demoEnsembleData(leader, await through.size()),
    brokers: brokers.filter((entry) => entry !== undefined),
  });
}

async function setOrCreate(zoo: EnsembleClient, set: WriteRequest, create: WriteRequest): Promise<void> {
  let request = set;
  for (let attempt = 1; ; attempt++) {
    const code = await write(zoo, request);
    if (code === undefined) return;
    if (attempt >= ATTEMPTS_MAX) throw new ApiError(code, "the metadata changes too fast to be written");
    if (request === create && code === "NODE_EXISTS") request = set;
    else {
      if (request === create) await createParents(zoo);
      request = create;
    }
  }
}

async function createParents(zoo: EnsembleClient): Promise<void> {
  for (const path of DEMO_PARENTS) {
    await write(zoo, { type: "create", path, data: null, mode: CreateMode.PERSISTENT, withStat: false });
  }
}

/** Writes; a refusal that the tree's state explains is returned. */
async function write(
  zoo: EnsembleClient,
  request: WriteRequest,
): Promise<"NO_NODE" | "NODE_EXISTS" | undefined> {
  try {
    await zoo.write({ session: NO_SESSION, xid: 0, request });
    return undefined;
  } catch (error) {
    if (error instanceof ApiError && (error.code === "NO_NODE" || error.code === "NODE_EXISTS"))
      return error.code;
    throw error;
  }
}

async function read(zoo: EnsembleClient, request: ReadRequest): Promise<ReadResult | undefined> {
  try {
    const input = { session: NO_SESSION, request, consistency: "linearizable", stale: false } as const;
    return (await zoo.read(input)).value;
  } catch (error) {
    if (error instanceof ApiError && error.code === "NO_NODE") return undefined;
    throw error;
  }
}

async function childrenOf(zoo: EnsembleClient, path: string): Promise<readonly string[]> {
  const result = await read(zoo, { type: "getChildren", path, watch: false, withStat: false });
  return result?.type === "getChildren" ? result.children : [];
}

async function znodeOf(zoo: EnsembleClient, name: string): Promise<DemoZnode | undefined> {
  const result = await read(zoo, { type: "getData", path: `${DEMO_PATHS.brokers}/${name}`, watch: false });
  return result?.type === "getData" ? { name, data: result.data, stat: result.stat } : undefined;
}
