/** Reading the status of a sleeping ensemble does not wake it; any other request does. */
import { describe, expect, it } from "vitest";
import type { EnsembleJson } from "../../../workers/api/schema/views.ts";
import { call, problemOf } from "./helpers.ts";

const ensemble = async (): Promise<EnsembleJson> => (await call("/v1/ensemble")).json<EnsembleJson>();

async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    await scheduler.wait(20);
  }
}

const asleep = (): Promise<EnsembleJson> =>
  until(async () => {
    const state = await ensemble();
    return state.quiet && state.nodes.every(({ up }) => up) ? state : undefined;
  });

interface CountersJson {
  readonly nodes: readonly { readonly up: boolean; readonly quietSince: number | null }[];
  readonly brokers: readonly { readonly up: boolean; readonly boot: number }[];
}

describe("a sleeping ensemble", () => {
  it("[QUIET-16] reports its state without waking, and wakes for the first request", async () => {
    expect((await call("/v1/znodes/quiet", { method: "POST" })).status).toBe(201);
    const before = await asleep();
    expect(before).toMatchObject({ hasQuorum: true, reason: null });
    expect(before.quietSince).toBeGreaterThan(0);
    expect(before.leader).not.toBe(null);
    const ready = await call("/readyz");
    expect([ready.status, await ready.json()]).toEqual([
      200,
      expect.objectContaining({ status: "ok", quiet: true, leader: before.leader }),
    ]);
    const counters = await (await call("/v1/counters")).json<CountersJson>();
    expect(counters.nodes.map(({ quietSince }) => quietSince !== null)).toEqual([true, true, true]);
    // they were never started, and are not by asking
    expect(counters.brokers.map(({ boot }) => boot)).toEqual([0, 0, 0]);
    expect((await call("/demo/nodes/0/")).status).toBe(200);
    expect(await asleep()).toEqual(before);
    expect((await call("/v1/znodes/quiet")).status).toBe(200);
    const after = await until(async () => {
      const state = await ensemble();
      return state.hasQuorum && !state.quiet ? state : undefined;
    });
    expect(after.quietSince).toBeNull();
    expect(after.epoch).toBeGreaterThan(before.epoch);
  });

  it("[QUIET-16] is ready while a quorum of its nodes is alive", async () => {
    const { leader } = await asleep();
    await call(`/v1/faults/nodes/${leader}/kill`, { method: "POST" });
    const two = await ensemble();
    expect(two).toMatchObject({ quiet: true, hasQuorum: true, leader: null });
    expect((await call("/readyz")).status).toBe(200);
    await call(`/v1/faults/nodes/${((leader ?? 1) % 3) + 1}/kill`, { method: "POST" });
    expect(await ensemble()).toMatchObject({ quiet: true, hasQuorum: false });
    await problemOf(await call("/readyz"), 503, "NO_QUORUM");
    await call("/v1/faults/heal", { method: "POST" });
    expect((await call("/v1/znodes/quiet", { method: "PUT", body: "1" })).status).toBe(200);
  });
});
