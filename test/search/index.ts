/** The search for whoever runs it beside other things: in a process of its own, since it loads the core in its own way. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { commandWithBug } from "../sim/patch-core.ts";
import type { SearchOptions, SearchResult } from "./search.ts";

const MAIN = new URL("./main.ts", import.meta.url).pathname;

/** @param bug a seeded bug that the core is to have, see `test/sim/bugs.ts` */
export async function search(options: Partial<SearchOptions>, bug?: string): Promise<SearchResult> {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const seeded = bug === undefined ? { args: [], env: process.env } : commandWithBug(bug);
  const run = promisify(execFile)(process.execPath, [...seeded.args, MAIN, ...args, "--json"], {
    env: seeded.env,
    maxBuffer: 2 ** 26,
  });
  // It ends with 1 when it found something, which is an answer too.
  const { stdout } = await run.catch((error: { stdout?: string }) => {
    if (!error.stdout?.startsWith("{")) throw error;
    return { stdout: error.stdout };
  });
  return JSON.parse(stdout) as SearchResult;
}
