/**
 * The goals of one partition that were read: one row per offset, by stream at the end and in pages where the reader
 * scrolls. The log may be long, so it is changed in place, and `version` changes with it.
 *
 * Invariant: an offset is *unread*, *empty* (read, and no goal is there) or a row; a row never changes.
 */
import type { Goal, WireRecord } from "../../api/types.ts";

/** A goal with its place in the log. */
export interface GoalRow {
  readonly offset: number;
  readonly goal: Goal;
  /** When the partition stored it, ms since 1970; null if it is not known. */
  readonly timestamp: number | null;
}

/** Offsets of one read. */
export const PAGE_ROWS = 200;

/** The rows that were read. @see the invariant above */
export class GoalLog {
  readonly #rows = new Map<number, GoalRow | null>();
  #begin = 0;
  #end = 0;
  #version = 0;
  #goals = 0;
  #duplicates = 0;

  /** Changes whenever the content does. */
  get version(): number {
    return this.#version;
  }

  /** The first offset of the log. */
  get begin(): number {
    return this.#begin;
  }

  /** The offset after the last one of the log. */
  get end(): number {
    return this.#end;
  }

  /** Number of goals read. */
  get goals(): number {
    return this.#goals;
  }

  /** Number of repeated records, which were ignored. */
  get duplicates(): number {
    return this.#duplicates;
  }

  /** Whether all offsets have been read. */
  get isWhole(): boolean {
    return this.#rows.size === this.#end - this.#begin;
  }

  /** Sets the offsets of the log: `begin` to `end`, without the latter. The end never moves back. */
  setBounds(begin: number, end: number): void {
    this.#begin = Math.max(this.#begin, begin);
    this.#end = Math.max(this.#end, end, this.#begin);
    for (const offset of this.#rows.keys()) if (offset < this.#begin) this.#rows.delete(offset);
    this.#version += 1;
  }

  /** Adds what was read of the offsets `from` to `to`, without the latter: offsets without a record are empty. */
  add(records: readonly WireRecord[], from: number, to: number): void {
    for (const record of records) {
      if (record.offset < from || record.offset >= to) continue;
      if (this.#rows.has(record.offset)) {
        this.#duplicates += 1;
        continue;
      }
      const goal = readGoal(record);
      this.#rows.set(
        record.offset,
        goal && { offset: record.offset, goal, timestamp: record.timestamp ?? null },
      );
      if (goal) this.#goals += 1;
    }
    for (let offset = Math.max(from, this.#begin); offset < to; offset++)
      if (!this.#rows.has(offset)) this.#rows.set(offset, null);
    this.#end = Math.max(this.#end, to);
    this.#version += 1;
  }

  /** The goal at an offset; null if the offset is empty, undefined if it is unread. */
  at(offset: number): GoalRow | null | undefined {
    return this.#rows.get(offset);
  }

  /** Whether the previous goal has a later minute. */
  isLate(row: GoalRow): boolean {
    for (let offset = row.offset - 1; offset >= this.#begin; offset--) {
      const before = this.#rows.get(offset);
      if (before === undefined) return false;
      if (before !== null) return row.goal.Minute < before.goal.Minute;
    }
    return false;
  }

  /** The unread part of the page around `offset`; undefined if all of it has been read. */
  unreadAround(offset: number): { readonly from: number; readonly to: number } | undefined {
    const page = offset - (offset % PAGE_ROWS);
    let from = Math.max(page, this.#begin);
    let to = Math.min(page + PAGE_ROWS, this.#end);
    while (from < to && this.#rows.has(from)) from += 1;
    while (to > from && this.#rows.has(to - 1)) to -= 1;
    return from < to ? { from, to } : undefined;
  }

  /** The first unread offset from `offset` on; undefined if there is none. */
  firstUnread(offset: number): number | undefined {
    for (let at = Math.max(offset, this.#begin); at < this.#end; at++) if (!this.#rows.has(at)) return at;
    return undefined;
  }

  /** All goals below `end` that were read, ordered by minute, then by offset. */
  byMinute(end = this.#end): GoalRow[] {
    const rows: GoalRow[] = [];
    for (const row of this.#rows.values()) if (row && row.offset < end) rows.push(row);
    return rows.sort((a, b) => a.goal.Minute - b.goal.Minute || a.offset - b.offset);
  }
}

function readGoal(record: WireRecord): Goal | null {
  let value = record.value;
  if (typeof value === "string") {
    try {
      value = JSON.parse(value);
    } catch {
      return null;
    }
  }
  if (typeof value !== "object" || value === null) return null;
  const { Minute, Player, Club, Score } = value as Record<string, unknown>;
  const minute = typeof Minute === "string" ? Number(Minute) : Minute;
  if (typeof minute !== "number" || !Number.isFinite(minute)) return null;
  return { Minute: minute, Player: text(Player), Club: text(Club), Score: text(Score) };
}

const text = (value: unknown): string => (typeof value === "string" ? value : String(value ?? ""));
