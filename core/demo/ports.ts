/**
 * The ports of the original demo, which name its nodes and brokers in requests and in the metadata. Nothing in the broker
 * depends on them.
 */

/** Node `sid` (from 1) answers on 8080 + sid − 1. */
const NODE_PORT_BASE = 8079;
/** Broker `id` (from 0) answers on 9090 + id. */
const BROKER_PORT_BASE = 9090;

/** Port of the ensemble's node `sid`, from 1. */
export const nodePort = (sid: number): number => NODE_PORT_BASE + sid;
/** Port of broker `id`, from 0. */
export const brokerPort = (id: number): number => BROKER_PORT_BASE + id;

/** The ports of brokers 0 to `count` − 1, as the metadata lists them: `9090,9091,9092`. */
export const brokerPorts = (count: number): string =>
  Array.from({ length: count }, (_, id) => brokerPort(id)).join(",");

/**
 * The node that a `ReceiverIp` names, parsed as in the original broker: its leading digits.
 * @returns node 1 if it names no node of an ensemble of `size`
 */
export function receiverOf(text: string, size: number): number {
  const sid = Number.parseInt(text, 10) - NODE_PORT_BASE;
  return sid >= 1 && sid <= size ? sid : 1;
}

/** Whether the broker on `port` lists a goal that was sent with these clients. Null: sent in another way, for all brokers. */
export const isListedBy = (clients: string | null, port: number): boolean =>
  clients === null || clients.split(",").some((client) => client.trim() === `${port}`);

/** Whether a list of clients names a broker of a cluster of `count`. An empty list names none, and changes nothing. */
export const namesABroker = (clients: string, count: number): boolean =>
  clients === "" ||
  Array.from({ length: count }, (_, id) => id).some((id) => isListedBy(clients, brokerPort(id)));
