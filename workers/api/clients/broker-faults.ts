/** The broker objects as the fault endpoints see them. */

import type { BrokerRpc, BrokerStatus } from "../../../durable-objects/broker/rpc.ts";
import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import type { ApiEnv } from "../env.ts";

const STATUS_MS = 1_000;

/** Brokers of the cluster; 0 where the variable BROKER_COUNT says nothing sensible. */
export function brokerCountOf(env: ApiEnv): number {
  const count = Number(env.BROKER_COUNT);
  return Number.isInteger(count) && count > 0 ? count : 0;
}

/** A fresh stub of broker `id`; the caller has checked that there is such a broker. */
export function brokerStub(
  env: ApiEnv,
  ensemble: string,
  id: number,
): Pick<BrokerRpc, "fault" | "heal" | "faults" | "status"> {
  return env.BROKER.get(env.BROKER.idFromName(`${ensemble}/${id}`)) as unknown as BrokerRpc;
}

/** A broker's own word; undefined: it is down. Wakes and starts nobody. */
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
