/** The links of the ring, with the faults that affect them. */
import type { EnsembleState } from "../../api/types.ts";
import type { Faults } from "../faults/faults-known.ts";
import { type Geometry, linksOf } from "./ring-geometry.ts";

/** Position of a sign on its link, from 0 to 1: beside the middle, which the epoch may cover. */
const SIGN_AT = 0.36;

interface Props {
  readonly state: EnsembleState;
  readonly faults: Faults;
  readonly geometry: Geometry;
}

/** Draws every link, with its faults in words. */
export function RingLinks({ state, faults, geometry }: Props) {
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
