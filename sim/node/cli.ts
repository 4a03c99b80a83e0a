/** `npm run sim`: runs seeds of the simulated ensemble, replays one, makes a failing one smaller. */
import { parseArgs } from "node:util";
import { refusalOf } from "../../scripts/local/options.ts";
import { runSeed } from "../run.ts";
import { shrink } from "../shrink.ts";
import { drawOptions, FAULT_KINDS, type FaultKind, type Overrides } from "../swarm.ts";
import {
  brokerFigures,
  missedBrokerProbes,
  replayBrokerLine,
  runBrokerSeeds,
  traceBrokerSeed,
} from "./broker-campaign.ts";
import { missedProbes, runOne, runSeeds } from "./campaign.ts";
import { rerunWithBug } from "./patch-core.ts";
import { commitOf, failureText, figuresOf, replayLine, tallyLines } from "./report.ts";

const HELP = `usage: npm run sim -- [options]

  --seed N          one seed; with --trace every event of it
  --seeds N         so many seeds, from --first on
  --minutes M       fresh seeds until the time is up
  --first N         the first seed (default 1; with --minutes drawn from the clock)
  --threads N       cores to use (default all)
  --no-shrink       do not look for a smaller run that fails
  --profile broker  brokers, partitions, producers and readers; with --seed, --seeds, --first and --trace
  --bug NAME        with this seeded bug in the core; their names: npm run seeded-bugs -- --list
  --help            this text

In the place of what the seed draws:
  --size N          members: 1, 3, 5, 7 or 9
  --kinds A,B       kinds of faults; "none" for none
  --chaos-ms N      how long faults happen
  --clients N       clients
  --ops N           requests of all clients

Kinds: ${FAULT_KINDS.join(" ")}

Exit code: 0 all is well, 1 a run failed, 2 the options make no sense.`;

/** Invalid options, described in one line. */
class UsageError extends Error {}

const OPTIONS = {
  seed: { type: "string" },
  seeds: { type: "string" },
  minutes: { type: "string" },
  first: { type: "string" },
  threads: { type: "string" },
  trace: { type: "boolean" },
  "no-shrink": { type: "boolean" },
  profile: { type: "string" },
  bug: { type: "string" },
  help: { type: "boolean" },
  size: { type: "string" },
  kinds: { type: "string" },
  "chaos-ms": { type: "string" },
  clients: { type: "string" },
  ops: { type: "string" },
} as const;

type Values = { [Name in keyof typeof OPTIONS]?: string | boolean };

function parse(args: readonly string[]): Values {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(refusalOf(error as Error));
  }
}

function number(values: Values, name: keyof Values, least: number, most: number): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  const whole = name === "minutes" || Number.isSafeInteger(value);
  if (typeof text !== "string" || text.trim() === "" || !whole || !(value >= least && value <= most)) {
    throw new UsageError(`--${name} is a number from ${least} to ${most}, not "${text}"`);
  }
  return value;
}

function overridesOf(values: Values): Overrides {
  const size = number(values, "size", 1, 9);
  if (size !== undefined && size % 2 === 0) throw new UsageError("--size is 1, 3, 5, 7 or 9");
  const chaosMs = number(values, "chaos-ms", 0, 3_600_000);
  const clients = number(values, "clients", 0, 100);
  const ops = number(values, "ops", 0, 1_000_000);
  return {
    ...(size !== undefined && { size }),
    ...(values.kinds !== undefined && { kinds: kindsOf(String(values.kinds)) }),
    ...(chaosMs !== undefined && { chaosMs }),
    ...(clients !== undefined && { clients }),
    ...(ops !== undefined && { ops }),
  };
}

function kindsOf(text: string): FaultKind[] {
  if (text === "none") return [];
  return text.split(",").map((name) => {
    const kind = FAULT_KINDS.find((each) => each === name);
    if (kind === undefined) throw new UsageError(`--kinds: there is no fault "${name}"; see --help`);
    return kind;
  });
}

