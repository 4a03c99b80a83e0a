/** A batch of packed txns as an entry of the log: the unit of a proposal and of a log row. */
import { type Chain, chainBatch } from "../hash/chain.ts";
import { WireError } from "../wire/reader.ts";
import type { LogPosition } from "./messages.ts";
import { walkZxids } from "./txn-batch.ts";
import { type Zxid, zxid } from "./zxid.ts";

/** A batch with its place in the log. `batch` is not copied and must not be changed. */
export interface LogEntry {
  readonly batch: Uint8Array;
  readonly first: Zxid;
  readonly last: Zxid;
  /** txns in the batch, > 0 */
  readonly count: number;
  /** hash chain up to and including the last txn */
  readonly chain: Chain;
}

/**
 * Checks that `batch` continues the log behind `tail` — each counter one more than the last, or 1 in a higher epoch — and
 * chains it.
 * @returns undefined if it does not continue the log, contains no txn, or is damaged
 */
export function makeEntry(tail: LogPosition, batch: Uint8Array): LogEntry | undefined {
  try {
    return entryOf(tail, batch);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function entryOf(tail: LogPosition, batch: Uint8Array): LogEntry | undefined {
  let { epoch, counter }: { epoch: number; counter: number } = tail.zxid;
  let first: Zxid | undefined;
  let count = 0;
  let follows = true;
  walkZxids(batch, (nextEpoch, nextCounter) => {
    follows = nextEpoch === epoch ? nextCounter === counter + 1 : nextEpoch > epoch && nextCounter === 1;
    epoch = nextEpoch;
    counter = nextCounter;
    first ??= zxid(epoch, counter);
    count += 1;
    return follows;
  });
  if (!follows || first === undefined) return undefined;
  return { batch, first, last: zxid(epoch, counter), count, chain: chainBatch(tail.chain, batch) };
}
