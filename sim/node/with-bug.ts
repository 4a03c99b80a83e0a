/** `node --import ./sim/node/with-bug.ts …`: what is run then, in workers too, has the core with the bug that SEEDED_BUG names. */
import { BUG_VARIABLE, seedBug } from "./patch-core.ts";

const name = process.env[BUG_VARIABLE];
if (name !== undefined) seedBug(name);
