/**
 * The idempotency keys of a partition: a request under a key is carried out once within `idempotencyWindowMs` after it.
 * The newest `idempotencyKeysMax` keys are kept.
 */
import { SECOND_MS } from "../units.ts";
import type { PartitionConfig } from "./config.ts";
import { claimKey, type IdempotencyKey, type KeyEntry, type PartitionFailure } from "./partition.ts";
import type { PartitionWrite } from "./partition-backend.ts";
import type { PartitionLog } from "./partition-log.ts";
import { damageAsFailure, keysWrite } from "./partition-rows.ts";

/**
 * The stored keys of one partition.
 * Invariant: a key is found at least as long as its window, unless more than `idempotencyKeysMax` newer ones exist.
 */
export class IdempotencyKeys {
  readonly #log: PartitionLog;
  readonly #config: PartitionConfig;

  constructor(log: PartitionLog, config: PartitionConfig) {
    this.#log = log;
    this.#config = config;
  }

  /** The entry of a key. @returns a failure if it is unknown whether a request with it was carried out */
  lookUp(key: string, nowMs: number): KeyEntry | PartitionFailure | undefined {
    return damageAsFailure(() => this.#log.keyEntry(key, nowMs - this.#config.idempotencyWindowMs));
  }

  /** The write that stores keys. */
  write(keys: readonly (KeyEntry & { readonly key: string })[]): PartitionWrite {
    return keysWrite(keys, this.#config.idempotencyKeysMax);
  }

  /** The write of a key whose records go to other partitions. @returns undefined if it is already stored */
  claim(key: IdempotencyKey, nowMs: number): PartitionWrite | PartitionFailure | undefined {
    const known = this.lookUp(key.key, nowMs);
    if (known !== undefined && "code" in known) return known;
    const entry = claimKey(known, key, nowMs);
    return entry === undefined || "code" in entry ? entry : this.write([entry]);
  }

  /** The write that deletes expired keys: the oldest ones, a slice at a time. */
  expire(nowMs: number): PartitionWrite {
    const { idempotencyWindowMs, idempotencySlice: slice } = this.#config;
    return { type: "expireKeys", beforeMs: nowMs - idempotencyWindowMs, slice };
  }

  /** When a key used at `usedMs` is deleted; not before a second from now, so that appends are served between slices. */
  expiryOf(usedMs: number, nowMs: number): number {
    return Math.max(usedMs + this.#config.idempotencyWindowMs, nowMs + SECOND_MS);
  }

  /** When the oldest key is deleted, ms since 1970; undefined if there is none. */
  deadline(nowMs: number): number | undefined {
    const oldest = this.#log.oldestKeyMs();
    return oldest === undefined ? undefined : this.expiryOf(oldest, nowMs);
  }
}
