/**
 * The contract of {@link PartitionBackend}, and how a partition interprets its rows. One suite for memory (in the
 * simulator) and SQLite (in an object). It needs only `describe`, `it` and `expect`, so it runs in Node and in
 * workerd.
 */
import { describe, expect, it } from "vitest";
import { must } from "../../core/assert.ts";
import { PARTITION_CONFIG } from "../../core/broker/config.ts";
import { encodeText } from "../../core/broker/json-text.ts";
import { EMPTY_PARTITION, type Leadership } from "../../core/broker/partition.ts";
import type { PartitionBackend, PartitionWrite } from "../../core/broker/partition-backend.ts";
import { PartitionLog } from "../../core/broker/partition-log.ts";
import {
  chunkWrite,
  DamagedLogError,
  endWrite,
  keysWrite,
  leadershipWrites,
  metaTextOf,
  metaValueOf,
  metaWrite,
} from "../../core/broker/partition-rows.ts";
import { decodeBatches, encodeRecordBatch, stampBatch } from "../../core/wire/record-batch-codec.ts";

/**
 * Gives `body` an empty storage. Each call of `open` opens the same storage as an object that starts would: what was written
 * before is there.
 */
export type MakePartitionBackend = (
  body: (open: () => PartitionBackend, damage: PartitionDamage) => void,
) => void | Promise<void>;

/** Changes what is stored without the backend, and leaves every checksum as it is. */
export interface PartitionDamage {
  /** @param value undefined: the row is deleted */
  meta(name: string, value: string | undefined): void;
  chunk(base: number, change: { readonly last?: unknown; readonly data?: Uint8Array } | undefined): void;
  key(key: string, change: { readonly hash: string }): void;
  epoch(leaderEpoch: number, change: { readonly startOffset: number }): void;
  /** all rows are as an earlier version wrote them */
  forgetChecksums(): void;
}

const LEADERSHIP: Leadership = {
  topic: "t",
  topicId: "id",
  partition: 0,
  leader: 1,
  leaderEpoch: 3,
  controllerEpoch: 2,
  replicas: [1, 2],
  isr: [1],
};

/** A chunk with one batch of the values. */
function chunkOf(base: number, timestampMs: number, ...values: string[]): PartitionWrite {
  const data = encodeRecordBatch(
    values.map((value) => ({ key: null, value: encodeText(value), headers: [], timestampMs })),
  );
  stampBatch(data, 0, base, 3);
  const last = base + values.length - 1;
  const columns = { base, last, timestampMax: timestampMs, leaderEpoch: 3, records: values.length };
  return chunkWrite({ ...columns, bytes: data.length, parts: [data] }, data);
}

const key = (name: string, timestampMs: number, lastOffset = 0) => ({
  key: name,
  hash: `hash of ${name}`,
  fingerprint: `all of ${name}`,
  baseOffset: lastOffset,
  lastOffset,
  timestampMs,
});

const created = (logEndOffset = 0): readonly PartitionWrite[] =>
  leadershipWrites({ ...EMPTY_PARTITION, logEndOffset }, LEADERSHIP, true, false);

const logOf = (backend: PartitionBackend): PartitionLog => new PartitionLog(backend, PARTITION_CONFIG);

/** Values of the records from `offset`. */
function valuesFrom(backend: PartitionBackend, offset: number, end: number): string[] {
  const read = logOf(backend).read(offset, end, 1 << 20);
  if ("from" in read) throw new Error(`damaged from ${read.from} to ${read.next}`);
  return decodeBatches(read.batches, offset).map(({ value }) =>
    String.fromCharCode(...must(value, "a record has a value")),
  );
}

