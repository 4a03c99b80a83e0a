/** Reads the goals into the store: the newest ones by stream, earlier ones on demand. */
import { getOffsets, readGoals as readGoalsCall, TOPIC } from "../../api/calls.ts";
import { ApiProblem, sendJson } from "../../api/http.ts";
import type { LiveStreams } from "../../api/live-socket.ts";
import type { RecordsEvent, WireRecord } from "../../api/types.ts";
import { type LiveStore, showToast } from "../../store/live-store.ts";
import { GoalLog } from "./goal-log.ts";

/** Goals that arrive within this time are drawn together, ms. */
const DRAW_MS = 120;
/** Goals read at first; earlier ones are read when the reader scrolls to them. */
const FIRST_ROWS = 200;
const OFFSETS_MS_MAX = 5_000;
const READ_MS_MAX = 10_000;

interface Offsets {
  readonly beginning_offset: number;
  readonly end_offset: number;
}

/** Streams new goals into the store until the returned function is called. */
export function streamGoals(base: string, store: LiveStore, streams: LiveStreams): () => void {
  let waiting: RecordsEvent[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** The next offset wanted; null: nothing was read yet. */
  let next: number | null = null;
  /** Resumes the stream, and only that of the same topic. */
  let lastId = "";
  const draw = (): void => {
    timer = undefined;
    const { goals } = store.getState();
    for (const { records, next_offset } of waiting) {
      goals.add(records, Math.min(next ?? 0, records[0]?.offset ?? next_offset), next_offset);
      next = Math.max(next ?? 0, next_offset);
    }
    waiting = [];
    store.setState({ goalsVersion: goals.version });
  };
  const flush = (): void => {
    clearTimeout(timer);
    if (timer !== undefined) draw();
  };
  const stop = streams.stream({
    subscription: async () => {
      flush();
      const { begin, end } = await readBounds(base);
      const { goals } = store.getState();
      goals.setBounds(begin, end);
      store.setState({ goalsVersion: goals.version });
      const records = { subscribe: "records", topic: TOPIC, partition: 0 };
      if (next !== null && lastId !== "") return { ...records, since: lastId };
      next ??= Math.max(begin, end - FIRST_ROWS);
      return { ...records, offset: next };
    },
    onEnd: ({ code }) => {
      if (code !== "INCONSISTENT_TOPIC_ID" && code !== "OFFSET_OUT_OF_RANGE") return;
      // the topic was deleted and created again, or the next offset is deleted
      flush();
      next = null;
      lastId = "";
      const goals = new GoalLog();
      store.setState({ goals, goalsVersion: goals.version });
      showToast(store, "The topic of the goals was deleted, at least in part: the list starts over.");
    },
    onEvent: ({ event, id, data }) => {
      if (id !== "") lastId = id;
      if (event !== "records") return;
      waiting.push(data as RecordsEvent);
      timer ??= setTimeout(draw, DRAW_MS);
    },
    onState: (goalsStream) => store.setState({ goalsStream }),
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

async function readBounds(base: string): Promise<{ readonly begin: number; readonly end: number }> {
  try {
    const offsets = await sendJson<Offsets>(base, getOffsets, AbortSignal.timeout(OFFSETS_MS_MAX));
    return { begin: offsets.beginning_offset, end: offsets.end_offset };
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) throw new Error("no goal has been posted yet");
    throw error;
  }
}

/** Reads the goals of the offsets `from` to `to`, without the latter, into the store. */
export async function readGoals(base: string, store: LiveStore, from: number, to: number): Promise<void> {
  const { goals } = store.getState();
  for (let at = from; at < to; ) {
    const records = await sendJson<readonly WireRecord[]>(
      base,
      readGoalsCall(at, to),
      AbortSignal.timeout(READ_MS_MAX),
    );
    const last = records.at(-1)?.offset;
    // the size of an answer is limited; an empty one means that there is nothing more below `to`
    const upTo = last === undefined ? to : Math.min(to, last + 1);
    if (store.getState().goals !== goals) return;
    goals.add(records, at, upTo);
    at = upTo;
  }
  store.setState({ goalsVersion: goals.version });
}
