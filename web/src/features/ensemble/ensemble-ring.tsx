/** The ensemble as a ring: who leads, who follows, who is down, and the messages between them. */
import { useMemo, useRef } from "react";
import type { EnsembleState } from "../../api/types.ts";
import { useElementSize } from "../../hooks/use-element-size.ts";
import type { EventSource } from "../../store/arrivals.ts";
import type { Faults } from "../faults/faults-known.ts";
import { isCutOff, isThere } from "./ensemble-view.ts";
import { PacketLayer } from "./packet-layer.tsx";
import { RingCentre } from "./ring-centre.tsx";
import { layout } from "./ring-geometry.ts";
import { RingLinks } from "./ring-links.tsx";
import { RingNode } from "./ring-node.tsx";

interface Props {
  readonly state: EnsembleState;
  readonly faults: Faults;
  /** Events to animate as packets. */
  readonly events: EventSource;
}

/** Draws the ring as large as its box allows. */
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
            <RingLinks state={state} faults={faults} geometry={geometry} />
            {state.nodes.map((node) => (
              <RingNode key={node.sid} node={node} state={state} faults={faults} geometry={geometry} />
            ))}
          </svg>
          <PacketLayer
            // packets between places that have moved are dropped
            key={`${geometry.width} ${geometry.height}`}
            sids={state.nodes.map((node) => node.sid)}
            up={new Set(state.nodes.filter((node) => isThere(state, node)).map((node) => node.sid))}
            leader={state.leader}
            places={geometry.places}
            nodeRadius={geometry.nodeRadius}
            events={events}
          />
          <RingCentre state={state} geometry={geometry} />
        </>
      )}
    </div>
  );
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
