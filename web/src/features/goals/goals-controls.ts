/** How the list of goals is ordered, and whether it follows the log. */
import { useMemo, useState } from "react";
import { useLiveStore } from "../../store/live-context.ts";

/** Order of the list: as stored, or by the minute of the match. */
export type GoalOrder = "offset" | "minute";

/** State of the list, and the functions that change it. */
export interface GoalsControls {
  readonly order: GoalOrder;
  readonly setOrder: (order: GoalOrder) => void;
  /** The end of the log when the list was paused; null while it follows. */
  readonly heldFrom: number | null;
  readonly hold: () => void;
  readonly follow: () => void;
}

/** Creates the controls; they begin with the order of the log, following it. */
export function useGoalsControls(): GoalsControls {
  const store = useLiveStore();
  const [order, setOrder] = useState<GoalOrder>("offset");
  const [heldFrom, setHeldFrom] = useState<number | null>(null);
  return useMemo(
    () => ({
      order,
      setOrder,
      heldFrom,
      hold: () => setHeldFrom((now) => now ?? store.getState().goals.end),
      follow: () => setHeldFrom(null),
    }),
    [store, order, heldFrom],
  );
}
