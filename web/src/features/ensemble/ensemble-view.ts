/** The ensemble as the page shows it: how a protocol event changes it, and what follows from it. */
import type { EnsembleState, NodeState, NodeUp, Phase, ProtocolEvent, Role } from "../../api/types.ts";
import { compareZxidText } from "../../api/zxid.ts";

/** Applies one event to the state; returns the same object if nothing changes. */
export function foldEvent(before: EnsembleState, event: ProtocolEvent): EnsembleState {
  const state = heard(before, event);
  // the leader records an ACK, which is about the follower that sent it
  const about = event.type === "ack" ? (event.from ?? event.sid) : event.sid;
  const node = state.nodes.find((candidate) => candidate.sid === about);
  if (!node?.up) return state;
  if (event.type === "link") return foldLink(state, event);
  if (event.type === "role" && isRole(event.role)) return foldRole(state, node, event.role, event);
  if (event.type === "epoch" && event.epoch !== undefined) {
    const { acceptedEpoch, currentEpoch } = node;
    return withNode(
      state,
      event.kind === "accepted"
        ? { ...node, acceptedEpoch: Math.max(acceptedEpoch, event.epoch) }
        : { ...node, currentEpoch: Math.max(currentEpoch, event.epoch) },
    );
  }
  if (event.type === "ping") return foldPing(state, node, event);
  if (event.type === "active" && event.sids) return withNode(state, { ...node, activeSet: event.sids });
  if ((event.type === "commit" || event.type === "ack" || event.type === "propose") && event.zxid) {
    if (compareZxidText(event.zxid, node.lastZxid) <= 0) return state;
    const committedZxid = event.type === "commit" ? event.zxid : node.committedZxid;
    return withNode(state, { ...node, lastZxid: event.zxid, committedZxid });
  }
  return state;
}

/** A node that sends an event is awake and up, whatever other nodes report. Waking begins with an election. */
function heard(state: EnsembleState, { sid, at, type }: ProtocolEvent): EnsembleState {
  // the Worker sends it for a node that cannot send it itself
  if (type === "fault") return state;
  const awake = state.quiet
    ? { ...state, quiet: false, leader: null, hasQuorum: false, reason: null }
    : state;
  const node = awake.nodes.find((candidate) => candidate.sid === sid);
  const lost = node?.up === false ? node.lost : undefined;
  if (lost === undefined || at <= lost.at) return awake;
  const { lostBy: _, ...before } = lost.before;
  return withNode(awake, before);
}

function foldPing(state: EnsembleState, node: NodeUp, { to, rttMs }: ProtocolEvent): EnsembleState {
  if (typeof to !== "number" || rttMs === undefined) return state;
  const pings = node.pings.map((ping) => (ping.sid === to ? { ...ping, rttMs, heardMsAgo: 0 } : ping));
  return withNode(state, { ...node, pings });
}

/**
 * A node to which most other nodes have lost their links counts as down until its next event or a status that says
 * otherwise. One broken link proves nothing: the link itself may be broken.
 */
function foldLink(state: EnsembleState, event: ProtocolEvent): EnsembleState {
  const node = state.nodes.find(({ sid }) => sid === event.to);
  // a node that is cut off is up, and loses its links repeatedly
  if (!node?.up || isCutOff(state, node)) return state;
  const others = (node.lostBy ?? []).filter((sid) => sid !== event.sid);
  if (event.up === true)
    return node.lostBy === undefined ? state : withNode(state, { ...node, lostBy: others });
  const lostBy = [...others, event.sid];
  const observers = state.nodes.filter(({ sid, up }) => up && sid !== node.sid).length;
  if (lostBy.length <= observers / 2) return withNode(state, { ...node, lostBy });
  const lost = { at: event.at, before: node };
  const next = withNode(state, {
    sid: node.sid,
    up: false,
    code: "NODE_DOWN",
    detail: "its links are broken",
    lost,
  });
  return state.leader === node.sid ? { ...next, leader: null } : next;
}

function foldRole(state: EnsembleState, node: NodeUp, role: Role, event: ProtocolEvent): EnsembleState {
  const leader = role === "LEADING" ? node.sid : role === "FOLLOWING" ? (event.leader ?? node.leader) : null;
  const next = withNode(state, {
    ...node,
    role,
    leader,
    phase: isPhase(event.phase) ? event.phase : node.phase,
  });
  if (role === "LEADING") {
    // before BROADCAST a leader is still gathering its quorum, and is not shown as leader
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

/** Silence of a node after which it counts as cut off, ms: the leader pings each node every second. */
const UNHEARD_MS = 1_500;

/** Whether a node is up, and the leader receives nothing from it. */
export function isCutOff(state: EnsembleState, { sid, up }: NodeState): boolean {
  const leader = state.nodes.find((node) => node.sid === state.leader);
  if (!up || !leader?.up || sid === leader.sid || state.quiet) return false;
  const ping = leader.pings.find((report) => report.sid === sid);
  return ping?.rttMs === null && ping.heardMsAgo !== null && ping.heardMsAgo > UNHEARD_MS;
}

/** Whether a node is up and reachable for the others. */
export const isThere = (state: EnsembleState, node: NodeState): boolean => node.up && !isCutOff(state, node);

/** Number of nodes that are up and reachable. */
export const upCount = (state: EnsembleState): number =>
  state.nodes.filter((node) => isThere(state, node)).length;

/** Whether no node could take a write; false for an ensemble that sleeps, because it wakes for a write, or is not known. */
export const lacksQuorum = (state: EnsembleState | undefined): boolean =>
  state !== undefined && !state.quiet && (state.leader === null || upCount(state) < state.quorum);

/** Number of txns by which a node is behind the most advanced reachable node of its epoch; null if it is in an older epoch. */
export function txnsBehind(state: EnsembleState, zxid: string): number | null {
  let furthest = "0x0";
  for (const node of state.nodes)
    if (node.up && isThere(state, node) && compareZxidText(node.lastZxid, furthest) > 0)
      furthest = node.lastZxid;
  const distance = BigInt(furthest) - BigInt(zxid);
  return distance < 2n ** 32n ? Number(distance) : null;
}

/** Whether two states look the same on the ring and in the list of nodes, which do not show times of pings. */
export function looksSame(a: EnsembleState | undefined, b: EnsembleState | undefined): boolean {
  if (a === b || a === undefined || b === undefined) return a === b;
  return shownOf(a) === shownOf(b);
}

const shownOf = (state: EnsembleState): string =>
  JSON.stringify([
    { ...state, nodes: null },
    state.nodes.map((node) => [node.up ? shownOfUp(node) : node.sid, isCutOff(state, node)]),
  ]);

const shownOfUp = ({
  sid,
  role,
  phase,
  leader,
  lastZxid,
  activeSet,
  currentEpoch,
  sessions,
  znodes,
}: NodeUp) => [...[sid, role, phase, leader, lastZxid, activeSet, currentEpoch, sessions, znodes]];
