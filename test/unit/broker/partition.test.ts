import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PARTITION_CONFIG, type PartitionConfig } from "../../../core/broker/config.ts";
import { encodeText } from "../../../core/broker/json-text.ts";
import {
  type AppendRequest,
  checkLeaderEpoch,
  checkReadOffset,
  claimKey,
  decideLeadership,
  EMPTY_PARTITION,
  type FlushPlan,
  highWatermark,
  type KeyEntry,
  type Leadership,
  type PartitionState,
  planFlush,
} from "../../../core/broker/partition.ts";
import { crc32c } from "../../../core/hash/crc32c.ts";
import { batchesOf, decodeBatches, encodeRecordBatch } from "../../../core/wire/record-batch-codec.ts";

const leadership = (change: Partial<Leadership> = {}): Leadership => ({
  topic: "goals",
  topicId: "id",
  partition: 0,
  leader: 1,
  leaderEpoch: 4,
  controllerEpoch: 7,
  replicas: [1, 2],
  isr: [1, 2],
  ...change,
});

/** A partition whose leader has epoch 4. */
function led(): PartitionState {
  const decision = decideLeadership(EMPTY_PARTITION, leadership());
  if (!decision.ok) throw new Error(decision.message);
  return decision.state;
}

const batch = (count: number, size = 10): Uint8Array =>
  encodeRecordBatch(
    Array.from({ length: count }, (_, i) => ({
      key: null,
      value: encodeText(`${i}`.padEnd(size)),
      headers: [],
      timestampMs: 1000 + i,
    })),
  );

const append = (count: number, more: Partial<AppendRequest> = {}): AppendRequest => ({
  leaderEpoch: 4,
  batches: batch(count),
  ...more,
});

function flush(
  requests: readonly AppendRequest[],
  state: PartitionState = led(),
  keys: ReadonlyMap<string, KeyEntry> = new Map(),
  config: PartitionConfig = PARTITION_CONFIG,
): FlushPlan {
  return planFlush({
    state,
    requests,
    lookup: (key) => keys.get(key),
    nowMs: 5000,
    timestampMax: -1,
    config,
  });
}

describe("leadership of a partition", () => {
  test("[PARTITION-1] a partition that no controller has created is unknown", () => {
    expect(checkLeaderEpoch(EMPTY_PARTITION, 0)).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
    expect(flush([append(1)], EMPTY_PARTITION).results).toMatchObject([
      { code: "UNKNOWN_TOPIC_OR_PARTITION" },
    ]);
  });

  test("[PARTITION-2] an older leader epoch is fenced, a newer one is unknown, -1 matches any", () => {
    expect(checkLeaderEpoch(led(), 3)).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
    expect(checkLeaderEpoch(led(), 5)).toMatchObject({ code: "UNKNOWN_LEADER_EPOCH" });
    expect(checkLeaderEpoch(led(), 4)).toBeUndefined();
    expect(checkLeaderEpoch(led(), -1)).toBeUndefined();
  });

  test("[PARTITION-3] a new leader epoch begins at the log's end and keeps the log", () => {
    const state = { ...led(), logEndOffset: 12 };
    const decision = decideLeadership(state, leadership({ leader: 2, leaderEpoch: 5, isr: [2] }));
    expect(decision).toMatchObject({
      ok: true,
      epochBegins: true,
      unchanged: false,
      state: { logEndOffset: 12 },
    });
    if (decision.ok)
      expect(checkLeaderEpoch(decision.state, 4)).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
  });

  test("[PARTITION-4] a deposed controller, an older epoch, and a second leader of one epoch are refused", () => {
    const refused = (change: Partial<Leadership>): unknown => decideLeadership(led(), leadership(change));
    expect(refused({ controllerEpoch: 6, leaderEpoch: 9 })).toMatchObject({ code: "STALE_CONTROLLER_EPOCH" });
    expect(refused({ controllerEpoch: 8, leaderEpoch: 3 })).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
    expect(refused({ leader: 2 })).toMatchObject({ code: "INVALID_REQUEST" });
    expect(refused({ topicId: "other" })).toMatchObject({ code: "INVALID_REQUEST" });
  });

  test("[PARTITION-4] a controller may repeat itself, and change the ISR without a new leader epoch", () => {
    expect(decideLeadership(led(), leadership())).toMatchObject({
      ok: true,
      unchanged: true,
      epochBegins: false,
    });
    expect(decideLeadership(led(), leadership({ isr: [1] }))).toMatchObject({
      ok: true,
      unchanged: false,
      epochBegins: false,
    });
  });

  test("[PARTITION-4] whatever controllers send in whatever order, epochs never decrease", () => {
    const said = fc.record({ leader: fc.nat(2), leaderEpoch: fc.nat(6), controllerEpoch: fc.nat(4) });
    fc.assert(
      fc.property(fc.array(said, { maxLength: 30 }), (words) => {
        let state: PartitionState = EMPTY_PARTITION;
        for (const word of words) {
          const before = state.leadership;
          const decision = decideLeadership(state, leadership(word));
          if (!decision.ok) continue;
          state = decision.state;
          if (before === undefined) continue;
          expect(state.leadership?.leaderEpoch).toBeGreaterThanOrEqual(before.leaderEpoch);
          expect(state.leadership?.controllerEpoch).toBeGreaterThanOrEqual(before.controllerEpoch);
          if (state.leadership?.leaderEpoch === before.leaderEpoch)
            expect(state.leadership.leader).toBe(before.leader);
        }
      }),
    );
  });
});

