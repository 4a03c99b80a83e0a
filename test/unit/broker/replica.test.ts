/** The steps of a partition: effects of each input, their order, and the state after a failed write. */
import { describe, expect, test } from "vitest";
import { PARTITION_CONFIG, type PartitionConfig } from "../../../core/broker/config.ts";
import { encodeText } from "../../../core/broker/json-text.ts";
import type { Leadership } from "../../../core/broker/partition.ts";
import { Replica } from "../../../core/broker/replica.ts";
import type {
  ReplicaAnswer,
  ReplicaCall,
  ReplicaEffect,
  ReplicaInput,
} from "../../../core/broker/replica-messages.ts";
import { advanceTail, openTail } from "../../../core/broker/tail.ts";
import { decodeBatches, encodeRecordBatch } from "../../../core/wire/record-batch-codec.ts";
import { MemoryPartition } from "../../../sim/broker/memory-partition.ts";

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

const batch = (...values: string[]): Uint8Array =>
  encodeRecordBatch(
    values.map((value) => ({ key: null, value: encodeText(value), headers: [], timestampMs: 5 })),
  );

/** A replica whose effects are run at once, in order, as the object runs them. */
class World {
  readonly backend: MemoryPartition;
  readonly config: PartitionConfig;
  replica: Replica;
  nowMs = 1_000;
  /** the next writes fail */
  isFull = false;
  /** effects but `respond`, in order, as words */
  readonly ran: string[] = [];
  readonly answers = new Map<number, ReplicaAnswer>();
  readonly rejected = new Map<number, string>();
  #calls = 0;

  constructor(backend = new MemoryPartition(), config: Partial<PartitionConfig> = {}) {
    this.backend = backend;
    this.config = { ...PARTITION_CONFIG, ...config };
    this.replica = this.#start();
  }

  #start(): Replica {
    const identity = { topicId: "id", partition: 0 };
    return new Replica({ backend: this.backend, config: this.config, identity, brokerCount: 2 });
  }

  restart(): void {
    this.replica = this.#start();
  }

  call(call: ReplicaCall): number {
    this.#calls += 1;
    this.feed({ type: "call", id: this.#calls, call });
    return this.#calls;
  }

  /** The answer to a call that is answered at once. */
  ask(call: ReplicaCall): ReplicaAnswer | undefined {
    return this.answers.get(this.call(call));
  }

  append(...values: string[]): number {
    return this.call({ type: "append", request: { leaderEpoch: 0, batches: batch(...values) } });
  }

  read(offset: number, waitMs = 0): number {
    return this.call({
      type: "read",
      request: { from: { type: "offset", offset }, bytesMax: 1 << 20, waitMs, leaderEpoch: -1 },
    });
  }

  values(id: number): string[] {
    const answer = this.answers.get(id);
    if (answer?.ok !== true || !("batches" in answer)) throw new Error(JSON.stringify(answer));
    return decodeBatches(answer.batches, answer.offset).map(({ value }) =>
      String.fromCharCode(...(value ?? [])),
    );
  }

  feed(input: ReplicaInput): void {
    for (let next: ReplicaInput | undefined = input; next !== undefined; )
      next = this.#run(this.replica.step(this.nowMs, next));
  }

  #run(effects: readonly ReplicaEffect[]): ReplicaInput | undefined {
    let outcome: ReplicaInput | undefined;
    for (const effect of effects) {
      if (effect.type === "respond") {
        expect(this.answers.has(effect.id), "a call is answered once").toBe(false);
        this.answers.set(effect.id, effect.answer);
      } else if (effect.type === "reject") this.rejected.set(effect.id, effect.message);
      else this.ran.push(effect.type);
      if (effect.type !== "persist") continue;
      if (this.isFull) outcome = { type: "persistFailed", message: "disk full" };
      else {
        this.backend.write(effect.writes);
        outcome = { type: "persisted" };
      }
    }
    return outcome;
  }
}

/** A partition that is led under epoch 0. */
function led(config: Partial<PartitionConfig> = {}): World {
  const world = new World(new MemoryPartition(), config);
  world.call({ type: "leaderAndIsr", leadership: LEADERSHIP });
  world.ran.length = 0;
  return world;
}

