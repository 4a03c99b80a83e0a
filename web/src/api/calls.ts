/** Calls of the API as data: buttons send them, and "copy as curl" shows them. */
import type { ApiCall } from "./curl.ts";
import type { Goal } from "./types.ts";

/** A fault that the page can inject, or the end of one. */
export type FaultAction = "kill" | "revive" | "crash" | "heal" | "pause" | "resume" | "isolate" | "rejoin";

/** Topic of the goals. */
export const TOPIC = "goals";
/** Their partition: the topic has one. */
export const PARTITION = 0;

const NODE_PORT = 8080;
const BROKER_PORT = 9090;

/** Status of all nodes. */
export const getEnsemble: ApiCall = { method: "GET", path: "/v1/ensemble" };
/** Brokers, topics and partitions. */
export const getCluster: ApiCall = { method: "GET", path: "/cluster" };
/** Active faults; 404 where faults are switched off. */
export const getFaults: ApiCall = { method: "GET", path: "/v1/faults" };
/** First and next offset of the goals. */
export const getOffsets: ApiCall = {
  method: "GET",
  path: `/topics/${TOPIC}/partitions/${PARTITION}/offsets`,
};

/** The goals of the offsets `from` to `to`, without the latter. */
export const readGoals = (from: number, to: number): ApiCall => ({
  method: "GET",
  path: `/topics/${TOPIC}/partitions/${PARTITION}/records?format=json&offset=${from}&count=${to - from}&until_offset=${to}`,
});

/** Injects or ends a fault of a node. */
export const nodeFault = (sid: number, action: FaultAction): ApiCall =>
  action === "rejoin"
    ? { method: "DELETE", path: `/v1/faults/nodes/${sid}/isolate` }
    : { method: "POST", path: `/v1/faults/nodes/${sid}/${action}` };

/** Injects or ends a fault of a broker, numbered from 0. */
export const brokerFault = (id: number, action: FaultAction): ApiCall => ({
  method: "POST",
  path: `/v1/faults/brokers/${id}/${action}`,
});

/** Ends all faults of nodes, brokers and links. */
export const healAll: ApiCall = { method: "POST", path: "/v1/faults/heal" };

/** The demo's own request: posts a goal through broker `broker`, whose metadata node `sid` writes. */
export function addScore(input: {
  readonly broker: number;
  readonly sid: number;
  readonly brokers: readonly number[];
  readonly goal: Goal;
  /** The same for every attempt: the goal is stored once, however often it is sent. */
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
