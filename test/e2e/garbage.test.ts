/** Garbage collection must not end calls and sockets that wait for ever. */
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, it } from "vitest";
import { type Local, startLocal } from "../../scripts/local.ts";
import { ensembleOf, isSettled, post } from "./http.ts";
import { temporaryDir, until } from "./processes.ts";

const state = temporaryDir();
let local: Local;

beforeAll(async () => {
  // full collections, every so many allocations, where it would else come after minutes
  local = await startLocal({
    nodes: 3,
    brokers: 1,
    stateDir: state.path,
    v8Flags: ["--gc-global", "--gc-interval=3000"],
  });
});

afterAll(async () => {
  await local?.stop();
  state.remove();
});

it("collecting garbage breaks no call and releases no channel, so it starts no election", async () => {
  const { api } = local.urls;
  const settled = async () => {
    const view = await until(() => ensembleOf(api), isSettled, "the ensemble does not settle");
    return [view.leader, view.epoch, ...view.nodes.map(({ elections }) => elections)];
  };
  const collect = async () => {
    const before = await settled();
    for (let i = 0; i < 200; i++) await post(`${api}/v1/znodes/garbage-?mode=sequential`, "x".repeat(1000));
    return { before, after: await settled() };
  };
  // a machine that stands still holds elections too, and not every time
  await until(collect, ({ before, after }) => isDeepStrictEqual(before, after), "an election every time");
});
