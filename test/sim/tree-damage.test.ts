import { expect, it } from "vitest";
import { isTreeDamage, TREE_DAMAGE_KINDS } from "../../sim/nemesis/tree-damage.ts";
import { runSeed } from "../../sim/run.ts";
import { drawOptions } from "../../sim/swarm.ts";

/** Seeds whose runs damage trees, from this one on. */
function seedsWithDamage(first: number, count: number): number[] {
  const seeds: number[] = [];
  for (let seed = first; seeds.length < count; seed++) {
    if (drawOptions(seed).size > 1 && drawOptions(seed).kinds.some(isTreeDamage)) seeds.push(seed);
  }
  return seeds;
}

it("[SIM-23] damaged trees of a minority neither spread nor serve, whatever else fails", () => {
  const met: Record<string, number> = {};
  for (const seed of seedsWithDamage(1, 12)) {
    const { failure, tally } = runSeed({ ...drawOptions(seed), chaosMs: 30_000, ops: 300 });
    expect(failure, `seed ${seed}`).toBeNull();
    for (const kind of TREE_DAMAGE_KINDS) met[kind] = (met[kind] ?? 0) + (tally[`fault ${kind}`] ?? 0);
  }
  expect(Object.values(met).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5);
});
