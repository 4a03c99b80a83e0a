/**
 * (d) Costs of an ensemble without clients, and latency of the first write after it. Measured on files, not on
 * promises: every file of the runtime's storage must keep its bytes and its time, the counters and starts of every
 * object must stay the same during the sleep, and the processor time of the runtime is measured.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { startLocal } from "../scripts/local.ts";
import { cpuMsOf } from "./processes.ts";
import { median, round, table } from "./statistics.ts";

/** What a sleep and the wakes after it cost. */
export interface IdleResult {
  readonly nodes: number;
  readonly brokers: number;
  /** s in which no file changed */
  readonly quietS: number;
  /** files that were watched */
  readonly files: number;
  /** processor time of the runtime meanwhile, ms: it maintains its own sockets */
  readonly cpuMs: number;
  /** from the last request until all objects slept, s */
  readonly fallingAsleepS: number;
  /** latency of the first write after each sleep, ms; before the first one the objects are out of memory */
  readonly wakeMs: readonly number[];
  readonly medianWakeMs: number;
  /** processor time of the runtime for each, ms, which other work on the machine hardly affects */
  readonly wakeCpuMs: readonly number[];
}

interface Counted {
  readonly up: boolean;
  readonly boot?: number;
  readonly quietSince?: number | null;
  readonly counters?: Readonly<Record<string, number>>;
}

interface AllCounters {
  readonly nodes: readonly Counted[];
  readonly brokers: readonly Counted[];
}

const PATH = "/v1/znodes/bench-idle";
const QUIET_AFTER_MS = 3_000;
const SLEEP_MS_MAX = 60_000;
const STABLE_MS_MAX = 240_000;
const POLL_MS = 100;

/**
 * @param wakes number of wakes; the ensemble sleeps for `quietS` before the first @throws Error if the sleep costs
 * anything
 */
export async function benchIdle(
  { nodes, brokers, quietS, wakes }: { nodes: number; brokers: number; quietS: number; wakes: number },
  stateDir: string,
): Promise<IdleResult> {
  const vars = { QUIET_AFTER_MS: String(QUIET_AFTER_MS) };
  const local = await startLocal({ nodes, brokers, stateDir, fresh: true, vars });
  try {
    const { api } = local.urls;
    await write(api, "POST");
    await registered(api, brokers);
    const asked = performance.now();
    const before = await asleep(api);
    const fallingAsleepS = (performance.now() - asked) / 1_000;
    const cpuAndFiles = await untilUnchanged(join(stateDir, "objects"), quietS * 1_000, local.runtimePid);
    same(before, await counters(api));
    const wakeMs: number[] = [];
    const wakeCpuMs: number[] = [];
    for (let i = 0; i < wakes; i++) {
      if (i > 0) await asleep(api);
      const cpu = cpuMsOf(local.runtimePid);
      wakeMs.push(round(await write(api, "PUT"), 1));
      wakeCpuMs.push(cpuMsOf(local.runtimePid) - cpu);
    }
    return {
      nodes,
      brokers,
      quietS,
      ...cpuAndFiles,
      fallingAsleepS: round(fallingAsleepS, 1),
      wakeMs,
      medianWakeMs: round(median(wakeMs), 1),
      wakeCpuMs,
    };
  } finally {
    await local.stop();
  }
}

/** Waits until every broker is registered, with one of them as the controller. */
async function registered(api: string, brokers: number): Promise<void> {
  const deadline = performance.now() + SLEEP_MS_MAX;
  for (;;) {
    const cluster = (await (await fetch(`${api}/cluster`)).json()) as {
      readonly controller: number | null;
      readonly brokers: readonly { readonly epoch: number | null }[];
    };
    const live = cluster.brokers.filter(({ epoch }) => epoch !== null).length;
    if (cluster.controller !== null && live === brokers) return;
    if (performance.now() > deadline) throw new Error(`${live} of ${brokers} brokers are registered`);
    await wait(POLL_MS);
  }
}

/** @returns ms */
async function write(api: string, method: "POST" | "PUT"): Promise<number> {
  const start = performance.now();
  const response = await fetch(`${api}${PATH}`, { method, body: String(start) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  return performance.now() - start;
}

const counters = async (api: string): Promise<AllCounters> =>
  (await (await fetch(`${api}/v1/counters`)).json()) as AllCounters;

/** Counters of every object while all of them sleep. */
async function asleep(api: string): Promise<AllCounters> {
  const deadline = performance.now() + SLEEP_MS_MAX;
  for (;;) {
    const all = await counters(api);
    if ([...all.nodes, ...all.brokers].every((each) => each.up && each.quietSince != null)) return all;
    if (performance.now() > deadline) throw new Error(`it does not fall asleep: ${JSON.stringify(all)}`);
    await wait(POLL_MS);
  }
}

function same(before: AllCounters, after: AllCounters): void {
  const [was, is] = [JSON.stringify(before), JSON.stringify(after)];
  if (was !== is) throw new Error(`something was done in the sleep:\n${was}\n${is}`);
}

/**
 * Waits until no file has changed for so long. The wait begins again with every change: when the runtime takes an
 * object out of memory, some ten seconds after its last event, SQLite folds its write-ahead log into the database.
 */
async function untilUnchanged(
  dir: string,
  ms: number,
  pid: number,
): Promise<{ readonly files: number; readonly cpuMs: number }> {
  const deadline = performance.now() + STABLE_MS_MAX;
  let seen = fingerprint(dir);
  let since = performance.now();
  let cpu = cpuMsOf(pid);
  while (performance.now() - since < ms) {
    if (performance.now() > deadline) throw new Error("the files go on changing");
    await wait(1_000);
    const now = fingerprint(dir);
    if (now.text === seen.text) continue;
    seen = now;
    since = performance.now();
    cpu = cpuMsOf(pid);
  }
  return { files: seen.files, cpuMs: cpuMsOf(pid) - cpu };
}

/** Names, times and bytes of all files, as one text. */
function fingerprint(dir: string): { readonly text: string; readonly files: number } {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const lines = files.map((file) => {
    try {
      const hash = createHash("sha256").update(readFileSync(file)).digest("hex");
      return `${file} ${statSync(file).mtimeMs} ${hash}`;
    } catch {
      // SQLite has removed it since it was listed, which is a change too
      return `${file} is gone`;
    }
  });
  return { text: lines.join("\n"), files: files.length };
}

/** A Markdown table of the result. */
export function idleTable(results: readonly IdleResult[]): string {
  return table(
    [
      "nodes",
      "brokers",
      "s without a change",
      "files",
      "runtime's CPU ms",
      "first write ms",
      "its CPU ms",
      "median of wakes ms",
    ],
    results.map((r) => [
      r.nodes,
      r.brokers,
      r.quietS,
      r.files,
      r.cpuMs,
      r.wakeMs[0] ?? 0,
      r.wakeCpuMs[0] ?? 0,
      r.medianWakeMs,
    ]),
  );
}
