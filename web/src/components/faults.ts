/** The faults the page offers, with the words for them. */
import { brokerFault, type FaultAction, healAll, nodeFault } from "../api/calls.ts";
import type { Fault } from "../hooks/use-fault.ts";

const DONE: Readonly<Record<FaultAction, string>> = {
  kill: "Killed",
  revive: "Revived",
  crash: "Crashed",
  heal: "Revived",
};

export const nodeFaultOf = (sid: number, action: FaultAction): Fault => ({
  call: nodeFault(sid, action),
  done: `${DONE[action]} node ${sid}.`,
  ...(action === "kill" ? { undo: nodeFaultOf(sid, "revive") } : {}),
});

export const brokerFaultOf = (id: number, action: FaultAction): Fault => ({
  call: brokerFault(id, action),
  done: `${DONE[action]} broker ${id}.`,
  ...(action === "kill" ? { undo: brokerFaultOf(id, "revive") } : {}),
});

export const HEAL: Fault = { call: healAll, done: "Everything is revived." };
