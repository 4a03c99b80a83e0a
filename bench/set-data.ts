/** (b) setData of 100 bytes over `/v1/ws` with 1, 64 and 1024 outstanding, durable on a quorum before each answer. */
import { fork } from "node:child_process";
import { join } from "node:path";
import { startLocal } from "../scripts/local.ts";
import { cpuMsOf } from "./processes.ts";
import type { SetDataMessage, SetDataReport } from "./set-data-client.ts";
import { median, round, table } from "./statistics.ts";

/** One size of the ensemble and one number of outstanding writes. */
export interface SetDataResult {
  readonly nodes: number;
  readonly outstanding: number;
  readonly runs: readonly Run[];
  /** medians of the runs */
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUsPerOp: number;
}

/** One run with its processor time. */
export interface Run extends SetDataReport {
  /**
   * processor time of the runtime per operation, µs; it says more than ops/s where the machine has other work. NaN
   * off Linux
   */
  readonly cpuUsPerOp: number;
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
        const runs: Run[] = [];
        for (let run = 0; run < options.runs; run++) {
          runs.push(await runClient(local.urls.api, local.runtimePid, outstanding, options.measuredMs));
        }
        const of = (key: keyof Run): number => round(median(runs.map((r) => r[key])), 2);
        results.push({
          nodes,
          outstanding,
          runs,
          opsPerSecond: Math.round(of("opsPerSecond")),
          p50Ms: of("p50Ms"),
          p99Ms: of("p99Ms"),
          cpuUsPerOp: of("cpuUsPerOp"),
        });
      }
    } finally {
      await local.stop();
    }
  }
  return results;
}

function runClient(url: string, runtimePid: number, outstanding: number, measuredMs: number): Promise<Run> {
  const args = [url, String(outstanding), String(WARM_UP_MS), String(measuredMs)];
  const child = fork(join(import.meta.dirname, "set-data-client.ts"), args);
  let cpuMs = 0;
  return new Promise((resolve, reject) => {
    child.on("message", (message: SetDataMessage) => {
      if (message === "begin") cpuMs = -cpuMsOf(runtimePid);
      else if (message === "end") cpuMs += cpuMsOf(runtimePid);
      else resolve({ ...message, cpuUsPerOp: round((cpuMs * 1000) / message.count, 2) });
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the client of the benchmark ended with ${code}`)));
  });
}

/** A Markdown table of the medians. */
export function setDataTable(results: readonly SetDataResult[]): string {
  return table(
    ["nodes", "outstanding", "ops/s", "p50 ms", "p99 ms", "runtime CPU µs/op"],
    results.map((r) => [r.nodes, r.outstanding, r.opsPerSecond, r.p50Ms, r.p99Ms, r.cpuUsPerOp]),
  );
}
