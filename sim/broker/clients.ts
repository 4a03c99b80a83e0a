/** Producers and readers of a simulated topic. They report what they send, receive and read to the {@link RecordChecker}. */
import { encodeText } from "../../core/broker/json-text.ts";
import type { ReplicaAnswer, ReplicaCall } from "../../core/broker/replica-messages.ts";
import { decodeBatches, encodeRecordBatch } from "../../core/wire/record-batch-codec.ts";
import type { PartitionName, RecordChecker } from "../checkers/records.ts";
import type { Chance } from "../random.ts";
import type { TailReader } from "./partition.ts";

/** The environment of a client. */
export interface ClientWorld {
  readonly chance: Chance;
  readonly checker: RecordChecker;
  readonly now: () => number;
  readonly after: (ms: number, run: () => void) => void;
  readonly count: (what: string) => void;
  /** topic id and leader epoch of a partition in the view of some broker, possibly outdated; undefined if no broker knows them */
  readonly lookUp: (
    partition: number,
  ) => { readonly name: PartitionName; readonly leaderEpoch: number } | undefined;
  /** @param answered called with undefined if the call breaks; not called if the call is lost */
  readonly call: (
    name: PartitionName,
    call: ReplicaCall,
    answered: (answer: ReplicaAnswer | undefined) => void,
  ) => void;
  readonly openTail: (name: PartitionName, offset: number, reader: TailReader) => void;
}

/** Timeout after which a producer repeats a record under its key; ms. */
const TIMEOUT_MS = 800;
/** Pause before a refused record is sent again, ms. */
const RETRY_MS = 60;

/** Upper bound (exclusive) of the records sent together. */
const RECORDS_MAX = 10;

const textOf = (value: Uint8Array | null): string => String.fromCharCode(...(value ?? []));

/** Sends groups of records one after the other, each group under its own key until it is acknowledged. */
export class Producer {
  readonly #id: number;
  readonly #world: ClientWorld;
  readonly #partitions: number;
  #left: number;
  #number = 0;
  #attempt = 0;
  /** values of the current group of records */
  #values: readonly string[] = [];
  /** *map partition → leader epoch that it uses* */
  readonly #epochs = new Map<number, { readonly name: PartitionName; readonly leaderEpoch: number }>();

