/**
 * `npm run bench:zookeeper`: ZooWeeper beside Apache ZooKeeper, three servers each, in one run, with the same client.
 * Prints a table of both and their ratio, and writes bench/results/zookeeper-DATE.{json,md}. See METHOD.md.
 */
import { join } from "node:path";
import { ROOT } from "../../scripts/local/build.ts";
import { main, readOptions, wholeNumber } from "../../scripts/local/command.ts";
import { httpUrl } from "../../scripts/local/options.ts";
import { startLocal, UsageError } from "../../scripts/local.ts";
import type { LoadOp } from "../load/commands.ts";
import { Load, type LoadMedians, type LoadRun, mediansOf } from "../load/load.ts";
import { describeMachine } from "../machine.ts";
import { datedName, publish, today } from "../publish.ts";
import { round, table } from "../statistics.ts";
import { startZooKeeper } from "./servers.ts";

const STATE = join(ROOT, ".zooweeper/bench-zookeeper");
const NODES = 3;
const OPS: readonly LoadOp[] = ["set", "create", "get"];
const SHAPES = ["1x1", "1x64", "16x16", "64x64"];
/** Before the first run, so that both have compiled their code. */
const WARM_UP_MS = 5_000;
const SETTLE_MS = 1_000;

const HELP = `usage: npm run bench:zookeeper -- [options]

ZooWeeper beside Apache ZooKeeper, three servers each, in turn, with the same client: operations a second and their ratio.
A shape is SESSIONSxOUTSTANDING. The sessions are spread over the servers; a single one is at the leader.
Needs Debian's package zookeeper. The figures are written to bench/results/zookeeper-DATE.{json,md}.

  --ops LIST       of set, create, get; all by default
  --shapes LIST    1x1,1x64,16x16,64x64 by default
  --runs N         runs of each, of which the median is given; 5 by default
  --ms N           length of a run, 3000 by default
  --name TEXT      write to zookeeper-DATE-TEXT
  --at LIST        addresses of the nodes of a ZooWeeper that runs already, the leader's first
  --quick          one run of 500 ms each, to see that it works; writes no file
  --help           print this`;

/** Runs of one operation in one shape, at one of the two. */
interface Cell extends LoadMedians {
  readonly runs: readonly LoadRun[];
}

interface Row {
  readonly op: LoadOp;
  readonly shape: string;
  readonly zooKeeper: Cell;
  readonly zooWeeper: Cell;
  /** ops/s of ZooWeeper by those of ZooKeeper */
  readonly ratio: number;
}

/** One of the two ensembles. */
interface Ensemble {
  /** addresses of its servers, the leader's first */
  readonly urls: readonly string[];
  /** empty if they are not known: then their processor time is not given */
  readonly pids: readonly number[];
  readonly tcp: boolean;
}

