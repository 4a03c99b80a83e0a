/** The type of a mutant. */
import type { Patch } from "../bugs/bug.ts";

/** A small fault of the core, or of what the members run of the shell. */
export interface Mutant {
  readonly name: string;
  /** the fault, in one line */
  readonly what: string;
  /** the rule of docs/spec that it breaks, or its source */
  readonly breaks: string;
  readonly patches: readonly Patch[];
}

/** A mutant of one patch. */
export function mutant(
  name: string,
  what: string,
  breaks: string,
  file: string,
  find: string,
  replace: string,
): Mutant {
  return { name, what, breaks, patches: [{ file, find, replace }] };
}
