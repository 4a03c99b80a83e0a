/** The partition's object in workerd: rows, group commit, long polls, live tails, restarts. */

import {
  abortAllDurableObjects,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { PARTITION_CONFIG } from "../../core/broker/config.ts";
import { encodeText } from "../../core/broker/json-text.ts";
import type { Leadership } from "../../core/broker/partition.ts";
import { batchesOf, decodeBatches, encodeRecordBatch } from "../../core/wire/record-batch-codec.ts";
import { decodeTailFrame } from "../../core/wire/tail-frame-codec.ts";
import type { TopicPartitionRpc } from "../../durable-objects/topic-partition/rpc.ts";

let number = 0;
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

/** A partition of its own for each test, led under epoch 0. */
async function partition(change: Partial<Leadership> = {}) {
  number += 1;
  const stub = env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName(`test/id/${number}`));
  expect(await stub.leaderAndIsr({ ...LEADERSHIP, ...change })).toMatchObject({ ok: true });
  return stub;
}

type Stub = Awaited<ReturnType<typeof partition>>;

const batch = (...values: string[]): Uint8Array =>
  encodeRecordBatch(
    values.map((value, i) => ({ key: null, value: encodeText(value), headers: [], timestampMs: 1000 + i })),
  );

const append = (stub: Stub, ...values: string[]) =>
  stub.append({ leaderEpoch: 0, batches: batch(...values) });

const read = (stub: Stub, offset: number, more: { bytesMax?: number; waitMs?: number } = {}) =>
  stub.read({ from: { type: "offset", offset }, bytesMax: 1 << 20, waitMs: 0, leaderEpoch: -1, ...more });

async function valuesFrom(stub: Stub, offset: number): Promise<string[]> {
  const answer = await read(stub, offset);
  if (!answer.ok) throw new Error(answer.code);
  return decodeBatches(answer.batches, offset).map((each) =>
    new TextDecoder().decode(each.value ?? new Uint8Array()),
  );
}

