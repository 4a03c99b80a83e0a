/** (b) setData of 100 bytes over `/v1/ws` with 1, 64 and 1024 outstanding, durable on a quorum before each answer. */
import { fork } from "node:child_process";
import { join } from "node:path";
import { startLocal } from "../scripts/local.ts";
import type { SetDataReport } from "./set-data-client.ts";
import { median, round, table } from "./statistics.ts";

export interface SetDataResult {
  readonly nodes: number;
  readonly outstanding: number;
  readonly runs: readonly SetDataReport[];
  /** medians of the runs */
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface SetDataOptions {
  readonly sizes: readonly number[];
  readonly outstanding: readonly number[];
  readonly runs: number;
  readonly measuredMs: number;
  readonly stateDir: string;
}

const BROKERS = 1;
const WARM_UP_MS = 1_500;

export async function benchSetData(options: SetDataOptions): Promise<SetDataResult[]> {
  const results: SetDataResult[] = [];
  for (const nodes of options.sizes) {
    const local = await startLocal({ nodes, brokers: BROKERS, stateDir: options.stateDir, fresh: true });
    try {
      for (const outstanding of options.outstanding) {
        const runs: SetDataReport[] = [];
        for (let run = 0; run < options.runs; run++) {
          runs.push(await runClient(local.urls.api, outstanding, options.measuredMs));
        }
        const of = (key: keyof SetDataReport): number => round(median(runs.map((r) => r[key])), 2);
        results.push({
          nodes,
          outstanding,
          runs,
          opsPerSecond: Math.round(of("opsPerSecond")),
          p50Ms: of("p50Ms"),
          p99Ms: of("p99Ms"),
        });
      }
    } finally {
      await local.stop();
    }
  }
  return results;
}

function runClient(url: string, outstanding: number, measuredMs: number): Promise<SetDataReport> {
  const args = [url, String(outstanding), String(WARM_UP_MS), String(measuredMs)];
  const child = fork(join(import.meta.dirname, "set-data-client.ts"), args);
  return new Promise((resolve, reject) => {
    child.once("message", (report: SetDataReport) => resolve(report));
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the client of the benchmark ended with ${code}`)));
  });
}

export function setDataTable(results: readonly SetDataResult[]): string {
  return table(
    ["nodes", "outstanding", "ops/s", "p50 ms", "p99 ms"],
    results.map((r) => [r.nodes, r.outstanding, r.opsPerSecond, r.p50Ms, r.p99Ms]),
  );
}
