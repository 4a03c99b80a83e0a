/** Active faults, from two sources: the polled list, and the events about each change. */
import type { FaultsState, FaultView, ProtocolEvent } from "../../api/types.ts";

/** All active faults that the page knows. */
export interface Faults {
  /** Whether faults are switched on in this deployment. */
  readonly state: "on" | "off" | "unknown";
  /** *map sid → its active faults* */
  readonly ofNode: ReadonlyMap<number, readonly FaultView[]>;
  /** *map broker → its active faults* */
  readonly ofBroker: ReadonlyMap<number, readonly FaultView[]>;
  /** *map sid, or "broker " and its id → time of the last event about its faults, ms since 1970*; a list requested before is older */
  readonly updatedMs: ReadonlyMap<number | string, number>;
}

/** The state before the first answer. */
export const FAULTS_UNKNOWN: Faults = {
  state: "unknown",
  ofNode: new Map(),
  ofBroker: new Map(),
  updatedMs: new Map(),
};

/** Takes the list; returns the same object if nothing changes. @param answer "off": faults are switched off */
export function takeList(faults: Faults, answer: FaultsState | "off", askedMs: number): Faults {
  if (answer === "off") return faults.state === "off" ? faults : { ...FAULTS_UNKNOWN, state: "off" };
  const ofNode = new Map<number, readonly FaultView[]>();
  for (const node of answer.nodes) {
    const isOlder = (faults.updatedMs.get(node.sid) ?? 0) > askedMs;
    const held = isOlder ? (faults.ofNode.get(node.sid) ?? []) : node.faults;
    if (held.length > 0) ofNode.set(node.sid, held);
  }
  const ofBroker = new Map<number, readonly FaultView[]>();
  for (const broker of answer.brokers) {
    const isOlder = (faults.updatedMs.get(keyOf(broker.id)) ?? 0) > askedMs;
    const held = isOlder ? (faults.ofBroker.get(broker.id) ?? []) : broker.faults;
    if (held.length > 0) ofBroker.set(broker.id, held);
  }
  const next: Faults = { ...faults, state: "on", ofNode, ofBroker };
  return isSame(faults, next) ? faults : next;
}

const keyOf = (broker: number): string => `broker ${broker}`;

/** Takes an event with the faults of one node or broker. */
export function takeFault(faults: Faults, event: ProtocolEvent, receivedMs: number): Faults {
  if (event.type !== "fault" || event.faults === undefined || faults.state === "off") return faults;
  const { broker, sid } = event;
  const held = new Map(broker === undefined ? faults.ofNode : faults.ofBroker);
  held.delete(broker ?? sid);
  if (event.faults.length > 0) held.set(broker ?? sid, event.faults);
  const updatedMs = new Map(faults.updatedMs).set(broker === undefined ? sid : keyOf(broker), receivedMs);
  return broker === undefined
    ? { ...faults, ofNode: held, updatedMs }
    : { ...faults, ofBroker: held, updatedMs };
}

const isSame = (a: Faults, b: Faults): boolean => a.state === b.state && textOf(a) === textOf(b);

const textOf = ({ ofNode, ofBroker }: Faults): string => JSON.stringify([[...ofNode], [...ofBroker]]);
