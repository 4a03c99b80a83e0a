/** The part of the soak that grows a tree as far as its time allows. */
import { join } from "node:path";
import { benchGrowth } from "../../bench/growth/growth.ts";
import { FIGURES, failuresOf } from "../../bench/growth/report.ts";
import { SIZES } from "../../bench/growth/sizes.ts";
import { SHAPES } from "../../bench/load/tree.ts";
import { ROOT } from "../../scripts/local/build.ts";
import type { PartSummary, Until } from "./part.ts";

const STATE = join(ROOT, ".zooweeper/soak-growth");

/** `npm run bench:growth`, each shape for half of the time. */
export async function soakGrowth({ deadline, signal }: Until): Promise<PartSummary> {
  const figures: Record<string, number> = {};
  const failures: string[] = [];
  const notes: string[] = [];
  for (const [i, shape] of SHAPES.entries()) {
    const shareMs = (deadline - Date.now()) / (SHAPES.length - i);
    const rows = await benchGrowth({
      ...{ shapes: [shape], sizes: SIZES, stateDir: STATE },
      effort: { measuredMs: 3_000, warmUpMs: 1_000, rounds: 3, holdMs: 0 },
      progress: (line) => console.log(`${new Date().toISOString()} growth: ${line}`),
      signal: AbortSignal.any([signal, AbortSignal.timeout(Math.max(0, shareMs))]),
    });
    for (const { znodes, measures } of rows) {
      for (const { title, of } of FIGURES) {
        const figure = of(measures);
        if (figure !== undefined)
          figures[`${shape}, ${znodes.toLocaleString("en-US")} znodes: ${title}`] = figure;
      }
    }
    failures.push(...failuresOf(rows));
    const missing = SIZES.filter((size) => !rows.some((row) => row.znodes === size && row.measures.restart));
    if (missing.length > 0)
      notes.push(`${shape}: did not fit in the time, or not whole: ${missing.join(", ")} znodes`);
  }
  return { figures, failures, notes };
}