  constructor(id: number, records: number, partitions: number, world: ClientWorld) {
    this.#id = id;
    this.#left = records;
    this.#partitions = partitions;
    this.#world = world;
    this.#think();
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  /** Makes it stop after the current group of records. */
  finish(): void {
    this.#left = Math.min(this.#left, 1);
  }

  #think(): void {
    if (this.#left === 0) return;
    const { after, chance } = this.#world;
    after(chance.between(1, chance.oneOf([20, 300])), () => this.#send(true));
  }

  #send(isFirst: boolean): void {
    const { chance, checker, call, after, now } = this.#world;
    const partition = this.#number % this.#partitions;
    const believed = this.#epochs.get(partition) ?? this.#world.lookUp(partition);
    if (believed === undefined) {
      after(RETRY_MS, () => this.#send(isFirst));
      return;
    }
    this.#epochs.set(partition, believed);
    const { name, leaderEpoch } = believed;
    const key = `p${this.#id}-${this.#number}`;
    if (isFirst) {
      this.#values = Array.from({ length: chance.oneOf([1, 1, 2, 5]) }, (_, i) => `${key}.${i}`);
      for (const [i, value] of this.#values.entries())
        checker.sends(this.#id, this.#number * RECORDS_MAX + i, name, value);
    }
    const values = this.#values;
    const records = values.map((value) => ({
      key: null,
      value: encodeText(value),
      headers: [],
      timestampMs: now(),
    }));
    const request = {
      leaderEpoch,
      batches: encodeRecordBatch(records),
      key: { key, hash: key, fingerprint: key },
    };
    this.#attempt += 1;
    const attempt = this.#attempt;
    const before = checker.leaderEpochOf(name);
    call(name, { type: "append", request }, (answer) => {
      if (answer?.ok === true && "baseOffset" in answer) {
        const { baseOffset } = answer;
        for (const [i, value] of values.entries())
          checker.acknowledged(value, baseOffset + i, leaderEpoch, before);
        this.#world.count(answer.replayed ? "records replayed" : "records acknowledged");
      }
      if (attempt !== this.#attempt) return;
      if (answer?.ok === true) this.#next();
      else {
        if (answer !== undefined) this.#world.count(`append ${answer.code}`);
        this.#again(partition);
      }
    });
    after(TIMEOUT_MS + chance.below(50), () => {
      if (attempt === this.#attempt) this.#again(partition);
    });
  }

  #next(): void {
    this.#attempt += 1;
    this.#number += 1;
    this.#left -= 1;
    this.#think();
  }

  #again(partition: number): void {
    this.#attempt += 1;
    // some look up the leader epoch again, others keep using the old one for a while
    if (!this.#world.chance.oneIn(3)) this.#epochs.delete(partition);
    this.#world.after(RETRY_MS, () => this.#send(false));
  }
}

/** Reads one partition from its first offset on: by long polls, or by a tail. */
export class Reader {
  readonly #world: ClientWorld;
  readonly #partition: number;
  readonly #isTail: boolean;
  #name: PartitionName | undefined;
  /** next offset to read */
  next = 0;
  #attempt = 0;

  constructor(partition: number, isTail: boolean, world: ClientWorld) {
    this.#partition = partition;
    this.#isTail = isTail;
    this.#world = world;
    this.#later();
  }

  /** Name of its partition; undefined if the topic does not exist yet. */
  get name(): PartitionName | undefined {
    return this.#name;
  }

  #later(): void {
    this.#attempt += 1;
    this.#world.after(this.#world.chance.between(1, RETRY_MS), () => this.#read());
  }

  #read(): void {
    this.#name ??= this.#world.lookUp(this.#partition)?.name;
    const name = this.#name;
    if (name === undefined) this.#later();
    else if (this.#isTail) this.#tail(name);
    else this.#poll(name);
  }

  #poll(name: PartitionName): void {
    const { chance, call, after } = this.#world;
    const request = {
      from: { type: "offset", offset: this.next },
      bytesMax: chance.oneOf([1, 300, 100_000]),
      waitMs: chance.oneOf([0, 200]),
      leaderEpoch: -1,
    } as const;
    this.#attempt += 1;
    const attempt = this.#attempt;
    call(name, { type: "read", request }, (answer) => {
      if (attempt !== this.#attempt) return;
      if (answer?.ok === true && "batches" in answer) this.#take(name, answer.batches);
      else if (answer !== undefined && !answer.ok) this.#world.count(`read ${answer.code}`);
      this.#later();
    });
    after(TIMEOUT_MS, () => {
      if (attempt === this.#attempt) this.#later();
    });
  }

  #tail(name: PartitionName): void {
    const { openTail, checker } = this.#world;
    openTail(name, this.next, {
      frame: (frame) => {
        this.#take(name, frame.batches);
        checker.must(
          "Gap",
          frame.nextOffset === this.next,
          () => `a tail of ${name} continues at ${frame.nextOffset} behind ${this.next - 1}`,
        );
        this.#world.count("tail frames");
      },
      closed: () => this.#later(),
    });
  }

  #take(name: PartitionName, batches: Uint8Array): void {
    const { checker } = this.#world;
    for (const { offset, value } of decodeBatches(batches, this.next))
      this.next = checker.reads(name, this.next, offset, textOf(value));
  }
}

/** Values of a partition from offset 0, by reads that are answered at once. */
export const recordsOf = (
  batches: Uint8Array,
  from: number,
): readonly { readonly offset: number; readonly value: string }[] =>
  decodeBatches(batches, from).map(({ offset, value }) => ({ offset, value: textOf(value) }));
