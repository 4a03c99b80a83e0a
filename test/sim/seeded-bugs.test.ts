/** The search for seeded bugs; `npm run seeded-bugs` shows that each of them is found. */
import { expect, it } from "vitest";
import { bugOf } from "../../sim/node/patch-core.ts";
import { huntBug, readSeeds } from "../../sim/node/seeded-bugs.ts";

it("[SIM-21] a seeded bug is found by its seed or by others, and the unchanged core passes it", {
  timeout: 120_000,
}, async () => {
  const bug = bugOf("deposed-leader-reads");
  const hunt = await huntBug(bug, readSeeds()[bug.name], 30, 1);
  expect(hunt.recorded ?? hunt.freshBy).not.toBeNull();
  expect(hunt.missed).toBe(false);
});
