/** Epoch and quorum, in the middle of the ring. */
import type { EnsembleState } from "../../api/types.ts";
import { upCount } from "./ensemble-view.ts";
import type { Geometry } from "./ring-geometry.ts";

interface Props {
  readonly state: EnsembleState;
  readonly geometry: Geometry;
}

/** Shows the epoch, how many nodes are up, and how many a quorum needs. */
export function RingCentre({ state, geometry }: Props) {
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
