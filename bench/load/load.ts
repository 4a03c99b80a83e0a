/** A load from a process of its own, so that its work does not delay the measurement. */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { cpuMsOf } from "../processes.ts";
import { median, round } from "../statistics.ts";
import type { Answers, Command, LoadOp, LoadReport, Outcome, Znodes } from "./commands.ts";

/** A measured load. */
export interface LoadRun extends LoadReport {
  /**
   * processor time of the servers per operation, µs; it says more than ops/s where the machine has other work. NaN off
   * Linux
   */
  readonly cpuUsPerOp: number;
}

/** Medians of the runs of one load. */
export interface LoadMedians {
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUsPerOp: number;
}

/** Medians of at least one run. */
export function mediansOf(runs: readonly LoadRun[]): LoadMedians {
  const of = (key: keyof LoadMedians): number => round(median(runs.map((run) => run[key])), 2);
  return {
    opsPerSecond: Math.round(of("opsPerSecond")),
    p50Ms: of("p50Ms"),
    p99Ms: of("p99Ms"),
    cpuUsPerOp: of("cpuUsPerOp"),
  };
}

/** What to measure, and for how long. */
export interface LoadPlan {
  readonly op: LoadOp;
  readonly znodes: Znodes;
  /** operations of each session that wait for their answers */
  readonly outstanding: number;
  readonly warmUpMs: number;
  readonly measuredMs: number;
  /** processes of the servers */
  readonly pids: readonly number[];
}

/** One client process. Commands are carried out one after the other. */
export class Load {
  readonly #child: ChildProcess;
  #queue: Promise<unknown> = Promise.resolve();

  constructor() {
    this.#child = fork(join(import.meta.dirname, "client.ts"));
    // an order to a process that has ended fails by itself
    this.#child.on("error", () => undefined);
  }

  /** Has the process carry out a command. @throws Error with its reason, or if the process ends */
  order<T extends Command["type"]>(command: Extract<Command, { type: T }>): Promise<Answers[T]> {
    const answer = this.#queue.then(() => this.#order<T>(command));
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  #order<T extends Command["type"]>(command: Command): Promise<Answers[T]> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const gone = (code: number | null): void => reject(new Error(`the client process ended with ${code}`));
      child.once("exit", gone);
      child.once("message", (outcome: Outcome<Answers[T]>) => {
        child.off("exit", gone);
        if (outcome.ok) resolve(outcome.value);
        else reject(new Error(outcome.why));
      });
      child.send(command);
    });
  }

  /** Runs a load over the open sessions, and measures it after a warm-up. */
  async measure({ op, znodes, outstanding, warmUpMs, measuredMs, pids }: LoadPlan): Promise<LoadRun> {
    await this.order({ type: "begin", op, znodes, outstanding });
    await wait(warmUpMs);
    const cpuMs = (): number => pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
    await this.order({ type: "mark" });
    const before = cpuMs();
    await wait(measuredMs);
    const report = await this.order({ type: "mark" });
    const cpuUsPerOp = round(((cpuMs() - before) * 1000) / report.count, 2);
    await this.order({ type: "end" });
    return { ...report, cpuUsPerOp };
  }

  /** Ends the process. */
  end(): void {
    this.#child.kill("SIGKILL");
  }
}
