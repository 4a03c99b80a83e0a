/**
 * `npm run nemesis`: five real members under every nemesis, then under all of them at once, then all killed at once.
 * The histories of the clients go through the checkers of `sim/checkers/history`; a failed run leaves its history in
 * a file.
 */
import { main, readOptions, wholeNumber } from "../../scripts/local/command.ts";
import { UsageError } from "../../scripts/local.ts";
import { ALL_KILLS, DIR, isFailed, isRun, plansOf, runAll } from "./campaign.ts";
import { DAMAGE, damageRuns, damageSummary } from "./damage.ts";
import { NEMESES } from "./nemeses.ts";

const HELP = `usage: npm run nemesis -- [options]

  --nemesis NAME    only this one, or "all-kills" or "damage"; else all of them, for CI
  --seconds N       how long one lasts (6; sleep: 15, everything: 30)
  --seed N          decides every random choice
  --nodes N         members (5)
  --jobs N          so many at a time (2)
  --crashes N       crashes of all members at once (20)
  --kills N         kill -9 of the whole runtime (3)
  --runs N          damages of databases while the runtime is stopped (3; of "damage": 40)
  --keep            write the history of every run to a file
  --help            print this

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
  runs: { type: "string" },
  keep: { type: "boolean" },
  help: { type: "boolean" },
} as const;

const SEED_MAX = 2 ** 31 - 1;

async function command(): Promise<void> {
  const { values } = readOptions({ options: OPTIONS });
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
  if (nemesis !== undefined && ![ALL_KILLS, DAMAGE].includes(nemesis) && !(nemesis in NEMESES))
    throw new UsageError(
      `the nemeses are ${Object.keys(NEMESES).join(", ")}, ${ALL_KILLS} and ${DAMAGE}, not "${nemesis}"`,
    );
  const killAll = { name: ALL_KILLS, seconds: 0, seed, nodes, ...more };
  const plans = plansOf(seed, nodes, seconds)
    .filter(({ name }) => nemesis === undefined || name === nemesis)
    .map((plan) => ({ ...plan, ...more }));
  const outcomes = await runAll(plans, number("jobs", 2), say);
  if (nemesis === undefined || nemesis === ALL_KILLS) outcomes.push(...(await runAll([killAll], 1, say)));
  const damages =
    nemesis === undefined || nemesis === DAMAGE
      ? await damageRuns(seed, number("runs", nemesis === DAMAGE ? 40 : 3), DIR, say)
      : [];
  const ran = outcomes.filter(isRun);
  const writes = ran.reduce((sum, { counts }) => sum + counts.writes - counts.unknown, 0);
  const lost = ran.flatMap(({ faults }) => faults).filter((fault) => fault.includes("lost: ")).length;
  const damagesFailed = damages.filter(({ faults }) => faults.length > 0).length;
  const failed = outcomes.filter(isFailed).length + damagesFailed;
  const total = outcomes.length + damages.length;
  const passed = total - failed;
  if (damages.length > 0) say(`\n${damageSummary(damages)}`);
  say(`\n${writes} writes answered, ${lost} lost; ${failed} of ${total} runs broke a rule`);
  say(` Tests  ${failed === 0 ? "" : `${failed} failed | `}${passed} passed (${total})`);
  process.exit(failed === 0 ? 0 : 1);
}

await main("nemesis", command);