describe("a produce", () => {
  test("[PARTITION-60] is stored, then answered, then delivered; the next one waits until it is durable", () => {
    const world = led();
    const first = world.replica.step(1_000, {
      type: "call",
      id: 1,
      call: { type: "append", request: { leaderEpoch: 0, batches: batch("a") } },
    });
    expect(first.map(({ type }) => type)).toEqual(["persist"]);
    if (first[0]?.type !== "persist") throw new Error("nothing was persisted");
    world.backend.write(first[0].writes);
    const second = world.replica.step(1_000, { type: "persisted" });
    expect(second.map(({ type }) => type)).toEqual(["respond", "endTimer", "wakeTails", "sync"]);
    expect(second[0]).toMatchObject({ id: 1, answer: { ok: true, baseOffset: 0 } });
    world.ran.length = 0;
    const waiting = [world.append("b"), world.append("c")];
    expect([world.ran, world.answers.get(waiting[0] ?? 0)]).toEqual([[], undefined]);
    world.feed({ type: "synced" });
    expect(world.ran).toEqual(["persist", "wakeTails", "sync"]);
    expect(waiting.map((id) => world.answers.get(id))).toMatchObject([{ baseOffset: 1 }, { baseOffset: 2 }]);
  });

  test("[PARTITION-12] whose write fails changes nothing, and no other input comes between a write and its outcome", () => {
    const world = led();
    world.isFull = true;
    expect(world.answers.get(world.append("lost"))).toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    expect(world.ask({ type: "bounds", leaderEpoch: -1 })).toMatchObject({ logEndOffset: 0 });
    world.isFull = false;
    world.feed({ type: "synced" });
    expect(world.answers.get(world.append("kept"))).toMatchObject({ baseOffset: 0 });
    const other = led();
    const call = { type: "append", request: { leaderEpoch: 0, batches: batch("a") } } as const;
    other.replica.step(1_000, { type: "call", id: 9, call });
    expect(() => other.replica.step(1_000, { type: "synced" })).toThrow("outcome of a write");
  });

  test("[PARTITION-11] waits one turn for more if the last commits were large", () => {
    const world = led();
    world.append("0");
    for (let i = 1; i < 6; i++) world.append(`${i}`);
    world.ran.length = 0;
    world.feed({ type: "synced" });
    expect(world.ran).toEqual(["gather"]);
    const late = world.append("late");
    world.feed({ type: "gathered" });
    expect(world.ran).toEqual(["gather", "persist", "wakeTails", "sync"]);
    expect(world.answers.get(late)).toMatchObject({ baseOffset: 6 });
    expect(world.backend.size().chunks).toBe(2);
  });

  test("[PARTITION-7] under a known key gets the same answer after a restart; a failed write leaves the key unknown", () => {
    const world = led();
    const call = {
      type: "append",
      request: { leaderEpoch: 0, batches: batch("a"), key: { key: "k", hash: "h" } },
    } as const;
    world.isFull = true;
    expect(world.ask(call)).toMatchObject({ ok: false });
    world.isFull = false;
    world.feed({ type: "synced" });
    expect(world.ask(call)).toMatchObject({ ok: true, replayed: false });
    world.restart();
    expect(world.ask(call)).toMatchObject({ ok: true, baseOffset: 0, replayed: true });
    expect(world.replica.deadline(world.nowMs)).toBe(1_000 + PARTITION_CONFIG.idempotencyWindowMs);
    world.nowMs += PARTITION_CONFIG.idempotencyWindowMs + 1;
    world.feed({ type: "alarm" });
    expect(world.replica.deadline(world.nowMs)).toBeUndefined();
  });

  test("[PARTITION-7] a claim is stored before it is answered, and fails where it is not stored", () => {
    const world = led();
    const claim = (hash: string) => world.call({ type: "claim", key: { key: "k", hash }, leaderEpoch: 0 });
    world.isFull = true;
    expect(world.rejected.get(claim("h"))).toBe("disk full");
    world.isFull = false;
    expect(world.answers.get(claim("h"))).toEqual({ ok: true });
    world.restart();
    expect(world.answers.get(claim("h"))).toEqual({ ok: true });
    expect(world.answers.get(claim("x"))).toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED" });
  });

  test("[PARTITION-35] schedules one record of the end of the log for many commits", () => {
    const world = led();
    world.append("a");
    world.feed({ type: "synced" });
    world.append("b");
    expect(world.ran.filter((each) => each === "endTimer")).toHaveLength(1);
    world.feed({ type: "endTimer" });
    expect(world.backend.meta("end")?.value).toBe("2");
    world.feed({ type: "synced" });
    world.append("c");
    expect(world.ran.filter((each) => each === "endTimer")).toHaveLength(2);
  });

  test("[PARTITION-61] fails alone if the storage cannot be read, and the next one is answered", () => {
    const world = led();
    const { backend } = world;
    const chunkAtOrBelow = backend.chunkAtOrBelow.bind(backend);
    world.append("a");
    world.restart();
    backend.chunkAtOrBelow = () => {
      throw new Error("disk I/O error");
    };
    const failed = world.read(0);
    expect([world.answers.has(failed), world.rejected.get(failed)]).toEqual([false, "disk I/O error"]);
    backend.chunkAtOrBelow = chunkAtOrBelow;
    expect(world.values(world.read(0))).toEqual(["a"]);
    expect(world.answers.get(world.append("b"))).toMatchObject({ ok: true, baseOffset: 1 });
  });

  test("[PARTITION-10] is refused when too many wait", () => {
    const world = led({ queueLengthMax: 1 });
    world.append("first");
    world.append("waits");
    expect(world.answers.get(world.append("full"))).toMatchObject({ code: "THROTTLING_QUOTA_EXCEEDED" });
  });
});

