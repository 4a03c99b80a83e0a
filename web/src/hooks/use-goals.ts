/** Keeps the goals timeline fed: one stream, resumed at the exact offset after every break. */
import { useEffect } from "react";
import { getOffsets, recordsPath } from "../api/calls.ts";
import { ApiProblem, sendJson } from "../api/http.ts";
import { runStream } from "../api/sse-stream.ts";
import type { RecordsEvent, WireRecord } from "../api/types.ts";
import { addRecords, EMPTY_TIMELINE } from "../model/timeline.ts";
import { showToast, useLive } from "./live-store.ts";

/** Goals shown at first; older ones are read on demand. */
const FIRST_ROWS = 300;
/** Records that arrive together are drawn together. */
const DRAW_MS = 60;

interface Offsets {
  readonly beginning_offset: number;
  readonly end_offset: number;
}

/** @param ready whether the topic exists; it is founded with the first goal */
export function useGoals(base: string, ready: boolean): void {
  useEffect(() => {
    if (!ready) {
      useLive.setState({ goalsStream: { type: "idle" } });
      return;
    }
    const end = new AbortController();
    let waiting: RecordsEvent[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;

    const draw = () => {
      timer = undefined;
      const events = waiting;
      waiting = [];
      useLive.setState(({ timeline }) => ({ timeline: events.reduce(addRecords, timeline) }));
    };

    void runStream({
      signal: end.signal,
      retryMsMax: 2_000,
      request: async (signal) => {
        if (timer !== undefined) {
          clearTimeout(timer);
          draw();
        }
        return { url: base + recordsPath(await startOffset(base, signal)) };
      },
      onMessage: (message) => {
        if (message.event !== "records") return;
        waiting.push(JSON.parse(message.data) as RecordsEvent);
        timer ??= setTimeout(draw, DRAW_MS);
      },
      onState: (goalsStream) => useLive.setState({ goalsStream }),
    });
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [base, ready]);
}

/** The next offset wanted. A log that is shorter than what we have read was begun anew: so do we. */
async function startOffset(base: string, signal: AbortSignal): Promise<number> {
  const { nextOffset } = useLive.getState().timeline;
  const offsets = await sendJson<Offsets>(base, getOffsets, signal).catch((error: unknown) => {
    if (error instanceof ApiProblem && error.status === 404) throw new Error("no goal has been posted yet");
    if (error instanceof ApiProblem && error.status === 0) throw error;
    return undefined;
  });
  if (!offsets) return nextOffset ?? 0;
  if (nextOffset !== null && offsets.end_offset < nextOffset) {
    useLive.setState({ timeline: EMPTY_TIMELINE });
    showToast("The log of goals was begun anew.");
    return offsets.beginning_offset;
  }
  return nextOffset ?? Math.max(offsets.beginning_offset, offsets.end_offset - FIRST_ROWS);
}

/** Reads the goals before the first one shown. */
export async function loadEarlier(base: string): Promise<void> {
  const first = useLive.getState().timeline.rows[0]?.offset ?? 0;
  const from = Math.max(0, first - FIRST_ROWS);
  const path = `${recordsPath(from)}&count=${first - from}`;
  const records = await sendJson<readonly WireRecord[]>(base, { method: "GET", path });
  const before = records.filter((record) => record.offset < first);
  useLive.setState(({ timeline }) => ({
    timeline: addRecords(timeline, { records: before, next_offset: 0, high_watermark: 0 }),
  }));
}
