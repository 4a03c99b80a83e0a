/** Reads of a partition: of its log in one state. Nothing here waits or changes anything. */
import { assert, assertNever } from "../assert.ts";
import {
  checkReadOffset,
  fail,
  highWatermark,
  type PartitionFailure,
  type PartitionState,
  type ReadFrom,
} from "./partition.ts";
import type { PartitionLog } from "./partition-log.ts";
import { damageAsFailure } from "./partition-rows.ts";
import type { LogBounds, OffsetOfTime, PartitionAnswer, TailFrameAnswer } from "./replica-messages.ts";
import { corrupt } from "./stored-chunk.ts";

/** The bounds of the log and its leader; −1 if it has none. */
export function boundsOf(state: PartitionState): LogBounds {
  const { leadership, logStartOffset, logEndOffset } = state;
  return {
    logStartOffset,
    logEndOffset,
    highWatermark: highWatermark(state),
    leaderEpoch: leadership?.leaderEpoch ?? -1,
    leader: leadership?.leader ?? -1,
  };
}

/**
 * Whole batches from the one that contains `offset` on, up to `bytesMax` but at least one.
 * Codes: OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE.
 */
export function readAt(
  log: PartitionLog,
  state: PartitionState,
  offset: number,
  bytesMax: number,
): PartitionAnswer<TailFrameAnswer> {
  const failure = checkReadOffset(state, offset);
  if (failure !== undefined) return failure;
  const read = log.read(offset, highWatermark(state), bytesMax);
  if ("from" in read) return corrupt(read);
  const { batches, nextOffset } = read;
  assert(nextOffset >= offset, "a read goes forward");
  return { ok: true, ...boundsOf(state), offset, nextOffset, batches };
}

/** First offset whose record has the timestamp or a later one. Codes: CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR. */
export function offsetOfTime(
  log: PartitionLog,
  state: PartitionState,
  timestampMs: number,
): number | undefined | PartitionFailure {
  const found = damageAsFailure(() => log.offsetOfTime(timestampMs, state.logEndOffset));
  return typeof found === "object" && "from" in found ? corrupt(found) : found;
}

/** The offset at which a read begins. Codes: as {@link offsetOfTime}. */
export function offsetOf(
  log: PartitionLog,
  state: PartitionState,
  from: ReadFrom,
): number | PartitionFailure {
  switch (from.type) {
    case "offset":
      return from.offset;
    case "tail":
      return Math.max(state.logStartOffset, highWatermark(state) - from.records);
    case "timestamp":
      return offsetOfTime(log, state, from.timestampMs) ?? highWatermark(state);
    default:
      return assertNever(from);
  }
}

/** As {@link offsetOfTime}, with the bounds of the log. */
export function answerOfTime(
  log: PartitionLog,
  state: PartitionState,
  timestampMs: number,
): PartitionAnswer<OffsetOfTime> {
  const offset = offsetOfTime(log, state, timestampMs);
  if (typeof offset === "object") return offset;
  return { ok: true, ...boundsOf(state), offset: offset ?? null };
}

/** Checks that a tail may begin at `offset`. Codes: OFFSET_OUT_OF_RANGE, THROTTLING_QUOTA_EXCEEDED, CORRUPT_MESSAGE. */
export function admitTail(
  log: PartitionLog,
  state: PartitionState,
  offset: number,
  hasRoom: boolean,
): PartitionAnswer<object> {
  const outside = checkReadOffset(state, offset);
  if (outside !== undefined) return outside;
  if (!hasRoom) return tooMany("tails");
  const first = readAt(log, state, offset, 1);
  return first.ok ? { ok: true } : first;
}

/** The refusal of another reader of a partition. */
export const tooMany = (what: string): PartitionFailure =>
  fail("THROTTLING_QUOTA_EXCEEDED", `too many ${what} are open on this partition`);
