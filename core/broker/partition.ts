/**
 * The rules of one partition's log: which leader epochs may append, which offsets a batch gets, and the answer to a
 * repeated idempotency key. Pure: the shell stores state and bytes.
 *
 * ```
 * 0 ≤ logStartOffset ≤ highWatermark ≤ logEndOffset
 * ```
 * While a partition has one replica, everything that is in the log is committed: highWatermark = logEndOffset.
 */
import { assert } from "../assert.ts";
import type { KafkaErrorCode } from "../errors.ts";
import {
  type BatchHeader,
  type BatchLimits,
  stampBatch,
  validateBatches,
} from "../wire/record-batch-codec.ts";
import type { PartitionConfig } from "./config.ts";

/** The leadership of a partition, decided by the controller. Kafka's LeaderAndIsr. */
export interface Leadership {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** id of the leading broker */
  readonly leader: number;
  readonly leaderEpoch: number;
  /** epoch of the controller that decided it */
  readonly controllerEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

/** State of a partition. Invariant: 0 ≤ logStartOffset ≤ logEndOffset. */
export interface PartitionState {
  /** undefined until a controller has named a leader: the partition does not exist before */
  readonly leadership: Leadership | undefined;
  readonly logStartOffset: number;
  readonly logEndOffset: number;
}

/** The state of a partition that does not exist yet. */
export const EMPTY_PARTITION: PartitionState = { leadership: undefined, logStartOffset: 0, logEndOffset: 0 };

/** The offset below which records are committed: the end of the log, because a partition is one object. */
export const highWatermark = (state: PartitionState): number => state.logEndOffset;

/** An operating error as a value. */
export interface PartitionFailure {
  readonly ok: false;
  readonly code: KafkaErrorCode;
  readonly message: string;
  /** for CORRUPT_MESSAGE: the offsets in [`from`, `next`) are damaged in storage; absent if the request is corrupt */
  readonly damage?: { readonly from: number; readonly next: number };
}

/** An operating error as an answer. */
export const fail = (code: KafkaErrorCode, message: string): PartitionFailure => ({
  ok: false,
  code,
  message,
});

/** The failure if the storage fails or is damaged. */
export const storageFailure = (message: string): PartitionFailure => fail("KAFKA_STORAGE_ERROR", message);

/** Answer to a new leadership. */
export type LeadershipDecision =
  | {
      readonly ok: true;
      readonly state: PartitionState;
      /** a new leader epoch begins at the state's logEndOffset */
      readonly epochBegins: boolean;
      /** nothing to write */
      readonly unchanged: boolean;
    }
  | PartitionFailure;

/**
 * Decides on a leadership sent by a controller. A deposed controller and an older leader epoch are refused; the same epoch
 * again is accepted, so that a controller may repeat itself. Codes: STALE_CONTROLLER_EPOCH, FENCED_LEADER_EPOCH,
 * INVALID_REQUEST.
 */
export function decideLeadership(state: PartitionState, next: Leadership): LeadershipDecision {
  const now = state.leadership;
  if (now === undefined)
    return { ok: true, state: { ...state, leadership: next }, epochBegins: true, unchanged: false };
  if (next.topicId !== now.topicId || next.partition !== now.partition)
    return fail("INVALID_REQUEST", "this object belongs to another partition");
  if (next.controllerEpoch < now.controllerEpoch)
    return fail("STALE_CONTROLLER_EPOCH", `the controller epoch is ${now.controllerEpoch}`);
  if (next.leaderEpoch < now.leaderEpoch)
    return fail("FENCED_LEADER_EPOCH", `the leader epoch is ${now.leaderEpoch}`);
  const epochBegins = next.leaderEpoch > now.leaderEpoch;
  if (!epochBegins && next.leader !== now.leader)
    return fail("INVALID_REQUEST", `leader epoch ${now.leaderEpoch} belongs to broker ${now.leader}`);
  const unchanged =
    !epochBegins && next.controllerEpoch === now.controllerEpoch && sameIds(next.isr, now.isr);
  return { ok: true, state: { ...state, leadership: next }, epochBegins, unchanged };
}

const sameIds = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);

/**
 * Checks the leader epoch of a request; −1 matches any epoch.
 * Codes: UNKNOWN_TOPIC_OR_PARTITION, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
 */
