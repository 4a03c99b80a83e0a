/** Five nodes and four brokers without clients, on the built runtime: a minute asleep, and then a write. */
import { afterAll, expect, it } from "vitest";
import { benchIdle } from "../../bench/idle.ts";
import { temporaryDir } from "./processes.ts";

const state = temporaryDir();
afterAll(() => state.remove());

it("[QUIET-15] a minute asleep changes no file, counter or start; the first write wakes all", async () => {
  const result = await benchIdle({ nodes: 5, brokers: 4, quietS: 60, wakes: 2 }, state.path);
  expect(result.files).toBeGreaterThanOrEqual(9);
  expect(result.wakeMs.length).toBe(2);
  console.log(JSON.stringify(result));
});
