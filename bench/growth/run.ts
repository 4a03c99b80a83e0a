/**
 * `npm run bench:growth`: what it costs that a tree is large. Prints a table a shape, and writes
 * bench/results/growth-DATE.{json,md,svg}. See METHOD.md.
 */
import { join } from "node:path";
import { ROOT } from "../../scripts/local/build.ts";
import { main, readOptions, wholeNumber } from "../../scripts/local/command.ts";
import { UsageError } from "../../scripts/local.ts";
import { SHAPES, type Shape } from "../load/tree.ts";
import { describeMachine } from "../machine.ts";
import { datedName, publish, today } from "../publish.ts";
import { growthCurve } from "./curve.ts";
import { benchGrowth } from "./growth.ts";
import { failuresOf, type GrowthRow, growthTable, nameOf } from "./report.ts";
import { SIZES } from "./sizes.ts";

const FOLDER = join(ROOT, ".zooweeper/bench-growth");
const MINUTE_MS = 60_000;
const ZNODES_MAX = 9_999_999;

const HELP = `usage: npm run bench:growth -- [options]

What it costs that a tree is large: creates, sets, gets, memory, the wake after a sleep, the restart after kill -9, and SNAP,
on three nodes with a tree that grows. The figures are written to bench/results/growth-DATE.{json,md,svg}.

  --sizes LIST     numbers of znodes, ascending; ${SIZES.join(",")} by default
  --shape NAME     parents (1,000 of them) or flat (one); both by default
  --hold MINUTES   at the last size, set for so long, and look at the memory ten times
  --name TEXT      write to growth-DATE-TEXT
  --quick          short runs, one of each, to see that it works; writes no file
  --help           print this

Exit code 1 if anything failed; the table says what.`;

function sizesOf(text: string | undefined): readonly number[] {
  if (text === undefined) return SIZES;
  const sizes = text
    .split(",")
    .map((each) => wholeNumber(each.replaceAll("_", ""), "--sizes", ZNODES_MAX, 1));
  if (sizes.some((size, i) => size <= (sizes[i - 1] ?? 0))) throw new UsageError("--sizes must ascend");
  return sizes;
}

function shapesOf(text: string | undefined): readonly Shape[] {
  if (text === undefined) return SHAPES;
  const shape = SHAPES.find((each) => each === text);
  if (shape === undefined) throw new UsageError(`--shape is one of ${SHAPES.join(", ")}, not "${text}"`);
  return [shape];
}

const bench = async (): Promise<void> => {
  const text = { type: "string" } as const;
  const { values } = readOptions({
    options: { sizes: text, shape: text, hold: text, name: text, quick: { type: "boolean" } },
  });
  const quick = values.quick ?? false;
  const [shapes, sizes] = [shapesOf(values.shape), sizesOf(values.sizes)];
  const holdMs = wholeNumber(values.hold ?? "0", "--hold", 1_440) * MINUTE_MS;
  const machine = describeMachine(FOLDER);
  const began = performance.now();
  const rows = await benchGrowth({
    ...{ shapes, sizes, stateDir: join(FOLDER, "ensemble") },
    effort: quick
      ? { measuredMs: 500, warmUpMs: 200, rounds: 1, holdMs }
      : { measuredMs: 3_000, warmUpMs: 1_000, rounds: 3, holdMs },
    progress: (line) => void process.stderr.write(`${line}\n`),
    signal: new AbortController().signal,
  });
  const name = datedName("growth", values.name);
  const seconds = Math.round((performance.now() - began) / 1000);
  const lines = [
    `# Growth of the tree, ${today()}`,
    "",
    ...Object.entries(machine).map(([key, value]) => `- ${key}: ${value}`),
    `- measured in ${seconds} s; 100 bytes a znode, three nodes in one process`,
    ...shapes.map((shape) => `\n## ${nameOf(shape)}\n\n${growthTable(rows.filter(isOf(shape)))}`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (!quick) {
    const results = { date: new Date().toISOString(), machine, seconds, rows };
    const files = {
      md: `${[...lines, "", `![growth curve](${name}.svg)`].join("\n")}\n`,
      json: `${JSON.stringify(results, null, 2)}\n`,
      svg: growthCurve(rows, `Growth of the tree, ${today()}, ${machine.commit}`),
    };
    process.stdout.write(`\n${publish(name, files)}\n`);
  }
  if (failuresOf(rows).length > 0) process.exitCode = 1;
};

const isOf =
  (shape: Shape) =>
  (row: GrowthRow): boolean =>
    row.shape === shape;

await main("bench:growth", bench, HELP);
