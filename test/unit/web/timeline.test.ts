import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RecordsEvent, WireRecord } from "../../../web/src/api/types.ts";
import {
  addRecords,
  byMinute,
  EMPTY_TIMELINE,
  lateOffsets,
  ROWS_MAX,
} from "../../../web/src/model/timeline.ts";

const record = (offset: number, minute = offset % 90): WireRecord => ({
  key: null,
  value: { Minute: minute, Player: "Messi", Club: "FCB", Score: "0-1" },
  partition: 0,
  offset,
  timestamp: 1_000 + offset,
});

const event = (offsets: readonly number[], next = Math.max(-1, ...offsets) + 1): RecordsEvent => ({
  records: offsets.map((offset) => record(offset)),
  next_offset: next,
  high_watermark: next,
});

const offsetsOf = (timeline: typeof EMPTY_TIMELINE) => timeline.rows.map((row) => row.offset);

describe("the goals timeline", () => {
  test("keeps offset order and goes on after the last record", () => {
    const timeline = addRecords(addRecords(EMPTY_TIMELINE, event([0, 1])), event([2]));
    expect(offsetsOf(timeline)).toEqual([0, 1, 2]);
    expect(timeline.nextOffset).toBe(3);
    expect(timeline.gaps).toEqual([]);
  });

  test("leaves out what a reconnect repeats", () => {
    const timeline = addRecords(addRecords(EMPTY_TIMELINE, event([0, 1, 2])), event([1, 2, 3, 3]));
    expect(offsetsOf(timeline)).toEqual([0, 1, 2, 3]);
    expect(timeline.duplicates).toBe(3);
  });

  test("names the offsets it was not given, and forgets them when they come late", () => {
    const skipped = addRecords(addRecords(EMPTY_TIMELINE, event([0])), event([4]));
    expect(skipped.gaps).toEqual([{ from: 1, to: 4 }]);
    const late = addRecords(skipped, event([2], 5));
    expect(late.gaps).toEqual([
      { from: 1, to: 2 },
      { from: 3, to: 4 },
    ]);
    const whole = addRecords(late, event([3, 1], 5));
    expect(whole.gaps).toEqual([]);
    expect(offsetsOf(whole)).toEqual([0, 1, 2, 3, 4]);
  });

  test("starting in the middle of a log is no gap, and earlier records join in front", () => {
    const middle = addRecords(EMPTY_TIMELINE, event([10, 11]));
    expect(middle.gaps).toEqual([]);
    const earlier = addRecords(middle, event([8, 9], 0));
    expect(offsetsOf(earlier)).toEqual([8, 9, 10, 11]);
    expect(earlier.nextOffset).toBe(12);
  });

  test("an event without records can still move the position", () => {
    const timeline = addRecords(EMPTY_TIMELINE, { records: [], next_offset: 0, high_watermark: 0 });
    expect(timeline.nextOffset).toBe(0);
    expect(addRecords(timeline, event([], 3)).gaps).toEqual([{ from: 0, to: 3 }]);
  });

  test("reads a goal from JSON text too, and counts a record that is none", () => {
    const timeline = addRecords(EMPTY_TIMELINE, {
      records: [
        { ...record(0), value: '{"Minute":"28","Player":"Messi","Club":"FCB","Score":"0-1"}' },
        { ...record(1), value: "not a goal" },
        { ...record(2), value: null },
      ],
      next_offset: 3,
      high_watermark: 3,
    });
    expect(timeline.rows.map((row) => row.goal.Minute)).toEqual([28]);
    expect(timeline.unreadable).toBe(2);
    expect(timeline.gaps).toEqual([]);
  });

  test("keeps a bounded number of rows and does not take back what fell out", () => {
    const all = Array.from({ length: ROWS_MAX + 10 }, (_, i) => i);
    const full = addRecords(EMPTY_TIMELINE, event(all));
    expect(full.rows).toHaveLength(ROWS_MAX);
    expect(full.rows[0]?.offset).toBe(10);
    expect(offsetsOf(addRecords(full, event([3], 0)))).toEqual(offsetsOf(full));
  });

  test("whatever arrives, in whatever pieces: sorted, each once, gaps are exactly what is missing", () => {
    const pieces = fc.array(fc.array(fc.nat(40), { maxLength: 6 }), { maxLength: 20 });
    fc.assert(
      fc.property(pieces, (batches) => {
        const start = addRecords(EMPTY_TIMELINE, { records: [], next_offset: 0, high_watermark: 0 });
        const timeline = batches.reduce((now, offsets) => addRecords(now, event(offsets)), start);
        const given = new Set(batches.flat());
        const next = Math.max(0, ...[...given].map((offset) => offset + 1));
        expect(offsetsOf(timeline)).toEqual([...given].sort((a, b) => a - b));
        expect(timeline.nextOffset).toBe(next);
        const missing = timeline.gaps.flatMap((gap) =>
          Array.from({ length: gap.to - gap.from }, (_, i) => gap.from + i),
        );
        const absent = Array.from({ length: next }, (_, i) => i).filter((offset) => !given.has(offset));
        expect(missing.sort((a, b) => a - b)).toEqual(absent);
      }),
    );
  });
});

describe("orders", () => {
  const rows = [30, 12, 45, 12, 50].map((minute, offset) => ({
    offset,
    timestamp: null,
    goal: { Minute: minute, Player: "", Club: "", Score: "" },
  }));

  test("by minute, equal minutes stay as they were stored", () => {
    expect(byMinute(rows).map((row) => row.offset)).toEqual([1, 3, 0, 2, 4]);
    expect(rows.map((row) => row.offset)).toEqual([0, 1, 2, 3, 4]);
  });

  test("late is what was stored right after a later minute", () => {
    expect([...lateOffsets(rows)]).toEqual([1, 3]);
  });
});
