/** The seeded bugs themselves; that each is found is for `npm run seeded-bugs`. */
import { describe, expect, it } from "vitest";
import { BUGS } from "../../sim/node/bugs.ts";
import { MUTANTS } from "../../sim/node/mutants.ts";
import { bugOf, mutantOf, patched, sourcesWith } from "../../sim/node/patch-core.ts";
import { huntBug, readSeeds } from "../../sim/node/seeded-bugs.ts";

describe("seeded bugs", () => {
  for (const bug of BUGS) {
    it(`[SIM-21] ${bug.name} still fits into the core, and is found by a seed or the search`, () => {
      expect(sourcesWith(bug).size).toBeGreaterThan(0);
      expect(bug.search !== undefined || readSeeds()[bug.name] !== undefined).toBe(true);
    });
  }

  it("[SIM-21] there are at least 15, each with another name", () => {
    expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length);
    expect(BUGS.length).toBeGreaterThanOrEqual(15);
  });

  it("[SIM-21] a patch whose text is not there once says so", () => {
    const patch = { file: "core/zab/zxid.ts", find: "xyz", replace: "b" };
    expect(() => patched("nothing of it", patch)).toThrow("no longer applies: its text is 0 times");
    expect(() => patched("xyz and xyz", patch)).toThrow("its text is 2 times");
    expect(() => bugOf("no-such-bug")).toThrow("no seeded bug no-such-bug; there are: newleader-acked");
  });

  it("[SIM-21] every mutant still fits into the core, and has a name of its own", () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    const patchesOf = (name: string) => [...BUGS, ...MUTANTS].filter((each) => each.name === name);
    for (const { name } of MUTANTS)
      expect(new Set(patchesOf(name).map(({ patches }) => patches)).size).toBe(1);
    expect(MUTANTS.length).toBeGreaterThanOrEqual(40);
    const unfit = MUTANTS.flatMap((mutant) => {
      try {
        return sourcesWith(mutant).size > 0 ? [] : [mutant.name];
      } catch (error) {
        return [`${mutant.name}: ${(error as Error).message}`];
      }
    });
    expect(unfit).toEqual([]);
    expect(() => mutantOf("no-such-mutant")).toThrow(
      "no mutant no-such-mutant; there are: overdue-alarm-trusted",
    );
  });

  it("[SIM-21] one is found by its seed or by others, and the unchanged core passes it", {
    timeout: 120_000,
  }, async () => {
    const bug = bugOf("deposed-leader-reads");
    const hunt = await huntBug(bug, readSeeds()[bug.name], 30, 1);
    expect(hunt.recorded ?? hunt.freshBy).not.toBeNull();
    expect(hunt.missed).toBe(false);
  });
});
