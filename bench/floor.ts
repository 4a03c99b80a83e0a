/**
 * The floor of every figure: the time that the same runtime needs, on the same machine, for a call between two
 * objects and for a row written on three of them one after the other, without any protocol. Read a figure as a
 * multiple of it.
 */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startWorkerd } from "../scripts/local/workerd.ts";
import { median, round } from "./statistics.ts";

/** Medians of the two measurements. */
export interface Floor {
  /** a call between two objects, ms */
  readonly callMs: number;
  /** a row made durable on three objects, the peers' at the same time as the leader's, ms */
  readonly commitOn3Ms: number;
  readonly commitOn5Ms: number;
}

const COUNT = 500;
const RUNS = 5;

/** Starts workerd with the floor's Worker, and measures both. */
export async function measureFloor(stateDir: string): Promise<Floor> {
  rmSync(stateDir, { recursive: true, force: true });
  const dir = join(stateDir, "build");
  for (const folder of ["worker", "functions", "../objects"])
    mkdirSync(join(dir, folder), { recursive: true });
  copyFileSync(join(import.meta.dirname, "floor-worker.js"), join(dir, "worker/index.js"));
  writeFileSync(join(dir, "functions/index.js"), "export default {};\n");
  const manifest = { compatibilityDate: "2026-07-30", compatibilityFlags: [], vars: {} };
  const workerd = await startWorkerd({
    build: {
      dir,
      worker: { ...manifest, durableObjects: { FLOOR: "Floor" } },
      web: { ...manifest, durableObjects: {} },
    },
    stateDir,
    vars: {},
    // this Worker has neither clients nor a page
    controlPort: 9,
    pagePort: 9,
  });
  const ask = async (path: string): Promise<number> => {
    const times: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      // these loops starve the runtime's own timers, so no connection is kept for the next one
      const headers = { connection: "close" };
      const response = await fetch(`http://127.0.0.1:${workerd.apiPort}${path}`, { headers });
      times.push((await response.json()) as number);
    }
    return round(median(times), 3);
  };
  try {
    return {
      callMs: await ask(`/calls?count=${COUNT}`),
      commitOn3Ms: await ask(`/commits?count=${COUNT}&nodes=3`),
      commitOn5Ms: await ask(`/commits?count=${COUNT}&nodes=5`),
    };
  } finally {
    await workerd.stop();
  }
}
