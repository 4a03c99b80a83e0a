/**
 * `npm run soak -- --minutes M`: the simulator and the nemeses on fresh seeds, without end in sight. Ends when the time is up or on
 * Ctrl-C, and leaves a dated summary in `test/sim/soak/`. A part is a function from its deadline to its summary.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { soakNemeses } from "../nemesis/campaign.ts";
import { runSeeds } from "./campaign.ts";
import { commitOf, failureText, figuresOf, tallyLines } from "./report.ts";

/** What a part has to say: its figures, and what failed, readable. */
export interface PartSummary {
  readonly figures: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
  /** more for who wants it */
  readonly notes: readonly string[];
}

/** When a part is to end, and whether somebody wants it to end before. */
export interface Until {
  /** Date.now() of the end */
  readonly deadline: number;
  readonly stopped: () => boolean;
}

interface Part {
  readonly name: string;
  /** of the whole time */
  readonly share: number;
  run(until: Until): Promise<PartSummary>;
}

const PARTS: readonly Part[] = [
  { name: "simulator", share: 0.7, run: soakSimulator },
  { name: "nemeses", share: 0.3, run: soakNemeses },
];

async function soakSimulator({ deadline, stopped }: Until): Promise<PartSummary> {
  const first = Date.now();
  let told = Date.now();
  const result = await runSeeds({
    first,
    count: Number.POSITIVE_INFINITY,
    deadline,
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

/** @throws Error in one line for options that make no sense */
function minutesOf(args: readonly string[]): number {
  const { values } = parseArgs({ args: [...args], options: { minutes: { type: "string" } } });
  const minutes = Number(values.minutes ?? 60);
  if (!(minutes > 0)) throw new Error(`--minutes is a positive number, not "${values.minutes}"`);
  return minutes;
}

async function main(minutes: number): Promise<number> {
  let stop = false;
  process.once("SIGINT", () => {
    stop = true;
    console.log("stops once the runs under way are over");
  });
  const began = new Date();
  const summaries: { readonly name: string; readonly summary: PartSummary }[] = [];
  let from = began.getTime();
  for (const { name, share, run } of PARTS) {
    if (stop) break;
    const deadline = from + minutes * 60_000 * share;
    summaries.push({ name, summary: await run({ deadline, stopped: () => stop }) });
    from = deadline;
  }
  write(began, summaries);
  return summaries.every(({ summary }) => summary.failures.length === 0) ? 0 : 1;
}

function write(
  began: Date,
  summaries: readonly { readonly name: string; readonly summary: PartSummary }[],
): void {
  const folder = join(import.meta.dirname, "soak");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, began.toISOString().slice(0, 16).replace("T", "-").replace(":", ""));
  const commit = commitOf();
  const minutes = Math.round((Date.now() - began.getTime()) / 60_000);
  const machine = `node ${process.version}, ${process.platform} ${process.arch}`;
  const parts = Object.fromEntries(summaries.map(({ name, summary }) => [name, summary]));
  const json = { began: began.toISOString(), minutes, commit, machine, parts };
  writeFileSync(`${file}.json`, `${JSON.stringify(json, null, 2)}\n`);
  const lines = [`# Soak of ${began.toISOString().slice(0, 16).replace("T", " ")} UTC`, ""];
  lines.push(`Commit ${commit}, ${minutes} minutes, ${machine}.`);
  for (const { name, summary } of summaries) {
    lines.push("", `## ${name}`, "", "| figure | |", "|---|---|");
    for (const [figure, value] of Object.entries(summary.figures)) {
      lines.push(`| ${figure} | ${value.toLocaleString("en-US", { maximumFractionDigits: 2 })} |`);
    }
    lines.push("", ...summary.notes.map((note) => `- ${note}`));
    lines.push("", summary.failures.length === 0 ? "Nothing failed." : `${summary.failures.length} failed:`);
    for (const failure of summary.failures) lines.push("", "```", failure, "```");
  }
  writeFileSync(`${file}.md`, `${lines.join("\n")}\n`);
  console.log(`${file}.md`);
  for (const { name, summary } of summaries) {
    console.log(JSON.stringify({ soak: name, commit, ...summary.figures, failed: summary.failures.length }));
  }
}

let minutes: number | undefined;
try {
  minutes = minutesOf(process.argv.slice(2));
} catch (error) {
  console.error(`npm run soak: ${(error as Error).message.split("\n")[0]}`);
  process.exitCode = 2;
}
if (minutes !== undefined) process.exitCode = await main(minutes);
