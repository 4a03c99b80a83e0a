import { describe, expect, it } from "vitest";
import { checkHistory } from "../../sim/checkers/history/check.ts";
import { RecordedCluster } from "./recorded-cluster.ts";

describe("histories of the real core", () => {
  it("have no fault while members crash, are paused and are cut off, and sessions move", {
    timeout: 120_000,
  }, () => {
    const done = {
      reads: 0,
      replayed: 0,
      linearizableOps: 0,
      matchedEvents: 0,
      resumed: 0,
      crashes: 0,
      pauses: 0,
      moves: 0,
    };
    for (let seed = 1; seed <= 6; seed++) {
      const run = new RecordedCluster(seed, seed % 2 === 0 ? 5 : 3);
      const { faults, counts } = checkHistory(run.run(400, 5, 0.2));
      expect(faults, `seed ${seed}`).toEqual([]);
      const all = { ...counts, ...run.faults };
      for (const key of Object.keys(done) as (keyof typeof done)[]) done[key] += all[key];
    }
    for (const [what, count] of Object.entries(done)) expect(count, what).toBeGreaterThan(10);
  });
});
