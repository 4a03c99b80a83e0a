/** The ensemble as a ring: who leads, who follows, who is gone, and the messages between them. */
import { useMemo, useRef } from "react";
import type { EnsembleState, NodeState } from "../../api/types.ts";
import { showZxid } from "../../api/zxid.ts";
import { useElementSize } from "../../hooks/use-element-size.ts";
import { useLive } from "../../store/live-store.ts";
import { linkSigns, signOf } from "../faults/fault-signs.ts";
import type { Faults } from "../faults/faults-known.ts";
import { activeSetOf, isCutOff, isThere, upCount } from "./ensemble-view.ts";
import { type EventSource, PacketLayer } from "./packet-layer.tsx";
import { type Point, ringPositions } from "./packets.ts";

interface Geometry {
  readonly width: number;
  readonly height: number;
  readonly centre: Point;
  readonly nodeRadius: number;
  /** Too narrow for a word at every node. */
  readonly terse: boolean;
  readonly places: ReadonlyMap<number, Point>;
}

/** Heights between which the ring fills the room that it is given, px. */
const HEIGHT_MIN = 372;
const HEIGHT_MAX = 760;
const LABEL_ROOM = 54;
const CROWN_ROOM = 26;

function layout(state: EnsembleState, width: number, room: number): Geometry {
  const height = Math.max(HEIGHT_MIN, Math.min(room, HEIGHT_MAX));
  const nodeRadius = state.size > 5 ? (width < 420 ? 18 : 25) : width < 420 ? 23 : 32;
  // A triangle is neither as wide nor as high as its circle.
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

interface Props {
  readonly state: EnsembleState;
  readonly faults: Faults;
  /** Where the events come from whose packets fly. */
  readonly events: EventSource;
}

export function EnsembleRing({ state, faults, events }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const { width, height } = useElementSize(box);
  const geometry = useMemo(
    () => (width > 0 ? layout(state, width, height) : undefined),
    [state, width, height],
  );
  return (
    <div className={`ring${state.size > 3 ? " ring-large" : ""}`} ref={box}>
      {geometry && (
        <>
          <svg width={geometry.width} height={geometry.height} role="img" aria-label={summary(state)}>
            <Links state={state} faults={faults} geometry={geometry} />
            {state.nodes.map((node) => (
              <RingNode key={node.sid} node={node} state={state} faults={faults} geometry={geometry} />
            ))}
          </svg>
          <PacketLayer
            // what flies between places that have moved is let go
            key={`${geometry.width} ${geometry.height}`}
            sids={state.nodes.map((node) => node.sid)}
            up={new Set(state.nodes.filter((node) => isThere(state, node)).map((node) => node.sid))}
            leader={state.leader}
            places={geometry.places}
            nodeRadius={geometry.nodeRadius}
            events={events}
          />
          <Centre state={state} geometry={geometry} />
        </>
      )}
    </div>
  );
}

interface Link {
  readonly key: string;
  readonly from: Point;
  readonly to: Point;
  readonly kind: string;
  /** What is wrong with it, in words. */
  readonly signs: readonly string[];
}

function linksOf(state: EnsembleState, faults: Faults, geometry: Geometry): readonly Link[] {
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
      // Of a node that is cut off from all, the node itself says so.
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

/** Where on its link a sign stands, as a part of the way: beside the middle, which the epoch may cover. */
const SIGN_AT = 0.36;

function Links({ state, faults, geometry }: { state: EnsembleState; faults: Faults; geometry: Geometry }) {
  return (
    <g>
      {linksOf(state, faults, geometry).map(({ key, from, to, kind, signs }) => (
        <g key={key} data-testid={`link-${key}`} data-kind={kind} data-sign={signs.join(", ")}>
          {signs.length > 0 && (
            <title>{`Link of nodes ${key.replace("-", " and ")}: ${signs.join(", ")}`}</title>
          )}
          <line className={`link link-${kind}`} x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
          {signs.length > 0 && (
            <text
              className="link-sign"
              x={from.x + (to.x - from.x) * SIGN_AT}
              y={from.y + (to.y - from.y) * SIGN_AT + 4}
            >
              {signs[0]}
              {signs.length > 1 ? ` +${signs.length - 1}` : ""}
            </text>
          )}
        </g>
      ))}
    </g>
  );
}

function RingNode(props: { node: NodeState; state: EnsembleState; faults: Faults; geometry: Geometry }) {
  const { node, state, faults, geometry } = props;
  const place = geometry.places.get(node.sid);
  const selected = useLive((live) => live.selectedSid === node.sid);
  if (!place) return null;
  const { nodeRadius: r } = geometry;
  const leads = node.up && state.leader === node.sid;
  const look = lookOf(state, node, faults);
  // what its look says already is not said again
  const signs = (faults.ofNode.get(node.sid) ?? [])
    .filter(({ fault }) => !TOLD[look]?.includes(fault))
    .map(signOf);
  const wordy = !geometry.terse || look !== "follower";
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: for the mouse only; keys 1 to 9 and the list do the same
    <g
      className={`node node-${look === "cut" || look === "paused" ? "down" : look}${selected ? " node-selected" : ""}`}
      data-testid={`node-${node.sid}`}
      data-role={node.up ? node.role : "DOWN"}
      data-up={node.up}
      data-look={look}
      transform={`translate(${place.x} ${place.y})`}
      onClick={() => useLive.setState({ selectedSid: selected ? null : node.sid })}
    >
      <title>{nodeTitle(node, look)}</title>
      <circle className="node-halo" r={r + 6} />
      <circle className="node-disc" r={r} />
      <text className="node-sid" y={r * 0.2} style={{ fontSize: r * 0.66 }}>
        {node.sid}
      </text>
      {leads && <Crown y={-r - 4} scale={r / 23} />}
      {wordy && (
        <text className="node-role" y={r + 19}>
          {WORDS[look]}
        </text>
      )}
      <text className="node-zxid" y={r + (wordy ? 34 : 18)}>
        {node.up ? showZxid(node.lastZxid) : "–"}
      </text>
      {signs[0] && (
        <text className="node-sign" data-testid={`sign-${node.sid}`} y={r + (wordy ? 50 : 34)}>
          {signs[0].word}
          {signs.length > 1 ? `, ${signs.length - 1} more` : ""}
        </text>
      )}
    </g>
  );
}

export type Look = "leader" | "follower" | "looking" | "down" | "cut" | "paused";

/** Faults that a look stands for. */
const TOLD: Partial<Readonly<Record<Look, readonly string[]>>> = {
  down: ["kill"],
  cut: ["isolate"],
  paused: ["pause"],
};

const WORDS: Readonly<Record<Look, string>> = {
  leader: "leader",
  follower: "follower",
  looking: "voting",
  down: "down",
  cut: "cut off",
  paused: "paused",
};

export function lookOf(state: EnsembleState, node: NodeState, faults: Faults): Look {
  if ((faults.ofNode.get(node.sid) ?? []).some(({ fault }) => fault === "pause")) return "paused";
  if (!node.up) return "down";
  if (state.leader === node.sid) return "leader";
  if (isCutOff(state, node)) return "cut";
  return node.role === "FOLLOWING" ? "follower" : "looking";
}

function Crown({ y, scale }: { y: number; scale: number }) {
  return (
    <g transform={`translate(0 ${y}) scale(${scale})`}>
      <path className="crown" d="M-13 0 -15 -13 -6.500 -7.500 0 -17 6.500 -7.500 15 -13 13 0z" />
    </g>
  );
}

/** Epoch and quorum, in the middle of the ring. */
function Centre({ state, geometry }: { state: EnsembleState; geometry: Geometry }) {
  const up = upCount(state);
  const good = state.hasQuorum && state.leader !== null;
  return (
    <div
      className={`ring-centre ${good ? "is-good" : up < state.quorum ? "is-bad" : "is-busy"}`}
      style={{ left: geometry.centre.x, top: geometry.centre.y }}
    >
      <span className="ring-centre-word">epoch</span>
      <strong data-testid="epoch">{state.epoch}</strong>
      <span
        className="quorum"
        data-testid="quorum"
        data-has-quorum={good}
        title={`A write needs ${state.quorum} of ${state.size} nodes`}
      >
        <span className="quorum-dots" aria-hidden="true">
          {Array.from({ length: state.size }, (_, i) => (
            <i key={i} className={i < up ? "on" : ""} data-needed={i < state.quorum} />
          ))}
        </span>
        {up} of {state.size} up
      </span>
      <span className="ring-centre-need">
        {good ? "quorum" : up < state.quorum ? "no quorum" : "electing"} · needs {state.quorum}
      </span>
    </div>
  );
}

function nodeTitle(node: NodeState, look: Look): string {
  if (look === "paused") return `Node ${node.sid} is paused: it stops and keeps its memory`;
  if (!node.up) return `Node ${node.sid} is down`;
  if (look === "cut") return `Node ${node.sid} is cut off: the others do not hear it`;
  return `Node ${node.sid}: ${look === "leader" ? "leader" : node.role.toLowerCase()}, ${node.phase.toLowerCase()}, epoch ${node.currentEpoch}, last zxid ${node.lastZxid}, ${node.sessions} sessions, ${node.znodes} znodes`;
}

function summary(state: EnsembleState): string {
  const nodes = state.nodes.map((node) => {
    if (!node.up) return `node ${node.sid} is down`;
    if (isCutOff(state, node)) return `node ${node.sid} is cut off`;
    const role = state.leader === node.sid ? "leads" : node.role === "FOLLOWING" ? "follows" : "votes";
    return `node ${node.sid} ${role}`;
  });
  return `Ensemble of ${state.size}: ${nodes.join(", ")}.`;
}
