/** Faults of a partition's object: what its callers observe, and that each fault ends. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { PARTITION_CONFIG } from "../../core/broker/config.ts";
import { encodeText } from "../../core/broker/json-text.ts";
import type { Leadership } from "../../core/broker/partition.ts";
import { encodeRecordBatch } from "../../core/wire/record-batch-codec.ts";
import type { TopicPartitionRpc } from "../../durable-objects/topic-partition/rpc.ts";

const LEADERSHIP: Leadership = {
  topic: "t",
  topicId: "id",
  partition: 0,
  leader: 1,
  leaderEpoch: 0,
  controllerEpoch: 1,
  replicas: [1],
  isr: [1],
};

const append = (partition: TopicPartitionRpc, value: string, key?: string) =>
  partition.append({
    leaderEpoch: 0,
    ...(key !== undefined && { key: { key, hash: "h" } }),
    batches: encodeRecordBatch([{ key: null, value: encodeText(value), headers: [], timestampMs: 1 }]),
  });

/** The message of the error that a call ends with; undefined: it is answered. */
const errorOf = async (call: Promise<unknown>): Promise<string | undefined> => {
  try {
    await call;
    return undefined;
  } catch (error) {
    return String(error);
  }
};

let number = 0;

const objectOf = (stub: TopicPartitionRpc) => stub as unknown as DurableObjectStub;

/** When the alarm is set to ring, ms since 1970; null: it is not set. */
const alarmOf = (stub: TopicPartitionRpc): Promise<number | null> =>
  runInDurableObject(objectOf(stub), (_object, { storage }) => storage.getAlarm());

/** A partition of its own for each test; a stub that failed is not used again. */
async function partition(): Promise<() => TopicPartitionRpc> {
  number += 1;
  const id = env.TOPIC_PARTITION.idFromName(`faults/id/${number}`);
  const stub = () => env.TOPIC_PARTITION.get(id) as unknown as TopicPartitionRpc;
  expect(await stub().leaderAndIsr(LEADERSHIP)).toMatchObject({ ok: true });
  return stub;
}

describe("a partition", () => {
  test("[FAULT-90] that is killed refuses every call until it is revived, and has lost nothing", async () => {
    const stub = await partition();
    expect(await append(stub(), "a")).toMatchObject({ baseOffset: 0 });
    expect(await errorOf(stub().fault({ fault: "kill", ttlMs: null }))).toContain("PARTITION_DOWN");
    expect(await errorOf(append(stub(), "b"))).toContain("PARTITION_DOWN: the partition is killed");
    expect(await errorOf(stub().status())).toContain("PARTITION_DOWN");
    expect(await stub().faults()).toMatchObject([{ fault: "kill" }]);
    expect(await stub().heal()).toEqual(["kill"]);
    expect(await append(stub(), "b")).toMatchObject({ baseOffset: 1 });
  });

  test("[FAULT-90] that crashes loses its memory and none of its records", async () => {
    const stub = await partition();
    expect(await append(stub(), "a")).toMatchObject({ baseOffset: 0 });
    expect(await errorOf(stub().fault({ fault: "crash" }))).toContain("crashed");
    expect(await append(stub(), "b")).toMatchObject({ baseOffset: 1 });
  });

  test("[FAULT-90] that is paused answers after the pause, in order; with slow storage it answers later", async () => {
    const stub = await partition();
    await stub().fault({ fault: "pause", ttlMs: null });
    let answered = 0;
    const waiting = [append(stub(), "a"), append(stub(), "b")].map(async (answer) => {
      await answer;
      answered += 1;
    });
    expect(await stub().faults()).toMatchObject([{ fault: "pause" }]);
    expect(answered).toBe(0);
    await stub().heal();
    await Promise.all(waiting);
    await stub().fault({ fault: "slow-storage", delayMs: 200, ttlMs: null });
    const before = Date.now();
    expect(await append(stub(), "c")).toMatchObject({ baseOffset: 2 });
    expect(Date.now() - before).toBeGreaterThanOrEqual(150);
    await stub().heal();
  });

  test("[FAULT-91] whose clock is set back waits for its deadline by its own clock, and by the correct one once healed", async () => {
    const stub = await partition();
    const skewMs = -600_000;
    const windowMs = PARTITION_CONFIG.idempotencyWindowMs;
    await stub().fault({ fault: "skew", skewMs, ttlMs: null });
    const before = Date.now();
    expect(await append(stub(), "a", "k")).toMatchObject({ ok: true });
    const setAt = await alarmOf(stub());
    expect(setAt).toBeGreaterThanOrEqual(before + windowMs);
    expect(setAt).toBeLessThanOrEqual(Date.now() + windowMs);
    // the key is due in a minute by the right clock, and in eleven by the partition's
    const usedAtMs = Date.now() - windowMs + 60_000;
    await runInDurableObject(objectOf(stub()), (_object, { storage }) => {
      storage.sql.exec("UPDATE idempotency_key SET at_ms = ?", usedAtMs);
    });
    expect(await runDurableObjectAlarm(objectOf(stub()))).toBe(true);
    expect(await alarmOf(stub())).toBe(usedAtMs + windowMs - skewMs);
    expect(await stub().heal()).toEqual(["skew"]);
    expect(await alarmOf(stub())).toBe(usedAtMs + windowMs);
  });

  test("[FAULT-92] whose alarm rings while it is killed gets it again once it is revived", async () => {
    const stub = await partition();
    expect(await append(stub(), "a", "k")).toMatchObject({ ok: true });
    const usedAtMs = await runInDurableObject(objectOf(stub()), (_object, { storage }) =>
      Number(storage.sql.exec("SELECT at_ms FROM idempotency_key").one().at_ms),
    );
    expect(await errorOf(stub().fault({ fault: "kill", ttlMs: null }))).toContain("PARTITION_DOWN");
    expect(await runDurableObjectAlarm(objectOf(stub()))).toBe(true);
    expect(await alarmOf(stub())).toBeNull();
    expect(await stub().heal()).toEqual(["kill"]);
    expect(await alarmOf(stub())).toBe(usedAtMs + PARTITION_CONFIG.idempotencyWindowMs);
  });
});