export function checkLeaderEpoch(state: PartitionState, leaderEpoch: number): PartitionFailure | undefined {
  const now = state.leadership;
  if (now === undefined) return fail("UNKNOWN_TOPIC_OR_PARTITION", "no controller has made this partition");
  if (leaderEpoch === -1 || leaderEpoch === now.leaderEpoch) return undefined;
  return leaderEpoch < now.leaderEpoch
    ? fail("FENCED_LEADER_EPOCH", `the leader epoch is ${now.leaderEpoch}`)
    : fail("UNKNOWN_LEADER_EPOCH", `the leader epoch is still ${now.leaderEpoch}`);
}

/** One append request. */
export interface AppendRequest {
  readonly leaderEpoch: number;
  /** whole record batches; the partition takes ownership and stamps them in place */
  readonly batches: Uint8Array;
  readonly key?: IdempotencyKey;
  /** append only if the first record gets this offset */
  readonly matchOffset?: number;
  /** the topic's own limit of one batch, if it has one */
  readonly batchBytesMax?: number;
}

/** An idempotency key with the hashes that identify its request. */
export interface IdempotencyKey {
  readonly key: string;
  /** hash of the body alone: all that keys of an earlier version are stored with */
  readonly hash: string;
  /** hash of everything that gives the request its meaning; absent: the caller is of an earlier version */
  readonly fingerprint?: string;
}

/** The stored entry of an idempotency key. */
export interface KeyEntry extends Omit<IdempotencyKey, "key"> {
  /** −1 if the key is only claimed here and its records went to other partitions; see {@link claimKey} */
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** leader's clock at the append, ms */
  readonly timestampMs: number;
}

/** An append that was carried out, now or, if `replayed`, earlier. */
export interface Appended {
  readonly ok: true;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  readonly timestampMs: number;
  /** whether the key was used before, and these are the offsets of the first request */
  readonly replayed: boolean;
}

/** Answer to an append. */
export type AppendResult = Appended | (PartitionFailure & { readonly expectedOffset?: number });

