/** Alarms that the runtime loses: nodes, brokers and partitions detect it at their next entry. */
import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { encodeText } from "../../../core/broker/json-text.ts";
import { MINUTE_MS } from "../../../core/units.ts";
import { encodeRecordBatch } from "../../../core/wire/record-batch-codec.ts";
import { CreateMode, NO_SESSION } from "../../../core/znode/types.ts";
import type { Broker } from "../../../durable-objects/broker/broker.ts";
import type { BrokerRpc } from "../../../durable-objects/broker/rpc.ts";
import type { ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { ZooWeeperNode } from "../../../durable-objects/zooweeper-node/zooweeper-node.ts";

type NodeStub = DurableObjectStub<ZooWeeperNode> & ZooWeeperNodeRpc;
type BrokerStub = DurableObjectStub<Broker> & BrokerRpc;

const node = (ensemble: string, sid: number): NodeStub =>
  env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`)) as unknown as NodeStub;

/** Asks until it holds; the test's own time limit ends it. */
async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    await scheduler.wait(20);
  }
}

/** Takes the alarm away without a word to the object. */
const lose = (stub: DurableObjectStub): Promise<void> =>
  runInDurableObject(stub, (_object, state) => state.storage.deleteAlarm());

const alarmOf = (stub: DurableObjectStub): Promise<number | null> =>
  runInDurableObject(stub, (_object, state) => state.storage.getAlarm());

async function found(ensemble: string, size: number): Promise<void> {
  for (let sid = 1; sid <= size; sid++) await node(ensemble, sid).bootstrap({ ensemble, sid, size });
  await until(async () => ((await node(ensemble, 1).status()).serving ? true : undefined));
}

const alarmsOf = async (stub: NodeStub): Promise<number> => (await stub.status()).counters.alarms;

/** A read that keeps the ensemble awake. @returns whether the znode is there; undefined: not answered */
async function exists(stub: NodeStub, path: string): Promise<boolean | undefined> {
  const request = { type: "exists", path, watch: false } as const;
  const answer = await stub.read({ session: NO_SESSION, request, consistency: "local", stale: false });
  return answer.ok ? true : answer.code === "NO_NODE" ? false : undefined;
}

describe.concurrent("a node whose alarm is lost", () => {
  it("[NODE-22] while it runs is set again by a request for its status, and continues to ring", async () => {
    await found("lost-one", 1);
    const stub = node("lost-one", 1);
    await lose(stub);
    const before = await alarmsOf(stub);
    expect(await until(async () => ((await alarmsOf(stub)) > before + 1 ? true : undefined))).toBe(true);
  });

  it("[NODE-22] does not keep sessions from expiring: they are requested at all nodes, with no alarm left", async () => {
    await found("lost-all", 3);
    const opened = await until(async () => {
      const answer = await node("lost-all", 2).openSession(2_000);
      return answer.ok ? answer.value.session : undefined;
    });
    const mode = CreateMode.EPHEMERAL;
    const request = { type: "create", path: "/left", data: null, mode, withStat: false } as const;
    await until(async () => {
      const answer = await node("lost-all", 1).write({ session: opened, xid: 1, request });
      return answer.ok ? true : undefined;
    });
    for (const sid of [1, 2, 3]) await lose(node("lost-all", sid));
    const gone = await until(async () =>
      (await exists(node("lost-all", 3), "/left")) === false ? true : undefined,
    );
    expect(gone).toBe(true);
  });

  it("[NODE-22] while its memory is also lost sets it at its start", async () => {
    await found("lost-evicted", 1);
    const stub = node("lost-evicted", 1);
    await lose(stub);
    await evictDurableObject(stub);
    expect(await until(() => exists(stub, "/zookeeper"))).toBe(true);
    const before = await alarmsOf(stub);
    expect(await until(async () => ((await alarmsOf(stub)) > before ? true : undefined))).toBe(true);
  });

  it("[NODE-22] during its sleep sets it again when it is loaded, and remains asleep", async () => {
    await found("lost-asleep", 1);
    const stub = node("lost-asleep", 1);
    await until(async () => ((await stub.openSession(60_000)).ok ? true : undefined));
    await until(async () => ((await stub.status()).quiet ? true : undefined));
    const at = await until(async () => (await alarmOf(stub)) ?? undefined);
    await lose(stub);
    await evictDurableObject(stub);
    const back = await until(async () => (await alarmOf(stub)) ?? undefined);
    // The key expires a little before the alarm of the append that stored it.
    expect(back).toBeLessThanOrEqual(at);
    expect(back).toBeGreaterThan(at - MINUTE_MS);
    expect(await stub.status()).toMatchObject({ quiet: true });
  });

  it("[NODE-22] that was never founded stores no alarm", async () => {
    expect(await alarmOf(node("lost-unfounded", 1))).toBeNull();
  });
});

describe.concurrent("others whose alarm is lost", () => {
  it("[NODE-22] a broker sets it again at its next event", async () => {
    await found("lost-broker", 1);
    const stub = env.BROKER.get(env.BROKER.idFromName("lost-broker/0")) as unknown as BrokerStub;
    await stub.start({ ensemble: "lost-broker", id: 0, ensembleSize: 1, brokerCount: 1 });
    // a client that waits keeps both awake
    const request = { type: "exists", path: "/", watch: false } as const;
    const awake = { session: NO_SESSION, request, consistency: "local", stale: false } as const;
    await lose(stub);
    const before = (await stub.status()).counters.alarms;
    const rings = await until(async () => {
      await node("lost-broker", 1).read(awake);
      const { counters } = await stub.status();
      return counters.alarms > before + 1 ? counters.alarms : undefined;
    });
    expect(rings).toBeGreaterThan(before + 1);
  });

  it("[NODE-22] a partition with stored keys sets it again when it is loaded", async () => {
    const stub = env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName("lost/id/0"));
    const leadership = { topic: "t", topicId: "id", partition: 0, leader: 1, leaderEpoch: 0 };
    await stub.leaderAndIsr({ ...leadership, controllerEpoch: 1, replicas: [1], isr: [1] });
    const record = { key: null, value: encodeText("v"), headers: [], timestampMs: 1 };
    const batches = encodeRecordBatch([record]);
    expect(await stub.append({ leaderEpoch: 0, batches, key: { key: "k", hash: "h" } })).toMatchObject({
      ok: true,
    });
    const at = await until(async () => (await alarmOf(stub)) ?? undefined);
    await lose(stub);
    await evictDurableObject(stub);
    const back = await until(async () => (await alarmOf(stub)) ?? undefined);
    // The key expires a little before the alarm of the append that stored it.
    expect(back).toBeLessThanOrEqual(at);
    expect(back).toBeGreaterThan(at - MINUTE_MS);
  });
});
