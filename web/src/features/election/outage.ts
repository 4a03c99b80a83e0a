/** How long the ensemble was without a leader, read from the nodes' own clocks. */
import type { ProtocolEvent } from "../../api/types.ts";

export interface Outage {
  /** When a node first noticed, ms since 1970. */
  readonly sinceMs: number;
  /** When a leader took over; null while there is none. */
  readonly untilMs: number | null;
}

/** A notice older than this belonged to something else, such as one broken link. */
const STALE_MS = 60_000;

/** `leader` is who led before `event`. */
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
