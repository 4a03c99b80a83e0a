/**
 * A simulated partition: the {@link Replica} that the object runs, over a disk with crash points and behind an output gate.
 * Its effects are run in order; a crash may come before or after any of them.
 */
import { assertNever } from "../../core/assert.ts";
import type { PartitionConfig } from "../../core/broker/config.ts";
import { Replica } from "../../core/broker/replica.ts";
import type {
  ReplicaAnswer,
  ReplicaCall,
  ReplicaEffect,
  ReplicaInput,
  TailFrameAnswer,
} from "../../core/broker/replica-messages.ts";
import { acknowledgeTail, advanceTail, openTail, type TailState } from "../../core/broker/tail.ts";
import type { Chance } from "../random.ts";
import { SimRows } from "./rows.ts";

/** When an effect makes its partition crash. */
export interface EffectCrash {
  readonly effect: ReplicaEffect["type"];
  readonly when: "before" | "after";
  /** transactions that survive although they were not known to be durable */
  readonly keep: number;
}

/** The reader at the other end of a tail. */
export interface TailReader {
  frame(frame: TailFrameAnswer): void;
  /** Called when the tail has ended; its reader opens another one. */
  closed(): void;
}

/** The environment of a partition. */
export interface PartitionWorld {
  readonly chance: Chance;
  readonly fsyncMs: readonly [number, number];
  readonly brokerCount: number;
  readonly now: () => number;
  readonly after: (ms: number, run: () => void) => void;
  readonly count: (what: string) => void;
}

interface Tail {
  state: TailState;
  readonly reader: TailReader;
}

/** From a start to the loss of its memory. */
interface Life {
  readonly replica: Replica;
  /** *map id of a call → its caller*, which receives undefined if the call breaks */
  readonly callers: Map<number, (answer: ReplicaAnswer | undefined) => void>;
  /** functions to run once a transaction is durable */
  gate: { readonly number: number; readonly run: () => void }[];
  readonly tails: Set<Tail>;
  alarmAt: number;
  isSyncing: boolean;
  isAlive: boolean;
}

/** Thrown by a crash while effects are run; the rest of the list is lost. */
class Crashed extends Error {}

