/** The broker objects as the fault endpoints see them. */
import type { BrokerRpc } from "../../../durable-objects/broker/rpc.ts";
import type { ApiEnv } from "../env.ts";
import { withTimeout } from "./node-stub.ts";

const STATUS_MS = 1_000;

/** A fresh stub of broker `id`; the caller has checked that there is such a broker. */
export function brokerStub(env: ApiEnv, ensemble: string, id: number): Pick<BrokerRpc, "fault" | "status"> {
  return env.BROKER.get(env.BROKER.idFromName(`${ensemble}/${id}`)) as unknown as BrokerRpc;
}

export async function isBrokerUp(env: ApiEnv, ensemble: string, id: number): Promise<boolean> {
  try {
    await withTimeout(brokerStub(env, ensemble, id).status(), STATUS_MS);
    return true;
  } catch {
    return false;
  }
}
