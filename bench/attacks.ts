/**
 * (e) Attacks beside a single writer: memory of the runtime, and latency of the writer's setData of 100 bytes, before
 * and during each. An attack that takes too much memory is ended, with the runtime.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { connect, type Session } from "../client/sdk/node.ts";
import { openGateway } from "../scripts/local/gateway.ts";
import { startLocal } from "../scripts/local.ts";
import { ATTACKS, type Attack, type AttackerMessage, WRITTEN } from "./attack-list.ts";
import { rssMiBOf } from "./processes.ts";
import { percentile, round, table } from "./statistics.ts";

/** One row of the table. */
export interface AttackResult {
  readonly attack: Attack;
  /** memory of the runtime, MiB: before the attack, and its maximum during it */
  readonly rssMiB: number;
  readonly rssMaxMiB: number;
  /** at its end, with its connections still open */
  readonly rssEndMiB: number;
  readonly before: Latency;
  readonly during: Latency;
  /** observations of the attacker */
  readonly seen: string;
}

interface Latency {
  readonly writes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const BEFORE_MS = 3_000;
const WRITE_PAUSE_MS = 5;
const LOOK_MS = 20;
/** Memory at which the runtime is ended, MiB. */
const RSS_MIB_MAX = 3_000;

/** @param ms duration of each attack; those with many connections take longer */
export async function benchAttacks(ms: number, stateDir: string): Promise<AttackResult[]> {
  const results: AttackResult[] = [];
  for (const attack of ATTACKS) results.push(await benchAttack(attack, ms, stateDir));
  return results;
}

async function benchAttack(attack: Attack, ms: number, stateDir: string): Promise<AttackResult> {
  const local = await startLocal({ nodes: 3, brokers: 1, stateDir, fresh: true });
  const gateway = await openGateway({ port: 0, target: () => Number(new URL(local.urls.api).port) });
  const url = `http://127.0.0.1:${gateway.port}`;
  const attacker = fork(join(import.meta.dirname, "attacker.ts"), [attack, url, String(ms)]);
  const memory = new Memory(local.runtimePid, () => process.kill(local.runtimePid, "SIGKILL"));
  const session = await connect(local.urls.api, { timeoutMs: 20_000 });
  try {
    await session.create(WRITTEN);
    await messageOf(attacker);
    const before = await write(session, () => wait(BEFORE_MS));
    const rssMiB = memory.begin();
    const told = messageOf(attacker);
    attacker.send("go");
    let seen = "";
    let rssEndMiB = 0;
    const during = await write(session, async () => {
      const message = await Promise.race([told, local.gone]);
      seen = typeof message === "string" ? message : message.seen;
      rssEndMiB = memory.now();
    });
    return { attack, rssMiB, rssMaxMiB: memory.end(), rssEndMiB, before, during, seen };
  } finally {
    memory.end();
    attacker.kill();
    session.disconnect();
    gateway.close();
    await local.stop();
  }
}

/** Writes one after the other until `until` resolves, and no longer than the session lives. */
async function write(session: Session, until: () => Promise<void>): Promise<Latency> {
  const data = new Uint8Array(100);
  const latencies: number[] = [];
  let over = false;
  const ended = until().finally(() => (over = true));
  while (!over) {
    const start = performance.now();
    const done = await Promise.race([session.set(WRITTEN, data).catch(() => undefined), ended]);
    // a write that is outstanding at the end counts with its wait so far
    latencies.push(performance.now() - start);
    if (done === undefined && session.state !== "connected") await wait(LOOK_MS);
    await wait(WRITE_PAUSE_MS);
  }
  await ended;
  const sorted = Float64Array.from(latencies).toSorted();
  return {
    writes: sorted.length,
    p50Ms: round(percentile(sorted, 0.5), 1),
    p99Ms: round(percentile(sorted, 0.99), 1),
  };
}

function messageOf(attacker: ChildProcess): Promise<AttackerMessage> {
  return new Promise((resolve, reject) => {
    attacker.once("message", (message: AttackerMessage) => resolve(message));
    attacker.once("error", reject);
    attacker.once("exit", (code) => reject(new Error(`the attacker ended with ${code}`)));
  });
}

/** Samples the resident memory of a process, and ends a process that takes too much. */
class Memory {
  readonly #pid: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #max = 0;

  constructor(pid: number, tooMuch: () => void) {
    this.#pid = pid;
    this.#timer = setInterval(() => {
      this.#max = Math.max(this.#max, this.now());
      if (this.#max > RSS_MIB_MAX) tooMuch();
    }, LOOK_MS);
  }

  /** MiB; 0 off Linux, and once the process is gone */
  now(): number {
    return rssMiBOf(this.#pid);
  }

  /** Resets the maximum. @returns the current memory */
  begin(): number {
    this.#max = this.now();
    return this.#max;
  }

  /** @returns the maximum since the last reset */
  end(): number {
    clearInterval(this.#timer);
    return this.#max;
  }
}

const TITLES: Readonly<Record<Attack, string>> = {
  reads: "one message of 4,000 reads of 1 MB",
  "stopped-reader": "300 reads of 1 MB that nobody reads",
  lists: "4 connections x 8 lists of 100,000 names",
  "half-open": "1,500 sockets without a handshake, 1,500 half bodies",
  watchers: "2,000 SSE watchers of the znode that is written",
  "unread-watches": "200 watch streams that nobody reads, 100 kB a write",
  "unread-events": "200 streams of protocol events that nobody reads, 100 kB a write",
  "unread-records": "200 streams of records that nobody reads, 100 kB a record",
  "unread-live": "200 sockets on /v1/live that nobody reads, 100 kB a record",
};

/** A Markdown table of the results. */
export function attacksTable(results: readonly AttackResult[]): string {
  return table(
    [
      "attack",
      "RSS MiB before",
      "most",
      "at the end",
      "writer p50 / p99 ms before",
      "during",
      "writes",
      "seen",
    ],
    results.map((r) => [
      TITLES[r.attack],
      r.rssMiB,
      r.rssMaxMiB,
      r.rssEndMiB,
      `${r.before.p50Ms} / ${r.before.p99Ms}`,
      `${r.during.p50Ms} / ${r.during.p99Ms}`,
      r.during.writes,
      r.seen,
    ]),
  );
}
