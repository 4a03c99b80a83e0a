/**
 * Packets on the ring: which event flies from where to where, and where it is at a given time.
 * The position is a function of (packet, now), so nothing has to be kept in step.
 */
import type { ProtocolEvent } from "../../api/types.ts";

export type PacketKind = "PROPOSAL" | "ACK" | "COMMIT" | "PING" | "VOTE" | "SYNC";

export interface Packet {
  readonly kind: PacketKind;
  readonly from: number;
  readonly to: number;
  /** Departure on the page's clock, ms. */
  readonly startMs: number;
  readonly durationMs: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How long a packet is shown on its way. The real one takes about a millisecond: this is slow motion. */
export const FLIGHT_MS: Readonly<Record<PacketKind, number>> = {
  PROPOSAL: 460,
  ACK: 420,
  COMMIT: 460,
  PING: 700,
  VOTE: 620,
  SYNC: 700,
};

/** At most this many packets in the air: a busy ensemble commits hundreds of batches a second. */
export const PACKETS_MAX = 90;
/** Packets of one kind between the same two nodes within this time are shown as one. */
const MERGE_MS = 140;
/** Events of one piece of the stream keep their distances in time, up to this much. */
const SPREAD_MS_MAX = 400;

/** The packet that an event shows; null: nothing travelled. */
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

export interface RingView {
  /** All sids of the ensemble. */
  readonly sids: readonly number[];
  readonly leader: number | null;
  /** Who is up, as far as is known. */
  readonly up: ReadonlySet<number>;
}

/** Sender and receivers of an event; empty when nothing travelled. */
export function routeOf(event: ProtocolEvent, view: RingView): { from: number; to: number[] } {
  const nowhere = { from: event.sid, to: [] };
  if (!KIND_OF[event.type]) return nowhere;
  if (typeof event.to === "number") return { from: event.from ?? event.sid, to: [event.to] };
  if (event.to !== undefined) return { from: event.from ?? event.sid, to: [...event.to] };
  if (event.from !== undefined) return { from: event.from, to: [event.sid] };
  const others = view.sids.filter((sid) => sid !== event.sid);
  if (event.type === "propose" || event.type === "vote") return { from: event.sid, to: others };
  // A follower's own commit is the arrival of the leader's COMMIT; the leader's is its departure.
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
 * that have not arrived. Dead receivers are left in: that the packet finds nobody is the story.
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

/** A txn's three steps happen within a millisecond or two: they are shown one after the other. */
const STAGE_MS: Readonly<Record<PacketKind, number>> = {
  PROPOSAL: 0,
  ACK: 400,
  COMMIT: 760,
  PING: 0,
  VOTE: 0,
  SYNC: 0,
};

export const hasArrived = (packet: Packet, nowMs: number): boolean =>
  nowMs >= packet.startMs + packet.durationMs;

/** Point at `t` of the way, on a slight bow, so that both directions of a link stay apart. */
export function pointOnPath(from: Point, to: Point, t: number, bow = 0.09): Point {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const lift = 4 * t * (1 - t) * bow;
  return { x: from.x + dx * t - dy * lift, y: from.y + dy * t + dx * lift };
}

/** Places of `count` nodes on a circle, the first at the top, clockwise. */
export function ringPositions(count: number, centre: Point, radius: number): Point[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count - Math.PI / 2;
    return { x: centre.x + radius * Math.cos(angle), y: centre.y + radius * Math.sin(angle) };
  });
}

const pathKey = (packet: Packet): string => `${packet.kind}${packet.from}>${packet.to}`;