describe("a read", () => {
  test("[PARTITION-14] that waits is answered once, at the next commit or at its time limit", () => {
    const world = led({ waitersMax: 2 });
    const [first, second] = [world.read(0, 500), world.read(0, 500)];
    expect(world.answers.get(world.read(0, 500))).toMatchObject({ code: "THROTTLING_QUOTA_EXCEEDED" });
    world.feed({ type: "pollExpired", id: first });
    expect(world.values(first)).toEqual([]);
    world.append("a");
    expect(world.values(second)).toEqual(["a"]);
    world.feed({ type: "pollExpired", id: second });
    expect(world.values(world.read(0, 500))).toEqual(["a"]);
  });

  test("[PARTITION-17] by a tail begins where the last frame ended, and waits for its reader", () => {
    const world = led();
    world.append("a", "b");
    world.feed({ type: "synced" });
    const read = (offset: number) => world.replica.readAt(offset, 1);
    const first = advanceTail(openTail(0, 0), read);
    if (first.type !== "frame") throw new Error(first.type);
    expect([first.frame.nextOffset, first.state.waiting]).toEqual([2, true]);
    expect(advanceTail(first.state, read)).toEqual({ type: "wait" });
    expect(advanceTail({ ...first.state, waiting: false }, read)).toEqual({ type: "wait" });
    world.append("c");
    expect(advanceTail({ ...first.state, waiting: false }, read)).toMatchObject({
      type: "frame",
      frame: { offset: 2, nextOffset: 3 },
    });
    world.call({ type: "remove", topicId: "id", controllerEpoch: 1 });
    expect(advanceTail(openTail(0, 0), read)).toEqual({ type: "close", code: "UNKNOWN_TOPIC_OR_PARTITION" });
  });
});

