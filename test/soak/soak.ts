/**
 * `npm run soak -- --minutes M`: fresh seeds, the search at ten times CI's size, every seeded bug with fresh seeds,
 * the nemeses on the real runtime, and the growth of a tree. Ends on time, or on Ctrl-C or SIGTERM, and writes a dated summary to
 * `test/soak/`, which names the parts that were not reached. A part is a function from its deadline to its summary.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { readOptions } from "../../scripts/local/options.ts";
import { BUGS } from "../../sim/node/bugs.ts";
import { runSeeds } from "../../sim/node/campaign.ts";
import { commitOf, failureText, figuresOf, tallyLines } from "../../sim/node/report.ts";
import { type Progress, search } from "../../sim/node/search/index.ts";
import type { SearchOptions } from "../../sim/node/search/scope.ts";
import { type Hunt, huntAll, SEEDS_MAX } from "../../sim/node/seeded-bugs.ts";
import { soakNemeses } from "../nemesis/campaign.ts";
import { soakGrowth } from "./growth.ts";
import type { PartSummary, Until } from "./part.ts";

interface Part {
  readonly name: string;
  run(until: Until): Promise<PartSummary>;
}

/** These run side by side, one core each, up to this share of the whole time; */
const SIDE_BY_SIDE: readonly Part[] = [
  { name: "simulator", run: soakSimulator },
  { name: "search", run: soakSearch },
  { name: "seeded bugs", run: soakBugs },
];
const SIDE_BY_SIDE_SHARE = 0.5;
/** then each of these has the machine for itself, up to its share: they run in real time. */
const ALONE: readonly (Part & { readonly share: number })[] = [
  { name: "nemeses", run: soakNemeses, share: 0.75 },
  { name: "growth", run: soakGrowth, share: 1 },
];

async function soakSimulator({ deadline, stopped }: Until): Promise<PartSummary> {
  const first = Date.now();
  let told = Date.now();
  const result = await runSeeds({
    first,
    count: Number.POSITIVE_INFINITY,
    deadline,
    threads: Math.max(1, availableParallelism() - 1),
    apart: true,
    stop: stopped,
    progress: (done, failures) => {
      if (Date.now() - told < 30_000) return;
      told = Date.now();
      console.log(
        `${new Date().toISOString()} simulator: ${done} seeds from ${first} on, ${failures} failed`,
      );
    },
  });
  return {
    figures: { first, ...figuresOf(result), seconds: result.seconds },
    failures: result.failures.map((failure) => failureText(failure, {})),
    notes: tallyLines(result.tally),
  };
}

/** What the search visits: the first comes to its end. */
const SOAK_SCOPES: readonly Partial<SearchOptions>[] = [
  { servers: 2, crashes: 2, elections: 3, txns: 2, states: 50_000_000 },
  { servers: 3, crashes: 1, elections: 2, txns: 1, votes: "free", states: 50_000_000 },
  {
    servers: 2,
    crashes: 2,
    elections: 3,
    txns: 2,
    breaks: 1,
    checkpoints: 1,
    votes: "free",
    states: 50_000_000,
  },
];

/** Of the time that is left: for the first scope, for the second of what then is left, for the last. */
const SCOPE_SHARES = [0.55, 0.85, 1];

