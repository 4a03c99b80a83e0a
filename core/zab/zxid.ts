/**
 * The transaction id: (epoch, counter). It is two numbers in memory, two integer columns in SQLite (whose integers are
 * returned as doubles), eight bytes on the wire, and `0x…` text in JSON and logs. This file is the only converter.
 *
 * @source ZooKeeper internals, "Guarantees, properties and definitions"
 */

declare const epochBrand: unique symbol;
/** An epoch of Zab: 0 ≤ epoch < 2^31. 0 is the epoch before any leader. */
export type Epoch = number & { readonly [epochBrand]: true };

/** A transaction id. `counter` starts at 1 in every epoch; (0,0) precedes every transaction. */
export interface Zxid {
  readonly epoch: Epoch;
  /** 0 ≤ counter < 2^32 */
  readonly counter: number;
}

/** Brands a number as an epoch. */
export const asEpoch = (value: number): Epoch => value as Epoch;

/** Makes a zxid of two numbers. */
export const zxid = (epoch: number, counter: number): Zxid => ({ epoch: epoch as Epoch, counter });

/** The zxid before every transaction. */
export const ZXID_ZERO: Zxid = zxid(0, 0);

/** The largest counter of an epoch; a leader that reaches it steps down for a new epoch. */
export const COUNTER_MAX = 0xffff_ffff;

/** Negative, 0 or positive as a is before, equal to or after b. */
export function compareZxid(a: Zxid, b: Zxid): number {
  return a.epoch - b.epoch || a.counter - b.counter;
}

/** Whether both name the same transaction. */
export function equalZxid(a: Zxid, b: Zxid): boolean {
  return a.epoch === b.epoch && a.counter === b.counter;
}

/** The later of both. */
export function maxZxid(a: Zxid, b: Zxid): Zxid {
  return compareZxid(a, b) >= 0 ? a : b;
}

/** The earlier of both. */
export function minZxid(a: Zxid, b: Zxid): Zxid {
  return compareZxid(a, b) <= 0 ? a : b;
}

/** Text for people, JSON and logs: `0x` and the 64-bit number without leading zeros, as ZooKeeper prints it. */
export function zxidToText(value: Zxid): string {
  if (value.epoch === 0) return `0x${value.counter.toString(16)}`;
  return `0x${value.epoch.toString(16)}${value.counter.toString(16).padStart(8, "0")}`;
}

/** Parses the output of {@link zxidToText}; undefined if it is no zxid. */
export function zxidFromText(text: string): Zxid | undefined {
  if (!/^0x[0-9a-f]{1,16}$/i.test(text)) return undefined;
  const digits = text.slice(2).padStart(16, "0");
  const epoch = Number.parseInt(digits.slice(0, 8), 16);
  return epoch >= 0x8000_0000 ? undefined : zxid(epoch, Number.parseInt(digits.slice(8), 16));
}
