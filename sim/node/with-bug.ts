/** `node --import ./sim/node/with-bug.ts …`: runs a program, and its workers, with the bug that SEEDED_BUG names in the core. */
import { BUG_VARIABLE, seedBug } from "./patch-core.ts";

const name = process.env[BUG_VARIABLE];
if (name !== undefined) seedBug(name);
