/** The faults that are on, from two sources: the list that is asked for, and the events that tell of each change. */
import type { FaultsState, FaultView, ProtocolEvent } from "../../api/types.ts";

export interface Faults {
  /** Whether faults can be made here. */
  readonly state: "on" | "off" | "unknown";
  /** *map sid → the faults that it holds* */
  readonly ofNode: ReadonlyMap<number, readonly FaultView[]>;
  /** *map broker → the faults that it holds* */
  readonly ofBroker: ReadonlyMap<number, readonly FaultView[]>;
  /** *map sid, or "broker " and its id → when an event told its faults, ms since 1970*; a list that was asked for earlier is older */
  readonly toldMs: ReadonlyMap<number | string, number>;
}

export const FAULTS_UNKNOWN: Faults = {
  state: "unknown",
  ofNode: new Map(),
  ofBroker: new Map(),
  toldMs: new Map(),
};

/** Takes the list; the same object when nothing changes. @param answer "off": faults cannot be made here */
export function takeList(faults: Faults, answer: FaultsState | "off", askedMs: number): Faults {
  if (answer === "off") return faults.state === "off" ? faults : { ...FAULTS_UNKNOWN, state: "off" };
  const ofNode = new Map<number, readonly FaultView[]>();
  for (const node of answer.nodes) {
    const isOlder = (faults.toldMs.get(node.sid) ?? 0) > askedMs;
    const held = isOlder ? (faults.ofNode.get(node.sid) ?? []) : node.faults;
    if (held.length > 0) ofNode.set(node.sid, held);
  }
  const ofBroker = new Map<number, readonly FaultView[]>();
  for (const broker of answer.brokers) {
    const isOlder = (faults.toldMs.get(keyOf(broker.id)) ?? 0) > askedMs;
    const held = isOlder ? (faults.ofBroker.get(broker.id) ?? []) : broker.faults;
    if (held.length > 0) ofBroker.set(broker.id, held);
  }
  const next: Faults = { ...faults, state: "on", ofNode, ofBroker };
  return isSame(faults, next) ? faults : next;
}

const keyOf = (broker: number): string => `broker ${broker}`;

/** Takes an event that tells the faults of one node or broker. */
export function takeFault(faults: Faults, event: ProtocolEvent, receivedMs: number): Faults {
  if (event.type !== "fault" || event.faults === undefined || faults.state === "off") return faults;
  const { broker, sid } = event;
  const held = new Map(broker === undefined ? faults.ofNode : faults.ofBroker);
  held.delete(broker ?? sid);
  if (event.faults.length > 0) held.set(broker ?? sid, event.faults);
  const toldMs = new Map(faults.toldMs).set(broker === undefined ? sid : keyOf(broker), receivedMs);
  return broker === undefined ? { ...faults, ofNode: held, toldMs } : { ...faults, ofBroker: held, toldMs };
}

const isSame = (a: Faults, b: Faults): boolean => a.state === b.state && textOf(a) === textOf(b);

const textOf = ({ ofNode, ofBroker }: Faults): string => JSON.stringify([[...ofNode], [...ofBroker]]);
