/** The single-key shortcuts of the page. */
import type { FaultAction } from "../api/calls.ts";
import { isThere } from "../features/ensemble/ensemble-view.ts";
import { viewOf } from "../features/ensemble/slice.ts";
import { disarm, fire, pressToBreak } from "../features/faults/armed-key.ts";
import { breakWords, HEAL, nodeFaultOf } from "../features/faults/fault-actions.ts";
import { canBreak } from "../features/faults/slice.ts";
import { useFault } from "../features/faults/use-fault.ts";
import type { GoalsControls } from "../features/goals/goals-controls.ts";
import { type Hotkeys, useHotkeys } from "../hooks/use-hotkeys.ts";
import { useLive, useLiveStore } from "../store/live-context.ts";
import type { LiveState, LiveStore } from "../store/live-store.ts";

/** Controls that keys use and that belong to the page. */
export interface PageControls {
  readonly goals: GoalsControls;
  readonly openHelp: () => void;
  readonly nextTheme: () => void;
  readonly writeGoal: () => void;
}

/** Handles the keys while the page is shown; the help dialog lists them. */
export function usePageKeys({ goals, openHelp, nextTheme, writeGoal }: PageControls): void {
  const store = useLiveStore();
  const { inflict } = useFault();
  const size = useLive((live) => viewOf(live)?.size ?? 0);
  const breaks = (key: string, action: FaultAction) => () => {
    const live = store.getState();
    const sid = live.selectedSid ?? viewOf(live)?.leader ?? null;
    if (!canBreak(live) || sid === null) return;
    pressToBreak(store, key, breakWords(sid, action), () => inflict(nodeFaultOf(sid, action)));
  };
  const mends = () => {
    const live = store.getState();
    const sid = live.selectedSid ?? firstBroken(live);
    if (canBreak(live) && sid !== null) inflict(nodeFaultOf(sid, "heal"));
  };
  useHotkeys({
    ...selectKeys(store, size),
    k: breaks("k", "kill"),
    c: breaks("c", "crash"),
    s: breaks("s", "pause"),
    x: breaks("x", "isolate"),
    r: mends,
    h: () => canBreak(store.getState()) && inflict(HEAL),
    g: writeGoal,
    p: () => (goals.heldFrom === null ? goals.hold() : goals.follow()),
    m: () => goals.setOrder(goals.order === "offset" ? "minute" : "offset"),
    t: nextTheme,
    "?": openHelp,
    Enter: { when: () => store.getState().armed !== null, run: () => fire(store) },
    Escape: () => {
      disarm(store);
      store.setState({ selectedSid: null, toast: null, replaying: false });
    },
  });
}

/** The first node that is broken. */
function firstBroken({ faults, status: { view } }: LiveState): number | null {
  return view?.nodes.find((node) => !isThere(view, node) || faults.ofNode.has(node.sid))?.sid ?? null;
}

function selectKeys(store: LiveStore, size: number): Hotkeys {
  const sids = Array.from({ length: size }, (_, i) => i + 1);
  const toggle = (sid: number) => () =>
    store.setState(({ selectedSid }) => ({ selectedSid: selectedSid === sid ? null : sid }));
  return Object.fromEntries(sids.map((sid) => [String(sid), toggle(sid)]));
}
