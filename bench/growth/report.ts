/** The table of the growth benchmark. */
import type { Shape } from "../load/tree.ts";
import { table } from "../statistics.ts";
import type { Measures } from "./measures.ts";

/** One size of one tree: what was measured, and why the rest was not. */
export interface GrowthRow {
  readonly shape: Shape;
  readonly znodes: number;
  readonly measures: Partial<Measures>;
  /** *map measurement → error* */
  readonly failed: Readonly<Partial<Record<keyof Measures, string>>>;
}

/** A figure of a row; undefined: it was not measured. */
export interface Figure {
  readonly title: string;
  readonly of: (measures: Partial<Measures>) => number | undefined;
  readonly measure: keyof Measures;
}

/** The figures, in the order of the table. */
export const FIGURES: readonly Figure[] = [
  { title: "creates/s", measure: "creates", of: ({ creates }) => creates?.opsPerSecond },
  { title: "sets/s, hot", measure: "setsHot", of: ({ setsHot }) => setsHot?.opsPerSecond },
  { title: "sets/s, uniform", measure: "setsUniform", of: ({ setsUniform }) => setsUniform?.opsPerSecond },
  { title: "gets/s, hot", measure: "getsHot", of: ({ getsHot }) => getsHot?.opsPerSecond },
  { title: "gets/s, uniform", measure: "getsUniform", of: ({ getsUniform }) => getsUniform?.opsPerSecond },
  { title: "create p50 ms", measure: "single", of: ({ single }) => single?.createMs },
  { title: "exists p50 ms", measure: "single", of: ({ single }) => single?.existsMs },
  { title: "delete p50 ms", measure: "single", of: ({ single }) => single?.deleteMs },
  { title: "getChildren ms", measure: "list", of: ({ list }) => list?.ms },
  { title: "another write meanwhile, p99 ms", measure: "list", of: ({ list }) => list?.otherMsP99 },
  { title: "another write meanwhile, max ms", measure: "list", of: ({ list }) => list?.otherMsMax },
  { title: "memory MiB", measure: "memory", of: ({ memory }) => memory?.nowMiB },
  { title: "most MiB", measure: "memory", of: ({ memory }) => memory?.maxMiB },
  { title: "MiB under sets, first", measure: "hold", of: ({ hold }) => hold?.miB[0] },
  { title: "MiB under sets, last", measure: "hold", of: ({ hold }) => hold?.miB.at(-1) },
  { title: "sets/s meanwhile", measure: "hold", of: ({ hold }) => hold?.opsPerSecond },
  { title: "wake ms", measure: "wake", of: ({ wake }) => wake?.medianMs },
  { title: "restart ms", measure: "restart", of: ({ restart }) => restart?.medianMs },
  { title: "SNAP ms", measure: "snap", of: ({ snap }) => snap?.ms },
  { title: "SNAP beside sets, ms", measure: "snap", of: ({ snap }) => snap?.besideMs },
  {
    title: "sets meanwhile, %",
    measure: "snap",
    of: ({ snap }) =>
      snap === undefined ? undefined : Math.round((100 * snap.setsMeanwhile) / snap.setsBefore),
  },
  { title: "elections meanwhile", measure: "snap", of: ({ snap }) => snap?.elections },
];

const NAMES: Readonly<Record<Shape, string>> = {
  flat: "All znodes under one parent",
  parents: "1,000 parents",
};

/** Title of a shape. */
export const nameOf = (shape: Shape): string => NAMES[shape];

/** The rows of one shape as a Markdown table, with one figure a line; what failed stands below it. */
export function growthTable(rows: readonly GrowthRow[]): string {
  const cell = ({ measures, failed }: GrowthRow, { measure, of }: Figure): string =>
    of(measures)?.toLocaleString("en-US") ?? (failed[measure] === undefined ? "–" : "failed");
  const used = FIGURES.filter((figure) => rows.some((row) => cell(row, figure) !== "–"));
  const head = ["znodes", ...rows.map(({ znodes }) => znodes.toLocaleString("en-US"))];
  return [
    table(
      head,
      used.map((figure) => [figure.title, ...rows.map((row) => cell(row, figure))]),
    ),
    ...failuresOf(rows).map((line) => `\n${line}`),
  ].join("\n");
}

/** What failed, a line each: measurements, and operations within them. */
export function failuresOf(rows: readonly GrowthRow[]): string[] {
  return rows.flatMap(({ shape, znodes, measures, failed }) => {
    const where = `${shape}, ${znodes.toLocaleString("en-US")} znodes`;
    const operations = Object.entries(measures).flatMap(([name, measure]) => {
      const { failed: count = 0, error } = measure as { failed?: number; error?: string };
      return count > 0 ? [`${where}: ${count} operations of ${name} failed: ${error}`] : [];
    });
    return [
      ...Object.entries(failed).map(([name, why]) => `${where}: ${name} failed: ${why}`),
      ...operations,
    ];
  });
}
