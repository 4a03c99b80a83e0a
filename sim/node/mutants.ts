/**
 * Mutants: small faults of the core and of the shell's plain parts, made by hand, that measure the simulator. Each breaks a
 * documented rule. A random run must find it: `npm run mutants -- --seeds 30` prints which seed and which rule killed it, or
 * that it survived.
 *
 * The seeded bugs of `bugs.ts` must be found in CI. A mutant need not; docs/testing.md lists the survivors and why they survive.
 */
import { BUGS } from "./bugs.ts";
import { ELECTION_MUTANTS } from "./mutants/election.ts";
import { LOG_MUTANTS } from "./mutants/log.ts";
import type { Mutant } from "./mutants/mutant.ts";
import { REQUEST_MUTANTS } from "./mutants/request.ts";
import { SESSION_MUTANTS } from "./mutants/session.ts";
import { SHELL_MUTANTS } from "./mutants/shell.ts";
import { ZNODE_MUTANTS } from "./mutants/znode.ts";

/** Mutants that became seeded bugs, since the simulator finds them quickly. */
const GRADUATES = [
  "promise-to-another",
  "ready-at-committed",
  "snap-rows-kept",
  "at-least-unchecked",
  "child-watch-lost-at-delete",
  "log-cut-below-slowest",
  "alarm-never-earlier",
  "overdue-alarm-trusted",
  "clock-back-believed",
];

/** All mutants: first those that became seeded bugs, then by family. */
export const MUTANTS: readonly Mutant[] = [
  ...BUGS.filter(({ name }) => GRADUATES.includes(name)).map(({ name, what, source, patches }) => ({
    name,
    what,
    breaks: source,
    patches,
  })),
  ...ELECTION_MUTANTS,
  ...LOG_MUTANTS,
  ...REQUEST_MUTANTS,
  ...SESSION_MUTANTS,
  ...SHELL_MUTANTS,
  ...ZNODE_MUTANTS,
];
