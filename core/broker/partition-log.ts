/**
 * The stored log of one partition as a `Replica` reads it: the state at a start, batches from an offset, the offset of
 * a time. Damage makes only the damaged batches unreadable.
 */
import { batchesOf, decodeRecords } from "../wire/record-batch-codec.ts";
import { concatBytes } from "./bytes.ts";
import type { PartitionConfig } from "./config.ts";
import type { ChunkPlan, KeyEntry, Leadership, PartitionState } from "./partition.ts";
import { EMPTY_PARTITION } from "./partition.ts";
import {
  PARTITION_SCHEMA,
  type PartitionBackend,
  type PartitionWrite,
  type RawChunk,
} from "./partition-backend.ts";
import {
  bytesOf,
  columnsOf,
  DamagedLogError,
  type EpochStart,
  epochsOf,
  isOffset,
  keyEntryOf,
  LEADERSHIP_NAMES,
  leadershipWrites,
  metaValueOf,
} from "./partition-rows.ts";
import { type Damage, endOfDamaged, type Piece, piecesOf } from "./stored-chunk.ts";

const NOTHING = new Uint8Array();

/** A run of batches with contiguous offsets. */
interface Chunk {
  readonly base: number;
  readonly last: number;
  readonly data: Uint8Array;
  /** whether it was verified when it was written, and has been in memory since */
  readonly isFresh: boolean;
}

/** The stored state that a partition finds when it starts. */
export interface LoadedPartition {
  readonly state: PartitionState;
  /** greatest timestamp of the log, ms; −1: it is empty */
  readonly timestampMax: number;
  /** why the leadership is unknown; absent if it is known, or if there is none yet */
  readonly damage?: string;
}

/** Whole batches, or the damaged offsets at which the read would begin. */
export type LogRead = { readonly batches: Uint8Array; readonly nextOffset: number } | Damage;

/**
 * Reads the rows of one partition. Its only state is a cache of the newest chunks, oldest first, of at most `cacheBytesMax`
 * and at least one chunk: tails and long polls read what was just appended.
 */
export class PartitionLog {
  readonly #backend: PartitionBackend;
  readonly #config: PartitionConfig;
  #cache: Chunk[] = [];
  #cacheBytes = 0;

  constructor(backend: PartitionBackend, config: PartitionConfig) {
    this.#backend = backend;
    this.#config = config;
  }

