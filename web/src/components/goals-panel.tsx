/** The goals, live: one row per record, in the partition's order. */
import { memo, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { StreamState } from "../api/sse-stream.ts";
import { showToast, useLive } from "../hooks/live-store.ts";
import { loadEarlier } from "../hooks/use-goals.ts";
import { byMinute, type GoalRow, lateOffsets, type Timeline } from "../model/timeline.ts";
import { GoalForm } from "./goal-form.tsx";
import { GoalItem } from "./goal-item.tsx";
import { Icon } from "./icon.tsx";
import { Panel } from "./panel.tsx";
import { ScrollRegion } from "./scroll-region.tsx";
import { StreamBadge } from "./stream-badge.tsx";

export type GoalOrder = "offset" | "minute";

export interface GoalsControls {
  readonly order: GoalOrder;
  readonly setOrder: (order: GoalOrder) => void;
  /** Offset from which goals are held back; null while following. */
  readonly heldFrom: number | null;
  readonly hold: () => void;
  readonly follow: () => void;
}

export function useGoalsControls(): GoalsControls {
  const [order, setOrder] = useState<GoalOrder>("offset");
  const [heldFrom, setHeldFrom] = useState<number | null>(null);
  return useMemo(
    () => ({
      order,
      setOrder,
      heldFrom,
      hold: () => setHeldFrom((now) => now ?? useLive.getState().timeline.nextOffset ?? 0),
      follow: () => setHeldFrom(null),
    }),
    [order, heldFrom],
  );
}

interface Props {
  readonly base: string;
  readonly controls: GoalsControls;
  readonly playerInput: RefObject<HTMLInputElement | null>;
}

/** Rows drawn at most; the rest waits behind "earlier". */
const DRAWN_MAX = 600;

/** Drawn anew for goals only, not for every status of the ensemble. */
export const GoalsPanel = memo(function GoalsPanel({ base, controls, playerInput }: Props) {
  const timeline = useLive((live) => live.timeline);
  const stream = useLive((live) => live.goalsStream);
  const { order, heldFrom } = controls;
  const shown = useMemo(
    () => (heldFrom === null ? timeline.rows : timeline.rows.filter((row) => row.offset < heldFrom)),
    [timeline, heldFrom],
  );
  const news = timeline.rows.length - shown.length;
  return (
    <Panel
      title="Goals"
      area="goals"
      hint={
        order === "offset"
          ? "In the order in which they were stored, the same for every reader. A violet stop came late by the match clock."
          : "In the order of the match clock. Offsets show when each was stored."
      }
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
      <GoalList base={base} timeline={timeline} rows={shown} controls={controls} empty={whyEmpty(stream)} />
      {heldFrom !== null && (
        <div className="pill-place">
          <button type="button" className="pill" onClick={controls.follow} data-testid="new-goals">
            <Icon name="down" size={13} /> {news === 0 ? "Paused: follow again" : `${news} new`}
          </button>
        </div>
      )}
      <GoalForm base={base} playerInput={playerInput} />
    </Panel>
  );
});

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
  return stream.type === "connecting" ? "Asking for the goals…" : "No goals yet. Post the first one below.";
}

interface ListProps {
  readonly base: string;
  readonly timeline: Timeline;
  readonly rows: readonly GoalRow[];
  readonly controls: GoalsControls;
  /** What to say while there is nothing to show. */
  readonly empty: string;
}

/** A reader who scrolled by hand does so within this time of the touch, the wheel or the key. */
const BY_HAND_MS = 900;

function GoalList({ base, timeline, rows, controls, empty }: ListProps) {
  const list = useRef<HTMLDivElement>(null);
  const byHandMs = useRef(0);
  const { order, heldFrom, hold, follow } = controls;
  const drawn = useMemo(() => {
    const last = rows.slice(-DRAWN_MAX);
    return order === "minute" ? byMinute(last) : last;
  }, [rows, order]);
  const late = useMemo(() => lateOffsets(timeline.rows), [timeline]);
  const gapAfter = useMemo(() => new Map(timeline.gaps.map((gap) => [gap.to, gap])), [timeline.gaps]);

  // The list follows its end until the reader scrolls away from it.
  useLayoutEffect(() => {
    const follows = heldFrom === null && order === "offset" && drawn.length > 0;
    if (list.current && follows) list.current.scrollTop = list.current.scrollHeight;
  }, [drawn, heldFrom, order]);

  useEffect(() => {
    const element = list.current;
    if (!element) return;
    const byHand = () => {
      byHandMs.current = performance.now();
    };
    const names = ["wheel", "touchmove", "keydown", "pointerdown"] as const;
    for (const name of names) element.addEventListener(name, byHand, { passive: true });
    return () => {
      for (const name of names) element.removeEventListener(name, byHand);
    };
  }, []);

  const onScroll = () => {
    const element = list.current;
    if (!element || order !== "offset" || performance.now() - byHandMs.current > BY_HAND_MS) return;
    const fromEnd = element.scrollHeight - element.scrollTop - element.clientHeight;
    if (fromEnd > 48) hold();
    else if (fromEnd < 4) follow();
  };

  const first = timeline.rows[0];
  const hasEarlier = order === "offset" && first !== undefined && first.offset > 0;
  return (
    <ScrollRegion box={list} className="goals" label="List of goals" onScroll={onScroll}>
      {hasEarlier && (
        <button type="button" className="button earlier" onClick={() => readEarlier(base, hold)}>
          Show earlier goals
        </button>
      )}
      {drawn.length === 0 && <p className="empty">{empty}</p>}
      <ol className="goal-list">
        {drawn.map((row) => (
          <GoalItem
            key={row.offset}
            row={row}
            late={late.has(row.offset)}
            gap={order === "offset" ? gapAfter.get(row.offset) : undefined}
          />
        ))}
      </ol>
    </ScrollRegion>
  );
}

function readEarlier(base: string, hold: () => void): void {
  hold();
  loadEarlier(base).catch((error: unknown) => {
    showToast(error instanceof Error ? error.message : "The earlier goals cannot be read.", { bad: true });
  });
}
