/**
 * Rules about the records of a partition, which must hold under all crashes. They are checked at every answer to a producer
 * and at every read, and at the end against the log itself. Values are unique in a run, so a value identifies its record.
 */

/** *map name → rule* */
export const RECORD_RULES = {
  Lost: "a record that was acknowledged is in the log at the end, and is never missing from a read that passes its offset",
  Doubled: "a record that was sent under an idempotency key is in the log once",
  Reordered: "records of a producer that waits for each answer are in the order in which they were sent",
  Gap: "offsets are dense: the log and each reader go from one offset to the next",
  Changed: "an offset has one value, at every read",
  OffsetTwice: "no offset is acknowledged to two records",
  OneLeader: "a leader epoch of a partition has one leader, whichever controller names it",
  Fenced: "no record is acknowledged under a leader epoch after the partition has acknowledged a later one",
  Forgotten: "no partition forgets a leader epoch that it has acknowledged",
  Liveness: "once all is healed, every producer is answered, and readers reach the end of the log",
} as const;
/** Name of a rule about records. */
export type RecordRule = keyof typeof RECORD_RULES;

/** A rule is broken. */
export class RecordViolation extends Error {
  constructor(rule: RecordRule, what: string) {
    super(`[${rule}] ${what}`);
  }
}

/** Name of a partition: `topicId/partition`. */
export type PartitionName = string;

interface Sent {
  readonly producer: number;
  /** place among the records of its producer */
  readonly number: number;
  readonly partition: PartitionName;
  /** where it was acknowledged; undefined: it was not */
  offset: number | undefined;
}

interface PartitionState {
  /** *map offset → value*, as acknowledged or read by anyone */
  readonly values: Map<number, string>;
  /** *map offset → value that was acknowledged there* */
  readonly acknowledged: Map<number, string>;
  /** *map leader epoch → leader*, as any controller has named it */
  readonly leaders: Map<number, number>;
  /** greatest leader epoch that the partition has acknowledged */
  leaderEpoch: number;
  /** *map producer → offset of its last acknowledged record here* */
  readonly last: Map<number, number>;
}

/** Invariant: `values` only grows, and each check that fails throws at the event that shows it. */
export class RecordChecker {
  readonly #sent = new Map<string, Sent>();
  readonly #partitions = new Map<PartitionName, PartitionState>();
  /** *map rule → how often it was checked* */
  readonly checks = new Map<RecordRule, number>();

  /** @throws RecordViolation unless `holds` */
  must(rule: RecordRule, holds: boolean, what: () => string): void {
    this.checks.set(rule, (this.checks.get(rule) ?? 0) + 1);
    if (!holds) throw new RecordViolation(rule, what());
  }