  /**
   * The state as of the last commit.
   * @throws Error if a later version has written it; then nothing was changed
   */
  load(): LoadedPartition {
    const backend = this.#backend;
    if (!backend.exists()) return { state: EMPTY_PARTITION, timestampMax: -1 };
    const schema = this.#schema;
    if (typeof schema === "number" && schema > PARTITION_SCHEMA) {
      throw new Error(
        `its storage is of schema ${schema}, and this version reads schemas up to ${PARTITION_SCHEMA}: deploy that version or a later one`,
      );
    }
    backend.migrate();
    const { end, timestampMax } = this.#end();
    const state = { leadership: undefined, logStartOffset: 0, logEndOffset: end };
    try {
      return { state: { ...state, leadership: this.#leadership() }, timestampMax };
    } catch (error) {
      if (error instanceof DamagedLogError) return { state, timestampMax, damage: error.message };
      throw error;
    }
  }

  /** The stored number of the schema; earlier versions stored none. */
  get #schema(): unknown {
    return metaValueOf(this.#backend, "schema");
  }

  /** The stored leadership. @throws DamagedLogError if there is one and both copies are damaged */
  #leadership(): Leadership | undefined {
    let damaged = false;
    for (const name of LEADERSHIP_NAMES) {
      const value = metaValueOf(this.#backend, name);
      if (typeof value === "object" && value !== null) return value as Leadership;
      damaged ||= value !== undefined;
    }
    if (damaged || this.#backend.size().chunks > 0)
      throw new DamagedLogError("the stored leadership of the partition is damaged");
    return undefined;
  }

  /**
   * The end of the log: after its last row, and after every offset that another row shows to be assigned. An offset
   * is never assigned twice, so a missing row leaves a gap.
   */
  #end(): { readonly end: number; readonly timestampMax: number } {
    let end = 0;
    let timestampMax = -1;
    let row = this.#backend.chunkAtOrBelow(Number.MAX_SAFE_INTEGER);
    while (row !== undefined) {
      const columns = columnsOf(row);
      if (columns !== undefined) {
        end = Math.max(end, columns.last + 1);
        timestampMax = columns.timestampMax;
        break;
      }
      const { base } = row;
      if (!isOffset(base)) break;
      end = Math.max(end, endOfDamaged(base, bytesOf(row.data)));
      row = this.#backend.chunkAtOrBelow(base - 1);
    }
    for (const epoch of this.epochs()) end = Math.max(end, epoch.startOffset);
    const noted = metaValueOf(this.#backend, "end");
    if (typeof noted === "number") end = Math.max(end, noted);
    const key = this.#backend.keyOfGreatestOffset();
    const entry = key === undefined ? undefined : keyEntryOf(key);
    if (entry !== undefined) end = Math.max(end, entry.lastOffset + 1);
    return { end, timestampMax };
  }

  /** The newest leader epochs, oldest first. */
  epochs(): readonly EpochStart[] {
    return epochsOf(this.#backend, this.#config.epochsMax);
  }

  size(): { readonly chunks: number; readonly bytes: number } {
    return this.#backend.size();
  }

  /** The writes that store a leadership. @param epochBegins whether its leader epoch begins at the end of the log */
  leadershipWrites(
    state: PartitionState,
    leadership: Leadership,
    epochBegins: boolean,
  ): readonly PartitionWrite[] {
    const hasSchema = this.#backend.exists() && this.#schema === PARTITION_SCHEMA;
    return leadershipWrites(state, leadership, epochBegins, hasSchema);
  }

  /**
   * The entry of a key that was used at `sinceMs` or later.
   * @throws DamagedLogError if it is unknown whether a request with the key was carried out
   */
  keyEntry(key: string, sinceMs: number): KeyEntry | undefined {
    const row = this.#backend.key(key);
    if (row === undefined) return undefined;
    const entry = keyEntryOf(row);
    if (entry === undefined)
      throw new DamagedLogError(
        "the stored idempotency key is damaged: it is unknown whether a request with it was carried out",
      );
    return entry.timestampMs >= sinceMs ? entry : undefined;
  }

  /** When the oldest idempotency key was used, ms since 1970; undefined when there is none. */
  oldestKeyMs(): number | undefined {
    return this.#backend.oldestKeyMs();
  }

  // ── the cache ────────────────────────────────────────────────────────────

  /** Adds a chunk that was just stored. */
  remember({ base, last }: ChunkPlan, data: Uint8Array): void {
    this.#cache.push({ base, last, data, isFresh: true });
    this.#cacheBytes += data.length;
    while (this.#cacheBytes > this.#config.cacheBytesMax && this.#cache.length > 1)
      this.#cacheBytes -= this.#cache.shift()?.data.length ?? 0;
  }

  /** Empties the cache, because the log was deleted. */
  forget(): void {
    this.#cache = [];
    this.#cacheBytes = 0;
  }

  // ── reads ────────────────────────────────────────────────────────────────

  /**
   * Whole batches from the one that contains `offset` on, up to `bytesMax` but at least one, or up to the first damaged one.
   * @param end offset before which the log can be read
   */
  read(offset: number, end: number, bytesMax: number): LogRead {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let next = offset;
    while (next < end && bytes < bytesMax) {
      const chunk = this.#chunkAt(next);
      const gap = chunk === undefined ? end : chunk.base;
      const run =
        chunk === undefined || chunk.base > next
          ? { bytes: NOTHING, nextOffset: next, damage: { from: next, next: gap } }
          : wholeBatches(chunk, next, bytesMax - bytes, parts.length === 0);
      if (run.bytes.length > 0) {
        parts.push(run.bytes);
        bytes += run.bytes.length;
        next = run.nextOffset;
      }
      if (run.damage !== undefined) {
        if (parts.length === 0) return { ...run.damage, next: Math.min(run.damage.next, end) };
        break;
      }
      if (run.bytes.length === 0) break;
    }
    return { nextOffset: next, batches: concatBytes(parts, bytes) };
  }

  /**
   * The first offset whose record has this timestamp or a later one; undefined if there is none.
   * @returns Damage if the answer may be among damaged records
   * @throws DamagedLogError if a row that the search needs is damaged
   */
  offsetOfTime(timestampMs: number, logEndOffset: number): number | undefined | Damage {
    const chunk = this.#chunkOfTime(timestampMs, logEndOffset);
    if (chunk === undefined) return undefined;
    for (const piece of piecesOf(chunk.data, chunk.base, chunk.last, chunk.base)) {
      if ("damage" in piece) return piece.damage;
      const { batch } = piece;
      if (batch.maxTimestamp < timestampMs) continue;
      const record = decodeRecords(chunk.data, batch).find((each) => each.timestampMs >= timestampMs);
      if (record !== undefined) return record.offset;
    }
    return undefined;
  }

  #chunkAt(offset: number): Chunk | undefined {
    for (let i = this.#cache.length - 1; i >= 0; i--) {
      const chunk = this.#cache[i];
      if (chunk !== undefined && chunk.base <= offset)
        return chunk.last >= offset ? chunk : this.#storedChunkAt(offset);
    }
    return this.#storedChunkAt(offset);
  }

  /** The chunk that contains `offset`, or else the first one after it. */
  #storedChunkAt(offset: number): Chunk | undefined {
    let damaged: RawChunk | undefined;
    let row = this.#backend.chunkAtOrBelow(offset);
    while (row !== undefined) {
      const columns = columnsOf(row);
      if (columns !== undefined) {
        if (columns.last >= offset) return chunkOf(row, columns.last);
        break;
      }
      damaged ??= row;
      row = isOffset(row.base) ? this.#backend.chunkAtOrBelow(row.base - 1) : undefined;
    }
    const later = this.#backend.chunkAbove(offset);
    const before = damaged && chunkOf(damaged, lastOfDamaged(damaged, later));
    if (before !== undefined && before.last >= offset) return before;
    return later && chunkOf(later, columnsOf(later)?.last ?? lastOfDamaged(later, undefined));
  }

  /** The first chunk whose running greatest timestamp reaches `timestampMs`, found by bisecting the offsets. */
  #chunkOfTime(timestampMs: number, logEndOffset: number): Chunk | undefined {
    let low = 0;
    let high = logEndOffset;
    let found: number | undefined;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = this.#backend.columnsAtOrBelow(middle);
      const columns = row && columnsOf(row);
      if (row === undefined) low = middle + 1;
      else if (columns === undefined)
        throw new DamagedLogError(`the times of the records from offset ${String(row.base)} on are damaged`);
      else if (columns.timestampMax >= timestampMs) {
        found = columns.base;
        high = columns.base;
      } else low = Math.max(columns.last, middle) + 1;
    }
    return found === undefined ? undefined : this.#storedChunkAt(found);
  }
}

const chunkOf = (row: RawChunk, last: number): Chunk | undefined =>
  isOffset(row.base) ? { base: row.base, last, data: bytesOf(row.data), isFresh: false } : undefined;

/** The last offset of a row with damaged columns, derived from its batches and the next row. */
function lastOfDamaged(row: RawChunk, later: RawChunk | undefined): number {
  const { base, data } = row;
  if (!isOffset(base)) return -1;
  const limit = isOffset(later?.base) ? later.base : Number.POSITIVE_INFINITY;
  return Math.max(base, Math.min(endOfDamaged(base, bytesOf(data)), limit) - 1);
}

/**
 * The batches of a chunk from the one that contains `offset`, up to a number of bytes, with `first` at least one; and the
 * damage after them, if they end there.
 */
function wholeBatches(
  chunk: Chunk,
  offset: number,
  bytesMax: number,
  first: boolean,
): { bytes: Uint8Array; nextOffset: number; damage?: Damage } {
  let start = -1;
  let end = 0;
  let nextOffset = offset;
  let damage: Damage | undefined;
  const pieces = chunk.isFresh
    ? freshPieces(chunk.data)
    : piecesOf(chunk.data, chunk.base, chunk.last, offset);
  for (const piece of pieces) {
    if ("damage" in piece) {
      damage = piece.damage;
      break;
    }
    const { batch } = piece;
    if (batch.lastOffset < offset) continue;
    if (start === -1) start = end = batch.at;
    if (batch.end - start > bytesMax && !(first && end === start)) break;
    end = batch.end;
    nextOffset = batch.lastOffset + 1;
  }
  return {
    bytes: start === -1 ? NOTHING : chunk.data.subarray(start, end),
    nextOffset,
    ...(damage !== undefined && { damage }),
  };
}

function* freshPieces(data: Uint8Array): Generator<Piece, void> {
  for (const batch of batchesOf(data)) yield { batch };
}
