/** The event log, newest first; only visible rows are in the document. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useMemo, useRef, useState } from "react";
import { EVENT_TYPES, HIDDEN_TYPES, type ProtocolEvent } from "../../api/types.ts";
import { useLive } from "../../store/live-context.ts";
import { useLiveEvery } from "../../store/use-live-every.ts";
import { Icon } from "../../ui/icon.tsx";
import { Panel } from "../../ui/panel.tsx";
import { ScrollRegion } from "../../ui/scroll-region.tsx";
import { StreamBadge } from "../../ui/stream-badge.tsx";
import { describeEvent } from "./describe-event.ts";
import type { SeenEvent } from "./event-ring.ts";

const ROW_PX = 28;

/** The list of events, with a filter by type. */
export const EventLog = memo(function EventLog() {
  const [hidden, setHidden] = useState(HIDDEN_TYPES);
  // pings are sent all the time: while they are hidden, they cause no redraw
  const version = useLiveEvery(500, ({ ringVersion, ring }) =>
    hidden.has("ping") ? ringVersion - ring.count("ping") : ringVersion,
  );
  const ring = useLive((live) => live.ring);
  const stream = useLive((live) => live.eventsStream);
  const [frozen, setFrozen] = useState<readonly SeenEvent[] | null>(null);
  const events = useMemo(() => {
    const keep = (event: ProtocolEvent) => !hidden.has(event.type);
    if (frozen) return frozen.filter(({ event }) => keep(event));
    return version < 0 ? [] : ring.list(keep).reverse();
  }, [ring, version, hidden, frozen]);

  const toggle = (type: string) =>
    setHidden((now) => {
      const next = new Set(now);
      if (!next.delete(type)) next.add(type);
      return next;
    });

  return (
    <Panel
      title="Event log"
      area="log"
      actions={
        <>
          <StreamBadge state={stream} />
          <button
            type="button"
            className="button button-icon"
            aria-pressed={frozen !== null}
            title={frozen ? "Follow the log again" : "Pause the log"}
            aria-label="Pause the log"
            onClick={() => setFrozen(frozen ? null : ring.list().reverse())}
          >
            <Icon name={frozen ? "play" : "pause"} />
          </button>
        </>
      }
    >
      <fieldset className="chips">
        <legend className="sr-only">Types of events shown</legend>
        {EVENT_TYPES.map((type) => (
          <label key={type} className={`chip chip-${type}${hidden.has(type) ? "" : " is-on"}`}>
            <input type="checkbox" checked={!hidden.has(type)} onChange={() => toggle(type)} />
            {type} <span className="chip-count">{short(ring.count(type))}</span>
          </label>
        ))}
      </fieldset>
      <Rows events={events} />
    </Panel>
  );
});

function Rows({ events }: { events: readonly SeenEvent[] }) {
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: events.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
    getItemKey: (index) => events[index]?.number ?? index,
  });
  return (
    <ScrollRegion box={box} className="log" label="Protocol events, newest first" testId="event-log">
      {events.length === 0 && <p className="empty">No events yet.</p>}
      <div style={{ height: rows.getTotalSize(), position: "relative" }}>
        {rows.getVirtualItems().map((item) => {
          const event = events[item.index]?.event;
          if (!event) return null;
          return (
            <div
              key={item.key}
              className={`log-row log-${event.type}`}
              data-type={event.type}
              style={{ transform: `translateY(${item.start}px)`, height: ROW_PX }}
            >
              <time>{clock(event.at)}</time>
              <span className="log-node">{event.sid > 0 ? event.sid : "·"}</span>
              <span className="log-type">{event.type}</span>
              <span className="log-text">{describeEvent(event)}</span>
            </div>
          );
        })}
      </div>
    </ScrollRegion>
  );
}

const short = (count: number): string => (count < 1_000 ? String(count) : `${(count / 1_000).toFixed(1)}k`);

function clock(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
