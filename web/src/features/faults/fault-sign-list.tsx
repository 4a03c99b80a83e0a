import { Icon } from "../../ui/icon.tsx";
import type { FaultSign } from "./fault-signs.ts";

/** Faults of a node or broker, each in words. */
export function FaultSigns({ signs }: { signs: readonly FaultSign[] }) {
  if (signs.length === 0) return null;
  return (
    <ul className="fault-signs">
      {signs.map(({ fault, text }) => (
        <li key={fault} data-fault={fault}>
          <Icon name="bolt" size={11} /> {text}
        </li>
      ))}
    </ul>
  );
}