describe("a partition's object", () => {
  test("[PARTITION-1] it stores nothing before a controller has created it", async () => {
    const stub = env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName("test/none/0"));
    expect(await stub.append({ leaderEpoch: 0, batches: batch("x") })).toMatchObject({
      code: "UNKNOWN_TOPIC_OR_PARTITION",
    });
    expect(await stub.status()).toMatchObject({ ok: false, code: "UNKNOWN_TOPIC_OR_PARTITION" });
    expect(await stub.remove({ topicId: "id", controllerEpoch: 1 })).toEqual({ ok: true });
    const tables = await runInDurableObject(stub, (_, state) =>
      state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'chunk'").toArray(),
    );
    expect(tables).toEqual([]);
  });

  test("[PARTITION-5] appended records are read back in order, also after the memory is lost", async () => {
    const stub = await partition();
    expect(await append(stub, "a", "b")).toMatchObject({ ok: true, baseOffset: 0, lastOffset: 1 });
    expect(await append(stub, "c")).toMatchObject({ ok: true, baseOffset: 2 });
    expect(await valuesFrom(stub, 0)).toEqual(["a", "b", "c"]);
    expect(await valuesFrom(stub, 1)).toEqual(["b", "c"]);
    await evictDurableObject(stub);
    expect(await valuesFrom(stub, 0)).toEqual(["a", "b", "c"]);
    expect(await append(stub, "d")).toMatchObject({ ok: true, baseOffset: 3 });
  });

  test("[PARTITION-5] batches are kept byte for byte, except offset and leader epoch", async () => {
    const stub = await partition({ leaderEpoch: 9 });
    const sent = batch("one", "two");
    await stub.append({ leaderEpoch: 9, batches: batch("zero") });
    await stub.append({ leaderEpoch: 9, batches: sent });
    const answer = await read(stub, 1);
    if (!answer.ok) throw new Error(answer.code);
    expect(answer.batches.slice(16)).toEqual(sent.slice(16));
    expect([...batchesOf(answer.batches)]).toMatchObject([{ baseOffset: 1, leaderEpoch: 9 }]);
  });

  test("[PARTITION-11] concurrent appends are committed in groups and each gets its own offsets", async () => {
    const stub = await partition();
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => append(stub, `${i}`)));
    const offsets = answers.map((answer) => (answer.ok ? answer.baseOffset : -1));
    expect([...offsets].sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    const values = await valuesFrom(stub, 0);
    offsets.forEach((offset, i) => {
      expect(values[offset]).toBe(`${i}`);
    });
    const status = await stub.status();
    if (!status.ok) throw new Error(status.code);
    expect(status.logEndOffset).toBe(300);
    // how many come together depends on how busy the machine is
    expect(status.chunks).toBeLessThan(300);
  });

  test("[PARTITION-8] a burst larger than a row is spread over rows", async () => {
    const stub = await partition();
    const large = "x".repeat(700_000);
    const answers = await Promise.all(Array.from({ length: 9 }, () => append(stub, large)));
    expect(answers.every((answer) => answer.ok)).toBe(true);
    const sizes = await runInDurableObject(stub, (_, state) =>
      state.storage.sql
        .exec<{ bytes: number; real: number }>("SELECT bytes, length(data) AS real FROM chunk")
        .toArray(),
    );
    for (const { bytes, real } of sizes) {
      expect(real).toBe(bytes);
      expect(bytes).toBeLessThanOrEqual(1_900_000);
    }
    const answer = await read(stub, 3, { bytesMax: 10 });
    if (!answer.ok) throw new Error(answer.code);
    expect([...batchesOf(answer.batches)]).toMatchObject([{ baseOffset: 3, lastOffset: 3 }]);
  });

  test("[PARTITION-12] an INSERT that throws fails every waiting append and leaves the log unchanged", async () => {
    const stub = await partition();
    await append(stub, "before");
    await runInDurableObject(stub, (_, state) => {
      state.storage.sql.exec(
        "CREATE TRIGGER full BEFORE INSERT ON chunk BEGIN SELECT RAISE(ABORT, 'disk full'); END",
      );
    });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => append(stub, `lost ${i}`)));
    for (const answer of answers) expect(answer).toMatchObject({ ok: false, code: "KAFKA_STORAGE_ERROR" });
    await runInDurableObject(stub, (_, state) => {
      state.storage.sql.exec("DROP TRIGGER full");
    });
    expect(await append(stub, "after")).toMatchObject({ ok: true, baseOffset: 1 });
    expect(await valuesFrom(stub, 0)).toEqual(["before", "after"]);
  });

  test("[PARTITION-7] an idempotency key is kept with its records, over a restart, and expires", async () => {
    const stub = await partition();
    const send = (key: string, hash: string) =>
      stub.append({ leaderEpoch: 0, batches: batch("goal"), key: { key, hash } });
    const first = await send("k", "h");
    expect(first).toMatchObject({ ok: true, baseOffset: 0, replayed: false });
    await evictDurableObject(stub);
    expect(await send("k", "h")).toEqual({ ...first, replayed: true });
    expect(await send("k", "x")).toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED" });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await send("k", "h")).toMatchObject({ replayed: true });
    await runInDurableObject(stub, (_, state) => {
      state.storage.sql.exec("UPDATE idempotency_key SET at_ms = at_ms - 86400001");
    });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await send("k", "h")).toMatchObject({ ok: true, baseOffset: 1, replayed: false });
  });

  test("[PARTITION-21] a table of an earlier version is still read, and its keys count", async () => {
    const stub = await partition();
    const send = (hash: string, fingerprint: string) =>
      stub.append({ leaderEpoch: 0, batches: batch("goal"), key: { key: "k", hash, fingerprint } });
    await send("h", "f");
    await runInDurableObject(stub, (_, state) => {
      for (const column of ["fingerprint", "crc"])
        state.storage.sql.exec(`ALTER TABLE idempotency_key DROP COLUMN ${column}`);
    });
    await evictDurableObject(stub);
    expect(await send("h", "other")).toMatchObject({ ok: true, baseOffset: 0, replayed: true });
    expect(await send("x", "f")).toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED" });
  });

  test("[PARTITION-3] the same log continues under a new leader epoch and the old one is fenced", async () => {
    const stub = await partition();
    await append(stub, "a");
    expect(await stub.leaderAndIsr({ ...LEADERSHIP, leader: 2, leaderEpoch: 1 })).toMatchObject({
      ok: true,
      logEndOffset: 1,
    });
    expect(await append(stub, "late")).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
    expect(await stub.append({ leaderEpoch: 2, batches: batch("early") })).toMatchObject({
      code: "UNKNOWN_LEADER_EPOCH",
    });
    expect(await stub.append({ leaderEpoch: 1, batches: batch("b") })).toMatchObject({
      ok: true,
      baseOffset: 1,
      leaderEpoch: 1,
    });
    await evictDurableObject(stub);
    expect(await append(stub, "late")).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
    expect(await stub.status()).toMatchObject({
      leader: 2,
      epochs: [
        { leaderEpoch: 0, startOffset: 0 },
        { leaderEpoch: 1, startOffset: 1 },
      ],
    });
    expect(await valuesFrom(stub, 0)).toEqual(["a", "b"]);
  });

  test("[PARTITION-10] reads outside of the log are refused", async () => {
    const stub = await partition();
    await append(stub, "a");
    for (const offset of [-1, 2, 0.5, Number.NaN])
      expect(await read(stub, offset)).toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    expect(await read(stub, 1)).toMatchObject({ ok: true, offset: 1, highWatermark: 1 });
  });

  test("[PARTITION-13] reads begin at a timestamp or a number of records before the end", async () => {
    const stub = await partition();
    const at = (timestampMs: number) =>
      stub.append({
        leaderEpoch: 0,
        batches: encodeRecordBatch([{ key: null, value: null, headers: [], timestampMs }]),
      });
    const times = [100, 300, 200, 400, 400, 350, 500];
    for (const time of times) await at(time);
    const offsetOf = async (timestampMs: number) => {
      const answer = await stub.offsetOfTime({ timestampMs, leaderEpoch: -1 });
      return answer.ok ? answer.offset : answer.code;
    };
    for (const time of [0, 100, 101, 200, 300, 301, 400, 401, 500]) {
      expect(await offsetOf(time), `${time}`).toBe(times.findIndex((each) => each >= time));
    }
    expect(await offsetOf(501)).toBeNull();
    expect(
      await stub.read({
        from: { type: "timestamp", timestampMs: 400 },
        bytesMax: 1,
        waitMs: 0,
        leaderEpoch: -1,
      }),
    ).toMatchObject({ offset: 3 });
    expect(
      await stub.read({ from: { type: "tail", records: 2 }, bytesMax: 1, waitMs: 0, leaderEpoch: -1 }),
    ).toMatchObject({ offset: 5 });
    expect(
      await stub.read({ from: { type: "tail", records: 99 }, bytesMax: 1, waitMs: 0, leaderEpoch: -1 }),
    ).toMatchObject({ offset: 0 });
  });

  test("[PARTITION-14] a long poll is answered at the next append, or empty at its time limit", async () => {
    const stub = await partition();
    const waiting = read(stub, 0, { waitMs: 20_000 });
    await append(stub, "a");
    const answer = await waiting;
    if (!answer.ok) throw new Error(answer.code);
    expect(decodeBatches(answer.batches)).toHaveLength(1);
    const empty = await read(stub, 1, { waitMs: 10 });
    expect(empty).toMatchObject({ ok: true, offset: 1 });
    if (empty.ok) expect(empty.batches).toHaveLength(0);
  });

  test("[PARTITION-15] a removed partition deletes everything, and its waiting readers are answered", async () => {
    const stub = await partition();
    await append(stub, "a");
    const waiting = read(stub, 1, { waitMs: 20_000 });
    expect(await stub.remove({ topicId: "other", controllerEpoch: 1 })).toMatchObject({
      code: "INVALID_REQUEST",
    });
    expect(await stub.remove({ topicId: "id", controllerEpoch: 0 })).toMatchObject({
      code: "STALE_CONTROLLER_EPOCH",
    });
    expect(await stub.remove({ topicId: "id", controllerEpoch: 1 })).toEqual({ ok: true });
    expect(await waiting).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
    expect(await append(stub, "b")).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
    expect(await stub.leaderAndIsr(LEADERSHIP)).toMatchObject({ ok: true, logEndOffset: 0 });
    expect(await append(stub, "b")).toMatchObject({ ok: true, baseOffset: 0 });
  });

  test("[PARTITION-16] an append that was answered survives the loss of every object's memory", async () => {
    const stub = await partition();
    const name = `test/id/${number}`;
    for (let i = 0; i < 20; i++) await append(stub, `${i}`);
    await abortAllDurableObjects();
    const again = env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName(name));
    expect(await valuesFrom(again, 0)).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
  });
});

