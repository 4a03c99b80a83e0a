/** The goals' part of the store: written by the goal feed and by the queue of posts. */
import type { StreamState } from "../../api/live-socket.ts";
import { GoalLog } from "./goal-log.ts";
import type { Flight, Stored } from "./post-queue.ts";

/** Goals that were read, and goals that wait to be stored. */
export interface GoalsSlice {
  readonly goals: GoalLog;
  /** Changes whenever `goals` does. */
  readonly goalsVersion: number;
  readonly goalsStream: StreamState;
  readonly flights: readonly Flight[];
  readonly stored: Stored | null;
}

/** The slice before the first goal. */
export const goalsSlice = (): GoalsSlice => ({
  goals: new GoalLog(),
  goalsVersion: 0,
  goalsStream: { type: "connecting" },
  flights: [],
  stored: null,
});
