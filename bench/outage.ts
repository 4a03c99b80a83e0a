/**
 * (c) How long writes stop when the leader crashes: from the moment the crash is ordered to the first answer to a write
 * that was issued after the crash.
 */
import { setTimeout as wait } from "node:timers/promises";
import { startLocal } from "../scripts/local.ts";
import { median, round, table } from "./statistics.ts";

export interface OutageResult {
  readonly nodes: number;
  /** of each round */
  readonly ms: readonly number[];
  readonly medianMs: number;
}

interface Ensemble {
  readonly leader: number | null;
  readonly hasQuorum: boolean;
  readonly nodes: readonly { readonly up: boolean; readonly serving?: boolean }[];
}

const BROKERS = 1;
const PATH = "/v1/znodes/bench-outage";
const SETTLING_MS_MAX = 20_000;
const OUTAGE_MS_MAX = 20_000;
const POLL_MS = 25;

export async function benchOutage(nodes: number, rounds: number, stateDir: string): Promise<OutageResult> {
  const local = await startLocal({ nodes, brokers: BROKERS, stateDir, fresh: true });
  try {
    const api = local.urls.api;
    await fetch(`${api}${PATH}`, { method: "POST", body: "0" }).then((response) => response.text());
    const ms: number[] = [];
    for (let i = 0; i < rounds; i++) {
      const leader = await settledLeader(api);
      ms.push(round(await crashAndWrite(api, leader), 1));
    }
    return { nodes, ms, medianMs: round(median(ms), 1) };
  } finally {
    await local.stop();
  }
}

/** The leader, once every node is up and part of the quorum again. */
async function settledLeader(api: string): Promise<number> {
  const deadline = performance.now() + SETTLING_MS_MAX;
  for (;;) {
    const ensemble = (await (await fetch(`${api}/v1/ensemble`)).json()) as Ensemble;
    const { leader, nodes } = ensemble;
    if (leader !== null && nodes.every(({ up, serving }) => up && serving === true)) return leader;
    if (performance.now() > deadline)
      throw new Error(`the ensemble does not settle: ${JSON.stringify(ensemble)}`);
    await wait(POLL_MS);
  }
}

async function crashAndWrite(api: string, leader: number): Promise<number> {
  const start = performance.now();
  await fetch(`${api}/v1/faults/nodes/${leader}/crash`, { method: "POST" }).then((response) =>
    response.text(),
  );
  for (;;) {
    const response = await fetch(`${api}${PATH}`, { method: "PUT", body: String(start) });
    const text = await response.text();
    if (response.ok) return performance.now() - start;
    // 503 and 504 are what an outage looks like
    if (response.status < 500 || performance.now() - start > OUTAGE_MS_MAX)
      throw new Error(`${response.status}: ${text}`);
  }
}

export function outageTable(results: readonly OutageResult[]): string {
  return table(
    ["nodes", "median ms", "min ms", "max ms", "rounds"],
    results.map((r) => [r.nodes, r.medianMs, Math.min(...r.ms), Math.max(...r.ms), r.ms.length]),
  );
}
