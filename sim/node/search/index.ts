/** Runs the search in a process of its own, because it loads the core with its private fields opened. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { commandWithBug } from "../patch-core.ts";
import type { SearchOptions } from "./scope.ts";
import type { SearchResult } from "./search.ts";

/** The scopes for CI: about three minutes on one processor core. Votes arrive in any order; the search is not complete. */
export const CI_SCOPES: readonly Partial<SearchOptions>[] = [
  { servers: 2, crashes: 2, elections: 3, txns: 2, votes: "free", states: 5_000_000 },
  { servers: 3, crashes: 1, elections: 2, txns: 1, votes: "free", states: 1_000_000 },
];

const MAIN = new URL("./main.ts", import.meta.url).pathname;
/** Heap for the states of single members, beside the tables; MiB. */
const HEAP_MAX = 8_000;

/** Last reported progress of a search. */
export interface Progress {
  readonly states: number;
  readonly completeTo: number;
}

/**
 * @param bug name of the seeded bug to put into the core, see `sim/node/bugs.ts`
 * @param watch called with the progress every few seconds; may end the search, which then fails
 */
export async function search(
  options: Partial<SearchOptions>,
  bug?: string,
  watch?: { readonly signal: AbortSignal; readonly onProgress: (progress: Progress) => void },
): Promise<SearchResult> {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  if (watch !== undefined) args.push("--progress");
  const seeded = bug === undefined ? { args: [], env: process.env } : commandWithBug(bug);
  const command = [`--max-old-space-size=${HEAP_MAX}`, ...seeded.args, MAIN, ...args, "--json"];
  const run = promisify(execFile)(process.execPath, command, {
    env: seeded.env,
    maxBuffer: 2 ** 26,
    ...(watch !== undefined && { signal: watch.signal }),
  });
  run.child.stderr?.on("data", (text: string) => {
    const line = text.trim().split("\n").at(-1) ?? "";
    if (line.startsWith("{")) watch?.onProgress(JSON.parse(line) as Progress);
  });
  // Exit code 1 means that the search found a violation, which is also a result.
  const { stdout } = await run.catch((error: { stdout?: string }) => {
    if (!error.stdout?.startsWith("{")) throw error;
    return { stdout: error.stdout };
  });
  return JSON.parse(stdout) as SearchResult;
}
