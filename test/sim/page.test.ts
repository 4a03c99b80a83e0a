/** The simulator runs in a page: bundled for a browser, in a realm that has nothing but the language. */
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { build, type Rolldown } from "vite";
import { expect, it } from "vitest";
import * as sim from "../../sim/index.ts";
import { ROOT } from "../import-graph.ts";

/** `sim/index.ts` and everything behind it as one script, which sets `sim`. */
async function bundle(): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: "silent",
    root: ROOT,
    build: {
      write: false,
      minify: false,
      lib: { entry: join(ROOT, "sim/index.ts"), name: "sim", formats: ["iife"] },
    },
  });
  const [{ output: files }] = output as Rolldown.RolldownOutput[] as [Rolldown.RolldownOutput];
  expect(files.length).toBe(1);
  return files[0].code;
}

it("[TIDY-19] a browser's bundle of the simulator gives the same runs as Node", async () => {
  const script = `${await bundle()}; JSON.stringify([1, 2, 3].map((seed) => sim.runSeed(sim.drawOptions(seed, overrides))));`;
  const overrides = { chaosMs: 5_000, ops: 60 };
  const here = [1, 2, 3].map((seed) => sim.runSeed(sim.drawOptions(seed, overrides)));
  const there: unknown = JSON.parse(runInContext(script, createContext({ overrides })) as string);
  expect(here.map(({ failure }) => failure)).toEqual([null, null, null]);
  expect(there).toEqual(here);
});
