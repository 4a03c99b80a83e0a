/** The list of all goals of the partition. All rows have the same height, so the list keeps its place while goals arrive. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useLive, useLiveEnsemble } from "../../store/live-context.ts";
import { showToast } from "../../store/live-store.ts";
import { ScrollRegion } from "../../ui/scroll-region.tsx";
import { GoalItem } from "./goal-item.tsx";
import type { GoalLog, GoalRow } from "./goal-log.ts";
import type { GoalsControls } from "./goals-controls.ts";

/** Height of a row, px; `--goal-row` in the styles. */
const ROW_PX = 44;
/** Rows of the list, at most: browsers limit the height of an element. The newest goals are listed. */
const LISTED_MAX = 500_000;
/** Goals that can be ordered by minute, because all of them have to be read; the demo's `/data` has the same limit. */
const SORTED_MAX = 100_000;
/** Offsets of one read when all goals are read. */
const BULK_ROWS = 5_000;
/** Pause after a failed read, ms. */
const RETRY_MS = 2_000;

interface Range {
  readonly from: number;
  readonly to: number;
}

const NOTHING: Range = { from: 0, to: 0 };

interface Props {
  readonly controls: GoalsControls;
  /** Text of an empty list. */
  readonly empty: string;
}

/** What the list shows: a row for each offset, or the goals by minute. */
interface Listed {
  readonly count: number;
  /** The offset shown at a place. */
  readonly offsetAt: (index: number) => number;
  readonly sorted: readonly GoalRow[] | null;
}

function listed(log: GoalLog, { order, heldFrom }: GoalsControls): Listed {
  if (order === "minute") {
    const sorted = log.byMinute(heldFrom ?? log.end);
    return { count: sorted.length, offsetAt: (index) => sorted[index]?.offset ?? -1, sorted };
  }
  const first = Math.max(log.begin, log.end - LISTED_MAX);
  return { count: log.end - first, offsetAt: (index) => first + index, sorted: null };
}

/** Lists all goals of the partition; only visible rows are in the document. */
export function GoalList({ controls, empty }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const lastTop = useRef(0);
  const log = useLive((live) => live.goals);
  const version = useLive((live) => live.goalsVersion);
  const { order, heldFrom, hold, follow } = controls;
  const list = useMemo(() => listed(log, controls), [log, version, controls]);
  const rows = useVirtualizer({
    count: list.count,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
    getItemKey: list.offsetAt,
  });
  const items = rows.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? -1;

  // while the list follows the log, the stream delivers what is visible
  const inView = heldFrom === null ? NOTHING : { from: list.offsetAt(first), to: list.offsetAt(last) + 1 };
  useRead(log, order === "minute" ? null : inView);

  // the list stays at its end until the reader scrolls away from it
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || heldFrom !== null || order !== "offset") return;
    element.scrollTop = element.scrollHeight;
    lastTop.current = element.scrollTop;
  }, [version, heldFrom, order, list.count]);
  useAnchor(box, list);

  // this code scrolls to the end only, so scrolling up is done by the reader
  const onScroll = () => {
    const element = box.current;
    if (!element || order !== "offset") return;
    const isUp = element.scrollTop < lastTop.current - 4;
    lastTop.current = element.scrollTop;
    const fromEnd = element.scrollHeight - element.scrollTop - element.clientHeight;
    if (isUp && fromEnd > ROW_PX) hold();
    else if (!isUp && fromEnd < 4) follow();
  };

  return (
    <ScrollRegion box={box} className="goals" label="List of goals" onScroll={onScroll} testId="goal-list">
      {list.count === 0 && <p className="empty">{empty}</p>}
      {list.sorted !== null && !log.isWhole && (
        <p className="goal-note" role="status">
          {log.goals} of {log.end - log.begin} goals are read…
        </p>
      )}
      <ol className="goal-list" style={{ height: rows.getTotalSize() }}>
        {items.map((item) => {
          const offset = list.offsetAt(item.index);
          const row = log.at(offset);
          return (
            <GoalItem
              key={item.key}
              offset={offset}
              row={row}
              late={row ? log.isLate(row) : false}
              top={item.start}
              place={item.index + 1}
              count={list.count}
            />
          );
        })}
      </ol>
    </ScrollRegion>
  );
}

/** Reads visible rows that have not been read, one page after the other. @param range null: all rows */
function useRead(log: GoalLog, range: Range | null): void {
  const { store, feed } = useLiveEnsemble();
  const version = useLive((state) => state.goalsVersion);
  const reading = useRef(false);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (feed === undefined || reading.current) return;
    const wanted = range === null ? everything(log) : inSight(log, range);
    if (wanted === undefined) return;
    reading.current = true;
    // continues with the next page, or with the same one after a failure
    const next = () => {
      reading.current = false;
      setTurn((now) => now + 1);
    };
    feed.readGoals(wanted.from, wanted.to).then(next, (error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      // the notice at the top already says that the API does not answer
      const isShown = store.getState().problem !== null;
      if (!isShown)
        showToast(store, `The goals from #${wanted.from} on cannot be read: ${why}.`, { bad: true });
      setTimeout(next, RETRY_MS);
    });
  }, [store, feed, log, version, turn, range?.from, range?.to]);
}

function inSight(log: GoalLog, { from, to }: Range) {
  if (from < 0) return undefined;
  const unread = log.firstUnread(from);
  return unread !== undefined && unread < to ? log.unreadAround(unread) : undefined;
}

function everything(log: GoalLog) {
  const from = log.firstUnread(Math.max(log.begin, log.end - SORTED_MAX));
  if (from === undefined) return undefined;
  let to = from;
  while (to < log.end && to - from < BULK_ROWS && log.at(to) === undefined) to += 1;
  return { from, to };
}

/** Keeps the first visible row in place when rows are inserted above it. */
function useAnchor(box: React.RefObject<HTMLDivElement | null>, list: Listed): void {
  const before = useRef<Listed>(undefined);
  useLayoutEffect(() => {
    const then = before.current;
    before.current = list;
    const element = box.current;
    if (!element || !then?.sorted || !list.sorted || then === list) return;
    const top = Math.floor(element.scrollTop / ROW_PX);
    const anchor = then.sorted[top];
    if (anchor === undefined || top === 0) return;
    const now = list.sorted.indexOf(anchor);
    if (now >= 0) element.scrollTop += (now - top) * ROW_PX;
  }, [box, list]);
}
