/**
 * The append path of a replica: an append is queued, planned together with all waiting appends, and answered once the group
 * commit is written. It also owns what depends on appends: idempotency keys, and when the end of the log is stored.
 */
import { assert, must } from "../assert.ts";
import { AppendQueue, type Dispatch, type WaitingAppend } from "./append-queue.ts";
import type { PartitionConfig } from "./config.ts";
import { EndNote } from "./end-note.ts";
import { type GroupCommit, planGroupCommit, type RefusedAppend } from "./group-commit.ts";
import { IdempotencyKeys } from "./idempotency-keys.ts";
import { fail, type IdempotencyKey, type PartitionFailure, type PartitionState } from "./partition.ts";
import type { PartitionWrite } from "./partition-backend.ts";
import type { PartitionLog } from "./partition-log.ts";
import type { ReplicaEffect } from "./replica-messages.ts";

const QUEUE_FULL = fail("THROTTLING_QUOTA_EXCEEDED", "too many appends are waiting for this partition");

/**
 * Owns the queue, the keys and the greatest timestamp of the log.
 * Invariant: its state describes the persisted log, and each append is answered once.
 * @source Kafka `ReplicaManager.appendRecords`
 */
export class AppendPath {
  readonly #config: PartitionConfig;
  readonly #log: PartitionLog;
  readonly #queue: AppendQueue;
  readonly #keys: IdempotencyKeys;
  readonly #endNote: EndNote;
  /** greatest timestamp of the log, ms */
  #timestampMax: number;

  constructor(log: PartitionLog, config: PartitionConfig, timestampMax: number) {
    this.#config = config;
    this.#log = log;
    this.#queue = new AppendQueue(config);
    this.#keys = new IdempotencyKeys(log, config);
    this.#endNote = new EndNote(config);
    this.#timestampMax = timestampMax;
  }

  /** Queues an append. @returns a failure if too many wait */
  push(append: WaitingAppend): Dispatch | PartitionFailure {
    return this.#queue.isFull(append.request.batches.length) ? QUEUE_FULL : this.#queue.push(append);
  }

  /** Handles the end of the sync of the last commit. */
  synced(): Dispatch {
    return this.#queue.synced();
  }

  /** Plans the commit of all waiting appends; see {@link planGroupCommit}. */
  plan(
    state: PartitionState,
    nowMs: number,
  ): { readonly refused: readonly RefusedAppend[]; readonly commit: GroupCommit | undefined } {
    const waiting = this.#queue.take();
    const [keys, timestampMax, config] = [this.#keys, this.#timestampMax, this.#config];
    return planGroupCommit({ waiting, keys, state, timestampMax, nowMs, config });
  }

  /** Handles a written commit. @returns the answers to its appends, and the effects to schedule, in order */
  written({ batch, plan, data }: GroupCommit, nowMs: number): readonly ReplicaEffect[] {
    assert(plan.results.length === batch.length, "each append has a result");
    this.#timestampMax = plan.timestampMax;
    for (const [i, chunk] of plan.chunks.entries())
      this.#log.remember(chunk, must(data[i], "each chunk has its batches"));
    const effects = batch.map(({ id }, i): ReplicaEffect => {
      const answer = must(plan.results[i], "each append has a result");
      return { type: "respond", id, answer };
    });
    if (plan.keys.length > 0) effects.push({ type: "deadline", atMs: this.#keys.expiryOf(nowMs, nowMs) });
    const ms = plan.chunks.length > 0 ? this.#endNote.schedule(nowMs) : undefined;
    if (ms !== undefined) effects.push({ type: "endTimer", ms });
    return effects;
  }

  /** Handles the deletion of the log. */
  forget(): void {
    this.#timestampMax = -1;
    this.#log.forget();
  }

  /** Records that the end of the log was stored. */
  endNoted(nowMs: number): void {
    this.#endNote.noted(nowMs);
  }

  // ── keys ─────────────────────────────────────────────────────────────────

  /** See {@link IdempotencyKeys.claim}. */
  claim(key: IdempotencyKey, nowMs: number): PartitionWrite | PartitionFailure | undefined {
    return this.#keys.claim(key, nowMs);
  }

  /** Deletes expired keys. */
  expireKeys(nowMs: number): PartitionWrite {
    return this.#keys.expire(nowMs);
  }

  /** When a key that is used now expires; ms since 1970. */
  keyExpiry(nowMs: number): number {
    return this.#keys.expiryOf(nowMs, nowMs);
  }

  /** When the oldest key expires, ms since 1970; undefined if there is none. */
  keyDeadline(nowMs: number): number | undefined {
    return this.#keys.deadline(nowMs);
  }
}
