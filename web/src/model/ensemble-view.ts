/**
 * The ensemble as the page shows it: the last status, brought up to date by the protocol events that
 * came after it. The status is polled once a second; the events make a new crown appear at once.
 */
import type { EnsembleState, NodeState, NodeUp, Phase, ProtocolEvent, Role } from "../api/types.ts";
import { compareZxidText } from "./zxid.ts";

/** Events that can change who leads: they ask for a fresh status. */
export const changesStatus = (event: ProtocolEvent): boolean =>
  event.type === "role" || event.type === "active" || event.type === "link" || event.type === "sync";

/** `state` with one event folded in; the same object when nothing changes. */
export function foldEvent(state: EnsembleState, event: ProtocolEvent): EnsembleState {
  // An ACK is seen by the leader and tells of the follower that sent it.
  const about = event.type === "ack" ? (event.from ?? event.sid) : event.sid;
  const node = state.nodes.find((candidate) => candidate.sid === about);
  if (!node?.up) return state;
  if (event.type === "link" && event.up === false) return foldBrokenLink(state, event);
  if (event.type === "role" && isRole(event.role)) return foldRole(state, node, event.role, event);
  if (event.type === "active" && event.sids) return withNode(state, { ...node, activeSet: event.sids });
  if ((event.type === "commit" || event.type === "ack" || event.type === "propose") && event.zxid) {
    if (compareZxidText(event.zxid, node.lastZxid) <= 0) return state;
    const committedZxid = event.type === "commit" ? event.zxid : node.committedZxid;
    return withNode(state, { ...node, lastZxid: event.zxid, committedZxid });
  }
  return state;
}

/**
 * A member that lost its link to another takes it for gone, and so do we until the next status, which a
 * broken link asks for at once.
 */
function foldBrokenLink(state: EnsembleState, event: ProtocolEvent): EnsembleState {
  const lost = state.nodes.find((node) => node.sid === event.to);
  // one that is cut off is there, and loses its links again and again
  if (!lost?.up || isCutOff(state, lost)) return state;
  const next = withNode(state, { sid: lost.sid, up: false, code: "NODE_DOWN", detail: "its link is broken" });
  return state.leader === lost.sid ? { ...next, leader: null } : next;
}

function foldRole(state: EnsembleState, node: NodeUp, role: Role, event: ProtocolEvent): EnsembleState {
  const leader = role === "LEADING" ? node.sid : role === "FOLLOWING" ? (event.leader ?? node.leader) : null;
  // whoever takes or gives up a role is awake
  const next = withNode(
    { ...state, quiet: false },
    {
      ...node,
      role,
      leader,
      phase: isPhase(event.phase) ? event.phase : node.phase,
    },
  );
  if (role === "LEADING") {
    // A leader before BROADCAST is still collecting its quorum: the crown waits.
    if (event.phase !== undefined && event.phase !== "BROADCAST") return next;
    return { ...next, leader: node.sid, epoch: event.epoch ?? state.epoch, hasQuorum: true, reason: null };
  }
  if (state.leader === node.sid) return { ...next, leader: null };
  return next;
}

function withNode(state: EnsembleState, node: NodeState): EnsembleState {
  return { ...state, nodes: state.nodes.map((other) => (other.sid === node.sid ? node : other)) };
}

const PHASES: readonly Phase[] = ["ELECTION", "DISCOVERY", "SYNCHRONIZATION", "BROADCAST"];

const isPhase = (phase: string | undefined): phase is Phase => PHASES.some((known) => known === phase);

const isRole = (role: string | undefined): role is Role =>
  role === "LOOKING" || role === "FOLLOWING" || role === "LEADING";

/** The members whose votes count now: the leader's active set, or the nodes that are up. */
export function activeSetOf(state: EnsembleState): readonly number[] {
  const leader = state.nodes.find((node) => node.sid === state.leader);
  if (leader?.up && leader.activeSet.length > 0) return leader.activeSet;
  return state.leader === null ? [] : state.nodes.filter((node) => node.up).map((node) => node.sid);
}

/** Longer than a leader that pings each second is without word from a member that it hears, ms. */
const UNHEARD_MS = 1_500;

/** Is it up, and the leader hears nothing of it? */
export function isCutOff(state: EnsembleState, { sid, up }: NodeState): boolean {
  const leader = state.nodes.find((node) => node.sid === state.leader);
  if (!up || !leader?.up || sid === leader.sid || state.quiet) return false;
  const ping = leader.pings.find((report) => report.sid === sid);
  return ping?.rttMs === null && ping.heardMsAgo !== null && ping.heardMsAgo > UNHEARD_MS;
}

/** Is it there, as the others see it? */
export const isThere = (state: EnsembleState, node: NodeState): boolean => node.up && !isCutOff(state, node);

/** The members that the others can reckon with. */
export const upCount = (state: EnsembleState): number =>
  state.nodes.filter((node) => isThere(state, node)).length;

/** How many txns a node is behind the furthest member that is there, of its epoch; null when it cannot be said. */
export function txnsBehind(state: EnsembleState, zxid: string): number | null {
  let furthest = "0x0";
  for (const node of state.nodes)
    if (node.up && isThere(state, node) && compareZxidText(node.lastZxid, furthest) > 0)
      furthest = node.lastZxid;
  const distance = BigInt(furthest) - BigInt(zxid);
  return distance < 2n ** 32n ? Number(distance) : null;
}
