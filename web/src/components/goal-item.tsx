import { memo } from "react";
import type { Gap, GoalRow } from "../model/timeline.ts";

interface Props {
  readonly row: GoalRow;
  /** Stored right after a goal of a later minute. */
  readonly late: boolean;
  /** Offsets missing right before this row. */
  readonly gap: Gap | undefined;
}

export const GoalItem = memo(function GoalItem({ row, late, gap }: Props) {
  const { goal, offset } = row;
  return (
    <>
      {gap && (
        <li className="goal-gap">
          {gap.to - gap.from === 1 ? `Offset ${gap.from} is` : `Offsets ${gap.from} to ${gap.to - 1} are`} not
          in the log
        </li>
      )}
      <li className={late ? "goal goal-late" : "goal"} data-testid="goal-row" data-offset={offset}>
        <span className="goal-minute">
          {goal.Minute}
          <span aria-hidden="true">′</span>
          <span className="sr-only"> minute</span>
        </span>
        <span className="goal-who">
          <span className="goal-player">{goal.Player}</span>
          <span className="goal-club" style={{ "--hue": hueOf(goal.Club) } as React.CSSProperties}>
            {goal.Club}
          </span>
        </span>
        <span className="goal-score">{showScore(goal.Score)}</span>
        <span className="goal-offset" title={storedAt(row)}>
          {late && <span className="sr-only">late by the match clock, </span>}#{offset}
        </span>
      </li>
    </>
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
