/**
 * `npm run seeded-bugs`: checks that each bug of `bugs.ts` is found by its recorded seed in `bug-seeds.json`, and by fresh
 * seeds. Exits with code 1 if one is missed.
 */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { readOptions } from "../../scripts/local/options.ts";
import type { Profile, SeededBug } from "./bugs/bug.ts";
import { BUGS } from "./bugs.ts";
import { bugOf, commandWithBug } from "./patch-core.ts";
import { search } from "./search/index.ts";

const HELP = `usage: npm run seeded-bugs -- [options]

  --fresh N     fresh seeds that each bug may take (default 30; 0: only the recorded one)
  --first N     the first fresh seed (default drawn from the clock)
  --bug NAME    this one only
  --record      find new seeds for the record, from 1 on (at most --fresh of them, default 500), and write them down
  --threads N   processes at a time (default one a core)
  --list        what there is
  --help        print this

Exit code: 0 all were found, 1 one was missed, 2 the options make no sense.`;

const SEEDS = new URL("./bug-seeds.json", import.meta.url);
const HUNT = new URL("./bug-hunt.ts", import.meta.url).pathname;
/** Number of seeds that `--record` and the soak try per bug. */
export const SEEDS_MAX = 500;

/** Result of the search for a bug. */
export interface Hunt {
  readonly name: string;
  /** the recorded seed; null: the explicit-state search finds the bug */
  readonly seed: number | null;
  /** the check that found it with the recorded seed; null: none */
  readonly recorded: string | null;
  /** number of fresh seeds until it was found; null: not found, or not tried */
  readonly fresh: number | null;
  readonly freshBy: string | null;
  readonly missed: boolean;
  /** why the search failed */
  readonly failure?: string;
  /** number of fresh seeds tried when the time was used up; the bug then does not count as missed */
  readonly unfinished?: number;
}

const NOT_RUN = { seed: null, recorded: null, fresh: null, freshBy: null, missed: true };

interface Found {
  readonly tried: number;
  readonly found: { readonly seed: number; readonly failure: string } | null;
}

/** Seeds per process if the caller can stop the search, which is asked in between. */
const SEEDS_AT_ONCE = 20;
const always = (): boolean => true;

async function run(
  first: number,
  count: number,
  profile: Profile = "members",
  bug?: SeededBug,
): Promise<Found> {
  const { args, env } = bug === undefined ? { args: [], env: process.env } : commandWithBug(bug.name);
  const command = [...args, HUNT, String(first), String(count), profile];
  const { stdout } = await promisify(execFile)(process.execPath, command, { env, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as Found;
}

/** Runs seeds until one finds the bug: its run fails with the bug and passes without it. */
async function hunt(bug: SeededBug, first: number, count: number, mayContinue = always): Promise<Found> {
  let tried = 0;
  while (tried < count && mayContinue()) {
    const atOnce = mayContinue === always ? count : SEEDS_AT_ONCE;
    const some = await run(first + tried, Math.min(atOnce, count - tried), bug.profile, bug);
    tried += some.tried;
    if (some.found === null) continue;
    if ((await run(some.found.seed, 1, bug.profile)).found === null) return { tried, found: some.found };
  }
  return { tried, found: null };
}

/** The rule or check that a failure names. */
export function finderOf(failure: string): string {
  const rule = /^\[([^\]]+)\]/.exec(failure)?.[1];
  if (rule !== undefined) return rule;
  const fault = /^Error: the history is not right:\s+(.{1,60})/.exec(failure)?.[1];
  if (fault !== undefined) return `history: ${fault}`;
  return (failure.split("\n")[0] ?? failure).slice(0, 90);
}

/** A scope that is large enough for the bugs that the search must find, also on a busy machine. */
const SEARCH = { states: 2_000_000, minutes: 10 };

/** @param fresh number of fresh seeds, from `first` on, beside the recorded one */
export async function huntBug(
  bug: SeededBug,
  recorded: number | undefined,
  fresh: number,
  first: number,
  mayContinue = always,
): Promise<Hunt> {
  const { name } = bug;
  if (bug.search !== undefined) {
    const { violation, states } = await search({ ...SEARCH, ...bug.search }, name);
    const by = violation === undefined ? null : `search, ${states} states: ${finderOf(violation)}`;
    return { name, seed: null, recorded: by, fresh: null, freshBy: null, missed: by === null };
  }
  const again = recorded === undefined ? null : (await hunt(bug, recorded, 1)).found;
  const found = fresh === 0 ? null : await hunt(bug, first, fresh, mayContinue);
  const cut = found !== null && found.found === null && found.tried < fresh;
  const freshBy = found?.found == null ? null : finderOf(found.found.failure);
  return {
    name,
    seed: recorded ?? null,
    recorded: again === null ? null : finderOf(again.failure),
    fresh: freshBy === null ? null : (found?.tried ?? null),
    freshBy,
    // A change of the core or of the campaign changes the run of a seed: then the fresh seeds count, until the seed is
    // recorded again.
    missed: cut
      ? false
      : again === null
        ? freshBy === null
        : fresh > 0 && freshBy === null && bug.rare !== true,
    ...(cut && { unfinished: found.tried }),
  };
}

/** Searches for all bugs, several at a time. */
export async function huntAll(
  bugs: readonly SeededBug[],
  options: {
    readonly fresh: number;
    readonly first: number;
    readonly threads: number;
    /** called between bugs; false ends the search */
    readonly mayContinue?: () => boolean;
  },
  onHunt: (hunt: Hunt) => void = () => {},
): Promise<Hunt[]> {
  const seeds = readSeeds();
  const hunts: Hunt[] = [];
  const waiting = [...bugs];
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      if (options.mayContinue?.() === false) return;
      const hunt = await huntBug(
        bug,
        seeds[bug.name],
        options.fresh,
        options.first,
        options.mayContinue,
      ).catch((error: Error): Hunt => ({ ...NOT_RUN, name: bug.name, failure: error.message }));
      hunts.push(hunt);
      onHunt(hunt);
    }
  };
  await Promise.all(Array.from({ length: options.threads }, work));
  return hunts;
}

