/** (a) Goals posted one after the other through `/addScore`: the table of the original student project. */
import { goalOf, sendGoal } from "../scripts/local/goals.ts";
import { startLocal } from "../scripts/local.ts";
import { median, round, table } from "./statistics.ts";

/** One size of the ensemble. */
export interface GoalsResult {
  readonly nodes: number;
  readonly requests: number;
  /** of each run */
  readonly seconds: readonly number[];
  readonly medianSeconds: number;
}

const REQUESTS = [1, 10, 100];
const BROKERS = 3;
const CLIENTS = "9090,9091,9092";
/** Goals before the first run, so that the objects are running and the code is compiled. */
const WARM_UP = 50;

/** Measures all sizes; each begins with an empty state. */
export async function benchGoals(
  sizes: readonly number[],
  runs: number,
  stateDir: string,
): Promise<GoalsResult[]> {
  const results: GoalsResult[] = [];
  for (const nodes of sizes) {
    const local = await startLocal({ nodes, brokers: BROKERS, stateDir, fresh: true, brokerPort: 0 });
    try {
      const broker = local.urls.brokers[0] ?? "";
      await post(broker, WARM_UP);
      for (const requests of REQUESTS) {
        const seconds: number[] = [];
        for (let run = 0; run < runs; run++) seconds.push(round(await post(broker, requests), 4));
        results.push({ nodes, requests, seconds, medianSeconds: median(seconds) });
      }
    } finally {
      await local.stop();
    }
  }
  return results;
}

/** Posts `count` goals, each after the answer to the previous one; resolves with the seconds that it took. */
async function post(broker: string, count: number): Promise<number> {
  const run = crypto.randomUUID();
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const options = { key: `${run}-${i}`, clients: CLIENTS, receiver: "8081" };
    const { status, text } = await sendGoal(broker, goalOf(i), options);
    if (status !== 200) throw new Error(`goal ${i} was answered ${status}: ${text}`);
  }
  return (performance.now() - start) / 1000;
}

/** A Markdown table of the medians. */
export function goalsTable(results: readonly GoalsResult[]): string {
  const sizes = [...new Set(results.map(({ nodes }) => nodes))];
  const of = (nodes: number, requests: number): string =>
    (results.find((r) => r.nodes === nodes && r.requests === requests)?.medianSeconds ?? Number.NaN).toFixed(
      3,
    );
  return table(
    ["nodes", ...REQUESTS.map((count) => `${count} request${count === 1 ? "" : "s"}, s`)],
    sizes.map((nodes) => [nodes, ...REQUESTS.map((requests) => of(nodes, requests))]),
  );
}
