/** Runs seeds beside the main thread: takes seeds one by one, and says of each what became of it. */
import { parentPort, workerData } from "node:worker_threads";
import type { Overrides } from "../swarm.ts";
import { runOne } from "./campaign.ts";

const overrides = workerData as Overrides;
parentPort?.on("message", (seed: number) => {
  parentPort?.postMessage(runOne(seed, overrides));
});