/** A row of the log: whole batches, contiguous offsets. */
export interface ChunkPlan {
  readonly base: number;
  readonly last: number;
  /** greatest timestamp of the log up to and including this chunk, ms */
  readonly timestampMax: number;
  readonly leaderEpoch: number;
  readonly records: number;
  /** the batches in order; the shell joins them */
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

/** The writes of a flush, and its answers in the order of the requests. */
export interface FlushPlan {
  readonly results: readonly AppendResult[];
  readonly chunks: readonly ChunkPlan[];
  readonly keys: readonly (KeyEntry & { readonly key: string })[];
  /** logEndOffset after the flush */
  readonly logEndOffset: number;
  readonly timestampMax: number;
}

/** A chunk while it is being filled. */
interface OpenChunk {
  base: number;
  last: number;
  timestampMax: number;
  records: number;
  parts: Uint8Array[];
  bytes: number;
}

/** Input of a flush. */
export interface FlushInput {
  readonly state: PartitionState;
  readonly requests: readonly AppendRequest[];
  /** the stored entry of a key; undefined if it is unknown or expired */
  readonly lookup: (key: string) => KeyEntry | undefined;
  /** ms since 1970 */
  readonly nowMs: number;
  /** greatest timestamp of the log so far, ms */
  readonly timestampMax: number;
  readonly config: PartitionConfig;
}

/**
 * Plans one group commit: gives every waiting append its offsets, in order of arrival, stamps its batches and packs
 * them into chunks of at most `chunkBytesMax`. A refused append takes no offset and does not affect other appends. A batch
 * is never split over chunks, and a key that occurs twice in one flush is a replay of the first.
 * The caller stores chunks and keys in one transaction and only then answers `results`.
 * Codes: UNKNOWN_TOPIC_OR_PARTITION, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE,
 * INVALID_RECORD, UNSUPPORTED_COMPRESSION_TYPE, IDEMPOTENCY_KEY_REUSED, OFFSET_MISMATCH.
 */
export function planFlush(input: FlushInput): FlushPlan {
  const { state, config, nowMs } = input;
  const limits: BatchLimits = { batchBytesMax: config.batchBytesMax, totalBytesMax: config.appendBytesMax };
  const leaderEpoch = state.leadership?.leaderEpoch ?? -1;
  const keys = new Map<string, KeyEntry & { readonly key: string }>();
  const chunks: OpenChunk[] = [];
  let nextOffset = state.logEndOffset;
  let timestampMax = input.timestampMax;

  const append = (request: AppendRequest): AppendResult => {
    const fenced = checkLeaderEpoch(state, request.leaderEpoch);
    if (fenced !== undefined) return fenced;
    const { batchBytesMax } = request;
    const narrow = batchBytesMax !== undefined && batchBytesMax < limits.batchBytesMax;
    const check = validateBatches(request.batches, narrow ? { ...limits, batchBytesMax } : limits);
    if (!check.ok) return check;
    if (check.batches.some((batch) => batch.codec !== 0))
      return fail("UNSUPPORTED_COMPRESSION_TYPE", "compressed batches are not accepted yet");
    const known = request.key && (keys.get(request.key.key) ?? input.lookup(request.key.key));
    if (request.key !== undefined && known !== undefined) {
      const reused = checkKey(known, request.key);
      if (reused !== undefined) return reused;
      if (known.baseOffset >= 0) return replay(known, leaderEpoch);
    }
    if (request.matchOffset !== undefined && request.matchOffset !== nextOffset)
      return {
        ...fail("OFFSET_MISMATCH", `the next offset is ${nextOffset}`),
        expectedOffset: nextOffset,
      };
    const baseOffset = nextOffset;
    for (const batch of check.batches) nextOffset = place(request.batches, batch, nextOffset);
    const lastOffset = nextOffset - 1;
    if (request.key !== undefined)
      keys.set(request.key.key, { ...request.key, baseOffset, lastOffset, timestampMs: nowMs });
    return { ok: true, baseOffset, lastOffset, leaderEpoch, timestampMs: nowMs, replayed: false };
  };

  const place = (bytes: Uint8Array, batch: BatchHeader, offset: number): number => {
    stampBatch(bytes, batch.at, offset, leaderEpoch);
    timestampMax = Math.max(timestampMax, batch.maxTimestamp);
    const size = batch.end - batch.at;
    let chunk = chunks.at(-1);
    if (chunk === undefined || chunk.bytes + size > config.chunkBytesMax) {
      chunk = { base: offset, last: offset, timestampMax, records: 0, parts: [], bytes: 0 };
      chunks.push(chunk);
    }
    chunk.last = offset + batch.recordCount - 1;
    chunk.timestampMax = timestampMax;
    chunk.records += batch.recordCount;
    chunk.parts.push(bytes.subarray(batch.at, batch.end));
    chunk.bytes += size;
    return chunk.last + 1;
  };

  const results = input.requests.map(append);
  assert(Number.isSafeInteger(nextOffset), "offsets are safe integers");
  return {
    results,
    chunks: chunks.map((chunk) => ({ ...chunk, leaderEpoch })),
    keys: [...keys.values()],
    logEndOffset: nextOffset,
    timestampMax,
  };
}

/** Checks that the key comes with the same request as before. Entries of an earlier version have only a hash of the body. */
function checkKey(known: KeyEntry, key: IdempotencyKey): PartitionFailure | undefined {
  const same =
    known.fingerprint === undefined || key.fingerprint === undefined
      ? known.hash === key.hash
      : known.fingerprint === key.fingerprint;
  return same ? undefined : fail("IDEMPOTENCY_KEY_REUSED", "the key was used with another request before");
}

/**
 * Claims a key at the partition to which it hashes, for a request whose records go to another partition, so that a
 * different request under the key is detected wherever its records go.
 * @returns the entry to store; undefined if it is already stored
 */
export function claimKey(
  known: KeyEntry | undefined,
  key: IdempotencyKey,
  nowMs: number,
): (KeyEntry & { readonly key: string }) | PartitionFailure | undefined {
  if (known !== undefined) return checkKey(known, key);
  return { ...key, baseOffset: -1, lastOffset: -1, timestampMs: nowMs };
}

/** The answer to a key that was used before. */
function replay(known: KeyEntry, leaderEpoch: number): AppendResult {
  const { baseOffset, lastOffset, timestampMs } = known;
  return { ok: true, baseOffset, lastOffset, timestampMs, leaderEpoch, replayed: true };
}

/** The beginning of a read. `tail`: a number of records before the end. */
export type ReadFrom =
  | { readonly type: "offset"; readonly offset: number }
  | { readonly type: "timestamp"; readonly timestampMs: number }
  | { readonly type: "tail"; readonly records: number };

/** Checks that this offset can be read or waited for. Code: OFFSET_OUT_OF_RANGE. */
export function checkReadOffset(state: PartitionState, offset: number): PartitionFailure | undefined {
  const end = highWatermark(state);
  if (Number.isSafeInteger(offset) && offset >= state.logStartOffset && offset <= end) return undefined;
  const held =
    end === state.logStartOffset
      ? `the log is empty, its next offset is ${end}`
      : `the log contains offsets ${state.logStartOffset} to ${end - 1}, the next one is ${end}`;
  return fail("OFFSET_OUT_OF_RANGE", held);
}
