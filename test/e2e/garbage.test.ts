/** The collection of garbage is no fault: nothing that waits for ever may be ended by it. */
import { afterAll, beforeAll, expect, it } from "vitest";
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

it("collecting garbage breaks no parked call, so it starts no election", async () => {
  const { api } = local.urls;
  const settled = () => until(() => ensembleOf(api), isSettled, 15_000, "the ensemble does not settle");
  const before = await settled();
  for (let i = 0; i < 200; i++) await post(`${api}/v1/znodes/garbage-?mode=sequential`, "x".repeat(1000));
  const after = await settled();
  expect(after.nodes.map(({ elections }) => elections)).toEqual(
    before.nodes.map(({ elections }) => elections),
  );
  expect(after).toMatchObject({ epoch: before.epoch, leader: before.leader });
});
