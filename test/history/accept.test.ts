import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkHistory } from "../../sim/checkers/history/check.ts";
import { formatHistory, parseHistory } from "../../sim/history/history.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

/** Two busy cores are no reason to fail. */
const SLOW = 120_000;

describe("histories of an ensemble that cannot fail", () => {
  it("are accepted by all checkers, and all of them check something", { timeout: SLOW }, () => {
    const total = {
      reads: 0,
      linearizableOps: 0,
      matchedEvents: 0,
      resumed: 0,
      unknown: 0,
      recovered: 0,
      replayed: 0,
    };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 }), fc.integer({ min: 2, max: 10 }), (seed, clients) => {
        const history = new FakeEnsemble({ seed, clients, ops: 400 }).run();
        const { faults, counts } = checkHistory(history);
        expect(faults, `seed ${seed}`).toEqual([]);
        for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += counts[key];
      }),
      { numRuns: 40 },
    );
    for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(20);
  });

  it("are accepted when setWatches without an answer meets a znode that was created again", () => {
    // Connection 17 learns of children that changed, though the znode was only deleted and created in one multi.
    const { faults } = checkHistory(new FakeEnsemble({ seed: 879927396, clients: 5, ops: 400 }).run());
    expect(faults).toEqual([]);
  });

  it("are accepted after they were written to a file and read", { timeout: SLOW }, () => {
    const history = new FakeEnsemble({ seed: 3, ops: 300 }).run();
    const report = checkHistory(parseHistory(formatHistory(history)));
    expect(report.faults).toEqual([]);
    expect(report.counts.reads).toBeGreaterThan(50);
  });
});
