/** The growth benchmark: one ensemble a shape, whose tree grows from size to size. */
import type { Shape } from "../load/tree.ts";
import { type Effort, GrowingEnsemble, type Measures } from "./measures.ts";
import type { GrowthRow } from "./report.ts";

/** What to measure. */
export interface GrowthOptions {
  readonly shapes: readonly Shape[];
  /** numbers of znodes, ascending */
  readonly sizes: readonly number[];
  readonly effort: Effort;
  readonly stateDir: string;
  /** called after each measurement, with what is done */
  readonly progress: (text: string) => void;
  /** checked before each size: whether to end */
  readonly isOver?: () => boolean;
}

/** Measures all sizes of all shapes. What fails is in its row; a tree that cannot be filled ends its shape. */
export async function benchGrowth(options: GrowthOptions): Promise<GrowthRow[]> {
  const rows: GrowthRow[] = [];
  for (const shape of options.shapes) rows.push(...(await benchShape(shape, options)));
  return rows;
}

async function benchShape(shape: Shape, options: GrowthOptions): Promise<GrowthRow[]> {
  const rows: GrowthRow[] = [];
  const ensemble = new GrowingEnsemble(shape, options.stateDir, options.effort);
  try {
    await ensemble.start();
    for (const size of options.sizes) {
      if (options.isOver?.() === true) break;
      const row = await benchSize(ensemble, shape, size, options.progress);
      rows.push(row);
      if (row.failed.creates !== undefined) break;
    }
  } finally {
    await ensemble.stop();
  }
  return rows;
}

async function benchSize(
  ensemble: GrowingEnsemble,
  shape: Shape,
  size: number,
  progress: (text: string) => void,
): Promise<GrowthRow> {
  const measures: Partial<{ -readonly [K in keyof Measures]: Measures[K] }> = {};
  const failed: Partial<Record<keyof Measures, string>> = {};
  const measure = async <K extends keyof Measures>(name: K, work: () => Promise<Measures[K]>) => {
    const start = performance.now();
    try {
      measures[name] = await work();
    } catch (error) {
      failed[name] = (error as Error).message;
      if (name !== "creates") await ensemble.recover();
    }
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const what = failed[name] === undefined ? JSON.stringify(measures[name]) : `failed: ${failed[name]}`;
    progress(`${shape} ${size} ${name}, ${seconds} s: ${what}`);
  };
  await measure("creates", () => ensemble.grow(size));
  if (failed.creates === undefined) {
    await measure("single", () => ensemble.single());
    await measure("setsHot", () => ensemble.load("set", "hot"));
    await measure("setsUniform", () => ensemble.load("set", "uniform"));
    await measure("getsHot", () => ensemble.load("get", "hot"));
    await measure("getsUniform", () => ensemble.load("get", "uniform"));
    if (shape === "flat") await measure("list", () => ensemble.list());
    await measure("memory", async () => ensemble.memory());
    await measure("snap", () => ensemble.snap());
    await measure("wake", () => ensemble.wake());
    await measure("restart", () => ensemble.restart());
  }
  return { shape, znodes: size, measures, failed };
}
