import { memo } from "react";
import type { GoalRow } from "./goal-log.ts";

interface Props {
  readonly offset: number;
  /** null: no goal is at this offset; undefined: it is not read yet */
  readonly row: GoalRow | null | undefined;
  /** Stored after a goal of a later minute. */
  readonly late: boolean;
  /** Distance from the top of the list, px. */
  readonly top: number;
  /** Number of the row, from 1, and the number of rows. */
  readonly place: number;
  readonly count: number;
}

/** One row of the list. */
export const GoalItem = memo(function GoalItem({ offset, row, late, top, place, count }: Props) {
  const where = {
    style: { transform: `translateY(${top}px)` },
    "aria-posinset": place,
    "aria-setsize": count,
  };
  if (!row) {
    return (
      <li className="goal goal-none" data-testid={row === null ? "goal-empty" : "goal-unread"} {...where}>
        {row === null ? `No goal is stored at #${offset}.` : `#${offset} …`}
      </li>
    );
  }
  const { goal } = row;
  return (
    <li className={late ? "goal goal-late" : "goal"} data-testid="goal-row" data-offset={offset} {...where}>
      <span className="goal-minute">
        {goal.Minute}
        <span aria-hidden="true">′</span>
        <span className="sr-only"> minute</span>
      </span>
      <span className="goal-who">
        <span className="goal-player" title={goal.Player}>
          {goal.Player}
        </span>
        <span className="goal-club" style={{ "--hue": hueOf(goal.Club) } as React.CSSProperties}>
          {goal.Club}
        </span>
      </span>
      <span className="goal-score">{showScore(goal.Score)}</span>
      <span className="goal-offset" title={storedAt(row)}>
        {late && <span className="sr-only">late by the match clock, </span>}#{offset}
      </span>
    </li>
  );
});

const showScore = (score: string): string => score.replace(/\s*[-:]\s*/, " – ");

const storedAt = (row: GoalRow): string =>
  row.timestamp === null
    ? `Offset ${row.offset}`
    : `Offset ${row.offset}, stored at ${new Date(row.timestamp).toLocaleTimeString()}`;

/** A club keeps its colour. */
function hueOf(club: string): number {
  let hash = 7;
  for (const char of club) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 3600;
  return (hash * 47) % 360;
}