describe("the leadership", () => {
  test("[PARTITION-3] takes effect when it is stored; a failed write leaves the old epoch", () => {
    const world = led();
    const next = { ...LEADERSHIP, leaderEpoch: 1, leader: 2 };
    world.isFull = true;
    const failed = world.call({ type: "leaderAndIsr", leadership: next });
    expect(world.rejected.get(failed)).toBe("disk full");
    world.isFull = false;
    expect(world.answers.get(world.append("old epoch"))).toMatchObject({ ok: true });
    world.feed({ type: "synced" });
    expect(world.ask({ type: "leaderAndIsr", leadership: next })).toMatchObject({
      leaderEpoch: 1,
      leader: 2,
    });
    expect(world.answers.get(world.append("late"))).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
    world.restart();
    expect(world.answers.get(world.append("late"))).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
  });

  test("[PARTITION-3] fences appends that were waiting when it changed", () => {
    const world = led();
    world.append("first");
    const waiting = world.append("waits");
    world.call({ type: "leaderAndIsr", leadership: { ...LEADERSHIP, leaderEpoch: 1 } });
    world.feed({ type: "synced" });
    expect(world.answers.get(waiting)).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
  });

  /** A partition with one record that has lost who leads it. */
  function damaged(): World {
    const world = led();
    world.append("a");
    world.backend.tamper(({ meta }) => {
      for (const name of ["leadership", "leadership_copy"]) meta.delete(name);
    });
    world.restart();
    world.ran.length = 0;
    return world;
  }

  test("[PARTITION-36] is requested from one broker after the other while it is damaged; calls wait in their order", () => {
    const world = damaged();
    const [read, append, second] = [world.read(0), world.append("b"), world.append("c")];
    expect(world.ran).toEqual(["findLeader"]);
    world.feed({ type: "leaderFound", leadership: null });
    expect(world.ran).toEqual(["findLeader", "findLeader"]);
    expect(world.answers.get(read)).toBeUndefined();
    world.feed({ type: "leaderFound", leadership: LEADERSHIP });
    expect(world.values(read)).toEqual(["a"]);
    expect(world.answers.get(append)).toMatchObject({ ok: true, baseOffset: 1 });
    world.feed({ type: "synced" });
    expect(world.answers.get(second)).toMatchObject({ ok: true, baseOffset: 2 });
  });

  test("[PARTITION-32] that no broker knows is an error of the call, and the next call requests it again", () => {
    const world = damaged();
    const read = world.read(0);
    for (let i = 0; i < 2; i++) world.feed({ type: "leaderFound", leadership: null });
    expect(world.answers.get(read)).toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    const again = world.read(0);
    expect(world.ran).toEqual(["findLeader", "findLeader", "findLeader"]);
    world.call({ type: "leaderAndIsr", leadership: LEADERSHIP });
    expect(world.values(again)).toEqual(["a"]);
    world.feed({ type: "leaderFound", leadership: { ...LEADERSHIP, leaderEpoch: 7 } });
    expect(world.ask({ type: "bounds", leaderEpoch: -1 })).toMatchObject({ leaderEpoch: 0 });
  });

  test("[PARTITION-36] of an older epoch than the log's is not accepted", () => {
    const world = led();
    world.call({ type: "leaderAndIsr", leadership: { ...LEADERSHIP, leaderEpoch: 4 } });
    world.backend.tamper(({ meta }) => {
      for (const name of ["leadership", "leadership_copy"]) meta.set(name, { value: "x" });
    });
    world.restart();
    const status = world.call({ type: "status", tails: 0 });
    world.feed({ type: "leaderFound", leadership: { ...LEADERSHIP, leaderEpoch: 3 } });
    world.feed({ type: "leaderFound", leadership: { ...LEADERSHIP, leaderEpoch: 4 } });
    expect(world.answers.get(status)).toMatchObject({ ok: true, leaderEpoch: 4 });
  });
});

describe("a removal", () => {
  test("[PARTITION-15] answers all readers, then deletes, then answers; another topic's is refused", () => {
    const world = led();
    world.append("a");
    world.feed({ type: "synced" });
    world.ran.length = 0;
    const poll = world.read(1, 500);
    expect(world.ask({ type: "remove", topicId: "other", controllerEpoch: 1 })).toMatchObject({ ok: false });
    expect(world.ask({ type: "remove", topicId: "id", controllerEpoch: 0 })).toMatchObject({
      code: "STALE_CONTROLLER_EPOCH",
    });
    const removal = world.call({ type: "remove", topicId: "id", controllerEpoch: 1 });
    expect(world.ran).toEqual(["pollTimer", "tellTails", "closeTails", "noDeadline", "removeAll"]);
    expect(world.answers.get(poll)).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
    expect(world.answers.get(removal)).toBeUndefined();
    world.backend.clear();
    world.feed({ type: "removed", id: removal });
    expect(world.answers.get(removal)).toEqual({ ok: true });
    world.feed({ type: "endTimer" });
    world.feed({ type: "alarm" });
    expect(world.backend.exists()).toBe(false);
  });
});
