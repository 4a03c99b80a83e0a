/**
 * The ensemble as the page shows it: the last polled status, with the events after it applied. The nodes' own numbers
 * decide what is newer, never the order of arrival: a status names the last event before it, so events up to that one
 * are part of the status, and later ones are applied to it.
 */
import type { EnsembleState, NodeState, ProtocolEvent } from "../../api/types.ts";
import { parseEventId } from "../log/event-ring.ts";
import { foldEvent } from "./ensemble-view.ts";

/** An event with the time at which the page got it, ms since 1970. */
interface Received {
  readonly event: ProtocolEvent;
  readonly receivedMs: number;
}

/** A polled status, with the events after it. */
export interface Status {
  /** The last status, and when it was requested, ms since 1970. */
  readonly asked: EnsembleState | undefined;
  readonly askedMs: number;
  /** Events that may be newer than the status, in order of arrival. */
  readonly recent: readonly Received[];
  /** The state to show. */
  readonly view: EnsembleState | undefined;
}

/** The state before the first poll. */
export const NO_STATUS: Status = { asked: undefined, askedMs: 0, recent: [], view: undefined };

/**
 * Events that arrived this long before a status was requested are part of it, whatever their numbers, ms: a node that
 * lost its storage numbers its events from the beginning.
 */
const LATE_MS_MAX = 5_000;

/** Takes a status; one that was requested before the last one is older, and is ignored. */
export function takeStatus(status: Status, asked: EnsembleState, askedMs: number): Status {
  if (askedMs < status.askedMs) return status;
  const recent = status.recent.filter(
    (each) => each.receivedMs > askedMs - LATE_MS_MAX && isNewer(each, asked, askedMs),
  );
  return { asked, askedMs, recent, view: fold(asked, recent) };
}

/** Takes events, received at `receivedMs`. */
export function takeEvents(status: Status, events: readonly ProtocolEvent[], receivedMs: number): Status {
  const received = events.map((event) => ({ event, receivedMs }));
  const { asked, askedMs, view } = status;
  if (asked === undefined || view === undefined)
    return { ...status, recent: [...status.recent, ...received] };
  const newer = received.filter((each) => isNewer(each, asked, askedMs));
  if (newer.length === 0) return status;
  return { ...status, recent: [...status.recent, ...newer], view: fold(view, newer) };
}

const fold = (state: EnsembleState, events: readonly Received[]): EnsembleState =>
  events.reduce((now, { event }) => foldEvent(now, event), state);

/** Whether the event happened after its node had reported its status. */
function isNewer({ event, receivedMs }: Received, asked: EnsembleState, askedMs: number): boolean {
  const node: NodeState | undefined = asked.nodes.find(({ sid }) => sid === event.sid);
  const last = node?.up && node.lastEvent !== undefined ? parseEventId(node.lastEvent) : undefined;
  const id = parseEventId(event.id);
  if (last === undefined || id === undefined) return receivedMs >= askedMs;
  return id.boot > last.boot || (id.boot === last.boot && id.seq > last.seq);
}