  #of(partition: PartitionName): PartitionState {
    const known = this.#partitions.get(partition);
    if (known !== undefined) return known;
    const state: PartitionState = {
      values: new Map(),
      acknowledged: new Map(),
      leaders: new Map(),
      leaderEpoch: -1,
      last: new Map(),
    };
    this.#partitions.set(partition, state);
    return state;
  }

  /** A producer sends a record for the first time. */
  sends(producer: number, number: number, partition: PartitionName, value: string): void {
    this.#sent.set(value, { producer, number, partition, offset: undefined });
  }

  /** Greatest leader epoch that the partition has acknowledged so far; of the moment in which a request is made. */
  leaderEpochOf(partition: PartitionName): number {
    return this.#of(partition).leaderEpoch;
  }

  /**
   * A producer is answered.
   * @param leaderEpoch of the request
   * @param acknowledgedBefore {@link leaderEpochOf} when the request was made
   */
  acknowledged(value: string, offset: number, leaderEpoch: number, acknowledgedBefore: number): void {
    const sent = this.#sent.get(value);
    if (sent === undefined) throw new Error(`no producer has sent ${value}`);
    const { partition, producer } = sent;
    const state = this.#of(partition);
    this.must(
      "Fenced",
      leaderEpoch >= acknowledgedBefore,
      () => `${partition} took ${value} under leader epoch ${leaderEpoch} after ${acknowledgedBefore}`,
    );
    const other = state.acknowledged.get(offset);
    this.must(
      "OffsetTwice",
      other === undefined || other === value,
      () => `${partition} gave offset ${offset} to ${other} and to ${value}`,
    );
    this.must(
      "Doubled",
      sent.offset === undefined || sent.offset === offset,
      () => `${partition} has ${value} at ${sent.offset} and at ${offset}`,
    );
    if (sent.offset === offset) return;
    const before = state.last.get(producer) ?? -1;
    this.must(
      "Reordered",
      offset > before,
      () => `${partition} has ${value} at ${offset}, and the record before it at ${before}`,
    );
    sent.offset = offset;
    state.last.set(producer, offset);
    state.acknowledged.set(offset, value);
    this.#holds(partition, offset, value);
  }

  #holds(partition: PartitionName, offset: number, value: string): void {
    const { values } = this.#of(partition);
    const known = values.get(offset);
    this.must(
      "Changed",
      known === undefined || known === value,
      () => `${partition} had ${known} at offset ${offset}, and has ${value}`,
    );
    values.set(offset, value);
  }

  /** A reader whose next offset is `next` reads a record. @returns its next offset */
  reads(partition: PartitionName, next: number, offset: number, value: string): number {
    this.must(
      "Gap",
      offset === next,
      () => `a reader of ${partition} gets offset ${offset} where ${next} comes next`,
    );
    this.#holds(partition, offset, value);
    return offset + 1;
  }

  /** A controller names a leader. */
  names(partition: PartitionName, leaderEpoch: number, leader: number): void {
    const { leaders } = this.#of(partition);
    const known = leaders.get(leaderEpoch);
    this.must(
      "OneLeader",
      known === undefined || known === leader,
      () => `${partition} has the leaders ${known} and ${leader} in leader epoch ${leaderEpoch}`,
    );
    leaders.set(leaderEpoch, leader);
  }

  /** A partition has acknowledged a leader epoch: its answer left. */
  led(partition: PartitionName, leaderEpoch: number): void {
    const state = this.#of(partition);
    state.leaderEpoch = Math.max(state.leaderEpoch, leaderEpoch);
  }

  /** A partition has lost its memory, and says which leader epoch it knows. */
  knows(partition: PartitionName, leaderEpoch: number): void {
    const acknowledged = this.leaderEpochOf(partition);
    this.must(
      "Forgotten",
      leaderEpoch >= acknowledged,
      () => `${partition} knows leader epoch ${leaderEpoch}, and has acknowledged ${acknowledged}`,
    );
  }

  /** The whole log at the end: values from offset 0. */
  ends(partition: PartitionName, log: readonly { readonly offset: number; readonly value: string }[]): void {
    const state = this.#of(partition);
    const places = new Map<string, number>();
    let next = 0;
    for (const { offset, value } of log) {
      next = this.reads(partition, next, offset, value);
      const before = places.get(value);
      this.must(
        "Doubled",
        before === undefined,
        () => `${partition} has ${value} at ${before} and ${offset}`,
      );
      places.set(value, offset);
      const sent = this.#sent.get(value);
      this.must(
        "Changed",
        sent?.partition === partition,
        () => `no producer has sent ${value} to ${partition}`,
      );
    }
    for (const [offset, value] of state.values)
      this.must("Lost", places.get(value) === offset, () => `${partition} has lost ${value} at ${offset}`);
    this.#endsInOrder(partition, places);
  }

  /** Records that were never acknowledged are in the order in which they were sent too. */
  #endsInOrder(partition: PartitionName, places: ReadonlyMap<string, number>): void {
    const ofProducer = new Map<number, { number: number; offset: number }[]>();
    for (const [value, offset] of places) {
      const sent = this.#sent.get(value);
      if (sent === undefined) continue;
      const known = ofProducer.get(sent.producer) ?? [];
      known.push({ number: sent.number, offset });
      ofProducer.set(sent.producer, known);
    }
    for (const [producer, records] of ofProducer) {
      records.sort((a, b) => a.offset - b.offset);
      for (const [i, { number }] of records.entries())
        this.must(
          "Reordered",
          i === 0 || number > (records[i - 1]?.number ?? -1),
          () => `${partition} has record ${number} of producer ${producer} behind a later one`,
        );
    }
  }
}