/** Reads the recorded seeds. */
export const readSeeds = (): Record<string, number> =>
  JSON.parse(readFileSync(SEEDS, "utf8")) as Record<string, number>;

async function record(bugs: readonly SeededBug[], threads: number, most: number): Promise<boolean> {
  const seeds = readSeeds();
  const waiting = bugs.filter((bug) => bug.search === undefined);
  let missed = false;
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const { tried, found } = await hunt(bug, 1, most);
      if (found === null) {
        missed = true;
        delete seeds[bug.name];
      } else seeds[bug.name] = found.seed;
      console.log(
        `${bug.name}: ${found === null ? `not found in ${tried} seeds` : `seed ${found.seed}, ${finderOf(found.failure)}`}`,
      );
      const inOrder = BUGS.flatMap(({ name }) =>
        seeds[name] === undefined ? [] : [[name, seeds[name]] as const],
      );
      writeFileSync(SEEDS, `${JSON.stringify(Object.fromEntries(inOrder), null, 2)}\n`);
    }
  };
  await Promise.all(Array.from({ length: threads }, work));
  return missed;
}

function lineOf({ name, seed, recorded, fresh, freshBy, missed, failure }: Hunt): string {
  if (failure !== undefined) return `✗ ${name}: ${failure}`;
  const first = recorded === null ? "missed" : recorded;
  const then = freshBy === null ? "" : `fresh: ${fresh}, ${freshBy}`;
  return `${missed ? "✗" : "✓"} ${name.padEnd(28)} ${seed === null ? "" : `seed ${seed}: `}${first}  ${then}`.trimEnd();
}

async function main(): Promise<void> {
  const { values } = readOptions({
    options: {
      fresh: { type: "string" },
      first: { type: "string" },
      bug: { type: "string" },
      threads: { type: "string", default: String(availableParallelism()) },
      record: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const whole = (name: "fresh" | "first" | "threads", text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 0)
      throw new Error(`--${name} takes a whole number, not ${text}`);
    return value;
  };
  const bugs = values.bug === undefined ? BUGS : [bugOf(values.bug)];
  const threads = Math.max(1, whole("threads", values.threads));
  if (values.help) console.log(HELP);
  else if (values.list)
    for (const { name, what, source } of bugs) console.log(`${name.padEnd(28)} ${what} (${source})`);
  else if (values.record)
    process.exitCode = (await record(bugs, threads, whole("fresh", values.fresh ?? String(SEEDS_MAX))))
      ? 1
      : 0;
  else {
    const fresh = whole("fresh", values.fresh ?? "30");
    const first =
      values.first === undefined
        ? Math.floor(Date.now() / 1000) % 1_000_000_000
        : whole("first", values.first);
    if (fresh > 0) console.log(`fresh seeds from ${first} on`);
    const hunts = await huntAll(bugs, { fresh, first, threads }, (each) => console.log(lineOf(each)));
    const missed = hunts.filter((each) => each.missed);
    console.log(`${hunts.length - missed.length} of ${hunts.length} seeded bugs found`);
    const failed = missed.length === 0 ? "" : `${missed.length} failed | `;
    console.log(`\n Tests  ${failed}${hunts.length - missed.length} passed (${hunts.length})`);
    if (missed.length > 0) process.exitCode = 1;
  }
}

if (import.meta.filename === process.argv[1]) {
  try {
    await main();
  } catch (error) {
    console.error(`npm run seeded-bugs: ${(error as Error).message}`);
    process.exitCode = 2;
  }
}
