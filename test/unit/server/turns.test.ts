import { describe, expect, test } from "vitest";
import { TURN_COST } from "../../../core/server/config.ts";
import { Turns } from "../../../core/server/turns.ts";

/** Serves until the turn is over; each connection has `shares` left. @returns who was served, in order */
function turn(turns: Turns<string>, left: Map<string, number>, cost = TURN_COST / 4): string[] {
  const served: string[] = [];
  turns.begin(0);
  for (let name = turns.next(); name !== undefined; name = turns.next()) {
    served.push(name);
    turns.spend(cost);
    left.set(name, (left.get(name) ?? 0) - 1);
    if ((left.get(name) ?? 0) > 0) turns.add(name);
  }
  return served;
}

describe("turns of connections", () => {
  test("[NODE-41] connections are served round robin, over turns", () => {
    const turns = new Turns<string>();
    const left = new Map([
      ["a", 3],
      ["b", 1],
      ["c", 4],
    ]);
    for (const name of left.keys()) turns.add(name);
    const served: string[][] = [];
    while (turns.waiting > 0) served.push(turn(turns, left));
    expect(served.map((names) => names.join(""))).toEqual(["abca", "cacc"]);
  });

  test("[NODE-41] a turn ends when its budget is spent, however expensive one request is", () => {
    const turns = new Turns<string>();
    for (const name of ["a", "b", "c"]) turns.add(name);
    const left = new Map([["a", 9]]);
    expect(turn(turns, left, 10 * TURN_COST)).toEqual(["a"]);
    expect(turn(turns, left, TURN_COST)).toEqual(["b"]);
    expect(turn(turns, left, TURN_COST - 1)).toEqual(["c", "a"]);
  });

  test("[NODE-41] a late connection waits after those that wait, and one that has left is not served", () => {
    const turns = new Turns<string>();
    expect(turns.isFree(0)).toBe(true);
    for (const name of ["a", "b", "c"]) turns.add(name);
    turns.add("a");
    turns.remove("b");
    expect(turns.isFree(0)).toBe(false);
    expect(turn(turns, new Map())).toEqual(["a", "c"]);
    expect(turns.isFree(0)).toBe(true);
  });

  test("[NODE-41] requests that arrive together are served at once until the budget of 5 ms is spent", () => {
    const turns = new Turns<string>();
    expect(turns.isFree(100)).toBe(true);
    turns.spend(TURN_COST);
    expect(turns.isFree(104)).toBe(false);
    expect(turns.isFree(105)).toBe(true);
    turns.spend(TURN_COST);
    expect(turns.isFree(3), "the clock was put back").toBe(true);
  });
});
