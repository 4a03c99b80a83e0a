/**
 * The stream of protocol events, which changes several slices at once: the log, the status, the faults, and the last
 * election.
 */
import type { LiveStreams } from "../api/live-socket.ts";
import type { ProtocolEvent } from "../api/types.ts";
import { lastElection } from "../features/election/election.ts";
import { foldOutage } from "../features/election/outage.ts";
import { takeEvents } from "../features/ensemble/status.ts";
import { takeFault } from "../features/faults/faults-known.ts";
import { Liveness } from "../features/log/liveness.ts";
import type { LiveStore } from "./live-store.ts";

/** Events that arrive within this time are drawn together, ms. */
const DRAW_MS = 120;

/** Where the stream resumes; kept while the page is hidden and the stream closed. */
export interface EventPlace {
  id: string;
}

/** Streams events into the store until the returned function is called. */
export function streamEvents(store: LiveStore, streams: LiveStreams, place: EventPlace): () => void {
  const liveness = new Liveness();
  let waiting: ProtocolEvent[] = [];
  let history: ProtocolEvent[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const draw = (): void => {
    timer = undefined;
    const [before, fresh] = [history, waiting];
    history = [];
    waiting = [];
    takeArrived(store, before, fresh, liveness);
  };
  const stop = streams.stream({
    subscription: () => Promise.resolve({ subscribe: "events", since: place.id, replay: "rare" }),
    onEvent: ({ event, id, data }) => {
      if (id !== "") place.id = id;
      // an event about a broker belongs to no node
      const arrived = { sid: 0, ...(data as Partial<ProtocolEvent>) } as ProtocolEvent;
      // events from before the page was opened are for the log and for the last election
      if (event === "history") history.push(arrived);
      else waiting.push(event === "gap" ? { ...arrived, at: Date.now(), type: "gap" } : arrived);
      timer ??= setTimeout(draw, DRAW_MS);
    },
    onState: (eventsStream) => {
      if (eventsStream.type === "connecting") liveness.reset();
      store.setState({ eventsStream });
    },
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

function takeArrived(
  store: LiveStore,
  history: readonly ProtocolEvent[],
  events: readonly ProtocolEvent[],
  liveness: Liveness,
): void {
  const nowMs = Date.now();
  const { ring, status, outage, election, faults } = store.getState();
  const size = status.view?.size ?? 0;
  const before = [...history].sort((a, b) => a.at - b.at).filter((event) => ring.push(event));
  const fresh = events.filter((event) => ring.push(event));
  if (before.length + fresh.length === 0) return;
  // the log also shows events that the stream repeats; everything else takes only those that happened just now
  const arrived = liveness.live(
    fresh.filter((event) => event.type !== "gap"),
    nowMs,
  );
  const leader = status.view?.leader ?? null;
  const changed = [...before, ...fresh].some(({ type }) => type === "role" || type === "active");
  store.setState({
    ringVersion: ring.version,
    arrived,
    status: takeEvents(status, arrived, nowMs),
    faults: arrived.reduce((now, event) => takeFault(now, event, nowMs), faults),
    outage: arrived.reduce((now, event) => foldOutage(now, event, leader), outage),
    election: changed
      ? (lastElection(
          ring.list().map((seen) => seen.event),
          size,
        ) ?? election)
      : election,
  });
}