function withBug(name: string): number | undefined {
  try {
    return rerunWithBug(name);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const values = parse(args);
  if (values.help === true) {
    console.log(HELP);
    return 0;
  }
  if (values.bug !== undefined) {
    const code = withBug(String(values.bug));
    if (code !== undefined) return code;
  }
  if (values.profile !== undefined) return runProfile(values);
  const overrides = overridesOf(values);
  const seed = number(values, "seed", 0, 2 ** 48);
  const count = number(values, "seeds", 1, 1e9);
  const minutes = number(values, "minutes", 0.01, 1e6);
  const given = [seed, count, minutes].filter((value) => value !== undefined).length;
  if (given !== 1) throw new UsageError("one of --seed, --seeds and --minutes is needed; see --help");
  const small = values["no-shrink"] !== true;
  if (seed !== undefined) return runThis(seed, overrides, values.trace === true, small);
  if (values.trace === true) throw new UsageError("--trace goes with --seed");
  const threads = number(values, "threads", 1, 256);
  const first = number(values, "first", 0, 2 ** 48) ?? (minutes === undefined ? 1 : Date.now());
  let told = Date.now();
  const result = await runSeeds({
    first,
    count: count ?? Number.POSITIVE_INFINITY,
    ...(minutes !== undefined && { deadline: Date.now() + minutes * 60_000 }),
    ...(threads !== undefined && { threads }),
    overrides,
    progress: (done, failures) => {
      if (Date.now() - told < 10_000) return;
      told = Date.now();
      console.log(`${done} seeds, ${failures} failed`);
    },
  });
  for (const line of tallyLines(result.tally)) console.log(line);
  const missed = missedProbes(result.tally);
  if (missed.length > 0) console.log(`not exercised by these seeds: ${missed.join(", ")}`);
  console.log(JSON.stringify({ commit: commitOf(), first, ...figuresOf(result), seconds: result.seconds }));
  for (const failure of result.failures.slice(0, 3)) {
    console.log(failureText(failure, overrides));
    if (small) tellSmaller(failure.seed, overrides);
  }
  const seeds = figuresOf(result).seeds;
  const which = `${seeds} seed${seeds === 1 ? "" : "s"} from ${first} on`;
  console.log(
    result.failures.length === 0
      ? `${which}: no rule was broken, and every run was whole again at its end`
      : `${which}: ${result.failures.length} failed: ${result.failures.map(({ seed }) => seed).join(", ")}`,
  );
  return result.failures.length === 0 ? 0 : 1;
}

/** Seeds of the broker's profile. */
function runProfile(values: Values): number {
  if (values.profile !== "broker")
    throw new UsageError(`there is no profile "${values.profile}"; see --help`);
  const seed = number(values, "seed", 0, 2 ** 48);
  if (seed !== undefined && values.trace === true) return traceBrokerSeed(seed) ? 1 : 0;
  const first = seed ?? number(values, "first", 0, 2 ** 48) ?? 1;
  const count = seed === undefined ? number(values, "seeds", 1, 1e9) : 1;
  if (count === undefined) throw new UsageError("one of --seed and --seeds is needed; see --help");
  const result = runBrokerSeeds(first, count);
  const missed = missedBrokerProbes(result.tally);
  if (missed.length > 0) console.log(`not exercised by these seeds: ${missed.join(", ")}`);
  console.log(JSON.stringify({ commit: commitOf(), first, ...brokerFigures(result) }));
  for (const { seed: failed, what } of result.failures)
    console.log(`seed ${failed}: ${what}\n  ${replayBrokerLine(failed)}`);
  return result.failures.length === 0 ? 0 : 1;
}

function runThis(seed: number, overrides: Overrides, trace: boolean, small: boolean): number {
  if (trace) {
    const options = drawOptions(seed, overrides);
    console.log(`seed ${seed} at commit ${commitOf()}, options: ${JSON.stringify(options)}`);
    // the last line of a failing trace describes the failure
    const { failure } = runSeed(options, (line) => console.log(line));
    if (failure === null) console.log(wholeText(seed));
    return failure === null ? 0 : 1;
  }
  const result = runOne(seed, overrides);
  for (const line of tallyLines(result.tally)) console.log(line);
  if (result.failure === null) {
    console.log(wholeText(seed));
    return 0;
  }
  console.log(failureText({ seed, what: result.failure }, overrides));
  if (small) tellSmaller(seed, overrides);
  return 1;
}

const wholeText = (seed: number): string =>
  `seed ${seed}: no rule was broken, and the ensemble was whole again at the end`;

/** How long shrinking may take; ms. */
const SHRINK_MS_MAX = 60_000;

function tellSmaller(seed: number, overrides: Overrides): void {
  const end = Date.now() + SHRINK_MS_MAX;
  const smaller = shrink(seed, overrides, undefined, () => Date.now() > end);
  if (JSON.stringify(smaller) === JSON.stringify(overrides)) console.log("no smaller run fails");
  else console.log(`a smaller run that fails:\n  ${replayLine(seed, smaller)}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`npm run sim: ${error.message}`);
  process.exitCode = 2;
}
