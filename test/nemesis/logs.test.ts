import { describe, expect, it } from "vitest";
import { commonOf, type MemberLog } from "./logs.ts";

const EPOCH = 2 ** 32;

/** A member that holds these txns of epoch 1 behind `base`. */
const member = (sid: number, counters: readonly number[], base = 0, mark = ""): MemberLog => ({
  sid,
  base: base === 0 ? 0 : EPOCH + base,
  snapshot: base > 0,
  entries: counters.map((counter) => ({ zxid: EPOCH + counter, bytes: `${mark}${counter}` })),
});

function committed(
  logs: readonly MemberLog[],
  size = logs.length,
  earlier: readonly MemberLog[] = [],
): { counters: number[]; faults: string[] } {
  const faults: string[] = [];
  const counters = commonOf(logs, earlier, size, faults).map(({ zxid }) => zxid - EPOCH);
  return { counters, faults };
}

describe("common part of members' logs", () => {
  it("is what a quorum holds", () => {
    const logs = [member(1, [1, 2, 3]), member(2, [1, 2]), member(3, [1])];
    expect(committed(logs)).toEqual({ counters: [1, 2], faults: [] });
  });

  it("counts what a member got as a snapshot as held", () => {
    const logs = [member(1, [1, 2, 3]), member(2, [3], 2), member(3, [], 3)];
    expect(committed(logs)).toEqual({ counters: [1, 2, 3], faults: [] });
  });

  it("is unknown if no member has the beginning", () => {
    expect(committed([member(1, [3], 2), member(2, [3], 2), member(3, [3], 2)]).faults).toContain(
      "[log] nobody has the beginning of the log",
    );
  });

  it("includes entries that were cut off since", () => {
    const logs = [member(1, [3], 2), member(2, [3], 2), member(3, [3], 2)];
    expect(committed(logs, 3, [member(1, [1, 2])])).toEqual({ counters: [1, 2, 3], faults: [] });
    expect(committed(logs, 3, [member(1, [1])]).faults).toEqual(["[log] nobody has the txn at 1.2 any more"]);
  });

  it("names two members that differ", () => {
    const { faults } = committed([member(1, [1, 2]), member(2, [1, 2], 0, "other "), member(3, [1, 2])]);
    expect(faults).toContain("[log] members 1 and 2 differ at 1.1");
  });

  it("names a member with a gap, also if only one other member has the missing entries", () => {
    const faults = ["[log] member 2 lacks the txn at 1.2, or has it out of order"];
    expect(committed([member(1, [1, 2, 3]), member(2, [1, 3]), member(3, [1, 2, 3])]).faults).toEqual(faults);
    expect(committed([member(1, [1, 3]), member(2, [1, 3]), member(3, [1, 2, 3])]).faults).toHaveLength(2);
  });

  it("names a member whose log is out of order, and a missing one", () => {
    const { faults } = committed([member(1, [1, 2]), member(2, [2, 1])], 3);
    expect(faults).toEqual([
      "[log] 2 of 3 members have a database",
      "[log] member 2 lacks the txn at 1.1, or has it out of order",
    ]);
  });
});