async function soakSearch({ deadline, stopped, signal }: Until): Promise<PartSummary> {
  const figures: Record<string, number> = {};
  const failures: string[] = [];
  const notes: string[] = [];
  for (const [i, scope] of SOAK_SCOPES.entries()) {
    const name = scopeName(scope);
    const left = deadline - Date.now();
    if (stopped() || left < 5_000) {
      notes.push(`${name}: did not fit in the time`);
      continue;
    }
    let progress: Progress = { states: 0, completeTo: -1 };
    const onProgress = (heard: Progress): void => {
      progress = heard;
    };
    const minutes = (left * (SCOPE_SHARES[i] ?? 1)) / 60_000;
    try {
      const found = await search({ ...scope, minutes }, undefined, { signal, onProgress });
      figures[name] = found.states;
      const short = found.states < (scope.states ?? 0) && found.violation === undefined;
      const end = found.terminated
        ? "to the end"
        : `complete to ${found.completeTo} ${found.scope.order}${short ? `; the time did not suffice for ${scope.states}` : ""}`;
      notes.push(
        `${name}: ${found.states} distinct states, ${found.steps} steps, ${end}, ${Math.round(found.seconds)} s`,
      );
      if (found.violation !== undefined)
        failures.push(`${name}: ${found.violation}\n${found.path.join("\n")}`);
    } catch (error) {
      figures[name] = progress.states;
      if (stopped())
        notes.push(`${name}: ended by hand; ${progress.states} states, complete to ${progress.completeTo}`);
      else failures.push(`${name}: ${(error as Error).message}`);
    }
    console.log(`${new Date().toISOString()} search: ${notes.at(-1) ?? failures.at(-1)}`);
  }
  return { figures, failures, notes };
}

function scopeName({
  servers,
  crashes,
  elections,
  txns,
  breaks,
  checkpoints,
}: Partial<SearchOptions>): string {
  const more = breaks === undefined ? "" : `, ${breaks} breaks, ${checkpoints} checkpoints`;
  return `${servers} servers, ${crashes} crashes, ${elections} elections, ${txns} txns${more}`;
}

async function soakBugs({ deadline, stopped }: Until): Promise<PartSummary> {
  const first = Math.floor(Date.now() / 1000) % 1_000_000_000;
  const mayContinue = (): boolean => !stopped() && Date.now() < deadline;
  const hunts = await huntAll(BUGS, { fresh: SEEDS_MAX, first, threads: 1, mayContinue }, (hunt) =>
    console.log(`${new Date().toISOString()} seeded bugs: ${huntText(hunt)}`),
  );
  const done = new Set(hunts.map(({ name }) => name));
  return {
    figures: {
      first,
      bugs: BUGS.length,
      found: hunts.filter(({ recorded, freshBy }) => recorded !== null || freshBy !== null).length,
      foundByFreshSeeds: hunts.filter(({ fresh }) => fresh !== null).length,
      missed: hunts.filter(({ missed }) => missed).length,
    },
    failures: hunts
      .filter(({ missed }) => missed)
      .map((hunt) => `${huntText(hunt)}${hunt.failure === undefined ? "" : `: ${hunt.failure}`}`),
    notes: [
      ...hunts.map(huntText),
      ...BUGS.filter(({ name }) => !done.has(name)).map(({ name }) => `${name}: did not fit in the time`),
    ],
  };
}

/** How many fresh seeds a seeded bug took. */
function huntText({ name, seed, recorded, fresh, freshBy, unfinished, missed }: Hunt): string {
  const again = recorded === null ? "not by" : "by";
  const known =
    seed === null ? (recorded ?? "not found by the search") : `${again} its recorded seed ${seed}`;
  const anew =
    unfinished !== undefined
      ? `, not within ${unfinished} fresh seeds, for which there was time`
      : fresh !== null
        ? `, ${fresh} fresh seed${fresh === 1 ? "" : "s"} (${freshBy})`
        : seed === null
          ? ""
          : `, not within ${SEEDS_MAX} fresh seeds`;
  return `${name}: ${known}${anew}${missed ? "; MISSED" : ""}`;
}

const HELP = `usage: npm run soak -- [--minutes M]

Fresh seeds of the simulator, the search, every seeded bug, the nemeses on the real runtime, and the growth of a tree, for
M minutes (60).
Ends when the time is up, on Ctrl-C or SIGTERM, and leaves a dated summary in test/soak/.

  --minutes M      how long
  --help           print this`;

