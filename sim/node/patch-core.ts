/**
 * Puts a seeded bug into the core while it is loaded, so that the core itself has no test code. {@link commandWithBug}
 * returns the command for a process in which the core is not loaded yet.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import type { Patch, SeededBug } from "./bugs/bug.ts";
import { BUGS } from "./bugs.ts";
import type { Mutant } from "./mutants/mutant.ts";
import { MUTANTS } from "./mutants.ts";

/** Environment variable that names the bug of a process. */
export const BUG_VARIABLE = "SEEDED_BUG";

const urlOf = (file: string): string => new URL(`../../${file}`, import.meta.url).href;

/** A named change of the core: a seeded bug or a mutant. */
export interface CoreFault {
  readonly name: string;
  readonly patches: readonly Patch[];
}

/** @throws Error when there is no seeded bug of this name */
export function bugOf(name: string): SeededBug {
  return named(BUGS, "seeded bug", name);
}

/** @throws Error when there is no mutant of this name */
export function mutantOf(name: string): Mutant {
  return named(MUTANTS, "mutant", name);
}

function named<T extends CoreFault>(faults: readonly T[], kind: string, name: string): T {
  const fault = faults.find((each) => each.name === name);
  if (fault === undefined)
    throw new Error(`no ${kind} ${name}; there are: ${faults.map((each) => each.name).join(", ")}`);
  return fault;
}

const faultOf = (name: string): CoreFault => MUTANTS.find((each) => each.name === name) ?? bugOf(name);

/** Applies a patch. @throws Error if the core has changed so that the patch does not fit */
export function patched(source: string, { file, find, replace }: Patch): string {
  const places = source.split(find).length - 1;
  if (places !== 1)
    throw new Error(`patch no longer applies: its text is ${places} times in ${file}: ${find.trim()}`);
  return source.replace(find, () => replace);
}

/** The files of the core that the bug changes, with the bug: *map url → source*. */
export function sourcesWith(bug: CoreFault): Map<string, string> {
  const sources = new Map<string, string>();
  for (const patch of bug.patches) {
    const url = urlOf(patch.file);
    sources.set(url, patched(sources.get(url) ?? readFileSync(new URL(url), "utf8"), patch));
  }
  return sources;
}

/** Puts the bug into every module that is imported later. */
export function seedBug(name: string): void {
  const sources = sourcesWith(faultOf(name));
  registerHooks({
    load(url, context, nextLoad) {
      const source = sources.get(url);
      if (source === undefined) return nextLoad(url, context);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}

/** Arguments of `node` before the file and its arguments, and the environment. */
export const commandWithBug = (name: string): { args: string[]; env: NodeJS.ProcessEnv } => ({
  args: ["--import", new URL("./with-bug.ts", import.meta.url).href],
  env: { ...process.env, [BUG_VARIABLE]: name },
});

/**
 * Runs this program again, with the bug in the core.
 * @returns its exit code; undefined when this run has the bug already
 */
export function rerunWithBug(name: string): number | undefined {
  if (process.env[BUG_VARIABLE] === name) return undefined;
  faultOf(name);
  const { args, env } = commandWithBug(name);
  const { status } = spawnSync(process.execPath, [...args, ...process.argv.slice(1)], {
    env,
    stdio: "inherit",
  });
  return status ?? 1;
}
