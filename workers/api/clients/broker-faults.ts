/** The broker objects as the fault endpoints see them. */
import type { ApiEnv } from "../env.ts";
import { withTimeout } from "./node-stub.ts";

/** What every broker object has for the fault endpoints. */
export interface BrokerFaults {
  fault(action: "kill" | "revive" | "crash"): Promise<void>;
  /** answers when the broker is up, rejects when it is killed */
  status(): Promise<unknown>;
}

const STATUS_MS = 1_000;

/** A fresh stub of broker `id`; the caller has checked that there is such a broker. */
export function brokerStub(env: ApiEnv, ensemble: string, id: number): BrokerFaults {
  return env.BROKER.get(env.BROKER.idFromName(`${ensemble}/${id}`)) as unknown as BrokerFaults;
}

export async function isBrokerUp(env: ApiEnv, ensemble: string, id: number): Promise<boolean> {
  try {
    await withTimeout(brokerStub(env, ensemble, id).status(), STATUS_MS);
    return true;
  } catch {
    return false;
  }
}
