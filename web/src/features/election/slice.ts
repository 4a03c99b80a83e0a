/** The election's part of the store: written by the event feed. */
import type { Election } from "./election.ts";
import type { Outage } from "./outage.ts";

/** The last change of leader. */
export interface ElectionSlice {
  /** The last time without a leader. */
  readonly outage: Outage | null;
  readonly election: Election | null;
  /** Whether the page replays `election`. */
  readonly replaying: boolean;
}

/** The slice before any election. */
export const electionSlice = (): ElectionSlice => ({ outage: null, election: null, replaying: false });
