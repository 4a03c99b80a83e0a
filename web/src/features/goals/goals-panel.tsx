/** The goals, live: every record of the partition; only visible rows are in the document. */
import { memo, type RefObject } from "react";
import type { StreamState } from "../../api/live-socket.ts";
import { useLive } from "../../store/live-context.ts";
import { Icon } from "../../ui/icon.tsx";
import { Panel } from "../../ui/panel.tsx";
import { StreamBadge } from "../../ui/stream-badge.tsx";
import { GoalForm } from "./goal-form.tsx";
import { GoalList } from "./goal-list.tsx";
import type { GoalOrder, GoalsControls } from "./goals-controls.ts";

interface Props {
  readonly controls: GoalsControls;
  readonly playerInput: RefObject<HTMLInputElement | null>;
}

const HINTS: Readonly<Record<GoalOrder, string>> = {
  offset: "Same order for every reader. Violet: out of match order.",
  minute: "By the match clock, as the demo lists them.",
};

/** The form that posts goals, and the list of all goals. */
export const GoalsPanel = memo(function GoalsPanel({ controls, playerInput }: Props) {
  const stream = useLive((live) => live.goalsStream);
  const { order, heldFrom } = controls;
  return (
    <Panel
      title="Goals"
      area="goals"
      actions={
        <>
          <StreamBadge state={stream} />
          <OrderSwitch order={order} onChange={controls.setOrder} />
          <button
            type="button"
            className="button button-icon"
            aria-pressed={heldFrom !== null}
            title={heldFrom === null ? "Pause the list" : "Follow the list again"}
            aria-label="Pause the list"
            onClick={heldFrom === null ? controls.hold : controls.follow}
          >
            <Icon name={heldFrom === null ? "pause" : "play"} />
          </button>
        </>
      }
    >
      <GoalForm playerInput={playerInput} />
      <p className="goals-hint">{HINTS[order]}</p>
      <GoalList controls={controls} empty={whyEmpty(stream)} />
      {heldFrom !== null && <FollowPill heldFrom={heldFrom} follow={controls.follow} />}
    </Panel>
  );
});

/** Number of goals since the list was paused, in a row of its own. */
function FollowPill({ heldFrom, follow }: { heldFrom: number; follow: () => void }) {
  const news = useLive((live) => (live.goalsVersion >= 0 ? Math.max(0, live.goals.end - heldFrom) : 0));
  return (
    <button type="button" className="pill" onClick={follow} data-testid="new-goals">
      <Icon name="down" size={13} /> {news === 0 ? "Paused: follow again" : `${news} new`}
    </button>
  );
}

function OrderSwitch({ order, onChange }: { order: GoalOrder; onChange: (order: GoalOrder) => void }) {
  return (
    <fieldset className="segmented">
      <legend className="sr-only">Order of the goals</legend>
      {(["offset", "minute"] as const).map((value) => (
        <label key={value} className={order === value ? "is-on" : ""}>
          <input type="radio" name="order" checked={order === value} onChange={() => onChange(value)} />
          {value === "offset" ? "as stored" : "by minute"}
        </label>
      ))}
    </fieldset>
  );
}

function whyEmpty(stream: StreamState): string {
  if (stream.type === "waiting") return `The goals cannot be read: ${stream.reason}.`;
  return stream.type === "connecting"
    ? "Asking for the goals…"
    : "No goals yet. Post the first one above, then kill the leader and post another.";
}
