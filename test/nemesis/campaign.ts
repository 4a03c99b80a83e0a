/** The runs: several at a time, their reports, and the nemeses' part of the soak. */
import { join } from "node:path";
import { percentile } from "../../bench/statistics.ts";
import { build, ROOT } from "../../scripts/local/build.ts";
import { UsageError } from "../../scripts/local.ts";
import type { PartSummary, Until } from "../soak/part.ts";
import { type AllKillTimes, allKills } from "./all-kills.ts";
import { type BattleReport, battle } from "./battle.ts";
import { DAMAGE, type DamageOutcome, damageRuns, damageSummary, describeDamage } from "./damage.ts";
import { NEMESES, SLEEPY } from "./nemeses.ts";

/** Not a nemesis among the others: it is measured. */
export const ALL_KILLS = "all-kills";
const EVERYTHING = "everything";
const SLEEP = "sleep";
/** How long each lasts, if not the usual 6 s. */
const SECONDS: Readonly<Record<string, number>> = { [EVERYTHING]: 30, [SLEEP]: 15 };
const SEED_MAX = 2 ** 31 - 1_000_000;
/** Members of the ensembles of the soak. */
const NODES = 5;
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
  const vars = name === SLEEP ? SLEEPY : {};
  const options = { ...plan, name, dir: DIR, ballast: HEAVY.includes(name), vars };
  if (name !== ALL_KILLS) {
    const nemesis = NEMESES[name];
    if (nemesis === undefined) throw new UsageError(`there is no nemesis "${name}"`);
    return battle(options, nemesis);
  }
  let times: AllKillTimes | undefined;
  const report = await battle(options, async (attack, progress) => {
    times = await allKills(attack, progress, crashes, kills);
  });
  return { ...report, ...(times && { times }) };
}

export function describe({
  name,
  seed,
  faults,
  counts,
  epochs,
  longestMs,
  snapshots,
  inflicted,
  checkMs,
  file,
  times,
}: Outcome): string {
  const done = Object.entries(inflicted).map(([fault, count]) => `${count} ${fault}`);
  const lines = [
    `${faults.length === 0 ? "✓" : "✗"} ${name} (seed ${seed}): ${done.join(", ")}; ${epochs} epochs, ${snapshots} members from a snapshot; at most ${Math.round(longestMs)} ms without an acknowledged write`,
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
  if (file !== null) lines.push(`  the history: node sim/node/check-history.ts ${file}`);
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
    seconds: seconds ?? SECONDS[name] ?? 6,
    seed,
  }));
  return each.sort((a, b) => b.seconds - a.seconds);
}

/**
 * Runs them, so many at a time, and says what came of each. @param mayContinue false: none begins any more
 * @returns the outcomes, a failed start as its error
 */
export async function runAll(
  plans: readonly Plan[],
  jobs: number,
  say: (line: string) => void,
  mayContinue: () => boolean = () => true,
): Promise<(Outcome | Error)[]> {
  const waiting = [...plans];
  const outcomes: (Outcome | Error)[] = [];
  const worker = async (): Promise<void> => {
    for (let plan = waiting.shift(); plan !== undefined; plan = waiting.shift()) {
      if (!mayContinue()) return;
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

export const isRun = (outcome: Outcome | Error): outcome is Outcome => !(outcome instanceof Error);

export const isFailed = (outcome: Outcome | Error): boolean =>
  outcome instanceof Error || outcome.faults.length > 0;

/** Rounds of the soak are not CI's: longer, and with more of what takes memory away from all. */
const SOAK = { seconds: 30, crashes: 100, kills: 10 };
/** What 100 crashes of all members take, at least. */
const ALL_KILLS_MS = 300_000;
/** Damages of databases, and what they take, at least. */
const DAMAGES = 40;
const DAMAGES_MS = 300_000;

/**
 * The nemeses' part of the soak: 40 damages of databases, 100 crashes of all members at once and every nemesis for 30 s, round after round with new
 * seeds, for as long as there is time for one more. Those of the first round that did not fit are named.
 */
export async function soakNemeses({ deadline, stopped }: Until): Promise<PartSummary> {
  const first = Date.now() % SEED_MAX;
  const outcomes: (Outcome | Error)[] = [];
  const damages =
    Date.now() + DAMAGES_MS < deadline ? await damageRuns(first, DAMAGES, DIR, console.log) : [];
  const { seconds, crashes, kills } = SOAK;
  // A run takes longer than it fights: it starts, heals, and is checked.
  const mayContinue = (): boolean => !stopped() && Date.now() + 1.5 * seconds * 1_000 < deadline;
  for (let round = 0; mayContinue(); round++) {
    const seed = first + round;
    const killAll = { name: ALL_KILLS, seconds: 0, nodes: NODES, seed, crashes, kills };
    const fits = Date.now() + ALL_KILLS_MS < deadline;
    const plans = [...(fits ? [killAll] : []), ...plansOf(seed, NODES, seconds)];
    outcomes.push(...(await runAll(plans, 1, console.log, mayContinue)));
  }
  return summaryOf(first, outcomes, damages);
}

function summaryOf(
  first: number,
  outcomes: readonly (Outcome | Error)[],
  damages: readonly DamageOutcome[],
): PartSummary {
  const ran = outcomes.filter(isRun);
  const sum = (of: (outcome: Outcome) => number): number =>
    ran.reduce((total, outcome) => total + of(outcome), 0);
  const times = (of: (times: AllKillTimes) => readonly number[]): readonly number[] =>
    ran.flatMap((outcome) => (outcome.times === undefined ? [] : of(outcome.times)));
  const leaderMs = times((each) => each.leaderMs);
  return {
    figures: {
      first,
      runs: outcomes.length,
      seconds: sum(({ seconds }) => seconds),
      faults: sum(({ inflicted }) => Object.values(inflicted).reduce((total, count) => total + count, 0)),
      epochs: sum(({ epochs }) => epochs),
      writes: sum(({ counts }) => counts.writes),
      unknown: sum(({ counts }) => counts.unknown),
      reads: sum(({ counts }) => counts.reads),
      linearizableOps: sum(({ counts }) => counts.linearizableOps),
      watchEvents: sum(({ counts }) => counts.watchEvents),
      allKills: leaderMs.length,
      kills: times((each) => each.restartMs).length,
      damages: damages.length,
    },
    failures: [
      ...outcomes.filter(isFailed).map((each) => (each instanceof Error ? `${each.stack}` : describe(each))),
      ...damages.filter(({ faults }) => faults.length > 0).map(describeDamage),
    ],
    notes: [
      damages.length === 0 ? `${DAMAGE}: did not fit in the time` : damageSummary(damages),
      ...(leaderMs.length === 0
        ? [`${ALL_KILLS}: did not fit in the time`]
        : [
            `a leader again after all members crashed at once: ${distribution(leaderMs)}`,
            `a write acknowledged again: ${distribution(times(({ writeMs }) => writeMs))}`,
          ]),
      ...Object.keys(NEMESES).map((name) => {
        const runs = ran.filter((outcome) => outcome.name === name).length;
        return `${name}: ${runs === 0 ? "did not fit in the time" : `${runs} runs of ${SOAK.seconds} s`}`;
      }),
    ],
  };
}
