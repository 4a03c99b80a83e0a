/** Reports of a campaign, as text and figures. */
import { execFileSync } from "node:child_process";
import { runSeed, type Tally } from "../run.ts";
import { drawOptions, type Overrides } from "../swarm.ts";
import type { CampaignResult, Failure } from "./campaign.ts";

/** Figures of a campaign. */
export interface Figures {
  readonly seeds: number;
  readonly violations: number;
  readonly commits: number;
  readonly leaderChanges: number;
  readonly simulatedHours: number;
  /** simulated time over the processor time of one core */
  readonly timesRealTime: number;
  readonly operations: number;
  readonly watchEvents: number;
  /** histories of at least 2,000 operations, all of them linearizable */
  readonly largeHistories: number;
  readonly undecided: number;
  readonly checks: number;
  readonly runTwice: number;
}

/** The figures of a campaign. */
export function figuresOf({ seeds, failures, tally, cpuMs }: CampaignResult): Figures {
  const of = (name: string): number => tally[name] ?? 0;
  const simulatedMs = of("simulated ms");
  return {
    seeds,
    violations: failures.length,
    commits: of("commits"),
    leaderChanges: of("leader changes"),
    simulatedHours: round(simulatedMs / 3_600_000, 2),
    timesRealTime: round(simulatedMs / cpuMs, 0),
    operations: of("history ops"),
    watchEvents: of("history watchEvents"),
    largeHistories: of("history large"),
    undecided: of("history undecided"),
    checks: sumOf(tally, "rule "),
    runTwice: of("seeds run twice"),
  };
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

const sumOf = (tally: Tally, prefix: string): number =>
  Object.entries(tally).reduce((sum, [name, count]) => (name.startsWith(prefix) ? sum + count : sum), 0);

/** One line each: kinds of faults, messages, synchronizations, answers, checks. */
export function tallyLines(tally: Tally): string[] {
  return ["fault", "message", "sync", "client", "rule", "history", "trees"].map((group) => {
    const members = Object.entries(tally)
      .filter(([name]) => name.startsWith(`${group} `))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name.slice(group.length + 1)} ${count}`);
    return `${group}: ${members.join(", ")}`;
  });
}

/** The command that replays a run. */
export function replayLine(seed: number, overrides: Overrides): string {
  const words = Object.entries(overrides).map(([name, value]) => {
    const option = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return ` --${option} ${Array.isArray(value) ? value.join(",") || "none" : value}`;
  });
  return `npm run sim -- --seed ${seed}${words.join("")} --trace`;
}

/** The current commit, abbreviated; "unknown" outside a checkout. */
export function commitOf(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return "unknown";
  }
}

/** Lines of the trace that are printed with a failure. */
const TRACE_LINES = 100;

/** The text of a failure, with its trace and the command that replays it. */
export function failureText({ seed, what }: Failure, overrides: Overrides): string {
  const options = drawOptions(seed, overrides);
  const lines: string[] = [];
  const again = runSeed(options, (line) => {
    lines.push(line);
    if (lines.length > 4 * TRACE_LINES) lines.splice(0, lines.length - TRACE_LINES);
  });
  return [
    `seed ${seed} at commit ${commitOf()}: ${what}`,
    `options: ${JSON.stringify(options)}`,
    `the last ${TRACE_LINES} events:`,
    ...lines.slice(-TRACE_LINES),
    again.failure === null ? "IT DID NOT FAIL AGAIN: the run is not deterministic" : "it fails again:",
    `  ${replayLine(seed, overrides)}`,
  ].join("\n");
}
