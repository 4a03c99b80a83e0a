/** Stubs of node objects, and the meaning of their failures. */
import type { ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { ApiEnv } from "../env.ts";
import { ApiError } from "../http/errors.ts";

/** One node as its callers see it. `fetch` takes WebSocket upgrades only. */
export interface NodeStub extends ZooWeeperNodeRpc {
  fetch(request: Request): Promise<Response>;
}

/**
 * A new stub: a stub that has thrown stays broken, so none is kept.
 * The runtime's own type maps every result through a serialisation type that loses brands and unions; only
 * plain data are sent, so the interface of the class is accurate.
 */
export function nodeStub(env: ApiEnv, ensemble: string, sid: number): NodeStub {
  const id = env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`);
  return env.ZOOWEEPER_NODE.get(id) as unknown as NodeStub;
}

/** Whether a call failed because the object was reset. */
export const isReset = (error: unknown): boolean =>
  error instanceof Error && "durableObjectReset" in error && error.durableObjectReset === true;

/**
 * Whether a rejected call has certainly changed nothing. Only the refusal of a killed object proves that, because it
 * precedes any work. A reset during a call has an unknown outcome, whatever its message.
 */
export const isRefusal = (error: unknown): boolean =>
  error instanceof Error && !isReset(error) && /\b(NODE|BROKER)_DOWN\b/.test(error.message);

/** Whether a killed object refused that stays dead until it is revived. */
export const isDeadForGood = (error: unknown): boolean =>
  isRefusal(error) && (error as Error).message.includes("until it is revived");

/** The error for a node that is down. @param error error of the call, if there was one */
export function nodeDown(sid: number, error?: unknown): ApiError {
  if (!isDeadForGood(error)) return new ApiError("NODE_DOWN", `node ${sid} is down`);
  const detail = `node ${sid} is down: it was killed; POST /v1/faults/nodes/${sid}/revive revives it`;
  return new ApiError("NODE_DOWN", detail, { retryable: false });
}

/** The same for a broker. */
export function brokerDown(id: number, error?: unknown): ApiError {
  if (!isDeadForGood(error)) return new ApiError("BROKER_NOT_AVAILABLE", `broker ${id} is down`);
  const detail = `broker ${id} is down: it was killed; POST /v1/faults/brokers/${id}/revive revives it`;
  return new ApiError("BROKER_NOT_AVAILABLE", detail, { retryable: false });
}