/** @throws Error in one line for options that make no sense */
function minutesOf(args: readonly string[]): number {
  const { values } = readOptions({ args: [...args], options: { minutes: { type: "string" } } });
  const minutes = Number(values.minutes ?? 60);
  if (!(minutes > 0)) throw new Error(`--minutes is a positive number, not "${values.minutes}"`);
  return minutes;
}

async function main(minutes: number): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => {
      console.log("stops once the runs under way are over");
      stop.abort();
    });
  }
  const began = new Date();
  const summaries = new Map<string, PartSummary>();
  const until = (share: number): Until => ({
    deadline: began.getTime() + minutes * 60_000 * share,
    stopped: () => stop.signal.aborted,
    signal: stop.signal,
  });
  // Written after every part: what comes later may end all.
  const run = async ({ name, run }: Part, share: number): Promise<void> => {
    const nothing = { figures: {}, notes: [] };
    const summary = await run(until(share)).catch((error: Error) => ({
      ...nothing,
      failures: [error.stack ?? error.message],
    }));
    summaries.set(name, summary);
    write(began, minutes, stop.signal.aborted, summaries);
  };
  await Promise.all(SIDE_BY_SIDE.map((part) => run(part, SIDE_BY_SIDE_SHARE)));
  for (const part of ALONE) await run(part, part.share);
  const file = write(began, minutes, stop.signal.aborted, summaries);
  for (const [name, { figures, failures }] of summaries)
    console.log(JSON.stringify({ soak: name, commit: commitOf(), ...figures, failed: failures.length }));
  console.log(`${file}.md`);
  return [...summaries.values()].every(({ failures }) => failures.length === 0) ? 0 : 1;
}

/** @returns the summary's file, without its ending */
function write(
  began: Date,
  asked: number,
  byHand: boolean,
  summaries: ReadonlyMap<string, PartSummary>,
): string {
  const folder = import.meta.dirname;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, began.toISOString().slice(0, 16).replace("T", "-").replace(":", ""));
  const commit = commitOf();
  const minutes = Math.round((Date.now() - began.getTime()) / 60_000);
  const machine = `node ${process.version}, ${process.platform} ${process.arch}, ${availableParallelism()} cores`;
  const names = [...SIDE_BY_SIDE, ...ALONE].map(({ name }) => name);
  const missing = names.filter((name) => !summaries.has(name));
  const parts = Object.fromEntries(summaries);
  const json = { began: began.toISOString(), minutes, asked, byHand, commit, machine, parts, missing };
  writeFileSync(`${file}.json`, `${JSON.stringify(json, null, 2)}\n`);
  const lines = [`# Soak of ${began.toISOString().slice(0, 16).replace("T", " ")} UTC`, ""];
  const end = byHand ? `, ended by hand after ${minutes} of ${asked} minutes` : `, ${minutes} minutes`;
  lines.push(`Commit ${commit}${end}, ${machine}.`);
  if (missing.length > 0) lines.push("", `Not done when this was written: ${missing.join(", ")}.`);
  for (const name of names) {
    const summary = summaries.get(name);
    if (summary === undefined) continue;
    lines.push("", `## ${name}`, "", "| figure | |", "|---|---|");
    for (const [figure, value] of Object.entries(summary.figures)) {
      lines.push(`| ${figure} | ${value.toLocaleString("en-US", { maximumFractionDigits: 2 })} |`);
    }
    if (summary.notes.length > 0) lines.push("", ...summary.notes.map((note) => `- ${note}`));
    lines.push("", summary.failures.length === 0 ? "Nothing failed." : `${summary.failures.length} failed:`);
    for (const failure of summary.failures) lines.push("", "```", failure, "```");
  }
  writeFileSync(`${file}.md`, `${lines.join("\n")}\n`);
  return file;
}

let minutes: number | undefined;
try {
  if (process.argv.includes("--help")) console.log(HELP);
  else minutes = minutesOf(process.argv.slice(2));
} catch (error) {
  console.error(`npm run soak: ${(error as Error).message}`);
  process.exitCode = 2;
}
if (minutes !== undefined) process.exitCode = await main(minutes);
