/** The patch of every seeded bug and every mutant still applies to the sources. Fast: nothing is run. */
import { stripTypeScriptTypes } from "node:module";
import { describe, expect, it } from "vitest";
import { BUGS } from "../../sim/node/bugs.ts";
import { MUTANTS } from "../../sim/node/mutants.ts";
import { bugOf, type CoreFault, mutantOf, patched, sourcesWith } from "../../sim/node/patch-core.ts";
import { readSeeds } from "../../sim/node/seeded-bugs.ts";

/** Why a fault cannot be put into the sources; nothing: it can. */
function faultsOf(fault: CoreFault): string[] {
  try {
    const sources = sourcesWith(fault);
    expect(sources.size).toBeGreaterThan(0);
    for (const source of sources.values()) stripTypeScriptTypes(source);
    return [];
  } catch (error) {
    return [`${fault.name}: ${(error as Error).message}`];
  }
}

const namesOf = (faults: readonly CoreFault[]): string[] => faults.map(({ name }) => name);

describe("patches of the core", () => {
  it("[SIM-21] every seeded bug applies, has its own name, and a seed or a scope of the search", () => {
    expect(BUGS.flatMap(faultsOf)).toEqual([]);
    expect(new Set(namesOf(BUGS)).size).toBe(BUGS.length);
    expect(BUGS.length).toBeGreaterThanOrEqual(15);
    const seeds = readSeeds();
    expect(namesOf(BUGS.filter(({ name, search }) => search === undefined && !(name in seeds)))).toEqual([]);
    expect(Object.keys(seeds).filter((name) => !namesOf(BUGS).includes(name))).toEqual([]);
  });

  it("[SIM-21] every mutant applies, and has its own name", () => {
    expect(MUTANTS.flatMap(faultsOf)).toEqual([]);
    expect(new Set(namesOf(MUTANTS)).size).toBe(MUTANTS.length);
    expect(MUTANTS.length).toBeGreaterThanOrEqual(40);
    // one that is a seeded bug too has the same patches
    for (const { name, patches } of MUTANTS)
      expect(BUGS.find((each) => each.name === name)?.patches ?? patches).toBe(patches);
  });

  it("[SIM-21] a patch is refused if its text is not there exactly once, and so is an unknown name", () => {
    const patch = { file: "core/zab/zxid.ts", find: "xyz", replace: "b" };
    expect(() => patched("nothing of it", patch)).toThrow("no longer applies: its text is 0 times");
    expect(() => patched("xyz and xyz", patch)).toThrow("its text is 2 times");
    expect(() => bugOf("no-such-bug")).toThrow("no seeded bug no-such-bug; there are: ");
    expect(() => mutantOf("no-such-mutant")).toThrow("no mutant no-such-mutant; there are: ");
  });
});
