/**
 * The cluster metadata of the demo: which brokers wrote through the ensemble, and who leads it.
 * All of it lives in znodes under `/zooweeper/demo`, so that every node renders the same bytes.
 *
 * ```
 * /zooweeper/demo/brokers/9090    {"Clients":"9090,9091,9092"}          written on every addScore of that broker
 * ```
 * `Version` and `Timestamp` of a broker's entry are its znode's: version + 1 is the number of writes, mtime the leader's clock in ms.
 */

import { CreateMode, type MultiRequestOp, type Stat } from "../znode/types.ts";
import { decodeFields, encodeJson } from "./json-text.ts";

/** Znodes of the demo, parents first. */
export const DEMO_PATHS = {
  root: "/zooweeper/demo",
  brokers: "/zooweeper/demo/brokers",
} as const;

/** Parents that must exist before the first write, in order. */
export const DEMO_PARENTS: readonly string[] = ["/zooweeper", DEMO_PATHS.root, DEMO_PATHS.brokers];

/** Node `sid` (from 1) answers on 8080 + sid − 1. */
const NODE_PORT_BASE = 8079;
/** Broker `id` (from 0) answers on 9090 + id. */
const BROKER_PORT_BASE = 9090;

export const nodePort = (sid: number): number => NODE_PORT_BASE + sid;
export const brokerPort = (id: number): number => BROKER_PORT_BASE + id;

/** The sid that answers on a port, given as text; undefined when no node of an ensemble of `size` does. */
export function sidOfPort(port: string, size: number): number | undefined {
  if (!/^\d{4,5}$/.test(port)) return undefined;
  const sid = Number(port) - NODE_PORT_BASE;
  return sid >= 1 && sid <= size ? sid : undefined;
}

/** Path of a broker's entry. `sender` is a port. */
export const demoBrokerPath = (sender: string): string => `${DEMO_PATHS.brokers}/${sender}`;

/**
 * The write that records `clients` for a broker. Try `set`; on NO_NODE make {@link DEMO_PARENTS} and try `create`;
 * on NODE_EXISTS somebody else created it: try `set` again.
 */
export function demoBrokerWrite(
  sender: string,
  clients: string,
): {
  readonly set: Extract<MultiRequestOp, { type: "setData" }>;
  readonly create: Extract<MultiRequestOp, { type: "create" }>;
} {
  const path = demoBrokerPath(sender);
  const data = encodeJson({ Clients: clients });
  return {
    set: { type: "setData", path, data, version: -1 },
    create: { type: "create", path, data, mode: CreateMode.PERSISTENT, withStat: false },
  };
}

/** Data of the ensemble's entry. */
export const demoEnsembleData = (leader: number, size: number): Uint8Array => encodeJson({ leader, size });

/** A znode as read from a node. */
export interface DemoZnode {
  /** last element of its path */
  readonly name: string;
  readonly data: Uint8Array | null;
  readonly stat: Stat;
}

/**
 * Renders the body of `GET /metadata`: the ensemble's entry (left out while it was never written), then the
 * brokers' entries by ascending port. Keys are in a fixed order; a pure function of the znodes.
 */
export function renderDemoMetadata(input: {
  readonly ensemble: Uint8Array | null;
  readonly brokers: readonly DemoZnode[];
}): string {
  const entries: Record<string, string | number>[] = [];
  const { leader, size } = decodeFields(input.ensemble);
  if (typeof leader === "number" && typeof size === "number") {
    const ports = Array.from({ length: size }, (_, i) => nodePort(i + 1));
    entries.push({
      NodePort: `${nodePort(leader)}`,
      Leader: `${nodePort(leader)}`,
      Servers: ports.join(","),
    });
  }
  for (const znode of [...input.brokers].sort((a, b) => Number(a.name) - Number(b.name))) {
    const clients = decodeFields(znode.data).Clients;
    entries.push({
      SenderIp: znode.name,
      Clients: typeof clients === "string" ? clients : "",
      Version: znode.stat.version + 1,
      Timestamp: znode.stat.mtime,
    });
  }
  return JSON.stringify(entries);
}
