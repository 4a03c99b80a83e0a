/**
 * Seeded bugs, which the checkers have to find: each is a small change of the core's source, made while it is loaded
 * (`patch-core.ts`). Most were bugs of ZooKeeper. `npm run seeded-bugs` checks that the seed recorded in `bug-seeds.json`
 * finds each again, and `npm run seeded-bugs -- --record` finds new seeds when the simulator has changed.
 */

import { BROKER_BUGS } from "./bugs/broker.ts";
import type { SeededBug } from "./bugs/bug.ts";
import { DIGEST_BUGS } from "./bugs/digest.ts";
import { ELECTION_BUGS } from "./bugs/election.ts";
import { LOG_BUGS } from "./bugs/log.ts";
import { REQUEST_BUGS } from "./bugs/request.ts";
import { SESSION_BUGS } from "./bugs/session.ts";
import { STORE_BUGS } from "./bugs/store.ts";
import { SYNCHRONIZATION_BUGS } from "./bugs/synchronization.ts";
import { WATCH_BUGS } from "./bugs/watch.ts";

/** All seeded bugs, by family. */
export const BUGS: readonly SeededBug[] = [
  ...ELECTION_BUGS,
  ...LOG_BUGS,
  ...SYNCHRONIZATION_BUGS,
  ...DIGEST_BUGS,
  ...STORE_BUGS,
  ...REQUEST_BUGS,
  ...SESSION_BUGS,
  ...WATCH_BUGS,
  ...BROKER_BUGS,
];
