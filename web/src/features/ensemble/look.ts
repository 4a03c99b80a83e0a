/** How the ring and the list of members show a node. */
import type { EnsembleState, NodeState } from "../../api/types.ts";
import type { Faults } from "../faults/faults-known.ts";
import { isCutOff } from "./ensemble-view.ts";

/** One of the appearances of a node. */
export type Look = "leader" | "follower" | "looking" | "down" | "cut" | "paused";

/** The appearance of a node, from its state and its faults. */
export function lookOf(state: EnsembleState, node: NodeState, faults: Faults): Look {
  if ((faults.ofNode.get(node.sid) ?? []).some(({ fault }) => fault === "pause")) return "paused";
  if (!node.up) return "down";
  if (state.leader === node.sid) return "leader";
  if (isCutOff(state, node)) return "cut";
  return node.role === "FOLLOWING" ? "follower" : "looking";
}
