/** The scenario file of `npm run chaos`: its format, and the targets of its steps. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { random } from "../../../core/prng.ts";
import { parseScenario, victimsOf } from "../../../scripts/local/scenario.ts";

const SAMPLES = join(import.meta.dirname, "../../../scripts/scenarios");
const scenario = (...steps: unknown[]): string => JSON.stringify({ name: "n", steps });
const crash = { fault: "crash", target: 1 };

describe("a chaos scenario", () => {
  it("has its steps in the order of time", () => {
    const { plan, endMs } = parseScenario(
      JSON.stringify({
        name: "n",
        rest: 50,
        steps: [
          { ...crash, times: 3, every: 100 },
          { after: 150, fault: "pause", target: "leader", for: 500 },
          { after: 10, fault: "ring" },
          { after: 0, fault: "isolate", target: "broker 1", for: 100 },
          { at: 5, fault: "crash", target: "all" },
        ],
      }),
    );
    expect(plan.map(({ atMs, step }) => [atMs, step.fault])).toEqual([
      [0, "crash"],
      [5, "crash"],
      [100, "crash"],
      [150, "pause"],
      [160, "ring"],
      [160, "isolate"],
      [200, "crash"],
    ]);
    expect(endMs).toBe(700);
  });

  it.each([
    ["{", /^no JSON: /],
    ["[]", /./],
    [scenario(), /^steps: /],
    [scenario({ fault: "explode", target: 1 }), /^steps\.0\.fault: /],
    [scenario(crash, { ...crash, target: "nobody" }), /^steps\.1\.target: a target is /],
    [scenario({ ...crash, target: 10 }), /^steps\.0\.target: /],
    [scenario({ ...crash, when: 1 }), /^steps\.0\.when: /],
    [scenario({ ...crash, at: 1, after: 1 }), /^steps\.0: "at" or "after"/],
    [scenario({ ...crash, at: -1 }), /^steps\.0\.at: /],
    [scenario({ ...crash, for: 5 }), /^steps\.0: crash has no duration/],
    [scenario({ ...crash, times: 2 }), /"times" and "every"/],
    [scenario({ ...crash, every: 2 }), /"times" and "every"/],
    [scenario({ fault: "crash" }), /^steps\.0: a target is missing/],
    [scenario({ fault: "ring", target: 1 }), /^steps\.0: a ring has no target/],
    [scenario({ fault: "drop", target: 1 }), /^steps\.0\.params\.probability: /],
    [scenario({ fault: "drop", target: 1, params: { probability: 2 } }), /^steps\.0\.params\.probability: /],
    [scenario({ fault: "pause", target: 1, params: { ttlMs: 5 } }), /"for" says how long/],
    [scenario({ fault: "skew", target: "broker 0" }), /^steps\.0: the faults of a broker are /],
    [
      scenario({ fault: "isolate", target: "broker 0", params: { peers: [1] } }),
      /^steps\.0\.params\.peers: /,
    ],
    [scenario({ fault: "revive", target: 1, params: { x: 1 } }), /^steps\.0\.params\.x: /],
    [scenario({ ...crash, times: 10_000, every: 3_600_000 }), /an hour at most/],
    [JSON.stringify({ name: "n", steps: [crash], seed: 0.5 }), /^seed: /],
  ])("refuses %s in one line", (text, message) => {
    expect(() => parseScenario(text)).toThrow(message);
  });

  it("the samples are good", () => {
    const names = readdirSync(SAMPLES);
    expect(names.length).toBeGreaterThanOrEqual(3);
    for (const name of names)
      expect(parseScenario(readFileSync(join(SAMPLES, name), "utf8")).plan).not.toEqual([]);
  });

  it("hits the nodes that it names, and the same ones with the same seed", () => {
    const hit = (target: Parameters<typeof victimsOf>[0], leader: number | null = 2, size = 5) =>
      victimsOf(target, size, leader, random(5));
    expect(hit(4)).toEqual([4]);
    expect(hit("all")).toEqual([1, 2, 3, 4, 5]);
    expect(hit("leader")).toEqual([2]);
    expect(hit("leader", null)).toBeUndefined();
    expect(hit("follower", null)).toBeUndefined();
    expect(hit("follower")).not.toEqual([2]);
    expect(hit("minority")).toHaveLength(2);
    expect(hit("majority")).toHaveLength(3);
    expect(hit("minority", null, 1)).toEqual([]);
    expect(hit("majority")).toEqual(hit("majority"));
    const next = random(9);
    const seen = new Set(Array.from({ length: 100 }, () => victimsOf("random", 5, null, next)?.[0]));
    expect(seen).toEqual(new Set([1, 2, 3, 4, 5]));
  });
});
