/** The last time without a leader, by the nodes' own clocks. */
import type { ProtocolEvent } from "../../api/types.ts";

/** A time without a leader. */
export interface Outage {
  /** When the first node detected it, ms since 1970. */
  readonly sinceMs: number;
  /** When a leader took over; null while there is none. */
  readonly untilMs: number | null;
}

/** Age at which a detection no longer counts, ms: it was about something else, such as one broken link. */
const STALE_MS = 60_000;

/** Adds one event. @param leader the leader before the event */
export function foldOutage(
  outage: Outage | null,
  event: ProtocolEvent,
  leader: number | null,
): Outage | null {
  const open = outage?.untilMs === null && event.at - outage.sinceMs < STALE_MS;
  if (event.type === "role" && event.role === "LEADING" && event.phase === "BROADCAST") {
    return open ? { sinceMs: outage.sinceMs, untilMs: Math.max(event.at, outage.sinceMs) } : outage;
  }
  if (open || leader === null) return outage;
  const leaderGone = event.type === "link" && event.to === leader && event.up === false;
  const steppedDown = event.type === "role" && event.sid === leader && event.role === "LOOKING";
  return leaderGone || steppedDown ? { sinceMs: event.at, untilMs: null } : outage;
}
