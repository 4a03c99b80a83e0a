/** (b) setData of 100 bytes over `/v1/ws` with 1, 64 and 1024 outstanding, durable on a quorum before each answer. */
import { startLocal } from "../scripts/local.ts";
import { Load, type LoadMedians, type LoadRun, mediansOf } from "./load/load.ts";
import { table } from "./statistics.ts";

/** One size of the ensemble and one number of outstanding writes. */
export interface SetDataResult extends LoadMedians {
  readonly nodes: number;
  readonly outstanding: number;
  readonly runs: readonly LoadRun[];
}

/** Sizes, numbers of outstanding writes, and repetitions. */
export interface SetDataOptions {
  readonly sizes: readonly number[];
  readonly outstanding: readonly number[];
  readonly runs: number;
  readonly measuredMs: number;
  readonly stateDir: string;
}

const BROKERS = 1;
const WARM_UP_MS = 1_500;

/** Measures all combinations; each size begins with an empty state. */
export async function benchSetData(options: SetDataOptions): Promise<SetDataResult[]> {
  const results: SetDataResult[] = [];
  for (const nodes of options.sizes) {
    const local = await startLocal({ nodes, brokers: BROKERS, stateDir: options.stateDir, fresh: true });
    try {
      for (const outstanding of options.outstanding) {
        const runs: LoadRun[] = [];
        for (let run = 0; run < options.runs; run++) {
          runs.push(await runClient(local.urls.api, local.runtimePid, outstanding, options.measuredMs));
        }
        results.push({ nodes, outstanding, runs, ...mediansOf(runs) });
      }
    } finally {
      await local.stop();
    }
  }
  return results;
}

async function runClient(
  url: string,
  runtimePid: number,
  outstanding: number,
  measuredMs: number,
): Promise<LoadRun> {
  const load = new Load();
  try {
    await load.order({ type: "open", urls: [url], count: 1 });
    const znodes = { of: "session" } as const;
    const times = { warmUpMs: WARM_UP_MS, measuredMs };
    const run = await load.measure({ op: "set", znodes, outstanding, ...times, pids: [runtimePid] });
    await load.order({ type: "close" });
    return run;
  } finally {
    load.end();
  }
}

/** A Markdown table of the medians. */
export function setDataTable(results: readonly SetDataResult[]): string {
  return table(
    ["nodes", "outstanding", "ops/s", "p50 ms", "p99 ms", "runtime CPU µs/op"],
    results.map((r) => [r.nodes, r.outstanding, r.opsPerSecond, r.p50Ms, r.p99Ms, r.cpuUsPerOp]),
  );
}
