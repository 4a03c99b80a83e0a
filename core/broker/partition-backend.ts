/**
 * Storage of a partition's rows: SQLite in the object, memory in the simulator. A backend returns what is stored and
 * decides nothing; `partition-rows.ts` verifies the rows. Reads are synchronous; the writes of one call are one
 * transaction.
 *
 * A column of a damaged row may contain anything, hence `unknown`. A null or absent checksum means that an earlier version
 * wrote the row.
 */
import type { KeyEntry } from "./partition.ts";
import type { ChunkColumns } from "./stored-chunk.ts";

/** Schema of the rows below, in the value `schema`. Increment it with every change that the previous version must not read. */
export const PARTITION_SCHEMA = 1;

/** A value by its name. */
export interface RawMeta {
  readonly value: unknown;
  readonly crc?: unknown;
}

/** A leader epoch and the offset at which it began. */
export interface RawEpoch {
  readonly leaderEpoch: unknown;
  readonly startOffset: unknown;
  readonly leader: unknown;
  readonly crc?: unknown;
}

/** An idempotency key. */
export interface RawKey {
  readonly key: unknown;
  readonly hash: unknown;
  readonly fingerprint: unknown;
  readonly base: unknown;
  readonly last: unknown;
  readonly atMs: unknown;
  readonly crc?: unknown;
}

/** The columns of a chunk beside its batches. */
export type RawColumns = { readonly [Name in keyof ChunkColumns]: unknown } & { readonly crc?: unknown };

/** A chunk: one run of batches with contiguous offsets. */
export interface RawChunk extends RawColumns {
  /** a Uint8Array, unless it is damaged */
  readonly data: unknown;
}

/** A key as it is written. */
export type StoredKey = KeyEntry & { readonly key: string; readonly crc: number };

/** One change of the rows. */
export type PartitionWrite =
  /** creates the tables if they do not exist: an object that never received a leadership stores nothing */
  | { readonly type: "create" }
  | { readonly type: "meta"; readonly name: string; readonly value: string; readonly crc: number }
  | {
      readonly type: "epoch";
      readonly leaderEpoch: number;
      readonly startOffset: number;
      readonly leader: number;
      readonly crc: number;
    }
  | {
      readonly type: "chunk";
      readonly columns: ChunkColumns;
      readonly data: Uint8Array;
      readonly crc: number;
    }
  /** stores keys, the newest last, and keeps the newest `keysMax` of all */
  | { readonly type: "keys"; readonly keys: readonly StoredKey[]; readonly keysMax: number }
  /** removes those of the oldest `slice` keys that were used before `beforeMs` */
  | { readonly type: "expireKeys"; readonly beforeMs: number; readonly slice: number };

/** The rows of one partition. Invariant: the writes of one call are stored completely or not at all. */
export interface PartitionBackend {
  /** Whether any table of a partition exists. */
  exists(): boolean;
  /** Adds tables and columns that an earlier version lacks. Their values are null, which means unknown. */
  migrate(): void;
  /** The value under a name, also before {@link migrate}; undefined if there is none. */
  meta(name: string): RawMeta | undefined;
  /** The newest `limit` epochs, newest first. */
  epochs(limit: number): readonly RawEpoch[];
  key(key: string): RawKey | undefined;
  /** The key with the greatest last offset. */
  keyOfGreatestOffset(): RawKey | undefined;
  /** When the oldest key was used, ms since 1970; undefined if there is none. */
  oldestKeyMs(): number | undefined;
  /** The chunk with the greatest base ≤ `offset`. */
  chunkAtOrBelow(offset: number): RawChunk | undefined;
  /** The columns of that chunk, without its batches. */
  columnsAtOrBelow(offset: number): RawColumns | undefined;
  /** The chunk with the least base > `offset`. */
  chunkAbove(offset: number): RawChunk | undefined;
  size(): { readonly chunks: number; readonly bytes: number };
  /** Runs the writes as one transaction. @throws Error if the storage fails; then nothing has changed */
  write(writes: readonly PartitionWrite[]): void;
}
