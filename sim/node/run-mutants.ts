/**
 * `npm run mutants`: measures how many hand-made mutants of the core (`mutants.ts`) the simulator kills with random seeds.
 * Prints for each the seed and the rule that killed it, or that it survived, and the total.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { readOptions } from "../../scripts/local/options.ts";
import type { Mutant } from "./mutants/mutant.ts";
import { MUTANTS } from "./mutants.ts";
import { commandWithBug, mutantOf } from "./patch-core.ts";
import { finderOf } from "./seeded-bugs.ts";

const HELP = `usage: npm run mutants -- [options]

  --seeds N      seeds that each mutant runs at most (default 30)
  --first N      the first seed (default 1)
  --mutant NAME  this one only
  --threads N    processes at a time (default 1)
  --least N      exit code 1 when fewer mutants are killed (default 0)
  --list         the mutants and what they break
  --help         print this

Exit code: 0 the unchanged core passed every seed and enough mutants were killed, 1 not so, 2 bad options.`;

const HUNT = new URL("./bug-hunt.ts", import.meta.url).pathname;

interface Outcome {
  readonly tried: number;
  readonly found: { readonly seed: number; readonly failure: string } | null;
}

/** Runs seeds until one fails. @param mutant undefined: the unchanged core */
async function run(first: number, seeds: number, mutant?: Mutant): Promise<Outcome> {
  const { args, env } = mutant === undefined ? { args: [], env: process.env } : commandWithBug(mutant.name);
  const command = [...args, HUNT, String(first), String(seeds)];
  const { stdout } = await promisify(execFile)(process.execPath, command, { env, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as Outcome;
}

const lineOf = ({ name, what }: Mutant, { tried, found }: Outcome): string =>
  found === null
    ? `· ${name.padEnd(30)} survived ${tried} seeds: ${what}`
    : `✓ ${name.padEnd(30)} seed ${found.seed}: ${finderOf(found.failure)}`;

async function main(): Promise<number> {
  const { values } = readOptions({
    options: {
      seeds: { type: "string", default: "30" },
      first: { type: "string", default: "1" },
      mutant: { type: "string" },
      threads: { type: "string", default: "1" },
      least: { type: "string", default: "0" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.list) {
    for (const { name, what, breaks } of MUTANTS) console.log(`${name.padEnd(30)} ${what} (${breaks})`);
    return 0;
  }
  const whole = (name: "seeds" | "first" | "threads" | "least", least: number): number => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < least)
      throw new Error(`--${name} is a whole number from ${least} on, not ${values[name]}`);
    return value;
  };
  const seeds = whole("seeds", 1);
  const first = whole("first", 0);
  const threads = whole("threads", 1);
  const needed = whole("least", 0);
  const mutants = values.mutant === undefined ? MUTANTS : [mutantOf(values.mutant)];
  // A seed counts only when the unchanged core passes it.
  const unchanged = await run(first, seeds);
  if (unchanged.found !== null) {
    console.log(`✗ the unchanged core fails seed ${unchanged.found.seed}: ${unchanged.found.failure}`);
    return 1;
  }
  const waiting = [...mutants];
  const survivors: string[] = [];
  const work = async (): Promise<void> => {
    for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
      const outcome = await run(first, seeds, each);
      if (outcome.found === null) survivors.push(each.name);
      console.log(lineOf(each, outcome));
    }
  };
  await Promise.all(Array.from({ length: threads }, work));
  const killed = mutants.length - survivors.length;
  console.log(`${killed} of ${mutants.length} mutants killed, each by at most ${seeds} seeds`);
  if (survivors.length > 0) console.log(`survivors: ${survivors.join(", ")}`);
  return killed >= needed ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`npm run mutants: ${(error as Error).message}`);
  process.exitCode = 2;
}