/** Invariant: an output is sent only once all earlier writes are durable, and a crash loses everything else. */
export class SimPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly #world: PartitionWorld;
  readonly #config: PartitionConfig;
  readonly rows = new SimRows();
  /** null: its memory is lost, and the next call starts it */
  #life: Life | null = null;
  #calls = 0;
  /** undefined if no effect makes it crash */
  crashOrder: EffectCrash | undefined;

  constructor(topicId: string, partition: number, world: PartitionWorld, config: PartitionConfig) {
    this.topicId = topicId;
    this.partition = partition;
    this.#world = world;
    this.#config = config;
  }

  #start(): Life {
    if (this.#life !== null) return this.#life;
    const { topicId, partition } = this;
    const replica = new Replica({
      backend: this.rows.backend,
      config: this.#config,
      identity: { topicId, partition },
      brokerCount: this.#world.brokerCount,
    });
    this.#life = {
      replica,
      callers: new Map(),
      gate: [],
      tails: new Set(),
      alarmAt: Number.POSITIVE_INFINITY,
      isSyncing: false,
      isAlive: true,
    };
    return this.#life;
  }

  /** Handles a call. @param answered called with undefined if the partition crashes before its answer is sent */
  call(call: ReplicaCall, answered: (answer: ReplicaAnswer | undefined) => void): void {
    const life = this.#start();
    this.#calls += 1;
    const id = this.#calls;
    life.callers.set(id, answered);
    this.#feed(life, { type: "call", id, call });
  }

  /** Opens a tail, if the partition admits it. */
  openTail(offset: number, reader: TailReader): void {
    const life = this.#start();
    const call = { type: "tail", offset, leaderEpoch: -1, tails: life.tails.size } as const;
    this.call(call, (answer) => {
      if (answer?.ok !== true || !life.isAlive) {
        reader.closed();
        return;
      }
      const tail = { state: openTail(offset, this.#world.now()), reader };
      life.tails.add(tail);
      this.#advance(life, tail);
    });
  }

  /** Crashes the partition. @param keep transactions that survive although they were not known to be durable */
  crash(keep: number): void {
    const life = this.#life;
    this.crashOrder = undefined;
    this.rows.crash(keep);
    if (life === null) return;
    this.#life = null;
    life.isAlive = false;
    this.#world.count("partition crash");
    for (const answered of life.callers.values()) answered(undefined);
    for (const { reader } of life.tails) reader.closed();
  }

  #feed(life: Life, input: ReplicaInput): void {
    if (!life.isAlive) return;
    try {
      for (let next: ReplicaInput | undefined = input; next !== undefined; )
        next = this.#run(life, life.replica.step(this.#world.now(), next));
    } catch (error) {
      if (!(error instanceof Crashed)) throw error;
    }
  }

  #run(life: Life, effects: readonly ReplicaEffect[]): ReplicaInput | undefined {
    let outcome: ReplicaInput | undefined;
    for (const effect of effects) {
      this.#crashIfOrdered(effect, "before");
      outcome = this.#runOne(life, effect) ?? outcome;
      this.#crashIfOrdered(effect, "after");
    }
    return outcome;
  }

  #crashIfOrdered(effect: ReplicaEffect, when: EffectCrash["when"]): void {
    const order = this.crashOrder;
    if (order?.effect !== effect.type || order.when !== when) return;
    this.#world.count(`partition crash ${when} ${effect.type}`);
    this.crash(order.keep);
    throw new Crashed();
  }

  #runOne(life: Life, effect: ReplicaEffect): ReplicaInput | undefined {
    const { after, chance } = this.#world;
    switch (effect.type) {
      case "persist":
        return this.#persist(life, effect.writes);
      case "respond":
        this.#gated(life, () => this.#answer(life, effect.id, effect.answer));
        return undefined;
      case "reject":
        this.#gated(life, () => this.#answer(life, effect.id, undefined));
        return undefined;
      case "sync":
        this.#gated(life, () => after(0, () => this.#feed(life, { type: "synced" })));
        return undefined;
      case "gather":
        after(chance.between(0, 2), () => this.#feed(life, { type: "gathered" }));
        return undefined;
      case "pollTimer":
        after(effect.ms, () => this.#feed(life, { type: "pollExpired", id: effect.id }));
        return undefined;
      case "endTimer":
        after(effect.ms, () => this.#feed(life, { type: "endTimer" }));
        return undefined;
      case "deadline":
        this.#setAlarm(life, effect.atMs);
        return undefined;
      case "noDeadline":
        life.alarmAt = Number.POSITIVE_INFINITY;
        return undefined;
      case "findLeader":
        // rows are not damaged here
        after(1, () => this.#feed(life, { type: "leaderFound", leadership: null }));
        return undefined;
      case "wakeTails":
        for (const tail of life.tails) this.#advance(life, tail);
        return undefined;
      case "tellTails":
        return undefined;
      case "closeTails":
        for (const { reader } of life.tails) this.#gated(life, () => reader.closed());
        life.tails.clear();
        return undefined;
      case "removeAll":
        this.rows.removeAll();
        this.#syncSoon(life);
        this.#gated(life, () => this.#feed(life, { type: "removed", id: effect.id }));
        return undefined;
      default:
        return assertNever(effect);
    }
  }

  #persist(life: Life, writes: (ReplicaEffect & { type: "persist" })["writes"]): ReplicaInput {
    try {
      this.rows.write(writes);
    } catch (error) {
      this.#world.count("partition write failed");
      return { type: "persistFailed", message: String(error) };
    }
    this.#syncSoon(life);
    return { type: "persisted" };
  }

  #answer(life: Life, id: number, answer: ReplicaAnswer | undefined): void {
    const answered = life.callers.get(id);
    life.callers.delete(id);
    answered?.(answer);
  }

  #setAlarm(life: Life, atMs: number): void {
    if (life.alarmAt <= atMs) return;
    life.alarmAt = atMs;
    this.#world.after(Math.max(1, atMs - this.#world.now()), () => {
      if (life.alarmAt !== atMs) return;
      life.alarmAt = Number.POSITIVE_INFINITY;
      this.#feed(life, { type: "alarm" });
    });
  }

  /** Runs an output once everything written before it is durable. */
  #gated(life: Life, run: () => void): void {
    if (life.gate.length === 0 && this.rows.synced === this.rows.written) run();
    else life.gate.push({ number: this.rows.written, run });
  }

  /** Starts a sync unless one is running; a sync covers the writes made before it began. */
  #syncSoon(life: Life): void {
    if (life.isSyncing) return;
    life.isSyncing = true;
    const number = this.rows.written;
    const { after, chance, fsyncMs } = this.#world;
    after(chance.between(...fsyncMs), () => {
      if (!life.isAlive) return;
      life.isSyncing = false;
      this.rows.sync(number);
      if (this.rows.synced < this.rows.written) this.#syncSoon(life);
      while ((life.gate[0]?.number ?? Number.POSITIVE_INFINITY) <= this.rows.synced) life.gate.shift()?.run();
    });
  }

  /** Sends the next frame of a tail; its reader acknowledges it after some time. */
  #advance(life: Life, tail: Tail): void {
    const read = (offset: number) => life.replica.readAt(offset, TAIL_BYTES);
    const step = advanceTail(tail.state, read);
    switch (step.type) {
      case "wait":
        return;
      case "close":
        life.tails.delete(tail);
        this.#gated(life, () => tail.reader.closed());
        return;
      case "frame":
        tail.state = step.state;
        this.#gated(life, () => {
          tail.reader.frame(step.frame);
          this.#world.after(this.#world.chance.between(1, this.#world.chance.oneOf([5, 30, 900])), () => {
            if (!life.isAlive || !life.tails.has(tail)) return;
            tail.state = acknowledgeTail(tail.state, this.#world.now());
            this.#advance(life, tail);
          });
        });
        return;
      default:
        assertNever(step);
    }
  }
}

/** Bytes of one frame of a tail: a few batches. */
const TAIL_BYTES = 300;
