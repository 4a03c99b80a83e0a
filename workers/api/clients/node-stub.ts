/** How the Worker reaches one node object, and what its failures mean. */
import type { ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { ApiEnv } from "../env.ts";
import { ApiError } from "../http/errors.ts";

/** One node as its callers see it. `fetch` takes WebSocket upgrades only. */
export interface NodeStub extends ZooWeeperNodeRpc {
  fetch(request: Request): Promise<Response>;
}

/**
 * A fresh stub; a stub that threw once stays broken, so none is kept.
 * The runtime's own type maps every result through a serialisation type that loses brands and unions; what crosses
 * is plain data, so the interface that the class implements holds as it is.
 */
export function nodeStub(env: ApiEnv, ensemble: string, sid: number): NodeStub {
  const id = env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`);
  return env.ZOOWEEPER_NODE.get(id) as unknown as NodeStub;
}

/** Was a call cut off because the object was reset? */
export const isReset = (error: unknown): boolean =>
  error instanceof Error && "durableObjectReset" in error && error.durableObjectReset === true;

/**
 * Did a rejected call surely change nothing? Only the refusal of a killed object says so: it comes before anything is
 * done. A reset in the middle of a call has an unknown outcome, whatever its message.
 */
export const isRefusal = (error: unknown): boolean =>
  error instanceof Error && !isReset(error) && /\b(NODE|BROKER)_DOWN\b/.test(error.message);

/** Did a killed object refuse that stays dead until somebody revives it? */
export const isDeadForGood = (error: unknown): boolean =>
  isRefusal(error) && (error as Error).message.includes("until it is revived");

/** A node that is down. @param error what it answered, if it did */
export function nodeDown(sid: number, error?: unknown): ApiError {
  if (!isDeadForGood(error)) return new ApiError("NODE_DOWN", `node ${sid} is down`);
  const detail = `node ${sid} is down: it was killed; POST /v1/faults/nodes/${sid}/revive revives it`;
  return new ApiError("NODE_DOWN", detail, { retryable: false });
}

/** The same of a broker. */
export function brokerDown(id: number, error?: unknown): ApiError {
  if (!isDeadForGood(error)) return new ApiError("BROKER_NOT_AVAILABLE", `broker ${id} is down`);
  const detail = `broker ${id} is down: it was killed; POST /v1/faults/brokers/${id}/revive revives it`;
  return new ApiError("BROKER_NOT_AVAILABLE", detail, { retryable: false });
}

/** A call that did not answer within its bound. */
export class CallTimeout extends Error {
  override readonly name = "CallTimeout";
}

/** Bounds the wait for a call. The call itself goes on; its outcome is unknown. */
export async function withTimeout<T>(call: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CallTimeout(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([call, timeout]);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
    call.catch(() => undefined);
  }
}
