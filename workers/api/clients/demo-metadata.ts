/** Reads and writes the demo's `/metadata` through one node. */
import {
  type ClusterRead,
  type ClusterReadResult,
  clusterReadResult,
  requestOf,
} from "../../../core/broker/cluster-read.ts";
import {
  type ClientsChange,
  type DemoRefusal,
  type DemoRows,
  isDemoRefusal,
  readDemoRows,
  recordClients,
  renderDemoMetadata,
} from "../../../core/demo/metadata.ts";
import { NO_SESSION, type WriteRequest } from "../../../core/znode/types.ts";
import { summarise } from "../ensemble/quorum.ts";
import { ApiError } from "../http/errors.ts";
import type { EnsembleClient } from "./ensemble-client.ts";

/** Codes of the other operations of a failed multi. */
const BESIDE_FAILED: ReadonlySet<string> = new Set(["OK", "RUNTIME_INCONSISTENCY"]);

/** Records the clients of a sender. @returns its current clients */
export async function writeDemoMetadata(zoo: EnsembleClient, change: ClientsChange): Promise<string> {
  const steps = recordClients(undefined, change);
  let step = steps.next();
  while (!step.done) {
    const { value } = step;
    step = steps.next(value.type === "read" ? await readRows(zoo) : await write(zoo, value.request));
  }
  if (step.value === undefined)
    throw new ApiError("BAD_VERSION", "the metadata changes too fast to be written");
  return step.value.clients;
}

/**
 * The metadata at node `through` after a sync, so that every node returns the same bytes. It writes nothing, since the
 * route needs no token, and takes the leader from the status of the nodes.
 */
export async function readDemoMetadata(through: EnsembleClient): Promise<string> {
  const rows = await readRows(through);
  // after the reads, which wait for an election to end
  const { leader } = summarise(through.name, await through.statuses());
  if (leader === null) throw new ApiError("NO_QUORUM", "the ensemble has no leader now");
  return renderDemoMetadata(leader, await through.size(), rows);
}

async function readRows(zoo: EnsembleClient): Promise<DemoRows> {
  const steps = readDemoRows();
  let step = steps.next();
  while (!step.done) {
    step = steps.next(await Promise.all(step.value.map((each) => read(zoo, each))));
  }
  return step.value;
}

/** Writes; returns a refusal that follows from the state of the tree. */
async function write(zoo: EnsembleClient, request: WriteRequest): Promise<"OK" | DemoRefusal> {
  try {
    const { value } = await zoo.write({ session: NO_SESSION, xid: 0, request });
    const results = value.type === "multi" ? value.results : [];
    const failed = results.find((result) => result.type === "error" && !BESIDE_FAILED.has(result.code));
    if (failed?.type !== "error") return "OK";
    if (isDemoRefusal(failed.code)) return failed.code;
    throw new ApiError(failed.code, "an operation of the multi failed");
  } catch (error) {
    if (error instanceof ApiError && isDemoRefusal(error.code)) return error.code;
    throw error;
  }
}

async function read(zoo: EnsembleClient, each: ClusterRead): Promise<ClusterReadResult> {
  const request = requestOf(each);
  try {
    const input = { session: NO_SESSION, request, consistency: "linearizable", stale: false } as const;
    return clusterReadResult((await zoo.read(input)).value);
  } catch (error) {
    if (error instanceof ApiError && error.code === "NO_NODE") return undefined;
    throw error;
  }
}
