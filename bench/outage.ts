/**
 * (c) How long writes stop when the leader crashes or is cut off silently: from the order to the first answer to a
 * write that was issued after it.
 */
import { setTimeout as wait } from "node:timers/promises";
import { startLocal } from "../scripts/local.ts";
import { median, round, table } from "./statistics.ts";

/** One size of the ensemble and one fault. */
export interface OutageResult {
  readonly nodes: number;
  /** fault of the leader; after a partition the other nodes first have to miss it for two ticks */
  readonly fault: "crash" | "partition";
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

/** @param rounds number of rounds of each fault */
export async function benchOutage(nodes: number, rounds: number, stateDir: string): Promise<OutageResult[]> {
  const local = await startLocal({ nodes, brokers: BROKERS, stateDir, fresh: true });
  try {
    const api = local.urls.api;
    await post(`${api}${PATH}`);
    const results: OutageResult[] = [];
    for (const fault of ["crash", "partition"] as const) {
      const ms: number[] = [];
      for (let i = 0; i < rounds; i++) {
        const leader = await settledLeader(api);
        ms.push(round(await breakAndWrite(api, fault, leader, (leader % nodes) + 1), 1));
        if (fault === "partition") await post(`${api}/v1/faults/nodes/${leader}/heal`);
      }
      results.push({ nodes, fault, ms, medianMs: round(median(ms), 1) });
    }
    return results;
  } finally {
    await local.stop();
  }
}

async function post(url: string): Promise<void> {
  const response = await fetch(url, { method: "POST" });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
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

/** @param other another node: at a leader that is cut off, a write waits until the leader notices it */
async function breakAndWrite(
  api: string,
  fault: OutageResult["fault"],
  leader: number,
  other: number,
): Promise<number> {
  const start = performance.now();
  await post(`${api}/v1/faults/nodes/${leader}/${fault === "crash" ? "crash" : "isolate"}`);
  const headers: Record<string, string> = fault === "crash" ? {} : { "zoo-node": String(other) };
  for (;;) {
    const response = await fetch(`${api}${PATH}`, { method: "PUT", headers, body: String(start) });
    const text = await response.text();
    if (response.ok) return performance.now() - start;
    // 503 and 504 are the answers during an outage
    if (response.status < 500 || performance.now() - start > OUTAGE_MS_MAX)
      throw new Error(`${response.status}: ${text}`);
  }
}

/** A Markdown table of the results. */
export function outageTable(results: readonly OutageResult[]): string {
  return table(
    ["nodes", "leader", "median ms", "min ms", "max ms", "rounds"],
    results.map((r) => [r.nodes, r.fault, r.medianMs, Math.min(...r.ms), Math.max(...r.ms), r.ms.length]),
  );
}
