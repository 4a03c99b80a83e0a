/** The measurements of the growth benchmark: what it costs that a tree is large. */
import { setTimeout as wait } from "node:timers/promises";
import { connect } from "../../client/sdk/node.ts";
import { must } from "../../core/assert.ts";
import { type Local, startLocal } from "../../scripts/local.ts";
import type { LoadOp, LoadReport, SingleReport } from "../load/commands.ts";
import { Load, type LoadRun } from "../load/load.ts";
import { pathOf, type Shape, TOP } from "../load/tree.ts";
import { rssMiBOf } from "../processes.ts";
import { median, percentile, round } from "../statistics.ts";
import { ask, asleep, evicted, settled, wipe } from "./ensemble.ts";

/** Znodes of the hot set. */
export const HOT = 10_000;
const FILL_OUTSTANDING = 256;
/** Creates at the end of a fill that count for its size, at most. */
const COUNTED_MAX = 10_000;
const OUTSTANDING = 64;
/** Sessions and outstanding operations of the load beside a SNAP. */
const BESIDE = 16;
/** Time for which sets are counted beside a SNAP, at least: the end of a life alone costs a burst of them, ms. */
const BESIDE_MS_MIN = 1_000;
const MEMORY_LOOK_MS = 50;
const HOLD_LOOKS = 10;
const QUIET_AFTER_MS = 3_000;
/** Lists of the children of a flat tree. */
const LISTS = 3;

/** How long and how often to measure. */
export interface Effort {
  readonly measuredMs: number;
  readonly warmUpMs: number;
  /** sleeps, kills and wipes */
  readonly rounds: number;
  /** sets of the hot set at the last size, to see whether memory grows, ms; 0: none */
  readonly holdMs: number;
}

/** Times of several rounds, ms. */
export interface Rounds {
  readonly medianMs: number;
  readonly ms: readonly number[];
}

/** A list of all children, with another client beside it. */
export interface ListReport {
  readonly ms: number;
  readonly names: number;
  /** of the writes of another client meanwhile, the longest */
  readonly otherMsMax: number;
  readonly otherMsP99: number;
}

/** A wiped member that is brought up. */
export interface SnapReport {
  /** from the order to wipe until the member serves */
  readonly ms: number;
  /** the same with writes meanwhile */
  readonly besideMs: number;
  /** sets a second of 16 sessions with 16 outstanding, before, and from the order until the member serves, at least for 1 s */
  readonly setsBefore: number;
  readonly setsMeanwhile: number;
  /** elections that took place meanwhile */
  readonly elections: number;
  /** sets meanwhile that failed */
  readonly failed: number;
  /** the first error */
  readonly error?: string;
}

/** Memory of the runtime under sets that go on. */
export interface HoldReport extends LoadReport {
  /** resident memory, MiB: at the end of each tenth of the time */
  readonly miB: readonly number[];
}

/** *map measurement → its result* */
export interface Measures {
  readonly creates: LoadReport;
  readonly single: SingleReport;
  readonly setsHot: LoadRun;
  readonly setsUniform: LoadRun;
  readonly getsHot: LoadRun;
  readonly getsUniform: LoadRun;
  readonly list: ListReport;
  /** resident memory of the runtime, MiB: now, and the most since this size began */
  readonly memory: { readonly nowMiB: number; readonly maxMiB: number };
  readonly hold: HoldReport;
  readonly snap: SnapReport;
  readonly wake: Rounds;
  readonly restart: Rounds;
}

const roundsOf = (ms: readonly number[]): Rounds => ({ medianMs: round(median(ms), 1), ms });

/** One ensemble of three nodes, whose tree grows. Invariant: between two measurements the runtime is up. */
export class GrowingEnsemble {
  readonly #shape: Shape;
  readonly #stateDir: string;
  readonly #effort: Effort;
  readonly #signal: AbortSignal;
  #local: Local | undefined;
  #load: Load | undefined;
  #size = 0;
  #maxMiB = 0;
  readonly #timer = setInterval(() => this.#lookAtMemory(), MEMORY_LOOK_MS);

