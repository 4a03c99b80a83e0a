import { expect, test } from "vitest";
import type { WireRecord } from "../../../web/src/api/types.ts";
import { GoalLog, PAGE_ROWS } from "../../../web/src/features/goals/goal-log.ts";

const record = (offset: number, Minute: number | string = offset): WireRecord => ({
  key: null,
  value: { Minute, Player: "A", Club: "B", Score: "1-0" },
  partition: 0,
  offset,
  timestamp: 5,
});

const range = (from: number, to: number): WireRecord[] =>
  Array.from({ length: to - from }, (_, i) => record(from + i));

test("[PAGE-6] every offset is a goal, empty, or not read yet", () => {
  const log = new GoalLog();
  log.setBounds(0, 10);
  log.add([record(4), { ...record(6), value: "no goal" }, record(7)], 4, 9);
  expect([0, 4, 5, 6, 7, 8, 9].map((offset) => log.at(offset)?.offset ?? log.at(offset))).toEqual([
    ...[undefined, 4, null, null, 7, null, undefined],
  ]);
  expect([log.goals, log.isWhole, log.firstUnread(0), log.firstUnread(5)]).toEqual([2, false, 0, 9]);
});

test("[PAGE-6] a repeated goal is left out, and counted", () => {
  const log = new GoalLog();
  log.setBounds(0, 3);
  log.add(range(0, 3), 0, 3);
  log.add(range(1, 5), 1, 5);
  expect([log.goals, log.duplicates, log.end, log.isWhole]).toEqual([5, 2, 5, true]);
});

test("[PAGE-6] is read in pages, wherever the reader looks, until nothing is left", () => {
  const log = new GoalLog();
  log.setBounds(0, 2_500);
  log.add(range(2_300, 2_500), 2_300, 2_500);
  expect(log.unreadAround(2_499)).toBeUndefined();
  expect(log.unreadAround(2_299)).toEqual({ from: 2_200, to: 2_300 });
  expect(log.unreadAround(0)).toEqual({ from: 0, to: PAGE_ROWS });
  for (let at = log.firstUnread(0); at !== undefined; at = log.firstUnread(at)) {
    const page = log.unreadAround(at);
    if (page === undefined) throw new Error("an unread offset has no page");
    log.add(range(page.from, page.to), page.from, page.to);
  }
  expect([log.goals, log.isWhole]).toEqual([2_500, true]);
});

test("[PAGE-6] goals that retention has deleted are removed", () => {
  const log = new GoalLog();
  log.setBounds(0, 6);
  log.add(range(0, 6), 0, 6);
  log.setBounds(4, 6);
  expect([log.begin, log.at(3), log.at(4)?.offset, log.isWhole]).toEqual([4, undefined, 4, true]);
});

test("[PAGE-6] by minute as the demo lists them, those of one minute as they were stored", () => {
  const log = new GoalLog();
  log.setBounds(0, 4);
  log.add([record(0, 30), record(1, 10), record(2, "30"), record(3, 20)], 0, 4);
  expect(log.byMinute().map((row) => row.offset)).toEqual([1, 3, 0, 2]);
  expect(log.byMinute(2).map((row) => row.offset)).toEqual([1, 0]);
});

test("[PAGE-6] a goal is late if it was stored after a later minute; before an unread offset this is unknown", () => {
  const log = new GoalLog();
  log.setBounds(0, 5);
  log.add([record(1, 30), record(3, 10), record(4, 20)], 1, 5);
  const late = [1, 3, 4].map((offset) => {
    const row = log.at(offset);
    return row ? log.isLate(row) : undefined;
  });
  expect(late).toEqual([false, true, false]);
});