export function partitionContract(name: string, makeBackend: MakePartitionBackend): void {
  describe(`a partition's rows: ${name}`, () => {
    it("[PARTITION-1] nothing exists before the first leadership", async () => {
      await makeBackend((open) => {
        expect(open().exists()).toBe(false);
        expect(open().meta("leadership")).toBeUndefined();
        expect(logOf(open()).load()).toEqual({ state: EMPTY_PARTITION, timestampMax: -1 });
        expect(open().exists()).toBe(false);
        expect(() => open().write([chunkOf(0, 1, "a")])).toThrow();
        expect(open().exists()).toBe(false);
      });
    });

    it("[PARTITION-3] the leader and the begin of each epoch are there at the next start", async () => {
      await makeBackend((open) => {
        open().write(created());
        open().write([chunkOf(0, 5, "a", "b")]);
        const next = { ...LEADERSHIP, leaderEpoch: 4, leader: 2 };
        const { state } = logOf(open()).load();
        open().write(logOf(open()).leadershipWrites(state, next, true));
        expect(logOf(open()).load()).toEqual({
          state: { leadership: next, logStartOffset: 0, logEndOffset: 2 },
          timestampMax: 5,
        });
        expect(logOf(open()).epochs()).toEqual([
          { leaderEpoch: 3, startOffset: 0 },
          { leaderEpoch: 4, startOffset: 2 },
        ]);
        expect(open().epochs(1)).toMatchObject([{ leaderEpoch: 4 }]);
      });
    });

    it("[PARTITION-12] a transaction is all or nothing", async () => {
      await makeBackend((open) => {
        open().write([...created(), chunkOf(0, 1, "a")]);
        const failing = [
          chunkOf(1, 2, "b"),
          keysWrite([key("k", 2)], 10),
          endWrite(9),
          chunkOf(0, 3, "again"),
        ];
        expect(() => open().write(failing)).toThrow();
        expect(open().size().chunks).toBe(1);
        expect(open().key("k")).toBeUndefined();
        expect(metaValueOf(open(), "end")).toBeUndefined();
        expect(valuesFrom(open(), 0, 1)).toEqual(["a"]);
      });
    });

    it("[PARTITION-5] chunks are found from both sides and read in order", async () => {
      await makeBackend((open) => {
        open().write([...created(), chunkOf(0, 1, "a", "b"), chunkOf(2, 2, "c"), chunkOf(3, 2, "d", "e")]);
        const backend = open();
        expect(backend.chunkAtOrBelow(1)).toMatchObject({ base: 0, last: 1 });
        expect(backend.chunkAtOrBelow(2)).toMatchObject({ base: 2 });
        expect(backend.chunkAtOrBelow(-1)).toBeUndefined();
        expect(backend.chunkAtOrBelow(Number.MAX_SAFE_INTEGER)).toMatchObject({ base: 3 });
        expect(backend.columnsAtOrBelow(2)).toMatchObject({ base: 2, last: 2, timestampMax: 2, records: 1 });
        expect(backend.chunkAbove(2)).toMatchObject({ base: 3 });
        expect(backend.chunkAbove(3)).toBeUndefined();
        expect(backend.size().chunks).toBe(3);
        expect(valuesFrom(backend, 0, 5)).toEqual(["a", "b", "c", "d", "e"]);
        expect(valuesFrom(backend, 3, 5)).toEqual(["d", "e"]);
        expect(logOf(backend).offsetOfTime(2, 5)).toBe(2);
        expect(logOf(backend).offsetOfTime(3, 5)).toBeUndefined();
      });
    });

    it("[PARTITION-7] keys are found, replaced, limited in number and forgotten by age", async () => {
      await makeBackend((open) => {
        open().write([...created(), keysWrite([key("a", 10), key("b", 20, 7), key("c", 30)], 10)]);
        expect(logOf(open()).keyEntry("b", 0)).toEqual({
          hash: "hash of b",
          fingerprint: "all of b",
          baseOffset: 7,
          lastOffset: 7,
          timestampMs: 20,
        });
        expect(logOf(open()).keyEntry("b", 21)).toBeUndefined();
        expect(open().keyOfGreatestOffset()).toMatchObject({ key: "b" });
        expect(open().oldestKeyMs()).toBe(10);
        // a key that is used again is the newest
        open().write([keysWrite([key("a", 40)], 10)]);
        expect(open().oldestKeyMs()).toBe(20);
        open().write([{ type: "expireKeys", beforeMs: 35, slice: 1 }]);
        expect([open().key("b"), open().oldestKeyMs()]).toEqual([undefined, 30]);
        open().write([{ type: "expireKeys", beforeMs: 30, slice: 5 }]);
        expect(open().oldestKeyMs()).toBe(30);
        open().write([keysWrite([key("d", 50), key("e", 60)], 2)]);
        expect(["a", "c", "d", "e"].filter((name) => open().key(name) !== undefined)).toEqual(["d", "e"]);
      });
    });

    it("[PARTITION-30] damage costs the records of its chunk only", async () => {
      await makeBackend((open, damage) => {
        open().write([...created(), chunkOf(0, 1, "a"), chunkOf(1, 1, "b"), chunkOf(2, 1, "c")]);
        damage.chunk(1, { data: new Uint8Array(80) });
        expect(logOf(open()).read(1, 3, 1 << 20)).toEqual({ from: 1, next: 2 });
        expect(valuesFrom(open(), 0, 3)).toEqual(["a"]);
        expect(valuesFrom(open(), 2, 3)).toEqual(["c"]);
        damage.chunk(1, undefined);
        expect(logOf(open()).read(1, 3, 1 << 20)).toEqual({ from: 1, next: 2 });
        damage.chunk(2, { last: "x" });
        expect(valuesFrom(open(), 2, 3)).toEqual(["c"]);
        expect(logOf(open()).load().state.logEndOffset).toBe(3);
      });
    });

    it("[PARTITION-35] the end that was noted, an epoch and a key show that newest rows are missing", async () => {
      await makeBackend((open, damage) => {
        open().write([...created(), chunkOf(0, 1, "a"), chunkOf(1, 1, "b"), endWrite(2)]);
        damage.chunk(1, undefined);
        expect(logOf(open()).load().state.logEndOffset).toBe(2);
        open().write([keysWrite([key("k", 1, 4)], 10)]);
        expect(logOf(open()).load().state.logEndOffset).toBe(5);
        damage.epoch(3, { startOffset: 50 });
        expect(logOf(open()).load().state.logEndOffset).toBe(5);
      });
    });

    it("[PARTITION-32] the leadership survives the damage of one copy, not of both", async () => {
      await makeBackend((open, damage) => {
        open().write([...created(), chunkOf(0, 1, "a")]);
        damage.meta("leadership", "{}");
        expect(logOf(open()).load().state.leadership).toEqual(LEADERSHIP);
        damage.meta("leadership_copy", undefined);
        expect(logOf(open()).load()).toMatchObject({
          state: { leadership: undefined, logEndOffset: 1 },
          damage: expect.stringContaining("damaged"),
        });
      });
    });

    it("[PARTITION-33] a damaged key is distinguished from an unknown one", async () => {
      await makeBackend((open, damage) => {
        open().write([...created(), keysWrite([key("k", 5)], 10)]);
        damage.key("k", { hash: "other" });
        expect(() => logOf(open()).keyEntry("k", 0)).toThrow(DamagedLogError);
        expect(logOf(open()).keyEntry("other", 0)).toBeUndefined();
      });
    });

    it("[PARTITION-34] rows without a checksum are believed", async () => {
      await makeBackend((open, damage) => {
        open().write([...created(), chunkOf(0, 1, "a"), keysWrite([key("k", 5)], 10)]);
        damage.forgetChecksums();
        expect(logOf(open()).load().state).toMatchObject({ leadership: LEADERSHIP, logEndOffset: 1 });
        expect(logOf(open()).epochs()).toEqual([{ leaderEpoch: 3, startOffset: 0 }]);
        expect(logOf(open()).keyEntry("k", 0)).toMatchObject({ hash: "hash of k" });
        expect(valuesFrom(open(), 0, 1)).toEqual(["a"]);
      });
    });

    it("[VER-7] a later schema is refused, and nothing is changed", async () => {
      await makeBackend((open) => {
        open().write([...created(), metaWrite("schema", "2")]);
        expect(() => logOf(open()).load()).toThrow("its storage is of schema 2");
        expect(metaTextOf(open(), "schema")).toBe("2");
      });
    });
  });
}
