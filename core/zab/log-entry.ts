/** A batch of packed txns as an entry of the log. */
import { chainBatch } from "../hash/chain.ts";
import { WireError } from "../wire/reader.ts";
import { TxnCursor } from "../wire/txn-codec.ts";
import type { LogEntry } from "./context.ts";
import type { LogPosition } from "./messages.ts";
import { type Zxid, zxid } from "./zxid.ts";

/**
 * Checks that `batch` continues the log behind `tail` — each counter one more than the last, or 1 in a higher epoch — and
 * chains it.
 * @returns undefined when it does not, holds no txn, or is damaged
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
  const cursor = new TxnCursor(batch);
  let epoch: number = tail.zxid.epoch;
  let counter = tail.zxid.counter;
  let first: Zxid | undefined;
  let count = 0;
  while (cursor.next()) {
    const follows =
      cursor.epoch === epoch ? cursor.counter === counter + 1 : cursor.epoch > epoch && cursor.counter === 1;
    if (!follows) return undefined;
    epoch = cursor.epoch;
    counter = cursor.counter;
    first ??= zxid(epoch, counter);
    count += 1;
  }
  if (first === undefined) return undefined;
  return { batch, first, last: zxid(epoch, counter), count, chain: chainBatch(tail.chain, batch) };
}