  /** @param signal ends every wait */
  constructor(shape: Shape, stateDir: string, effort: Effort, signal: AbortSignal) {
    this.#signal = signal;
    this.#shape = shape;
    this.#stateDir = stateDir;
    this.#effort = effort;
  }

  /** Starts with an empty tree. */
  async start(): Promise<void> {
    await this.#startRuntime(true);
    await this.#connect();
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#stopRuntime();
  }

  /** Starts again after a measurement that failed in its midst. */
  async recover(): Promise<void> {
    await this.#stopRuntime();
    await this.#startRuntime(false);
    await settled(this.#api, this.#signal);
    await this.#connect();
  }

  /** Grows the tree. @returns the rate of the last creates */
  async grow(size: number): Promise<LoadReport> {
    this.#maxMiB = 0;
    const counted = Math.min(Math.ceil((size - this.#size) / 2), COUNTED_MAX);
    const report = await this.#client.order({
      ...{ type: "fill", shape: this.#shape, from: this.#size, to: size },
      ...{ outstanding: FILL_OUTSTANDING, counted },
    });
    this.#size = size;
    return report;
  }

  /** A child that is created, looked up and deleted, one operation after the other. */
  single(): Promise<SingleReport> {
    return this.#client.order({ type: "single", shape: this.#shape, ms: this.#effort.measuredMs });
  }

  /** Sets or gets with 64 outstanding, over the hot set or all znodes. */
  load(op: LoadOp, where: "hot" | "uniform"): Promise<LoadRun> {
    const { warmUpMs, measuredMs } = this.#effort;
    return this.#client.measure({
      ...{ op, outstanding: OUTSTANDING, warmUpMs, measuredMs, pids: [this.#runtime.runtimePid] },
      znodes: { of: "tree", shape: this.#shape, size: this.#size, ...(where === "hot" && { hot: HOT }) },
    });
  }

  /** Lists all children of a flat tree, while another client writes. */
  async list(): Promise<ListReport> {
    await using other = await connect(this.#api);
    const latencies: number[] = [];
    const lists: { readonly ms: number; readonly count: number }[] = [];
    let over = false;
    const writing = (async () => {
      while (!over) {
        const start = performance.now();
        await other.set(pathOf(this.#shape, 0), "other");
        latencies.push(performance.now() - start);
      }
    })();
    try {
      for (let i = 0; i < LISTS; i++) lists.push(await this.#client.order({ type: "children", path: TOP }));
    } finally {
      over = true;
      await writing;
    }
    const sorted = latencies.toSorted((a, b) => a - b);
    return {
      ms: round(median(lists.map(({ ms }) => ms)), 1),
      names: lists.at(-1)?.count ?? 0,
      otherMsMax: round(sorted.at(-1) ?? 0, 1),
      otherMsP99: round(percentile(sorted, 0.99), 1),
    };
  }

  memory(): { readonly nowMiB: number; readonly maxMiB: number } {
    this.#lookAtMemory();
    return { nowMiB: rssMiBOf(this.#runtime.runtimePid), maxMiB: this.#maxMiB };
  }

  /** Sets of the hot set for so long. */
  async hold(ms: number): Promise<HoldReport> {
    const miB: number[] = [];
    const znodes = { of: "tree", shape: this.#shape, size: this.#size, hot: HOT } as const;
    await this.#client.order({ type: "begin", op: "set", znodes, outstanding: OUTSTANDING });
    for (let i = 0; i < HOLD_LOOKS; i++) {
      await wait(ms / HOLD_LOOKS, undefined, { signal: this.#signal });
      miB.push(rssMiBOf(this.#runtime.runtimePid));
    }
    const report = await this.#client.order({ type: "mark" });
    await this.#client.order({ type: "end" });
    return { ...report, miB };
  }

  /** Wipes a follower, twice: with nothing else going on, and beside sets at the other members. */
  async snap(): Promise<SnapReport> {
    const before = await settled(this.#api, this.#signal);
    const sids = before.nodes.map(({ sid }) => sid);
    const follower = must(
      sids.find((sid) => sid !== before.leader),
      "there is a follower",
    );
    const ms = await wipe(this.#api, follower, this.#signal);
    const load = new Load();
    try {
      const urls = sids.filter((sid) => sid !== follower).map((sid) => `${this.#api}/?node=${sid}`);
      await load.order({ type: "open", urls, count: BESIDE });
      await load.order({
        ...{ type: "begin", op: "set", outstanding: BESIDE },
        znodes: { of: "tree", shape: this.#shape, size: this.#size, hot: HOT },
      });
      await wait(this.#effort.warmUpMs);
      await load.order({ type: "mark" });
      await wait(this.#effort.measuredMs);
      const { opsPerSecond: setsBefore } = await load.order({ type: "mark" });
      const [besideMs] = await Promise.all([wipe(this.#api, follower, this.#signal), wait(BESIDE_MS_MIN)]);
      const { opsPerSecond: setsMeanwhile, failed, error } = await load.order({ type: "mark" });
      await load.order({ type: "end" });
      await load.order({ type: "close" });
      const { epoch } = await settled(this.#api, this.#signal);
      return {
        ms,
        besideMs,
        setsBefore,
        setsMeanwhile,
        elections: epoch - before.epoch,
        failed,
        ...(error !== undefined && { error }),
      };
    } finally {
      load.end();
    }
  }

  /** The first connection of a client after all objects have fallen asleep and left memory. */
  async wake(): Promise<Rounds> {
    const ms: number[] = [];
    await this.#disconnect();
    for (let i = 0; i < this.#effort.rounds; i++) {
      await asleep(this.#api, this.#signal);
      await evicted(this.#stateDir, this.#signal);
      const start = performance.now();
      const session = await connect(this.#api, { connectTimeoutMs: 120_000 });
      ms.push(round(performance.now() - start, 1));
      await session.close();
    }
    await settled(this.#api, this.#signal);
    await this.#connect();
    return roundsOf(ms);
  }

  /** The first read after `kill -9` of the runtime under writes, from the moment at which it listens again. */
  async restart(): Promise<Rounds> {
    const ms: number[] = [];
    for (let i = 0; i < this.#effort.rounds; i++) {
      const znodes = { of: "tree", shape: this.#shape, size: this.#size, hot: HOT } as const;
      await this.#client.order({ type: "begin", op: "set", znodes, outstanding: OUTSTANDING });
      await wait(this.#effort.warmUpMs);
      process.kill(this.#runtime.runtimePid, "SIGKILL");
      await this.#stopRuntime();
      await this.#startRuntime(false);
      ms.push(round(await this.#firstRead(), 1));
      await settled(this.#api, this.#signal);
      await this.#connect();
    }
    return roundsOf(ms);
  }

  get #runtime(): Local {
    return must(this.#local, "the runtime is up");
  }

  get #client(): Load {
    return must(this.#load, "the client is connected");
  }

  get #api(): string {
    return this.#runtime.urls.api;
  }

  async #startRuntime(fresh: boolean): Promise<void> {
    this.#local = await startLocal({
      ...{ nodes: 3, brokers: 1, stateDir: this.#stateDir, fresh, unready: !fresh },
      vars: { QUIET_AFTER_MS: String(QUIET_AFTER_MS) },
    });
  }

  async #stopRuntime(): Promise<void> {
    this.#load?.end();
    await this.#local?.stop();
    this.#local = undefined;
  }

  async #connect(): Promise<void> {
    this.#load = new Load();
    await this.#load.order({ type: "open", urls: [this.#api], count: 1 });
  }

  async #disconnect(): Promise<void> {
    await this.#client.order({ type: "close" });
    this.#client.end();
  }

  async #firstRead(): Promise<number> {
    const start = performance.now();
    const url = `${this.#api}/v1/znodes${pathOf(this.#shape, this.#size - 1)}?view=stat`;
    for (;;) {
      const { status, text } = await ask(url);
      if (status === 200) return performance.now() - start;
      if (status < 500) throw new Error(`the first read answered ${status}: ${text}`);
    }
  }

  #lookAtMemory(): void {
    if (this.#local !== undefined) this.#maxMiB = Math.max(this.#maxMiB, rssMiBOf(this.#local.runtimePid));
  }
}