interface Plan {
  readonly ops: readonly LoadOp[];
  readonly shapes: readonly string[];
  readonly runs: number;
  readonly measuredMs: number;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

function planOf(values: Readonly<Record<string, string | boolean | undefined>>): Plan {
  const quick = values.quick === true;
  const list = (key: string, all: readonly string[]): readonly string[] =>
    values[key] === undefined ? all : String(values[key]).split(",");
  const ops = list("ops", OPS).map((op) => {
    if (!OPS.includes(op as LoadOp)) throw new UsageError(`--ops knows ${OPS.join(", ")}, not "${op}"`);
    return op as LoadOp;
  });
  const shapes = list("shapes", SHAPES);
  for (const shape of shapes) shapeOf(shape);
  return {
    ops,
    shapes,
    runs: wholeNumber(String(values.runs ?? (quick ? 1 : 5)), "--runs", 100, 1),
    measuredMs: wholeNumber(String(values.ms ?? (quick ? 500 : 3_000)), "--ms", 600_000, 100),
  };
}

function shapeOf(text: string): { readonly sessions: number; readonly outstanding: number } {
  const [, sessions, outstanding] = /^(\d{1,4})x(\d{1,5})$/.exec(text) ?? [];
  if (!(Number(sessions) > 0 && Number(outstanding) > 0))
    throw new UsageError(`a shape is SESSIONSxOUTSTANDING, such as 16x16, not "${text}"`);
  return { sessions: Number(sessions), outstanding: Number(outstanding) };
}

async function run(ensemble: Ensemble, op: LoadOp, shape: string, measuredMs: number): Promise<LoadRun> {
  const { sessions, outstanding } = shapeOf(shape);
  const load = new Load();
  try {
    await load.order({ type: "open", urls: ensemble.urls, count: sessions, tcp: ensemble.tcp });
    const measured = await load.measure({
      ...{ op, znodes: { of: "session" }, outstanding },
      ...{ warmUpMs: Math.min(SETTLE_MS, measuredMs), measuredMs, pids: ensemble.pids },
    });
    if (op === "create") await load.order({ type: "remove" });
    await load.order({ type: "close" });
    return measured;
  } finally {
    load.end();
  }
}

const cellOf = (runs: readonly LoadRun[]): Cell => ({ ...mediansOf(runs), runs });

/** Measures all; the two take turns, so that other work on the machine meets both. */
async function measure(zooKeeper: Ensemble, zooWeeper: Ensemble, plan: Plan, quick: boolean): Promise<Row[]> {
  if (!quick) {
    for (const op of plan.ops)
      for (const ensemble of [zooKeeper, zooWeeper]) await run(ensemble, op, "16x16", WARM_UP_MS);
  }
  const rows: Row[] = [];
  for (const op of plan.ops) {
    for (const shape of plan.shapes) {
      const runs: { readonly zooKeeper: LoadRun[]; readonly zooWeeper: LoadRun[] } = {
        zooKeeper: [],
        zooWeeper: [],
      };
      for (let i = 0; i < plan.runs; i++) {
        runs.zooKeeper.push(await run(zooKeeper, op, shape, plan.measuredMs));
        runs.zooWeeper.push(await run(zooWeeper, op, shape, plan.measuredMs));
      }
      const [keeper, weeper] = [cellOf(runs.zooKeeper), cellOf(runs.zooWeeper)];
      const ratio = round(weeper.opsPerSecond / keeper.opsPerSecond, 2);
      rows.push({ op, shape, zooKeeper: keeper, zooWeeper: weeper, ratio });
      process.stderr.write(`${op} ${shape}: ${keeper.opsPerSecond} and ${weeper.opsPerSecond} ops/s\n`);
    }
  }
  return rows;
}

const spreadOf = ({ runs }: Cell): string => {
  const all = runs.map(({ opsPerSecond }) => opsPerSecond);
  return `${Math.min(...all)}–${Math.max(...all)}`;
};

const rowsTable = (rows: readonly Row[]): string =>
  table(
    [
      ...["op", "sessions × outstanding", "ZooKeeper, ops/s", "range", "ZooWeeper, ops/s", "range", "ratio"],
      ...["p50 ms, ZooKeeper", "ZooWeeper", "p99 ms, ZooKeeper", "ZooWeeper"],
      ...["server CPU µs/op, ZooKeeper", "ZooWeeper"],
    ],
    rows.map(({ op, shape, zooKeeper, zooWeeper, ratio }) => [
      ...[op, shape.replace("x", "×")],
      ...[zooKeeper.opsPerSecond, spreadOf(zooKeeper), zooWeeper.opsPerSecond, spreadOf(zooWeeper), ratio],
      ...[zooKeeper.p50Ms, zooWeeper.p50Ms, zooKeeper.p99Ms, zooWeeper.p99Ms],
      ...[zooKeeper.cpuUsPerOp, zooWeeper.cpuUsPerOp],
    ]),
  );

/** What failed in the runs, a line each. */
const failuresOf = (rows: readonly Row[]): string[] =>
  rows.flatMap(({ op, shape, zooKeeper, zooWeeper }) =>
    [
      ["ZooKeeper", zooKeeper],
      ["ZooWeeper", zooWeeper],
    ].flatMap(([name, cell]) =>
      (cell as Cell).runs
        .filter(({ failed }) => failed > 0)
        .map(({ failed, error }) => `${name} ${op} ${shape}: ${failed} operations failed: ${error}`),
    ),
  );

/** A ZooWeeper of its own, or the one at these addresses. */
async function startZooWeeper(
  at: readonly string[] | undefined,
): Promise<Ensemble & { stop(): Promise<void> }> {
  if (at !== undefined) return { urls: at, pids: [], tcp: false, stop: async () => {} };
  const local = await startLocal({
    ...{ nodes: NODES, brokers: 1, stateDir: join(STATE, "zooweeper"), fresh: true },
  });
  const { leader } = (await (await fetch(`${local.urls.api}/v1/ensemble`)).json()) as { leader: number };
  const sids = Array.from({ length: NODES }, (_, i) => ((leader - 1 + i) % NODES) + 1);
  return {
    urls: sids.map((sid) => `${local.urls.api}/?node=${sid}`),
    pids: [local.runtimePid],
    tcp: false,
    stop: () => local.stop(),
  };
}

const bench = async (): Promise<void> => {
  const text = { type: "string" } as const;
  const quick = { type: "boolean" } as const;
  const { values } = readOptions({
    options: { ops: text, shapes: text, runs: text, ms: text, name: text, at: text, quick },
  });
  const plan = planOf(values);
  const at = values.at?.split(",").map((url) => httpUrl(url, "--at"));
  const machine = describeMachine(STATE);
  const ends: (() => Promise<void>)[] = [];
  try {
    const zooKeeper = await startZooKeeper(NODES, join(STATE, "zookeeper"));
    ends.push(zooKeeper.stop);
    const zooWeeper = await startZooWeeper(at);
    ends.push(() => zooWeeper.stop());
    const rows = await measure({ ...zooKeeper, tcp: true }, zooWeeper, plan, values.quick ?? false);
    const failures = failuresOf(rows);
    const lines = [
      `# ZooWeeper beside Apache ZooKeeper ${zooKeeper.version}, ${today()}`,
      "",
      ...Object.entries(machine).map(([key, value]) => `- ${key}: ${value}`),
      `- medians of ${plan.runs} runs of ${plan.measuredMs} ms, the two in turn; 100 bytes; three servers each`,
      ...(at === undefined ? [] : [`- ZooWeeper at ${at.join(", ")}`]),
      "",
      rowsTable(rows),
      ...failures.map((line) => `\n${line}`),
    ];
    say(lines.join("\n"));
    if (failures.length > 0) process.exitCode = 1;
    if (values.quick === true) return;
    const results = { date: new Date().toISOString(), version: zooKeeper.version, machine, plan, rows };
    const files = { md: `${lines.join("\n")}\n`, json: `${JSON.stringify(results, null, 2)}\n` };
    say(`\n${publish(datedName("zookeeper", values.name), files)}`);
  } finally {
    for (const end of ends.reverse()) await end();
  }
};

await main("bench:zookeeper", bench, HELP);
