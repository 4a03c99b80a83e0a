/** Where the ring draws nodes and links. */
import type { EnsembleState } from "../../api/types.ts";
import { linkSigns } from "../faults/fault-signs.ts";
import type { Faults } from "../faults/faults-known.ts";
import { activeSetOf, isThere } from "./ensemble-view.ts";
import { type Point, ringPositions } from "./packets.ts";

/** Places and sizes, px. */
export interface Geometry {
  readonly width: number;
  readonly height: number;
  readonly centre: Point;
  readonly nodeRadius: number;
  /** Too narrow for a label at every node. */
  readonly terse: boolean;
  readonly places: ReadonlyMap<number, Point>;
}

/** The ring fills the given height between these limits, px. */
const HEIGHT_MIN = 372;
const HEIGHT_MAX = 760;
const LABEL_ROOM = 54;
const CROWN_ROOM = 26;

/** @param width width of the box, px @param room its height, px */
export function layout(state: EnsembleState, width: number, room: number): Geometry {
  const height = Math.max(HEIGHT_MIN, Math.min(room, HEIGHT_MAX));
  const nodeRadius = state.size > 5 ? (width < 420 ? 18 : 25) : width < 420 ? 23 : 32;
  // a triangle is narrower and lower than its circle
  const [wide, high] = state.size === 3 ? [0.87, 1.5] : [1, 2];
  const radius = Math.min(
    (width / 2 - nodeRadius - 22) / wide,
    (height - 2 * nodeRadius - LABEL_ROOM - CROWN_ROOM) / high,
  );
  const needed = CROWN_ROOM + 2 * nodeRadius + high * radius + LABEL_ROOM;
  const centre = { x: width / 2, y: CROWN_ROOM + nodeRadius + radius + Math.max(0, height - needed) / 2 };
  const spots = ringPositions(state.size, centre, radius);
  const places = new Map(state.nodes.map((node, i) => [node.sid, spots[i] ?? centre]));
  return { width, height, centre, nodeRadius, places, terse: state.size > 3 && width < 480 };
}

/** A link as it is drawn. */
export interface Link {
  readonly key: string;
  readonly from: Point;
  readonly to: Point;
  readonly kind: string;
  /** Its faults in words. */
  readonly signs: readonly string[];
}

/** All links, each once, the lower sid first. */
export function linksOf(state: EnsembleState, faults: Faults, geometry: Geometry): readonly Link[] {
  const active = new Set(activeSetOf(state));
  const sids = state.nodes.map((node) => node.sid);
  const signs = new Map(linkSigns(sids, faults.ofNode).map((sign) => [`${sign.a}-${sign.b}`, sign]));
  const links: Link[] = [];
  for (const a of state.nodes) {
    for (const b of state.nodes) {
      if (a.sid >= b.sid) continue;
      const from = geometry.places.get(a.sid);
      const to = geometry.places.get(b.sid);
      if (!from || !to) continue;
      const key = `${a.sid}-${b.sid}`;
      const sign = signs.get(key);
      const isLed = state.leader === a.sid || state.leader === b.sid;
      const other = state.leader === a.sid ? b : a;
      const isBroken = !isThere(state, a) || !isThere(state, b) || sign?.kind === "cut";
      const kind = isBroken ? "broken" : sign ? "impaired" : isLed && active.has(other.sid) ? "led" : "idle";
      // a node that is cut off from all says so itself
      const words = sign?.kind === "cut" && (isCutFromAll(faults, a.sid) || isCutFromAll(faults, b.sid));
      links.push({ key, from, to, kind, signs: words ? [] : (sign?.words ?? []) });
    }
  }
  return links;
}

const isCutFromAll = (faults: Faults, sid: number): boolean =>
  (faults.ofNode.get(sid) ?? []).some(
    ({ fault, peers, direction }) =>
      fault === "isolate" && peers === undefined && (direction === undefined || direction === "both"),
  );
