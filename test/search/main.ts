/**
 * `npm run search -- [--servers 2 --crashes 2 --elections 3 --txns 2 …]`: every state that an ensemble can reach within this
 * scope, or as many as `--states` and `--minutes` allow. Ends with 1 and the way to it when a state breaks a rule.
 */
import "./open-core.ts";
import { parseArgs } from "node:util";
import { rerunWithBug } from "../sim/patch-core.ts";
import type { SearchOptions, SearchResult } from "./search.ts";

const { values } = parseArgs({
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
const number = (name: keyof typeof values): number => {
  const value = Number(values[name]);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} takes a number, not ${values[name]}`);
  return value;
};
const oneOf = <T extends string>(name: keyof typeof values, allowed: readonly T[]): T => {
  const value = allowed.find((each) => each === values[name]);
  if (value === undefined) throw new Error(`--${name} is one of: ${allowed.join(", ")}`);
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
/** Nothing of the core is loaded before this. */
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
}

process.exitCode = await main();
