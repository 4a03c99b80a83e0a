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
  /** ends the benchmark at once; what is measured by then is returned */
  readonly signal: AbortSignal;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
interface OpenRow extends GrowthRow {
  readonly measures: Partial<Writable<Measures>>;
  readonly failed: Writable<GrowthRow["failed"]>;
}

/** Measures all sizes of all shapes. What fails is in its row; a tree that cannot be filled ends its shape. */
export async function benchGrowth(options: GrowthOptions): Promise<readonly GrowthRow[]> {
  const rows: GrowthRow[] = [];
  for (const shape of options.shapes) if (!options.signal.aborted) await benchShape(shape, options, rows);
  return rows;
}

async function benchShape(shape: Shape, options: GrowthOptions, rows: GrowthRow[]): Promise<void> {
  const { signal } = options;
  const ensemble = new GrowingEnsemble(shape, options.stateDir, options.effort, signal);
  const stop = (): void => void ensemble.stop();
  signal.addEventListener("abort", stop);
  try {
    await ensemble.start();
    for (const znodes of options.sizes) {
      const row: OpenRow = { shape, znodes, measures: {}, failed: {} };
      rows.push(row);
      await benchSize(ensemble, row, options);
      if (row.failed.creates !== undefined) break;
    }
  } catch (error) {
    // a row says what failed before the ensemble could not be started again
    if (!signal.aborted && !rows.some((row) => row.shape === shape)) throw error;
    options.progress(`${shape}: ended, ${(error as Error).message}`);
  } finally {
    signal.removeEventListener("abort", stop);
    await ensemble.stop();
  }
}

/** Fills one row. @throws the signal's reason */
async function benchSize(
  ensemble: GrowingEnsemble,
  { shape, znodes, measures, failed }: OpenRow,
  { progress, signal, sizes, effort }: GrowthOptions,
): Promise<void> {
  const measure = async <K extends keyof Measures>(
    name: K,
    work: () => Promise<Measures[K]>,
  ): Promise<void> => {
    const start = performance.now();
    try {
      measures[name] = await work();
    } catch (error) {
      signal.throwIfAborted();
      failed[name] = (error as Error).message;
      if (name !== "creates") await ensemble.recover();
    }
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const what = failed[name] === undefined ? JSON.stringify(measures[name]) : `failed: ${failed[name]}`;
    progress(`${shape} ${znodes} ${name}, ${seconds} s: ${what}`);
  };
  await measure("creates", () => ensemble.grow(znodes));
  if (failed.creates !== undefined) return;
  await measure("single", () => ensemble.single());
  await measure("setsHot", () => ensemble.load("set", "hot"));
  await measure("setsUniform", () => ensemble.load("set", "uniform"));
  await measure("getsHot", () => ensemble.load("get", "hot"));
  await measure("getsUniform", () => ensemble.load("get", "uniform"));
  if (shape === "flat") await measure("list", () => ensemble.list());
  await measure("memory", async () => ensemble.memory());
  if (effort.holdMs > 0 && znodes === sizes.at(-1)) await measure("hold", () => ensemble.hold(effort.holdMs));
  await measure("snap", () => ensemble.snap());
  await measure("wake", () => ensemble.wake());
  await measure("restart", () => ensemble.restart());
}
