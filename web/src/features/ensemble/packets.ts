/**
 * Packets on the ring: sender, receivers and times of the message behind an event. The position of a packet is a function
 * of the packet and the time, so no state has to be updated.
 */
import type { ProtocolEvent } from "../../api/types.ts";

/** Kinds of messages that the ring shows. */
export type PacketKind = "PROPOSAL" | "ACK" | "COMMIT" | "PING" | "VOTE" | "SYNC";

/** A message that flies from one node to another. */
export interface Packet {
  readonly kind: PacketKind;
  readonly from: number;
  readonly to: number;
  /** Departure on the page's clock, ms. */
  readonly startMs: number;
  readonly durationMs: number;
}

/** A point on the ring, px. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Time for which a packet flies, ms: slow motion, since the real message takes about a millisecond. */
export const FLIGHT_MS: Readonly<Record<PacketKind, number>> = {
  PROPOSAL: 460,
  ACK: 420,
  COMMIT: 460,
  PING: 700,
  VOTE: 620,
  SYNC: 700,
};

/** Packets that fly at the same time, at most: a busy ensemble commits hundreds of batches a second. */
export const PACKETS_MAX = 90;
/** Packets of one kind between the same two nodes within this time are shown as one, ms. */
const MERGE_MS = 140;
/** Events that arrive together keep their distances in time, up to this limit, ms. */
const SPREAD_MS_MAX = 400;

/** The packet that shows an event; null if no message was sent. */
const KIND_OF: Readonly<Record<ProtocolEvent["type"], PacketKind | null>> = {
  propose: "PROPOSAL",
  ack: "ACK",
  commit: "COMMIT",
  ping: "PING",
  vote: "VOTE",
  sync: "SYNC",
  role: null,
  epoch: null,
  active: null,
  link: null,
  fault: null,
  gap: null,
};

/** What determines the receivers of an event. */
export interface RingView {
  /** All sids of the ensemble. */
  readonly sids: readonly number[];
  readonly leader: number | null;
  /** Nodes that are up, as far as is known. */
  readonly up: ReadonlySet<number>;
}

/** Sender and receivers of the message behind an event; no receivers if none was sent. */
export function routeOf(event: ProtocolEvent, view: RingView): { from: number; to: number[] } {
  const nowhere = { from: event.sid, to: [] };
  if (!KIND_OF[event.type]) return nowhere;
  if (typeof event.to === "number") return { from: event.from ?? event.sid, to: [event.to] };
  if (event.to !== undefined) return { from: event.from ?? event.sid, to: [...event.to] };
  if (event.from !== undefined) return { from: event.from, to: [event.sid] };
  const others = view.sids.filter((sid) => sid !== event.sid);
  if (event.type === "propose" || event.type === "vote") return { from: event.sid, to: others };
  // the leader's event is the departure of COMMIT, a follower's the arrival
  if (event.type === "commit") {
    if (event.sid === view.leader) return { from: event.sid, to: others.filter((sid) => view.up.has(sid)) };
    return nowhere;
  }
  if (event.type === "ack" && view.leader !== null && view.leader !== event.sid) {
    return { from: event.sid, to: [view.leader] };
  }
  return nowhere;
}

/**
 * The packets that `events`, received together at `nowMs`, put in the air, beside those of `flying`
 * that have not arrived. Receivers that are down are included: the reader should see that nothing answers.
 */
export function launch(
  flying: readonly Packet[],
  events: readonly ProtocolEvent[],
  view: RingView,
  nowMs: number,
): readonly Packet[] {
  const air = flying.filter((packet) => !hasArrived(packet, nowMs));
  const firstAt = events[0]?.at ?? 0;
  const latest = new Map(air.map((packet) => [pathKey(packet), packet.startMs]));
  for (const event of events) {
    const kind = KIND_OF[event.type];
    if (!kind) continue;
    const delay = Math.min(SPREAD_MS_MAX, Math.max(0, event.at - firstAt));
    const startMs = nowMs + delay + STAGE_MS[kind];
    const route = routeOf(event, view);
    for (const to of route.to) {
      if (air.length >= PACKETS_MAX || to === route.from) continue;
      const packet = { kind, from: route.from, to, startMs, durationMs: FLIGHT_MS[kind] };
      const last = latest.get(pathKey(packet));
      if (last !== undefined && startMs - last < MERGE_MS) continue;
      latest.set(pathKey(packet), startMs);
      air.push(packet);
    }
  }
  return air;
}

/** Delay of the steps of a txn, ms: they take a millisecond or two, and are shown one after the other. */
const STAGE_MS: Readonly<Record<PacketKind, number>> = {
  PROPOSAL: 0,
  ACK: 400,
  COMMIT: 760,
  PING: 0,
  VOTE: 0,
  SYNC: 0,
};

/** Whether a packet has arrived at `nowMs`. */
export const hasArrived = (packet: Packet, nowMs: number): boolean =>
  nowMs >= packet.startMs + packet.durationMs;

/** Point at `t` (0 to 1) of the path, which is slightly curved so that both directions of a link stay apart. */
export function pointOnPath(from: Point, to: Point, t: number, bow = 0.09): Point {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const lift = 4 * t * (1 - t) * bow;
  return { x: from.x + dx * t - dy * lift, y: from.y + dy * t + dx * lift };
}

/** Positions of `count` nodes on a circle, the first at the top, clockwise. */
export function ringPositions(count: number, centre: Point, radius: number): Point[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count - Math.PI / 2;
    return { x: centre.x + radius * Math.cos(angle), y: centre.y + radius * Math.sin(angle) };
  });
}

const pathKey = (packet: Packet): string => `${packet.kind}${packet.from}>${packet.to}`;
