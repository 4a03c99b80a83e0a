/** The calls the page makes, as data: the buttons send them and "copy as curl" shows them. */
import type { ApiCall } from "./curl.ts";
import type { Goal } from "./types.ts";

export type FaultAction = "kill" | "revive" | "crash" | "heal" | "pause" | "resume" | "isolate" | "rejoin";

export const TOPIC = "goals";
export const PARTITION = 0;

const NODE_PORT = 8080;
const BROKER_PORT = 9090;

export const getEnsemble: ApiCall = { method: "GET", path: "/v1/ensemble" };
export const getCluster: ApiCall = { method: "GET", path: "/cluster" };
export const getFaults: ApiCall = { method: "GET", path: "/v1/faults" };
export const getOffsets: ApiCall = {
  method: "GET",
  path: `/topics/${TOPIC}/partitions/${PARTITION}/offsets`,
};

/** The goals of the offsets `from` to `to`, without the latter. */
export const readGoals = (from: number, to: number): ApiCall => ({
  method: "GET",
  path: `/topics/${TOPIC}/partitions/${PARTITION}/records?format=json&offset=${from}&count=${to - from}&until_offset=${to}`,
});

export const nodeFault = (sid: number, action: FaultAction): ApiCall =>
  action === "rejoin"
    ? { method: "DELETE", path: `/v1/faults/nodes/${sid}/isolate` }
    : { method: "POST", path: `/v1/faults/nodes/${sid}/${action}` };

export const brokerFault = (id: number, action: FaultAction): ApiCall => ({
  method: "POST",
  path: `/v1/faults/brokers/${id}/${action}`,
});

export const healAll: ApiCall = { method: "POST", path: "/v1/faults/heal" };

/** The demo's own request: through broker `broker`, its metadata written by node `sid`. */
export function addScore(input: {
  readonly broker: number;
  readonly sid: number;
  readonly brokers: readonly number[];
  readonly goal: Goal;
  /** The same key for every try: the goal is stored once however often it is sent. */
  readonly key: string;
}): ApiCall {
  const metadata = {
    ReceiverIp: String(NODE_PORT + input.sid - 1),
    Clients: input.brokers.map((id) => BROKER_PORT + id).join(","),
  };
  return {
    method: "POST",
    path: `/demo/brokers/${input.broker}/addScore`,
    headers: { "Content-Type": "application/json", "Idempotency-Key": input.key },
    body: JSON.stringify({ metadata, gameResults: input.goal }),
  };
}