/** A tail as the Worker holds it. */
async function tail(stub: Stub, offset: number) {
  const response = await stub.fetch(`http://partition/tail?offset=${offset}`, {
    headers: { Upgrade: "websocket" },
  });
  const socket = response.webSocket;
  if (socket === null) throw new Error(`${response.status} ${await response.text()}`);
  socket.binaryType = "arraybuffer";
  const arrived: (string | Uint8Array)[] = [];
  let notify = (): void => undefined;
  socket.addEventListener("message", ({ data }) => {
    arrived.push(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
    notify();
  });
  socket.accept();
  return {
    socket,
    arrived,
    async next(): Promise<string | Uint8Array> {
      while (arrived.length === 0) await new Promise<void>((resolve) => (notify = resolve));
      return arrived.shift() ?? "";
    },
    async values(): Promise<string[]> {
      const message = await this.next();
      if (typeof message === "string") throw new Error(message);
      const frame = decodeTailFrame(message);
      const values = decodeBatches(frame.batches).map((each) =>
        new TextDecoder().decode(each.value ?? new Uint8Array()),
      );
      socket.send("next");
      return values;
    },
  };
}

/** Tails whose frame is under way. */
const untakenFrames = (stub: Stub): Promise<number> =>
  runInDurableObject(
    stub,
    (_, state) => state.getWebSockets().filter((socket) => socket.deserializeAttachment().waiting).length,
  );

describe("a partition's tail", () => {
  test("[PARTITION-17] it sends existing records, then new ones, each once", async () => {
    const stub = await partition();
    await append(stub, "a", "b");
    const reader = await tail(stub, 1);
    // the batch is whole; the reader skips what it did not ask for
    expect(await reader.values()).toEqual(["a", "b"]);
    await append(stub, "c");
    expect(await reader.values()).toEqual(["c"]);
    reader.socket.close();
  });

  test("[PARTITION-17] a reader that has not read its frame gets no second one, and loses nothing", async () => {
    const stub = await partition();
    const reader = await tail(stub, 0);
    for (let i = 0; i < 20; i++) await append(stub, `${i}`);
    const values = await reader.values();
    expect(values).toEqual(["0"]);
    while (values.length < 20) values.push(...(await reader.values()));
    expect(values).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
    expect(reader.arrived).toEqual([]);
    reader.socket.close();
  });

  test("[PARTITION-18] a tail survives the loss of its object's memory", async () => {
    const stub = await partition();
    const reader = await tail(stub, 0);
    await append(stub, "a");
    expect(await reader.values()).toEqual(["a"]);
    await evictDurableObject(stub);
    await append(stub, "b");
    expect(await reader.values()).toEqual(["b"]);
    reader.socket.close();
  });

  test("[PARTITION-19] a tail is notified of new leaders and of the removal", async () => {
    const stub = await partition();
    const reader = await tail(stub, 0);
    await stub.leaderAndIsr({ ...LEADERSHIP, leader: 2, leaderEpoch: 1 });
    expect(JSON.parse(String(await reader.next()))).toMatchObject({
      type: "leader",
      leader: 2,
      leader_epoch: 1,
    });
    await stub.remove({ topicId: "id", controllerEpoch: 1 });
    expect(JSON.parse(String(await reader.next()))).toEqual({ type: "deleted" });
  });

  test("[PARTITION-20] a silent tail is closed; one that beats, or reads its frames, is kept", async () => {
    const stub = await partition();
    // opened long ago: a socket that nobody took, one whose reader says nothing, and two that live
    vi.setSystemTime(Date.now() - 20_000);
    const untaken = await stub.fetch("http://partition/tail?offset=0", { headers: { Upgrade: "websocket" } });
    expect(untaken.status).toBe(101);
    const [silent, beating, reading] = [await tail(stub, 0), await tail(stub, 0), await tail(stub, 0)];
    await append(stub, "a");
    await beating.next();
    vi.useRealTimers();
    const closed = new Promise<string>((resolve) =>
      silent.socket.addEventListener("close", ({ code, reason }) => resolve(`${code} ${reason}`)),
    );
    beating.socket.send("beat");
    expect(await beating.next()).toBe('{"type":"beat"}');
    expect(await reading.values()).toEqual(["a"]);
    const tails = async () => {
      const status = await stub.status();
      return status.ok ? status.tails : status.code;
    };
    expect(await tails()).toBe(4);
    // it is known by now that one frame was taken
    await vi.waitFor(async () => expect(await untakenFrames(stub)).toBe(3), { timeout: 60_000 });
    // a beat asks for no frame
    await append(stub, "b");
    expect(await reading.values()).toEqual(["b"]);
    expect(await closed).toBe("1001 silence");
    expect([await tails(), beating.arrived]).toEqual([2, []]);
    beating.socket.send("next");
    expect(await beating.values()).toEqual(["b"]);
    beating.socket.close();
    reading.socket.close();
  });

  test("[PARTITION-62] an error of one tail closes that tail alone, and appends continue", async () => {
    const stub = await partition();
    await append(stub, "a");
    // the first one has not taken its frame
    const [broken, whole] = [await tail(stub, 0), await tail(stub, 1)];
    const closed = new Promise<string>((resolve) =>
      broken.socket.addEventListener("close", ({ code, reason }) => resolve(`${code} ${reason}`)),
    );
    await runInDurableObject(stub, (_, state) => {
      const sockets = state.getWebSockets();
      state.getWebSockets = () => sockets;
      for (const socket of sockets.filter((each) => each.deserializeAttachment().waiting))
        socket.deserializeAttachment = () => {
          throw new Error("the attachment cannot be read");
        };
    });
    await append(stub, "b");
    expect(await whole.values()).toEqual(["b"]);
    expect(await closed).toBe("4000 KAFKA_STORAGE_ERROR");
    await append(stub, "c");
    expect(await whole.values()).toEqual(["c"]);
    whole.socket.close();
  });

  test("[PARTITION-20] a live tail is kept when a fault sets the clock forward", async () => {
    const stub = await partition();
    const reader = await tail(stub, 0);
    const faulty = stub as unknown as TopicPartitionRpc;
    await faulty.fault({ fault: "skew", skewMs: 600_000, ttlMs: null });
    await append(stub, "a");
    expect(await reader.values()).toEqual(["a"]);
    await faulty.heal();
    await append(stub, "b");
    expect(await reader.values()).toEqual(["b"]);
    reader.socket.close();
  });

  test("[PARTITION-63] tails that are opened together do not exceed the limit", async () => {
    const stub = await partition();
    const reader = await tail(stub, 0);
    const statuses = await runInDurableObject(stub, async (instance, state) => {
      const listed = state.getWebSockets.bind(state);
      const open = listed();
      // as if there were room for one more
      const full = Array.from({ length: PARTITION_CONFIG.tailsMax - 2 }, () => open).flat();
      state.getWebSockets = () => [...listed(), ...full];
      const ask = () =>
        instance.fetch(new Request("http://partition/tail?offset=0", { headers: { Upgrade: "websocket" } }));
      await instance.fault({ fault: "pause", ttlMs: null });
      const asked = [ask(), ask(), ask()];
      await instance.heal();
      return (await Promise.all(asked)).map(({ status }) => status);
    });
    expect(statuses).toEqual([101, 409, 409]);
    reader.socket.close();
  });

  test("[PARTITION-61] an append whose tails cannot be served ends the object, and the next one is answered", async () => {
    const stub = await partition();
    const id = stub.id;
    await runInDurableObject(stub, (_, state) => {
      state.getWebSockets = () => {
        throw new Error("the sockets cannot be listed");
      };
    });
    await expect(append(stub, "a")).rejects.toThrow("the sockets cannot be listed");
    // a stub whose object ended is not used again
    const next = env.TOPIC_PARTITION.get(id);
    expect(await append(next, "b")).toMatchObject({ ok: true });
    expect((await valuesFrom(next, 0)).at(-1)).toBe("b");
    expect(await append(next, "c")).toMatchObject({ ok: true });
  });

  test("[PARTITION-10] a tail cannot begin outside of the log, nor anywhere else in the object", async () => {
    const stub = await partition();
    const ask = (path: string, upgrade = "websocket") =>
      stub.fetch(`http://partition${path}`, { headers: { Upgrade: upgrade } });
    const refused = await ask("/tail?offset=5");
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    expect((await ask("/tail?offset=x")).status).toBe(409);
    expect((await ask("/tail?offset=0&epoch=3")).status).toBe(409);
    expect((await ask("/tail?offset=0", "h2c")).status).toBe(404);
    expect((await ask("/")).status).toBe(404);
  });
});
