/** The one page: cause on the left, effect on the right. */
import { useEffect, useRef, useState } from "react";
import { type FaultAction, TOPIC } from "../api/calls.ts";
import { ApiProblem, apiBase } from "../api/http.ts";
import type { ClusterState } from "../api/types.ts";
import { BrokersPanel } from "../components/brokers-panel.tsx";
import { EnsemblePanel } from "../components/ensemble-panel.tsx";
import { EventLog } from "../components/event-log.tsx";
import { HEAL, nodeFaultOf } from "../components/faults.ts";
import { GoalsPanel, useGoalsControls } from "../components/goals-panel.tsx";
import { HelpDialog } from "../components/help-dialog.tsx";
import { MembersPanel } from "../components/members-panel.tsx";
import { Notice } from "../components/notice.tsx";
import { PingPanel } from "../components/ping-panel.tsx";
import { Toaster } from "../components/toaster.tsx";
import { TopBar } from "../components/top-bar.tsx";
import { resetLive, useLive } from "../hooks/live-store.ts";
import { useEvents } from "../hooks/use-events.ts";
import { useFault } from "../hooks/use-fault.ts";
import { useGoals } from "../hooks/use-goals.ts";
import { useHotkeys } from "../hooks/use-hotkeys.ts";
import { useCluster, useEnsemble, useFaults } from "../hooks/use-status.ts";
import { useTheme } from "../hooks/use-theme.ts";
import { useWatchman } from "../hooks/use-watchman.ts";
import { isThere } from "../model/ensemble-view.ts";

export function LivePage({ ensemble }: { ensemble: string | null }) {
  const base = apiBase(ensemble);
  useEffect(() => resetLive, []);
  useEvents(base);
  const status = useEnsemble(base);
  const cluster = useCluster(base);
  useGoals(base, useHasGoals(cluster.data, cluster.isError));
  const faults = useFaults(base);
  const theme = useTheme();
  const goals = useGoalsControls();
  const help = useRef<HTMLDialogElement>(null);
  const playerInput = useRef<HTMLInputElement>(null);
  const { mutate } = useFault(base);
  const announcement = useLive((live) => live.announcement);
  const state = status.data;
  useWatchman(state);

  const act = (action: FaultAction) => () => {
    const sid = useLive.getState().selectedSid ?? defaultTarget(action);
    if (faults.state === "on" && sid !== null) mutate(nodeFaultOf(sid, action));
  };
  const defaultTarget = (action: FaultAction): number | null => {
    if (action === "heal")
      return state?.nodes.find((node) => !isThere(state, node) || faults.ofNode.has(node.sid))?.sid ?? null;
    return state?.leader ?? null;
  };
  const openHelp = () => help.current?.showModal();
  useHotkeys({
    ...selectKeys(state?.size ?? 0),
    k: act("kill"),
    c: act("crash"),
    s: act("pause"),
    x: act("isolate"),
    r: act("heal"),
    h: () => faults.state === "on" && mutate(HEAL),
    g: () => playerInput.current?.focus(),
    p: () => (goals.heldFrom === null ? goals.hold() : goals.follow()),
    m: () => goals.setOrder(goals.order === "offset" ? "minute" : "offset"),
    t: theme.nextTheme,
    "?": openHelp,
    Escape: () => useLive.setState({ selectedSid: null, toast: null }),
  });

  return (
    <>
      <TopBar ensemble={state?.ensemble ?? ensemble ?? "default"} theme={theme} onHelp={openHelp} />
      <main className="page">
        <div className="sr-only" role="status" aria-live="assertive">
          {announcement}
        </div>
        {status.error && <ApiDown error={status.error} stale={state !== undefined} />}
        {state ? (
          <>
            <EnsemblePanel state={state} />
            <MembersPanel base={base} state={state} faults={faults} />
          </>
        ) : (
          <div className="panel panel-ensemble">
            <p className="empty">{status.error ? "The ensemble cannot be shown." : "Asking the nodes…"}</p>
          </div>
        )}
        <GoalsPanel base={base} controls={goals} playerInput={playerInput} />
        <BrokersPanel base={base} cluster={cluster.data} problem={cluster.error?.message} faults={faults} />
        {state && <PingPanel state={state} />}
        <EventLog />
      </main>
      <Toaster />
      <HelpDialog dialog={help} />
    </>
  );
}

/** Whether the topic exists. When that cannot be told, yes: the stream then says what is the matter. */
function useHasGoals(cluster: ClusterState | undefined, failed: boolean): boolean {
  const [found, setFound] = useState(false);
  const exists = cluster ? cluster.topics.some((topic) => topic.name === TOPIC) : failed;
  // Once found, a list of topics that is short for a while ends no stream.
  if (exists && !found) setFound(true);
  return found || exists;
}

function ApiDown({ error, stale }: { error: Error; stale: boolean }) {
  const unknown = error instanceof ApiProblem && error.code === "UNKNOWN_ENSEMBLE";
  if (unknown) return <Notice title="No such ensemble." text={error.message} />;
  const unreachable = error instanceof ApiProblem && error.status === 0;
  const last = stale ? " What you see is the last state known." : "";
  return (
    <Notice
      title={unreachable ? "The API does not answer." : "The API cannot tell how the ensemble is:"}
      text={`${unreachable ? "" : `${error.message}. `}Trying again every second.${last}`}
    />
  );
}

function selectKeys(size: number): Record<string, () => void> {
  const keys: Record<string, () => void> = {};
  for (let sid = 1; sid <= size; sid++) {
    keys[String(sid)] = () =>
      useLive.setState(({ selectedSid }) => ({ selectedSid: selectedSid === sid ? null : sid }));
  }
  return keys;
}
