/** The faults that the page can inject, with their words. */
import { brokerFault, type FaultAction, healAll, nodeFault } from "../../api/calls.ts";
import type { Fault } from "./use-fault.ts";

const DONE: Readonly<Record<FaultAction, string>> = {
  kill: "Killed",
  revive: "Revived",
  crash: "Crashed",
  heal: "Healed",
  pause: "Paused",
  resume: "Resumed",
  isolate: "Cut off",
  rejoin: "Reconnected",
};

/** What ends each lasting fault, with the label of the button. */
const UNDO: Partial<Readonly<Record<FaultAction, readonly [label: string, action: FaultAction]>>> = {
  kill: ["Revive", "revive"],
  pause: ["Resume", "resume"],
  isolate: ["Reconnect", "rejoin"],
};

const BREAKS: Partial<Readonly<Record<FaultAction, string>>> = {
  kill: "kill",
  crash: "crash",
  pause: "pause",
  isolate: "cut off",
};

/** What a fault will do, e.g. "kill node 2". */
export const breakWords = (sid: number, action: FaultAction): string =>
  `${BREAKS[action] ?? action} node ${sid}`;

/** The fault of a node that a control injects, with the fault that ends it. */
export function nodeFaultOf(sid: number, action: FaultAction): Fault {
  const [label, end] = UNDO[action] ?? [];
  return {
    call: nodeFault(sid, action),
    done: `${DONE[action]} node ${sid}.`,
    ...(label !== undefined && end !== undefined ? { undo: { label, fault: nodeFaultOf(sid, end) } } : {}),
  };
}

/** The same for a broker. */
export const brokerFaultOf = (id: number, action: FaultAction): Fault => ({
  call: brokerFault(id, action),
  done: `${DONE[action]} broker ${id}.`,
  ...(action === "kill" ? { undo: { label: "Revive", fault: brokerFaultOf(id, "revive") } } : {}),
});

/** Ends every fault. */
export const HEAL: Fault = { call: healAll, done: "Everything is healed." };
