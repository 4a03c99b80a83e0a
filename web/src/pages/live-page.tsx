/** The page: the ensemble as a ring, controls that break it, and the goals that survive. */
import { useRef } from "react";
import { apiBase } from "../api/http.ts";
import { BrokersPanel } from "../features/brokers/brokers-panel.tsx";
import { EnsemblePanel } from "../features/ensemble/ensemble-panel.tsx";
import { MembersPanel } from "../features/ensemble/members-panel.tsx";
import { PingPanel } from "../features/ensemble/ping-panel.tsx";
import { viewOf } from "../features/ensemble/slice.ts";
import { useAnnouncements } from "../features/ensemble/use-announcements.ts";
import { useGoalsControls } from "../features/goals/goals-controls.ts";
import { GoalsPanel } from "../features/goals/goals-panel.tsx";
import { EventLog } from "../features/log/event-log.tsx";
import { useTheme } from "../hooks/use-theme.ts";
import { useLive } from "../store/live-context.ts";
import { LiveProvider } from "../store/live-provider.tsx";
import { useErrorToasts } from "../store/use-error-toasts.ts";
import { isUnknownEnsemble } from "./api-notice.tsx";
import { HelpDialog } from "./help-dialog.tsx";
import { TopBar } from "./top-bar.tsx";
import { usePageKeys } from "./use-page-keys.ts";

/** @param props.ensemble name of the ensemble; null: the default one */
export function LivePage({ ensemble }: { readonly ensemble: string | null }) {
  const base = apiBase(ensemble);
  return (
    <LiveProvider key={base} base={base}>
      <Page ensemble={ensemble} />
    </LiveProvider>
  );
}

function Page({ ensemble }: { readonly ensemble: string | null }) {
  const theme = useTheme();
  const goals = useGoalsControls();
  const help = useRef<HTMLDialogElement>(null);
  const playerInput = useRef<HTMLInputElement>(null);
  const name = useLive((live) => viewOf(live)?.ensemble);
  const stale = useLive((live) => live.problem !== null);
  const unknown = useLive((live) => isUnknownEnsemble(live.problem));
  const openHelp = () => help.current?.showModal();
  useAnnouncements();
  useErrorToasts();
  usePageKeys({
    goals,
    openHelp,
    nextTheme: theme.nextTheme,
    writeGoal: () => playerInput.current?.focus(),
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
          <MembersPanel />
          <GoalsPanel controls={goals} playerInput={playerInput} />
          <BrokersPanel />
          <PingPanel />
          <EventLog />
        </main>
      )}
      <HelpDialog dialog={help} />
    </>
  );
}

function Announcer() {
  const announcement = useLive((live) => live.announcement);
  return (
    <div className="sr-only" role="status" aria-live="assertive">
      {announcement}
    </div>
  );
}
