import { describe, expect, it } from "vitest";
import { RULES, type Rule } from "../../../sim/checkers/rules.ts";
import { runCrashPoints } from "../../../sim/crash-points.ts";
import { runSeeds } from "../../../sim/node/campaign.ts";
import { replayLine } from "../../../sim/node/report.ts";
import { runSeed } from "../../../sim/run.ts";
import { shrink } from "../../../sim/shrink.ts";
import { drawOptions, type SwarmOptions } from "../../../sim/swarm.ts";
import seeds from "../../sim/seeds.json" with { type: "json" };
import { runCampaign } from "../../sim/small-campaign.ts";

/**
 * Rules for which the small runs are too small: they need clients of the swarm, members that forget, calls that the shell
 * puts in order, or the end of a run.
 */
const BY_SWARM: readonly Rule[] = [
  "Witnesses",
  "SessionExpiry",
  "Grace",
  "SignOfLife",
  "Ephemerals",
  "AtLeast",
  "ReadReady",
  "SessionMoved",
  "CallOrder",
  "AnswerSize",
  "Liveness",
];
const BY_EVENT = RULES.filter((rule) => !BY_SWARM.includes(rule));

/** Runs in one test: enough to find what is wrong again, few enough for every commit. */
const BLOCKS = 12;
const SEEDS_PER_BLOCK = 20;

describe("random runs", () => {
  for (const [seed, what] of Object.entries(seeds)) {
    it(`[SIM-1] seed ${seed}: ${what}`, () => {
      const result = runCampaign(Number(seed));
      expect(result.committed).toBeGreaterThan(0);
      expect(result.healedMs).toBeLessThan(4_000);
    });
  }

  for (let block = 0; block < BLOCKS; block++) {
    const first = 1001 + block * SEEDS_PER_BLOCK;
    it(`[SIM-1] keep every invariant and make progress, seeds ${first} to ${first + SEEDS_PER_BLOCK - 1}`, () => {
      let acked = 0;
      let checks = 0;
      let crashes = 0;
      for (let seed = first; seed < first + SEEDS_PER_BLOCK; seed++) {
        const result = runCampaign(seed);
        acked += result.acked;
        checks += result.checks;
        crashes += result.crashes;
        expect(result.healedMs, `seed ${seed}`).toBeLessThan(4_000);
      }
      // A run in which nothing happens proves nothing.
      expect(acked).toBeGreaterThan(300);
      expect(crashes).toBeGreaterThan(10);
      expect(checks).toBeGreaterThan(5_000);
    }, 30_000);
  }

  it("[SIM-2] are the same for the same seed, event by event", () => {
    for (const seed of [5, 6, 7]) {
      const [a, b] = [runCampaign(seed, 25), runCampaign(seed, 25)];
      expect(a.events).toBe(b.events);
      expect(a.cluster.trace).toEqual(b.cluster.trace);
      expect(a.cluster.invariants.history).toEqual(b.cluster.invariants.history);
    }
  });

  it("[SIM-3] check every rule", () => {
    const rules = new Map<string, number>();
    const syncs = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const { cluster, syncs: modes } = runCampaign(seed);
      for (const [rule, count] of cluster.invariants.checks) rules.set(rule, (rules.get(rule) ?? 0) + count);
      for (const mode of Object.keys(modes)) syncs.add(mode);
    }
    for (const rule of BY_EVENT) expect(rules.get(rule), rule).toBeGreaterThan(20);
    expect([...syncs].sort()).toEqual(["DIFF", "SNAP", "TRUNC"]);
  });
});

describe("the swarm", () => {
  it("[SIM-1] keeps every invariant, makes progress and leaves correct histories", async () => {
    const { failures, tally } = await runSeeds({ first: 1, count: 12, threads: 1 });
    expect(failures).toEqual([]);
    expect(tally.commits).toBeGreaterThan(2_000);
    expect(tally["leader changes"]).toBeGreaterThan(40);
    expect(tally["simulated ms"]).toBeGreaterThan(600_000);
  }, 60_000);

  it("[SIM-2] does the same for the same seed", () => {
    const options = drawOptions(4, { chaosMs: 20_000 });
    const [a, b] = [runSeed(options), runSeed(options)];
    expect(a).toEqual(b);
    expect(a.failure).toBeNull();
    expect(runSeed(drawOptions(5, { chaosMs: 20_000 })).hash).not.toBe(a.hash);
  }, 30_000);

  it("[SIM-5] recovers from a crash at any effect of any member", () => {
    const { points, failures } = runCrashPoints(25);
    expect(failures).toEqual([]);
    expect(points).toBeGreaterThan(200);
  }, 60_000);

  it("[SIM-6] replays a failure with one command, and makes it smaller", () => {
    expect(replayLine(7, { size: 3, kinds: ["crash", "wipe"], chaosMs: 100 })).toBe(
      "npm run sim -- --seed 7 --size 3 --kinds crash,wipe --chaos-ms 100 --trace",
    );
    // Whatever fails at all fails with nothing going on.
    const fails = (options: SwarmOptions): boolean => options.kinds.includes("crash");
    const smaller = shrink(5, {}, fails);
    const { kinds, size, ops } = drawOptions(5, smaller);
    expect(fails(drawOptions(5))).toBe(true);
    expect(kinds).toEqual(["crash"]);
    expect(size).toBe(1);
    expect(ops).toBeLessThanOrEqual(40);
  });
});
