/** How many calls lead to an event: the platform ends a chain at 16, which no local runtime does. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { BrokerRpc } from "../../../durable-objects/broker/rpc.ts";
import { CALL_DEPTH_MAX } from "../../../durable-objects/shared/config.ts";
import type { ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";

const SIDS = [1, 2, 3] as const;
const IDS = [0, 1] as const;
/** Each one kills every object, so that all others connect to it again. */
const ROUNDS = 4;

// A fresh stub each time: one that has seen an abort stays broken.
const node = (ensemble: string, sid: number): ZooWeeperNodeRpc =>
  env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`)) as unknown as ZooWeeperNodeRpc;
const broker = (ensemble: string, id: number): BrokerRpc =>
  env.BROKER.get(env.BROKER.idFromName(`${ensemble}/${id}`)) as unknown as BrokerRpc;

/** Asks until it holds; the test's own time limit ends it. */
async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const value = await ask().catch(() => undefined);
    if (value !== undefined) return value;
    await scheduler.wait(5);
  }
}

const depthOf = (status: { readonly callDepth?: number }): number => status.callDepth ?? Number.NaN;

/** Waits until all nodes are linked with each other, and all brokers are registered. @returns their depths */
const depths = (ensemble: string): Promise<number[]> =>
  until(async () => {
    const nodes = await Promise.all(SIDS.map((sid) => node(ensemble, sid).status()));
    const brokers = await Promise.all(IDS.map((id) => broker(ensemble, id).status()));
    const isWhole =
      nodes.every(({ serving, pings }) => serving && pings.every(({ rttMs }) => rttMs !== null)) &&
      brokers.every(({ registered }) => registered) &&
      brokers.some(({ isController }) => isController);
    return isWhole ? [...nodes, ...brokers].map(depthOf) : undefined;
  });

describe("the depth of calls", () => {
  it("[NODE-60] stays within its limit however often nodes and brokers lose their memory", async () => {
    const ensemble = "deep";
    for (const sid of SIDS) await node(ensemble, sid).bootstrap({ ensemble, sid, size: SIDS.length });
    for (const id of IDS) {
      await broker(ensemble, id).start({
        ensemble,
        id,
        ensembleSize: SIDS.length,
        brokerCount: IDS.length,
      });
    }
    const seen: number[][] = [await depths(ensemble)];
    for (let round = 0; round < ROUNDS; round++) {
      for (const sid of SIDS) {
        await node(ensemble, sid)
          .fault("crash")
          .catch(() => undefined);
        seen.push(await depths(ensemble));
      }
      for (const id of IDS) {
        await broker(ensemble, id)
          .fault("crash")
          .catch(() => undefined);
        seen.push(await depths(ensemble));
      }
    }
    const deepest = Math.max(...seen.flat());
    expect(deepest, JSON.stringify(seen)).toBeLessThanOrEqual(CALL_DEPTH_MAX);
    // the meter counts
    expect(deepest).toBeGreaterThan(1);
  });
});
