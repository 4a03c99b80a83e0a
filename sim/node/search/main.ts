/**
 * `npm run search -- [--servers 2 --crashes 2 --elections 3 --txns 2 …]`: explores every state that an ensemble can reach
 * within this scope, or as many as `--states` and `--minutes` allow. Prints the path to the first state that breaks a rule,
 * with exit code 1.
 */
import "./open-core.ts";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { refusalOf } from "../../../scripts/local/options.ts";
import { rerunWithBug } from "../patch-core.ts";
import type { SearchOptions } from "./scope.ts";
import type { SearchResult } from "./search.ts";

const HELP = `usage: npm run search -- [options]

Visits every state that an ensemble can reach within a scope, or as many as --states and --minutes allow. Ends with 1 and
the way to it when a state breaks a rule. The scope, and what it is unless given:

  --servers N      members that run (2; two of three members make the quorum)
  --crashes N      crashes (2)
  --elections N    elections that a member may take part in (3)
  --txns N         txns (2)
  --breaks N       broken links (0)
  --checkpoints N  checkpoints (0)
  --votes HOW      "at once": a vote arrives in the step that says it; "free": like any other message ("at once")
  --order HOW      "deviations": the most ordinary ways first; "depth": the shortest first ("deviations")
  --states N       states at most (5000000)
  --minutes N      minutes at most (60)
  --bug NAME       with this seeded bug in the core; their names: npm run seeded-bugs -- --list
  --json           print the result as one line of JSON
  --progress       tell how far it is, on stderr
  --help           print this`;

/** Prints one line and exits with code 2. */
function refuse(message: string): never {
  console.error(`search: ${message}`);
  process.exit(2);
}

if (process.argv.includes("--help") || process.argv.includes("-h")) {
  console.log(HELP);
  process.exit(0);
}

const { values } = read({
  options: {
    servers: { type: "string", default: "2" },
    crashes: { type: "string", default: "2" },
    elections: { type: "string", default: "3" },
    txns: { type: "string", default: "2" },
    breaks: { type: "string", default: "0" },
    checkpoints: { type: "string", default: "0" },
    states: { type: "string", default: "5000000" },
    minutes: { type: "string", default: "60" },
    order: { type: "string", default: "deviations" },
    votes: { type: "string", default: "at once" },
    bug: { type: "string" },
    json: { type: "boolean", default: false },
    progress: { type: "boolean", default: false },
  },
});
function read<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    return refuse(refusalOf(error as Error));
  }
}
const number = (name: keyof typeof values): number => {
  const value = Number(values[name]);
  if (!Number.isFinite(value) || value < 0) refuse(`--${name} takes a number, not "${values[name]}"`);
  return value;
};
const oneOf = <T extends string>(name: keyof typeof values, allowed: readonly T[]): T => {
  const value = allowed.find((each) => each === values[name]);
  if (value === undefined) return refuse(`--${name} is one of: ${allowed.join(", ")}`);
  return value;
};
const options: SearchOptions = {
  servers: number("servers"),
  crashes: number("crashes"),
  elections: number("elections"),
  txns: number("txns"),
  breaks: number("breaks"),
  checkpoints: number("checkpoints"),
  states: number("states"),
  minutes: number("minutes"),
  order: oneOf("order", ["deviations", "depth"]),
  votes: oneOf("votes", ["at once", "free"]),
};
/** Loads the core, which nothing has loaded before. */
async function main(): Promise<number> {
  if (values.bug !== undefined) {
    const code = rerunWithBug(values.bug);
    if (code !== undefined) return code;
  }
  const { Search } = await import("./search.ts");
  const tell = (states: number, completeTo: number): void =>
    console.error(JSON.stringify({ states, completeTo }));
  const result = new Search(options).run(values.progress ? tell : undefined);
  if (values.json) console.log(JSON.stringify(result));
  else print(result);
  return result.violation === undefined ? 0 : 1;
}

function print(result: SearchResult): void {
  const { scope, states, expanded, steps, depth, seconds, terminated, violation, path } = result;
  const text = Object.entries(scope)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
  console.log(text);
  console.log(
    `${states} distinct states (${expanded} with all their steps, ${steps} steps), depth ${depth}, ` +
      `${Math.round(states / seconds)}/s, ${seconds.toFixed(1)} s, ${terminated ? "terminated" : `not terminated; complete to ${result.completeTo} ${scope.order}`}`,
  );
  console.log(
    `${result.memberStates} states of single members, of which the core computed ${result.memberSteps} steps; ` +
      `at most ${result.maxCommitted} txns committed, epoch ${result.maxEpoch}`,
  );
  console.log(
    Object.entries(result.kinds)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(", "),
  );
  if (violation !== undefined) console.log(`\n${violation}\n${path.join("\n")}`);
  else if (terminated) console.log(`no rule was broken in any of the ${states} states that the scope allows`);
  else console.log(`no rule was broken in the ${states} states that were visited; the scope allows more`);
}

process.exitCode = await main();
