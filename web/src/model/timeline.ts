/**
 * The goals timeline: records of one partition, in offset order, each exactly once.
 *
 * The stream may repeat records (a reconnect), deliver them late or leave some out (retention); the
 * timeline keeps the invariant *rows sorted by offset, no offset twice* whatever arrives, and names the
 * offsets that are missing. Pure: every function returns a new timeline.
 */
import type { Goal, RecordsEvent, WireRecord } from "../api/types.ts";

export interface GoalRow {
  readonly offset: number;
  readonly goal: Goal;
  /** When the partition stored it, ms since 1970; null when not told. */
  readonly timestamp: number | null;
}

/** Offsets [from, to) that the stream went past without a record. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

export interface Timeline {
  readonly rows: readonly GoalRow[];
  readonly gaps: readonly Gap[];
  /** Where the stream goes on: everything below was delivered or is a known gap. null: nothing read yet. */
  readonly nextOffset: number | null;
  readonly highWatermark: number;
  /** Records that came a second time and were left out. */
  readonly duplicates: number;
  /** Records whose value is no goal. */
  readonly unreadable: number;
}

export const EMPTY_TIMELINE: Timeline = {
  rows: [],
  gaps: [],
  nextOffset: null,
  highWatermark: 0,
  duplicates: 0,
  unreadable: 0,
};

/** Rows kept in memory; the oldest leave first. */
export const ROWS_MAX = 5_000;

/** Adds what one `event: records` brought. */
export function addRecords(timeline: Timeline, event: RecordsEvent): Timeline {
  const seen = new Map<number, GoalRow>();
  const known = new Set(timeline.rows.map((row) => row.offset));
  const offsets = new Set<number>();
  let duplicates = timeline.duplicates;
  let unreadable = timeline.unreadable;
  for (const record of event.records) {
    if (known.has(record.offset) || offsets.has(record.offset) || isBeforeWindow(timeline, record.offset)) {
      duplicates += 1;
      continue;
    }
    offsets.add(record.offset);
    const goal = readGoal(record);
    if (goal) seen.set(record.offset, { offset: record.offset, goal, timestamp: record.timestamp ?? null });
    else unreadable += 1;
  }
  const nextOffset = Math.max(timeline.nextOffset ?? 0, event.next_offset, ...[...offsets].map((o) => o + 1));
  const rows = mergeRows(timeline.rows, [...seen.values()]);
  return {
    rows: rows.length > ROWS_MAX ? rows.slice(rows.length - ROWS_MAX) : rows,
    gaps: nextGaps(timeline, offsets, nextOffset),
    nextOffset,
    highWatermark: Math.max(timeline.highWatermark, event.high_watermark),
    duplicates,
    unreadable,
  };
}

/** Rows ordered by the match clock; equal minutes stay in offset order. */
export function byMinute(rows: readonly GoalRow[]): readonly GoalRow[] {
  return [...rows].sort((a, b) => a.goal.Minute - b.goal.Minute || a.offset - b.offset);
}

/** Offsets of goals whose minute is before that of the goal stored just before them. */
export function lateOffsets(rows: readonly GoalRow[]): ReadonlySet<number> {
  const late = new Set<number>();
  let before = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    if (row.goal.Minute < before) late.add(row.offset);
    before = row.goal.Minute;
  }
  return late;
}

/** A row that fell out of memory may come again after a reconnect; it is not new. */
function isBeforeWindow(timeline: Timeline, offset: number): boolean {
  const first = timeline.rows[0];
  return first !== undefined && timeline.rows.length >= ROWS_MAX && offset < first.offset;
}

function mergeRows(rows: readonly GoalRow[], added: GoalRow[]): readonly GoalRow[] {
  if (added.length === 0) return rows;
  const last = rows.at(-1);
  added.sort((a, b) => a.offset - b.offset);
  const first = added[0];
  if (!last || (first && first.offset > last.offset)) return [...rows, ...added];
  return [...rows, ...added].sort((a, b) => a.offset - b.offset);
}

/** Gaps after an event: the late arrivals fill some, the stretch that it skipped opens others. */
function nextGaps(timeline: Timeline, offsets: ReadonlySet<number>, nextOffset: number): readonly Gap[] {
  const candidates: Gap[] = [...timeline.gaps];
  if (timeline.nextOffset !== null && nextOffset > timeline.nextOffset) {
    candidates.push({ from: timeline.nextOffset, to: nextOffset });
  } else if (timeline.nextOffset === null && offsets.size > 0) {
    candidates.push({ from: Math.min(...offsets), to: nextOffset });
  }
  return candidates.flatMap((gap) => withoutOffsets(gap, offsets));
}

function withoutOffsets(gap: Gap, offsets: ReadonlySet<number>): Gap[] {
  const inside = [...offsets].filter((offset) => offset >= gap.from && offset < gap.to).sort((a, b) => a - b);
  const out: Gap[] = [];
  let from = gap.from;
  for (const offset of inside) {
    if (offset > from) out.push({ from, to: offset });
    from = offset + 1;
  }
  if (from < gap.to) out.push({ from, to: gap.to });
  return out;
}

function readGoal(record: WireRecord): Goal | undefined {
  let value = record.value;
  if (typeof value === "string") {
    try {
      value = JSON.parse(value);
    } catch {
      return undefined;
    }
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { Minute, Player, Club, Score } = value as Record<string, unknown>;
  const minute = typeof Minute === "string" ? Number(Minute) : Minute;
  if (typeof minute !== "number" || !Number.isFinite(minute)) return undefined;
  return { Minute: minute, Player: text(Player), Club: text(Club), Score: text(Score) };
}

const text = (value: unknown): string => (typeof value === "string" ? value : String(value ?? ""));