describe("group commit", () => {
  test("[PARTITION-5] appends get dense offsets in order of arrival, stamped with the leader epoch", () => {
    const plan = flush([append(3), append(1), append(2)], { ...led(), logEndOffset: 10 });
    expect(plan.results).toMatchObject([
      { ok: true, baseOffset: 10, lastOffset: 12, leaderEpoch: 4, timestampMs: 5000, replayed: false },
      { ok: true, baseOffset: 13, lastOffset: 13 },
      { ok: true, baseOffset: 14, lastOffset: 15 },
    ]);
    expect(plan.logEndOffset).toBe(16);
    expect(plan.chunks).toMatchObject([
      { base: 10, last: 15, records: 6, leaderEpoch: 4, timestampMax: 1002 },
    ]);
    const bytes = Uint8Array.from(plan.chunks[0]?.parts.flatMap((part) => [...part]) ?? []);
    expect(decodeBatches(bytes).map((each) => each.offset)).toEqual([10, 11, 12, 13, 14, 15]);
    for (const header of batchesOf(bytes)) expect(header.leaderEpoch).toBe(4);
  });

  test("[PARTITION-6] a refused append takes no offset", () => {
    const corrupt = batch(1);
    corrupt[70] = (corrupt[70] ?? 0) ^ 1;
    const plan = flush([
      append(1),
      append(1, { batches: corrupt }),
      append(1, { leaderEpoch: 3 }),
      append(1),
    ]);
    expect(plan.results).toMatchObject([
      { baseOffset: 0 },
      { code: "CORRUPT_MESSAGE" },
      { code: "FENCED_LEADER_EPOCH" },
      { baseOffset: 1 },
    ]);
    expect(plan.logEndOffset).toBe(2);
  });

  test("[PARTITION-7] a repeated key gets the first answer, another request under it is refused", () => {
    const known = new Map([["k", { hash: "h", baseOffset: 3, lastOffset: 4, timestampMs: 77 }]]);
    const plan = flush(
      [
        append(2, { key: { key: "k", hash: "h" } }),
        append(2, { key: { key: "k", hash: "other" } }),
        append(1, { key: { key: "new", hash: "h" } }),
      ],
      { ...led(), logEndOffset: 9 },
      known,
    );
    expect(plan.results).toMatchObject([
      { ok: true, baseOffset: 3, lastOffset: 4, timestampMs: 77, replayed: true },
      { ok: false, code: "IDEMPOTENCY_KEY_REUSED" },
      { ok: true, baseOffset: 9, replayed: false },
    ]);
    expect(plan.keys).toEqual([{ key: "new", hash: "h", baseOffset: 9, lastOffset: 9, timestampMs: 5000 }]);
    expect(plan.logEndOffset).toBe(10);
  });

  test("[PARTITION-21] the fingerprint decides, and of a key of an earlier version the hash of the body", () => {
    const entry = { hash: "h", baseOffset: 3, lastOffset: 3, timestampMs: 77 };
    const known = new Map<string, KeyEntry>([
      ["new", { ...entry, fingerprint: "f" }],
      ["old", entry],
    ]);
    const sent = [
      { key: "new", hash: "h", fingerprint: "f" },
      { key: "new", hash: "h", fingerprint: "g" },
      { key: "new", hash: "h" },
      { key: "old", hash: "h", fingerprint: "g" },
      { key: "old", hash: "x", fingerprint: "f" },
    ];
    const plan = flush(
      sent.map((key) => append(1, { key })),
      { ...led(), logEndOffset: 9 },
      known,
    );
    const reused = { code: "IDEMPOTENCY_KEY_REUSED" };
    const repeated = { baseOffset: 3, replayed: true };
    expect(plan.results).toMatchObject([repeated, reused, repeated, repeated, reused]);
  });

  test("[PARTITION-21] a claim belongs to one request, and does not stand for its records", () => {
    const key = { key: "k", hash: "h", fingerprint: "f" };
    const claimed = claimKey(undefined, key, 5000);
    expect(claimed).toEqual({ ...key, baseOffset: -1, lastOffset: -1, timestampMs: 5000 });
    const entry = claimed as KeyEntry;
    expect(claimKey(entry, key, 6000)).toBeUndefined();
    expect(claimKey(entry, { ...key, fingerprint: "g" }, 6000)).toMatchObject({
      code: "IDEMPOTENCY_KEY_REUSED",
    });
    const plan = flush([append(1, { key })], led(), new Map([["k", entry]]));
    expect(plan.results).toMatchObject([{ baseOffset: 0, replayed: false }]);
  });

  test("[PARTITION-7] a key twice in one flush is one append", () => {
    const key = { key: "k", hash: "h" };
    const plan = flush([append(2, { key }), append(2, { key }), append(2, { key: { key: "k", hash: "x" } })]);
    expect(plan.results).toMatchObject([
      { baseOffset: 0, lastOffset: 1, replayed: false },
      { baseOffset: 0, lastOffset: 1, replayed: true },
      { code: "IDEMPOTENCY_KEY_REUSED" },
    ]);
    expect(plan.logEndOffset).toBe(2);
    expect(plan.keys).toHaveLength(1);
  });

  test("[PARTITION-7] a refused append leaves its key free", () => {
    const key = { key: "k", hash: "h" };
    const plan = flush([append(1, { key, matchOffset: 5 }), append(1, { key, matchOffset: 0 })]);
    expect(plan.results).toMatchObject([
      { code: "OFFSET_MISMATCH", expectedOffset: 0 },
      { ok: true, baseOffset: 0 },
    ]);
  });

  test("[PARTITION-8] chunks stay below the limit and batches whole", () => {
    const config = { ...PARTITION_CONFIG, chunkBytesMax: 1000 };
    const requests = Array.from({ length: 20 }, () => append(5, { batches: batch(5, 40) }));
    const plan = flush(requests, led(), new Map(), config);
    expect(plan.chunks.length).toBeGreaterThan(5);
    let next = 0;
    for (const chunk of plan.chunks) {
      expect(chunk.bytes).toBeLessThanOrEqual(1000);
      expect(chunk.parts.reduce((sum, part) => sum + part.length, 0)).toBe(chunk.bytes);
      expect(chunk.base).toBe(next);
      next = chunk.last + 1;
    }
    expect(next).toBe(100);
  });

  test("[PARTITION-8] the timestamp of the batches never decreases", () => {
    const at = (timestampMs: number): AppendRequest =>
      append(1, { batches: encodeRecordBatch([{ key: null, value: null, headers: [], timestampMs }]) });
    const config = { ...PARTITION_CONFIG, chunkBytesMax: 100 };
    const plan = flush([at(50), at(20), at(70), at(60)], led(), new Map(), config);
    expect(plan.chunks.map((chunk) => chunk.timestampMax)).toEqual([50, 50, 70, 70]);
  });

  test("[PARTITION-9] a compressed batch is refused as long as readers cannot read it", () => {
    const request = append(1);
    const view = new DataView(request.batches.buffer);
    view.setInt16(21, 1);
    view.setUint32(17, crc32c(request.batches, 21, request.batches.length));
    expect(flush([request]).results).toMatchObject([{ code: "UNSUPPORTED_COMPRESSION_TYPE" }]);
  });

  test("[PARTITION-10] readers may read from the log's start to its end", () => {
    const state = { ...led(), logStartOffset: 2, logEndOffset: 5 };
    expect(highWatermark(state)).toBe(5);
    for (const good of [2, 3, 5]) expect(checkReadOffset(state, good)).toBeUndefined();
    for (const bad of [1, -1, 6, 2.5, Number.NaN])
      expect(checkReadOffset(state, bad)).toMatchObject({
        code: "OFFSET_OUT_OF_RANGE",
        message: "the log contains offsets 2 to 4, the next one is 5",
      });
    const empty = { ...led(), logStartOffset: 5, logEndOffset: 5 };
    expect(checkReadOffset(empty, 4)?.message).toBe("the log is empty, its next offset is 5");
  });

  test("[PARTITION-5] any flush is dense, whatever is refused", () => {
    const some = fc.record({
      count: fc.integer({ min: 1, max: 4 }),
      epoch: fc.integer({ min: 3, max: 5 }),
      key: fc.constantFrom("", "a", "b"),
    });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 12 }), fc.nat(1000), (wanted, logEndOffset) => {
        const requests = wanted.map(({ count, epoch, key }) =>
          append(count, { leaderEpoch: epoch, ...(key === "" ? {} : { key: { key, hash: "h" } }) }),
        );
        const plan = flush(requests, { ...led(), logEndOffset });
        let next = logEndOffset;
        for (const result of plan.results) {
          if (!result.ok || result.replayed) continue;
          expect(result.baseOffset).toBe(next);
          next = result.lastOffset + 1;
        }
        expect(plan.logEndOffset).toBe(next);
      }),
    );
  });
});
