/**
 * Runs the histories of the contract of tree and store, in a process that may have a seeded bug in the core. Ends with 1, and
 * prints what differs, when one fails.
 */
import { MemoryBackend } from "../../sim/memory-backend.ts";
import { HISTORY_SEEDS, runHistory } from "./tree.ts";

for (let seed = 1; seed <= HISTORY_SEEDS && process.exitCode === undefined; seed++) {
  try {
    runHistory(new MemoryBackend(), seed);
  } catch (error) {
    console.log(`seed ${seed}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
