/** Stubs of broker objects for the fault endpoints, which neither start nor wake them. */

import type { BrokerRpc, BrokerStatus } from "../../../durable-objects/broker/rpc.ts";
import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import { STATUS_MS } from "../config.ts";
import type { ApiEnv } from "../env.ts";

/** Number of brokers; 0 if the variable BROKER_COUNT is invalid. */
export function brokerCountOf(env: ApiEnv): number {
  const count = Number(env.BROKER_COUNT);
  return Number.isInteger(count) && count > 0 ? count : 0;
}

/** A new stub of broker `id`; the caller has checked that this broker exists. */
export function brokerStub(
  env: ApiEnv,
  ensemble: string,
  id: number,
): Pick<BrokerRpc, "fault" | "heal" | "faults" | "status"> {
  return env.BROKER.get(env.BROKER.idFromName(`${ensemble}/${id}`)) as unknown as BrokerRpc;
}

/** Status of a broker; undefined if it is down. Wakes and starts no broker. */
export async function statusOfBroker(
  env: ApiEnv,
  ensemble: string,
  id: number,
): Promise<BrokerStatus | undefined> {
  try {
    return await withTimeout(brokerStub(env, ensemble, id).status(), STATUS_MS);
  } catch {
    return undefined;
  }
}

/** Whether a broker answers. */
export const isBrokerUp = async (env: ApiEnv, ensemble: string, id: number): Promise<boolean> =>
  (await statusOfBroker(env, ensemble, id)) !== undefined;
