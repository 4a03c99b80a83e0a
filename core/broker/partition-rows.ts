/**
 * The rows of a partition: encodes them for writing, and verifies them when they are read. Every row has a checksum over
 * its columns; the batches of a chunk have their own. The leadership is stored twice, because a controller does not repeat
 * it while nothing changes.
 */
import {
  type ChunkPlan,
  type KeyEntry,
  type Leadership,
  type PartitionFailure,
  type PartitionState,
  storageFailure,
} from "./partition.ts";
import {
  PARTITION_SCHEMA,
  type PartitionBackend,
  type PartitionWrite,
  type RawColumns,
  type RawKey,
  type StoredKey,
} from "./partition-backend.ts";
import { type ChunkColumns, chunkChecksum, rowChecksum } from "./stored-chunk.ts";

/** Names of the two values with the leadership; either one suffices. */
export const LEADERSHIP_NAMES = ["leadership", "leadership_copy"] as const;

/** The stored state is damaged, and nothing replaces it. */
export class DamagedLogError extends Error {
  override readonly name = "DamagedLogError";
}

/** The result of `read`, or a failure if it throws {@link DamagedLogError}. */
export function damageAsFailure<T>(read: () => T): T | PartitionFailure {
  try {
    return read();
  } catch (error) {
    if (error instanceof DamagedLogError) return storageFailure(error.message);
    throw error;
  }
}

const NO_BYTES = new Uint8Array();

/** The batches of a chunk; empty if the value is no byte string. */
export const bytesOf = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : NO_BYTES);

/** Whether a stored value can be an offset. */
export const isOffset = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** Whether the row has no checksum. */
const isUnverified = (crc: unknown): boolean => crc === null || crc === undefined;

/** The columns of a chunk; undefined if they are damaged. */
export function columnsOf(row: RawColumns): ChunkColumns | undefined {
  const { base, last, timestampMax, leaderEpoch, records, bytes, crc } = row;
  const numbers = [base, last, timestampMax, leaderEpoch, records, bytes];
  if (!numbers.every((value) => typeof value === "number" && Number.isSafeInteger(value))) return undefined;
  const columns = { base, last, timestampMax, leaderEpoch, records, bytes } as ChunkColumns;
  const isRight = isUnverified(crc) ? columns.base <= columns.last : crc === chunkChecksum(columns);
  return isRight ? columns : undefined;
}

/** An idempotency key; undefined if the row is damaged. */
export function keyEntryOf(row: RawKey): KeyEntry | undefined {
  const { key, hash, base, last, atMs: timestampMs, fingerprint, crc } = row;
  if (typeof key !== "string" || typeof hash !== "string" || typeof timestampMs !== "number")
    return undefined;
  if (typeof base !== "number" || typeof last !== "number") return undefined;
  if (fingerprint !== null && typeof fingerprint !== "string") return undefined;
  if (!isUnverified(crc) && crc !== rowChecksum([key, hash, base, last, timestampMs, fingerprint]))
    return undefined;
  return {
    hash,
    ...(fingerprint !== null && { fingerprint }),
    baseOffset: base,
    lastOffset: last,
    timestampMs,
  };
}

/** The text under a name; undefined if there is none, null if it is damaged. */
export function metaTextOf(backend: PartitionBackend, name: string): string | undefined | null {
  const row = backend.meta(name);
  if (row === undefined) return undefined;
  const { value, crc } = row;
  if (typeof value !== "string" || (!isUnverified(crc) && crc !== rowChecksum([name, value]))) return null;
  return value;
}

/** The JSON value under a name, with undefined and null as in {@link metaTextOf}. */
export function metaValueOf(backend: PartitionBackend, name: string): unknown {
  const text = metaTextOf(backend, name);
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A leader epoch and the first offset that was written under it. */
export interface EpochStart {
  readonly leaderEpoch: number;
  readonly startOffset: number;
}

/** The newest epochs, oldest first, without damaged rows. */
export function epochsOf(backend: PartitionBackend, limit: number): readonly EpochStart[] {
  return backend
    .epochs(limit)
    .flatMap(({ leaderEpoch, startOffset, leader, crc }) => {
      if (!isOffset(leaderEpoch) || !isOffset(startOffset) || typeof leader !== "number") return [];
      const isRight = isUnverified(crc) || crc === rowChecksum([leaderEpoch, startOffset, leader]);
      return isRight ? [{ leaderEpoch, startOffset }] : [];
    })
    .reverse();
}

/** Stores a text under a name. */
export const metaWrite = (name: string, value: string): PartitionWrite => ({
  type: "meta",
  name,
  value,
  crc: rowChecksum([name, value]),
});

/**
 * The writes that store a leadership.
 * @param epochBegins its leader epoch begins at the end of the log
 * @param hasSchema whether the number of the schema is already stored
 */
export function leadershipWrites(
  { logEndOffset: startOffset }: PartitionState,
  leadership: Leadership,
  epochBegins: boolean,
  hasSchema: boolean,
): readonly PartitionWrite[] {
  const text = JSON.stringify(leadership);
  const { leaderEpoch, leader } = leadership;
  return [
    { type: "create" },
    ...LEADERSHIP_NAMES.map((name) => metaWrite(name, text)),
    ...(hasSchema ? [] : [metaWrite("schema", `${PARTITION_SCHEMA}`)]),
    ...(epochBegins
      ? [
          {
            type: "epoch",
            leaderEpoch,
            startOffset,
            leader,
            crc: rowChecksum([leaderEpoch, startOffset, leader]),
          } as const,
        ]
      : []),
  ];
}

/** The write of the log's end, by which missing newest rows are detected. */
export const endWrite = (end: number): PartitionWrite => metaWrite("end", `${end}`);

/** The write of a chunk, with its checksum. */
export function chunkWrite(columns: ChunkPlan, data: Uint8Array): PartitionWrite {
  return { type: "chunk", columns, data, crc: chunkChecksum(columns) };
}

/** The write of idempotency keys, each with its checksum. */
export function keysWrite(
  keys: readonly (KeyEntry & { readonly key: string })[],
  keysMax: number,
): PartitionWrite {
  const stored = keys.map((entry): StoredKey => {
    const { key, hash, fingerprint, baseOffset, lastOffset, timestampMs } = entry;
    return {
      ...entry,
      crc: rowChecksum([key, hash, baseOffset, lastOffset, timestampMs, fingerprint ?? null]),
    };
  });
  return { type: "keys", keys: stored, keysMax };
}
