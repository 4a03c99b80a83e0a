/**
 * `npm run nemesis`: five real members under every nemesis, then under all of them at once, then killed all at once. What
 * the clients saw goes through the checkers of `test/history`; a run with a fault leaves its history in a file.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { percentile } from "../../bench/statistics.ts";
import { build, ROOT } from "../../scripts/local/build.ts";
import { main, wholeNumber } from "../../scripts/local/command.ts";
import { UsageError } from "../../scripts/local.ts";
import { type AllKillTimes, allKills } from "./all-kills.ts";
import { type BattleReport, battle } from "./battle.ts";
import { NEMESES } from "./nemeses.ts";

const HELP = `usage: npm run nemesis -- [options]

  --nemesis NAME    only this one, or "all-kills"; else all of them, for CI
  --seconds N       how long one lasts (6; everything: 30)
  --seed N          decides every random choice
  --nodes N         members (5)
  --jobs N          so many at a time (2)
  --crashes N       crashes of all members at once (20)
  --kills N         kill -9 of the whole runtime (3)
  --keep            write the history of every run to a file

The nemeses: ${Object.keys(NEMESES).join(", ")}.
`;

const OPTIONS = {
  nemesis: { type: "string" },
  seconds: { type: "string" },
  seed: { type: "string" },
  nodes: { type: "string" },
  jobs: { type: "string" },
  crashes: { type: "string" },
  kills: { type: "string" },
  keep: { type: "boolean" },
  help: { type: "boolean" },
} as const;

const ALL_KILLS = "all-kills";
const EVERYTHING = "everything";
const SEED_MAX = 2 ** 31 - 1;
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
  const options = { ...plan, name, dir: DIR };
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
  inflicted,
  checkMs,
  file,
  times,
}: Outcome): string {
  const done = Object.entries(inflicted).map(([fault, count]) => `${count} ${fault}`);
  const lines = [
    `${faults.length === 0 ? "✓" : "✗"} ${name} (seed ${seed}): ${done.join(", ")}; ${epochs} epochs`,
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

/** What CI runs. The measured one comes alone, at the end. */
export function plansOf(seed: number, nodes: number, seconds: number | undefined): Plan[] {
  const each = Object.keys(NEMESES).map((name) => ({
    name,
    nodes,
    seconds: seconds ?? (name === EVERYTHING ? 30 : 6),
    seed,
  }));
  return each.sort((a, b) => b.seconds - a.seconds);
}

/** Runs them, so many at a time, and says what came of each. @returns the outcomes, a failed start as its error */
export async function runAll(
  plans: readonly Plan[],
  jobs: number,
  say: (line: string) => void,
): Promise<(Outcome | Error)[]> {
  const waiting = [...plans];
  const outcomes: (Outcome | Error)[] = [];
  const worker = async (): Promise<void> => {
    for (let plan = waiting.shift(); plan !== undefined; plan = waiting.shift()) {
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

async function command(): Promise<void> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help === true) {
    process.stdout.write(HELP);
    return;
  }
  const number = (name: keyof typeof OPTIONS, otherwise: number): number =>
    typeof values[name] === "string" ? wholeNumber(values[name], `--${name}`, SEED_MAX) : otherwise;
  const seed = number("seed", Math.floor(Math.random() * 1_000_000));
  const nodes = number("nodes", 5);
  const seconds = values.seconds === undefined ? undefined : number("seconds", 6);
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const more = { crashes: number("crashes", 20), kills: number("kills", 3), keep: values.keep ?? false };
  const { nemesis } = values;
  if (nemesis !== undefined && nemesis !== ALL_KILLS && !(nemesis in NEMESES))
    throw new UsageError(
      `the nemeses are ${Object.keys(NEMESES).join(", ")} and ${ALL_KILLS}, not "${nemesis}"`,
    );
  const killAll = { name: ALL_KILLS, seconds: 0, seed, nodes, ...more };
  const plans = plansOf(seed, nodes, seconds)
    .filter(({ name }) => nemesis === undefined || name === nemesis)
    .map((plan) => ({ ...plan, ...more }));
  const outcomes = await runAll(plans, number("jobs", 2), say);
  if (nemesis === undefined || nemesis === ALL_KILLS) outcomes.push(...(await runAll([killAll], 1, say)));
  const failed = outcomes.filter((each) => each instanceof Error || each.faults.length > 0).length;
  const passed = outcomes.length - failed;
  say(`\n Tests  ${failed === 0 ? "" : `${failed} failed | `}${passed} passed (${outcomes.length})`);
  process.exit(failed === 0 ? 0 : 1);
}

if (import.meta.main) await main("nemesis", command);
