/** A batch of packed txns as an entry of the log. */
import { type Chain, chainHash, newLanes } from "../hash/chain.ts";
import { TxnCursor } from "../wire/txn-codec.ts";
import type { LogEntry } from "./context.ts";
import type { LogPosition } from "./messages.ts";
import { type Zxid, zxid } from "./zxid.ts";

/**
 * Checks that `batch` continues the log behind `tail` — each counter one more than the last, or 1 in a higher epoch — and
 * chains it.
 * @returns undefined when it does not, or holds no txn
 */
export function makeEntry(tail: LogPosition, batch: Uint8Array): LogEntry | undefined {
  const cursor = new TxnCursor(batch);
  const lanes = lanesOf(tail.chain);
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
    extend(lanes, batch, cursor);
  }
  if (first === undefined) return undefined;
  return { batch, first, last: zxid(epoch, counter), count, chain: chainOf(lanes) };
}

/** The chain after the txns of `[0, end)` of a batch that begins after `before`. `end` is the end of a txn. */
export function chainUpTo(before: Chain, batch: Uint8Array, end: number): Chain {
  const cursor = new TxnCursor(batch);
  const lanes = lanesOf(before);
  while (cursor.next() && cursor.end <= end) extend(lanes, batch, cursor);
  return chainOf(lanes);
}

function lanesOf(chain: Chain): Int32Array {
  const lanes = newLanes();
  lanes[0] = chain.high;
  lanes[1] = chain.low;
  return lanes;
}

const chainOf = (lanes: Int32Array): Chain => ({ high: (lanes[0] ?? 0) >>> 0, low: (lanes[1] ?? 0) >>> 0 });

function extend(lanes: Int32Array, batch: Uint8Array, record: TxnCursor): void {
  chainHash(lanes[0] ?? 0, lanes[1] ?? 0, batch, record.start, record.end, lanes);
}
