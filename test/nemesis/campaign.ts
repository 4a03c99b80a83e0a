/** Which runs there are, several at a time, what is said of them, and the nemeses' part of the soak. */
import { join } from "node:path";
import { percentile } from "../../bench/statistics.ts";
import { build, ROOT } from "../../scripts/local/build.ts";
import { UsageError } from "../../scripts/local.ts";
import { type AllKillTimes, allKills } from "./all-kills.ts";
import { type BattleReport, battle } from "./battle.ts";
import { NEMESES } from "./nemeses.ts";

/** Not a nemesis among the others: it is measured. */
export const ALL_KILLS = "all-kills";
const EVERYTHING = "everything";
/** Those that take storage away. */
const HEAVY: readonly string[] = ["wipe", EVERYTHING];
/** State and histories. */
export const DIR = join(ROOT, ".zooweeper/nemesis");

/** One run. */
export interface Plan {
  readonly name: string;
  readonly seconds: number;
  readonly seed: number;
  readonly nodes: number;
  readonly keep?: boolean;
  /** of all-kills */
  readonly crashes?: number;
  readonly kills?: number;
}

export interface Outcome extends BattleReport {
  /** of all-kills */
  readonly times?: AllKillTimes;
}

/** Carries out one run. @throws Error when the ensemble cannot be started at all */
export async function carryOut({ name, crashes = 20, kills = 3, ...plan }: Plan): Promise<Outcome> {
  const options = { ...plan, name, dir: DIR, ballast: HEAVY.includes(name) };
  if (name !== ALL_KILLS) {
    const nemesis = NEMESES[name];
    if (nemesis === undefined) throw new UsageError(`there is no nemesis "${name}"`);
    return battle(options, nemesis);
  }
  let times: AllKillTimes | undefined;
  const report = await battle(options, async (attack, clients) => {
    times = await allKills(attack, clients, crashes, kills);
  });
  return { ...report, ...(times && { times }) };
}

export function describe({
  name,
  seed,
  faults,
  counts,
  epochs,
  snapshots,
  inflicted,
  checkMs,
  file,
  times,
}: Outcome): string {
  const done = Object.entries(inflicted).map(([fault, count]) => `${count} ${fault}`);
  const lines = [
    `${faults.length === 0 ? "✓" : "✗"} ${name} (seed ${seed}): ${done.join(", ")}; ${epochs} epochs, ${snapshots} members from a snapshot`,
    `  ${counts.writes} writes, ${counts.unknown} of unknown outcome (${counts.recovered} of them happened), ${counts.committed} txns committed; ${counts.reads} reads, ${counts.linearizableOps} operations linearizable (at most ${counts.partitionMax} together, ${counts.steps} steps); ${counts.sessions} sessions; ${counts.watchEvents} watch events, ${counts.resumed} watches resumed; checked in ${Math.round(checkMs)} ms`,
  ];
  if (times !== undefined) {
    lines.push(`  a leader again after all members crashed at once: ${distribution(times.leaderMs)}`);
    lines.push(`  a write acknowledged again: ${distribution(times.writeMs)}`);
    lines.push(
      `  a leader again after kill -9 of the runtime, its start included: ${distribution(times.restartMs)}`,
    );
  }
  for (const fault of faults) lines.push(`  ${fault}`);
  if (file !== null) lines.push(`  the history: node test/history/check.ts ${file}`);
  return lines.join("\n");
}

function distribution(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(percentile(sorted, share));
  return `min ${at(0)}, median ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms of ${ms.length}`;
}

/** Every nemesis once, the longest first. */
export function plansOf(seed: number, nodes: number, seconds: number | undefined): Plan[] {
  const each = Object.keys(NEMESES).map((name) => ({
    name,
    nodes,
    seconds: seconds ?? (name === EVERYTHING ? 30 : 6),
    seed,
  }));
  return each.sort((a, b) => b.seconds - a.seconds);
}

/**
 * Runs them, so many at a time, and says what came of each. None begins after the deadline, ms since 1970.
 * @returns the outcomes, a failed start as its error
 */
export async function runAll(
  plans: readonly Plan[],
  jobs: number,
  say: (line: string) => void,
  deadline = Number.POSITIVE_INFINITY,
): Promise<(Outcome | Error)[]> {
  const waiting = [...plans];
  const outcomes: (Outcome | Error)[] = [];
  const worker = async (): Promise<void> => {
    for (let plan = waiting.shift(); plan !== undefined; plan = waiting.shift()) {
      if (Date.now() >= deadline) return;
      try {
        const outcome = await carryOut(plan);
        outcomes.push(outcome);
        say(describe(outcome));
      } catch (error) {
        outcomes.push(error as Error);
        say(`✗ ${plan.name} (seed ${plan.seed}): ${(error as Error).stack}`);
      }
    }
  };
  await build();
  await Promise.all(Array.from({ length: jobs }, worker));
  return outcomes;
}

export const isFailed = (outcome: Outcome | Error): boolean =>
  outcome instanceof Error || outcome.faults.length > 0;

export interface SoakSummary {
  readonly runs: number;
  readonly failed: number;
  /** one line a run that failed */
  readonly failures: readonly string[];
  readonly writes: number;
  /** from the order to crash all members at once to a leader with a quorum, ms */
  readonly leaderMs: readonly number[];
  readonly text: string;
}

/**
 * The nemeses' part of the soak: every nemesis for 30 s and 100 crashes of all members at once, round after round with new
 * seeds, until the deadline; the first round is always whole.
 * @param deadline ms since 1970
 */
export async function nemesisPart(
  deadline: number,
  {
    seed,
    nodes = 5,
    jobs = 1,
    say = () => {},
  }: { seed: number; nodes?: number; jobs?: number; say?: (line: string) => void },
): Promise<SoakSummary> {
  const outcomes: (Outcome | Error)[] = [];
  for (let round = 0; round === 0 || Date.now() < deadline; round++) {
    const killAll = { name: ALL_KILLS, seconds: 0, nodes, seed: seed + round, crashes: 100, kills: 10 };
    const until = round === 0 ? Number.POSITIVE_INFINITY : deadline;
    outcomes.push(...(await runAll([killAll], 1, say, until)));
    outcomes.push(...(await runAll(plansOf(seed + round, nodes, 30), jobs, say, until)));
  }
  return summarize(outcomes);
}

function summarize(outcomes: readonly (Outcome | Error)[]): SoakSummary {
  const failures = outcomes
    .filter(isFailed)
    .map((each) =>
      each instanceof Error
        ? each.message
        : `${each.name} (seed ${each.seed}): ${each.faults[0]}; ${each.file}`,
    );
  const fine = outcomes.filter((each): each is Outcome => !(each instanceof Error));
  const writes = fine.reduce((sum, { counts }) => sum + counts.writes, 0);
  const leaderMs = fine.flatMap(({ times }) => times?.leaderMs ?? []);
  const text = [
    `nemeses: ${outcomes.length} runs, ${failures.length} with a fault; ${writes} writes`,
    `a leader again after all members crashed at once: ${distribution(leaderMs)}`,
    ...failures,
  ].join("\n");
  return { runs: outcomes.length, failed: failures.length, failures, writes, leaderMs, text };
}
