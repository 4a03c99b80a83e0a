/** The state of the ensemble in one or two sentences, for readers who have never seen one. */
import type { EnsembleState } from "../../api/types.ts";
import { isCutOff, upCount } from "./ensemble-view.ts";

/** A short description of the state of the ensemble. */
export interface Narration {
  readonly tone: "calm" | "busy" | "broken";
  readonly title: string;
  readonly text: string;
}

/** @param paused sids of nodes that are known to be paused */
export function narrate(state: EnsembleState, paused: readonly number[] = []): Narration {
  const up = upCount(state);
  const whole = state.nodes.filter(({ damage }) => damage === undefined).length;
  if (!state.hasQuorum && !state.quiet && whole < state.quorum && state.reason !== null) {
    return { tone: "broken", title: "No quorum: damaged storage", text: sentence(state.reason) };
  }
  const down = state.nodes.filter((node) => !node.up && !paused.includes(node.sid)).map((node) => node.sid);
  if (up < state.quorum) {
    const reason = state.reason ?? `${up} of ${state.size} nodes are up, ${state.quorum} are needed`;
    return {
      tone: "broken",
      title: "No quorum",
      text: `${sentence(reason)} Nothing can be written until enough nodes are back: without a majority, two halves could disagree. Nothing stored is lost.`,
    };
  }
  if (state.quiet) {
    return {
      tone: "calm",
      title: "Asleep",
      text: "There have been no requests for a while, so the nodes and the brokers have stopped and cost nothing. The first request wakes them.",
    };
  }
  if (state.leader === null || !state.hasQuorum) {
    const reason = state.reason ? sentence(state.reason) : "There is no leader.";
    return {
      tone: "busy",
      title: "Electing a leader",
      text: `${reason} The ${up} nodes that are up exchange votes; the one with the newest log wins, and ${state.quorum} equal votes decide.`,
    };
  }
  const cut = state.nodes
    .filter((node) => isCutOff(state, node))
    .map((node) => node.sid)
    .filter((sid) => !paused.includes(sid));
  const words = [areWords(down, "down"), areWords(paused, "paused"), areWords(cut, "cut off")]
    .filter((text) => text !== "")
    .join(", ");
  const them = down.length + paused.length + cut.length === 1 ? "it" : "them";
  const missing =
    words === "" ? "" : ` ${sentence(words).slice(0, -1)}; the others continue without ${them}.`;
  return {
    tone: "calm",
    title: `Node ${state.leader} leads epoch ${state.epoch}`,
    text: `Every write goes through it, and is done when ${state.quorum} of ${state.size} nodes have stored it.${missing}`,
  };
}

/** Text for a screen reader when `after` replaces `before`; undefined if there is nothing to announce. */
export function announce(before: EnsembleState | undefined, after: EnsembleState): string | undefined {
  if (!before) return undefined;
  if (after.leader !== null && after.leader !== before.leader && after.hasQuorum) {
    return `Node ${after.leader} is the new leader, epoch ${after.epoch}.`;
  }
  if (before.hasQuorum && !after.hasQuorum) return `No quorum. ${sentence(after.reason ?? "")}`.trim();
  if (!before.hasQuorum && after.hasQuorum && after.leader !== null) {
    return `The quorum is back. Node ${after.leader} leads epoch ${after.epoch}.`;
  }
  return undefined;
}

function sentence(text: string): string {
  const trimmed = text.trim().replace(/\.+$/, "");
  return trimmed === "" ? "" : `${trimmed[0]?.toUpperCase() ?? ""}${trimmed.slice(1)}.`;
}

const areWords = (sids: readonly number[], what: string): string =>
  sids.length === 0 ? "" : `${list(sids)} ${sids.length === 1 ? "is" : "are"} ${what}`;

function list(sids: readonly number[]): string {
  const last = sids.at(-1);
  if (sids.length === 1) return `node ${last}`;
  return `nodes ${sids.slice(0, -1).join(", ")} and ${last}`;
}
