/** Runs seeds in a worker thread: receives them one by one, and posts the result of each. */
import { parentPort, workerData } from "node:worker_threads";
import type { Overrides } from "../swarm.ts";
import { runOne } from "./campaign.ts";

const overrides = workerData as Overrides;
parentPort?.on("message", (seed: number) => {
  parentPort?.postMessage(runOne(seed, overrides));
});
