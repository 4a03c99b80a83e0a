/** Mutants of those parts of a node's shell that simulated members run. */
import { CALLS, GUARD } from "../sources.ts";
import { type Mutant, mutant } from "./mutant.ts";

/** Mutants of the shell's parts that simulated members run. */
export const SHELL_MUTANTS: readonly Mutant[] = [
  mutant(
    "calls-not-in-order",
    "a call that overtook the one before it is handled at once",
    "NODE-12",
    CALLS,
    "return boot !== this.#boot || generation !== this.#generation || seq <= this.#next;",
    "return seq >= 0;",
  ),
  mutant(
    "error-ends-no-life",
    "a broken invariant, or a write that storage refuses, does not end the life",
    "NODE-26",
    GUARD,
    "    endLife(error);\n",
    "",
  ),
];
