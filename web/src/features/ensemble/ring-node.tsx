/** One node of the ring. */
import type { EnsembleState, NodeState } from "../../api/types.ts";
import { showZxid } from "../../api/zxid.ts";
import { useLive, useLiveStore } from "../../store/live-context.ts";
import { signOf } from "../faults/fault-signs.ts";
import type { Faults } from "../faults/faults-known.ts";
import { type Look, lookOf } from "./look.ts";
import type { Geometry } from "./ring-geometry.ts";

interface Props {
  readonly node: NodeState;
  readonly state: EnsembleState;
  readonly faults: Faults;
  readonly geometry: Geometry;
}

/** Draws a node with its look, its zxid and its faults. */
export function RingNode(props: Props) {
  const { node, state, faults, geometry } = props;
  const place = geometry.places.get(node.sid);
  const store = useLiveStore();
  const selected = useLive((live) => live.selectedSid === node.sid);
  if (!place) return null;
  const { nodeRadius: r } = geometry;
  const leads = node.up && state.leader === node.sid;
  const look = lookOf(state, node, faults);
  // signs that the look does not already show
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
      onClick={() => store.setState({ selectedSid: selected ? null : node.sid })}
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

/** Faults that a look already shows. */
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

function Crown({ y, scale }: { y: number; scale: number }) {
  return (
    <g transform={`translate(0 ${y}) scale(${scale})`}>
      <path className="crown" d="M-13 0 -15 -13 -6.500 -7.500 0 -17 6.500 -7.500 15 -13 13 0z" />
    </g>
  );
}

function nodeTitle(node: NodeState, look: Look): string {
  if (look === "paused") return `Node ${node.sid} is paused: it stops and keeps its memory`;
  if (!node.up) return `Node ${node.sid} is down`;
  if (look === "cut") return `Node ${node.sid} is cut off: the others do not hear it`;
  return `Node ${node.sid}: ${look === "leader" ? "leader" : node.role.toLowerCase()}, ${node.phase.toLowerCase()}, epoch ${node.currentEpoch}, last zxid ${node.lastZxid}, ${node.sessions} sessions, ${node.znodes} znodes`;
}
