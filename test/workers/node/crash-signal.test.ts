/** How the other members notice that one has crashed, without waiting for a PING. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { CreateMode, NO_SESSION } from "../../../core/znode/types.ts";
import type { ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { ZooWeeperNode } from "../../../durable-objects/zooweeper-node/zooweeper-node.ts";

type NodeStub = DurableObjectStub<ZooWeeperNode> & ZooWeeperNodeRpc;

const SIDS = [1, 2, 3] as const;
/** A member whose alarm is lost sends no PING for at least this time, ms: `DeadlineAlarm` waits for a tick. */
const NO_PING_MS = 1_000;

// A fresh stub each time: one that has seen an abort stays broken.
const node = (ensemble: string, sid: number): NodeStub =>
  env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`)) as unknown as NodeStub;

/** Asks until it holds; the test's own time limit ends it. */
async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const value = await ask().catch(() => undefined);
    if (value !== undefined) return value;
    await scheduler.wait(5);
  }
}

/** A write, which wakes an ensemble that sleeps. */
async function write(ensemble: string): Promise<true | undefined> {
  const mode = CreateMode.PERSISTENT_SEQUENTIAL;
  const request = { type: "create", path: "/crash-", data: null, mode, withStat: false } as const;
  const answer = await node(ensemble, 1).write({ session: NO_SESSION, xid: 0, request });
  return answer.ok ? true : undefined;
}

/** Waits until each member has pinged all others. */
const settled = (ensemble: string): Promise<true> =>
  until(async () => {
    const statuses = await Promise.all(SIDS.map((sid) => node(ensemble, sid).status()));
    const isWhole = statuses.every(
      ({ serving, quiet, pings }) => serving && !quiet && pings.every(({ rttMs }) => rttMs !== null),
    );
    return isWhole ? true : undefined;
  });

/** @returns how long it takes until both others have given their links to the member up, ms */
async function noticed(ensemble: string, victim: number, fault: "crash" | "evict" | "kill"): Promise<number> {
  await until(() => write(ensemble));
  await settled(ensemble);
  const others = SIDS.filter((sid) => sid !== victim);
  for (const sid of others)
    await runInDurableObject(node(ensemble, sid), (_object, { storage }) => storage.deleteAlarm());
  const start = performance.now();
  await node(ensemble, victim)
    .fault(fault === "kill" ? fault : { fault })
    .catch(() => undefined);
  await until(async () => {
    const statuses = await Promise.all(others.map((sid) => node(ensemble, sid).status()));
    const isMissed = statuses.every(({ pings }) =>
      pings.some(({ sid, rttMs }) => sid === victim && rttMs === null),
    );
    return isMissed ? true : undefined;
  });
  return performance.now() - start;
}

describe.concurrent("a member that", () => {
  for (const [fault, what] of [
    ["crash", "crashes"],
    ["evict", "is evicted"],
    ["kill", "is killed"],
  ] as const) {
    it(`[NODE-20] ${what} is missed by all others at once, whichever it is`, async () => {
      const ensemble = `signal-${fault}`;
      for (const sid of SIDS) await node(ensemble, sid).bootstrap({ ensemble, sid, size: SIDS.length });
      for (const victim of SIDS) {
        // a machine that stands still takes longer, and not every time
        const ms = await until(async () => {
          const taken = await noticed(ensemble, victim, fault);
          if (fault === "kill") await node(ensemble, victim).heal("kill");
          return taken < NO_PING_MS ? taken : undefined;
        });
        expect(ms).toBeLessThan(NO_PING_MS);
      }
    });
  }
});
