/** Feeds the store of one ensemble: three polls, two streams over a connection that all tabs share, and the queue of goals. */
import { openTabStreams } from "../api/tab-streams.ts";
import type { Goal } from "../api/types.ts";
import { clusterPoll } from "../features/brokers/cluster-poll.ts";
import { statusPoll } from "../features/ensemble/status-poll.ts";
import { faultPoll } from "../features/faults/fault-poll.ts";
import { readGoals, streamGoals } from "../features/goals/goal-feed.ts";
import { postQueue } from "../features/goals/goal-posts.ts";
import type { Broker } from "../features/goals/post-queue.ts";
import { streamEvents } from "./event-feed.ts";
import type { LiveStore } from "./live-store.ts";

/** What keeps a store up to date. */
export interface Feed {
  /** Polls at once, because something was changed. */
  refresh(): void;
  /** Puts a goal into the queue. @returns whether there was room */
  post(goal: Goal, broker: Broker): boolean;
  /** Reads the goals of the offsets `from` to `to`, without the latter. */
  readGoals(from: number, to: number): Promise<void>;
  /** A hidden page polls nothing, and reads no events, which cost the nodes work. */
  setVisible(visible: boolean): void;
  /** Whether the topic of the goals exists. */
  setHasGoals(exists: boolean): void;
  close(): void;
}

/** Starts to feed `store` from the API at `base`. */
export function startFeed(base: string, store: LiveStore): Feed {
  const polls = [statusPoll(base, store), clusterPoll(base, store), faultPoll(base, store)];
  const streams = openTabStreams(base);
  const leave = (): void => streams.leave();
  addEventListener("pagehide", leave);
  const queue = postQueue(base, store);
  const place = { id: "" };
  let events: (() => void) | undefined;
  let goals: (() => void) | undefined;
  return {
    refresh() {
      for (const poll of polls) poll.now();
    },
    post: (goal, broker) => queue.post(goal, broker),
    readGoals: (from, to) => readGoals(base, store, from, to),
    setVisible(visible) {
      if (visible === (events !== undefined)) return;
      for (const poll of polls) visible ? poll.start() : poll.stop();
      events?.();
      events = visible ? streamEvents(store, streams, place) : undefined;
    },
    setHasGoals(exists) {
      if (exists && goals === undefined) goals = streamGoals(base, store, streams);
      if (!exists && goals === undefined) store.setState({ goalsStream: { type: "idle" } });
    },
    close() {
      for (const poll of polls) poll.close();
      events?.();
      goals?.();
      queue.close();
      removeEventListener("pagehide", leave);
      streams.close();
    },
  };
}
