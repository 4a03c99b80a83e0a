/** The one page: the ring, what breaks it, and the goals that survive. */
import { useRef } from "react";
import type { FaultAction } from "../api/calls.ts";
import { apiBase } from "../api/http.ts";
import { BrokersPanel } from "../features/brokers/brokers-panel.tsx";
import { EnsemblePanel } from "../features/ensemble/ensemble-panel.tsx";
import { isThere } from "../features/ensemble/ensemble-view.ts";
import { MembersPanel } from "../features/ensemble/members-panel.tsx";
import { PingPanel } from "../features/ensemble/ping-panel.tsx";
import { useWatchman } from "../features/ensemble/use-announcements.ts";
import { disarm, fire, pressToBreak } from "../features/faults/armed-key.ts";
import { breakWords, HEAL, nodeFaultOf } from "../features/faults/fault-actions.ts";
import { LiveContext, useFault } from "../features/faults/use-fault.ts";
import { useGoalsControls } from "../features/goals/goals-controls.ts";
import { GoalsPanel } from "../features/goals/goals-panel.tsx";
import { EventLog } from "../features/log/event-log.tsx";
import { useHotkeys } from "../hooks/use-hotkeys.ts";
import { useTheme } from "../hooks/use-theme.ts";
import { canBreak, useLive, viewOf } from "../store/live-store.ts";
import { useLiveData } from "../store/use-live-data.ts";
import { isUnknownEnsemble } from "./api-notice.tsx";
import { HelpDialog } from "./help-dialog.tsx";
import { TopBar } from "./top-bar.tsx";

export function LivePage({ ensemble }: { ensemble: string | null }) {
  const base = apiBase(ensemble);
  const live = useLiveData(base);
  return (
    <LiveContext value={live}>
      <Page base={base} ensemble={ensemble} />
    </LiveContext>
  );
}

function Page({ base, ensemble }: { base: string; ensemble: string | null }) {
  const theme = useTheme();
  const goals = useGoalsControls();
  const help = useRef<HTMLDialogElement>(null);
  const playerInput = useRef<HTMLInputElement>(null);
  const { inflict } = useFault(base);
  const size = useLive((state) => viewOf(state)?.size ?? 0);
  const name = useLive((state) => viewOf(state)?.ensemble);
  const stale = useLive((state) => state.problem !== null);
  const unknown = useLive((state) => isUnknownEnsemble(state.problem));
  useWatchman();

  const openHelp = () => help.current?.showModal();
  const breaks = (key: string, action: FaultAction) => () => {
    const { selectedSid } = useLive.getState();
    const sid = selectedSid ?? viewOf(useLive.getState())?.leader ?? null;
    if (!canBreak(useLive.getState()) || sid === null) return;
    pressToBreak(key, breakWords(sid, action), () => inflict(nodeFaultOf(sid, action)));
  };
  const mends = () => {
    const sid = useLive.getState().selectedSid ?? firstBroken();
    if (canBreak(useLive.getState()) && sid !== null) inflict(nodeFaultOf(sid, "heal"));
  };
  useHotkeys({
    ...selectKeys(size),
    k: breaks("k", "kill"),
    c: breaks("c", "crash"),
    s: breaks("s", "pause"),
    x: breaks("x", "isolate"),
    r: mends,
    h: () => canBreak(useLive.getState()) && inflict(HEAL),
    g: () => playerInput.current?.focus(),
    p: () => (goals.heldFrom === null ? goals.hold() : goals.follow()),
    m: () => goals.setOrder(goals.order === "offset" ? "minute" : "offset"),
    t: theme.nextTheme,
    "?": openHelp,
    Enter: { when: () => useLive.getState().armed !== null, run: fire },
    Escape: () => {
      disarm();
      useLive.setState({ selectedSid: null, toast: null, replaying: false });
    },
  });

  return (
    <>
      <TopBar ensemble={name ?? ensemble ?? "default"} theme={theme} onHelp={openHelp} />
      <Announcer />
      {unknown ? (
        <main className="page page-unknown">
          <p className="empty">There is no such ensemble.</p>
        </main>
      ) : (
        <main className={`page${stale ? " is-stale" : ""}`} data-stale={stale}>
          <EnsemblePanel />
          <MembersPanel base={base} />
          <GoalsPanel controls={goals} playerInput={playerInput} />
          <BrokersPanel base={base} />
          <PingPanel />
          <EventLog />
        </main>
      )}
      <HelpDialog dialog={help} />
    </>
  );
}

function Announcer() {
  const announcement = useLive((state) => state.announcement);
  return (
    <div className="sr-only" role="status" aria-live="assertive">
      {announcement}
    </div>
  );
}

/** The first node that something is wrong with. */
function firstBroken(): number | null {
  const { faults, status } = useLive.getState();
  const { view } = status;
  return view?.nodes.find((node) => !isThere(view, node) || faults.ofNode.has(node.sid))?.sid ?? null;
}

function selectKeys(size: number): Record<string, () => void> {
  const keys: Record<string, () => void> = {};
  for (let sid = 1; sid <= size; sid++) {
    keys[String(sid)] = () =>
      useLive.setState(({ selectedSid }) => ({ selectedSid: selectedSid === sid ? null : sid }));
  }
  return keys;
}
