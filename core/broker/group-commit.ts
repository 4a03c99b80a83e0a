/** One group commit: the answers to the waiting appends, and the writes for them. */

import type { WaitingAppend } from "./append-queue.ts";
import { concatBytes } from "./bytes.ts";
import type { PartitionConfig } from "./config.ts";
import type { IdempotencyKeys } from "./idempotency-keys.ts";
import {
  type FlushPlan,
  type KeyEntry,
  type PartitionFailure,
  type PartitionState,
  planFlush,
  storageFailure,
} from "./partition.ts";
import type { PartitionWrite } from "./partition-backend.ts";
import { chunkWrite } from "./partition-rows.ts";

/** A commit that is planned and not yet written. */
export interface GroupCommit {
  /** answered as `plan.results`, in order, once it is written */
  readonly batch: readonly WaitingAppend[];
  readonly plan: FlushPlan;
  /** the batches of each chunk of the plan, joined */
  readonly data: readonly Uint8Array[];
  /** one transaction; empty if there is nothing to write */
  readonly writes: readonly PartitionWrite[];
}

/** Appends that are answered without being part of the commit. */
export interface RefusedAppend {
  readonly id: number;
  readonly failure: PartitionFailure;
}

/** Input of a group commit. */
export interface GroupCommitInput {
  readonly waiting: readonly WaitingAppend[];
  readonly keys: IdempotencyKeys;
  readonly state: PartitionState;
  /** greatest timestamp of the log so far, ms */
  readonly timestampMax: number;
  /** ms since 1970 */
  readonly nowMs: number;
  readonly config: PartitionConfig;
}

/**
 * Plans the commit of all waiting appends. If an append's idempotency key is damaged, only that append is refused; if the
 * storage cannot be read, all appends are refused, and there is no commit.
 */
export function planGroupCommit(input: GroupCommitInput): {
  readonly refused: readonly RefusedAppend[];
  readonly commit: GroupCommit | undefined;
} {
  const { waiting, keys, state, timestampMax, nowMs, config } = input;
  try {
    const { refused, batch, known } = lookUp(waiting, keys, nowMs);
    const requests = batch.map((each) => each.request);
    const lookup = (key: string): KeyEntry | undefined => known.get(key);
    const plan = planFlush({ state, requests, lookup, nowMs, timestampMax, config });
    const data = plan.chunks.map(({ parts, bytes }) => concatBytes(parts, bytes));
    const writes = plan.chunks.map((chunk, i) => chunkWrite(chunk, data[i] ?? NO_BYTES));
    if (plan.keys.length > 0) writes.push(keys.write(plan.keys));
    return { refused, commit: { batch, plan, data, writes } };
  } catch (error) {
    const failure = storageFailure(error instanceof Error ? error.message : "the storage cannot be read");
    return { refused: waiting.map(({ id }) => ({ id, failure })), commit: undefined };
  }
}

const NO_BYTES = new Uint8Array();

/** Looks up the keys of the appends. */
function lookUp(
  waiting: readonly WaitingAppend[],
  keys: IdempotencyKeys,
  nowMs: number,
): {
  readonly refused: readonly RefusedAppend[];
  readonly batch: readonly WaitingAppend[];
  readonly known: ReadonlyMap<string, KeyEntry>;
} {
  const refused: RefusedAppend[] = [];
  const batch: WaitingAppend[] = [];
  const known = new Map<string, KeyEntry>();
  for (const each of waiting) {
    const key = each.request.key?.key;
    const entry = key === undefined ? undefined : keys.lookUp(key, nowMs);
    if (entry !== undefined && "code" in entry) {
      refused.push({ id: each.id, failure: entry });
      continue;
    }
    if (key !== undefined && entry !== undefined) known.set(key, entry);
    batch.push(each);
  }
  return { refused, batch, known };
}
