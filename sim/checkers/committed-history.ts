/** The history that the ensemble has committed: the txns that some member has applied, from the first one on. */
import { must } from "../../core/assert.ts";
import type { Chain } from "../../core/hash/chain.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { LifeView } from "./view.ts";

/** One committed txn. */
export interface Committed {
  /** the batch with its record, and the offset of the record */
  readonly batch: Uint8Array;
  readonly start: number;
  readonly zxid: Zxid;
  readonly chain: Chain;
  readonly session: SessionId;
  readonly xid: number;
}

/** A zxid as a number, as key of a map. */
export const keyOf = (zxid: Zxid): number => zxid.epoch * 2 ** 32 + zxid.counter;

/** A zxid as text. */
export const text = (zxid: Zxid): string => `${zxid.epoch}.${zxid.counter}`;

/** Invariant: `entries` ascend by zxid, and are only appended to. */
export class CommittedHistory {
  readonly entries: Committed[] = [];
  /** *map zxid → index in the entries* */
  readonly #index = new Map<number, number>();

  /** The last committed zxid. */
  get end(): Zxid {
    return this.entries.at(-1)?.zxid ?? ZXID_ZERO;
  }

  append(entry: Committed): void {
    this.#index.set(keyOf(entry.zxid), this.entries.length);
    this.entries.push(entry);
  }

  /** The committed txn of this zxid; undefined if there is none. */
  at(zxid: Zxid): Committed | undefined {
    return this.entries[this.#index.get(keyOf(zxid)) ?? -1];
  }

  /** Whether the zxid is that of a committed txn, or the one before all. */
  knows(zxid: Zxid): boolean {
    return compareZxid(zxid, ZXID_ZERO) === 0 || this.#index.has(keyOf(zxid));
  }

  /** Number of committed txns at or before `zxid`. */
  countUpTo(zxid: Zxid): number {
    const exact = this.#index.get(keyOf(zxid));
    if (exact !== undefined) return exact + 1;
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareZxid(must(this.entries[middle], "inside").zxid, zxid) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Number of committed txns that a member has, in its tree and log. */
  heldBy(life: LifeView): number {
    const { log } = life.storage;
    const end = this.entries.at(-1);
    if (end === undefined) return 0;
    const position = log.positionAt(end.zxid);
    if (position === undefined) return this.entries.length;
    const count = this.countUpTo(position.zxid);
    const known = this.entries[count - 1];
    if (known === undefined) return 0;
    const same = known.chain.high === position.chain.high && known.chain.low === position.chain.low;
    return same && compareZxid(known.zxid, position.zxid) === 0 ? count : this.#commonWith(life, count);
  }

  /** Number of txns that the log, which ends in uncommitted txns, has in common with this history. */
  #commonWith(life: LifeView, upTo: number): number {
    for (let count = upTo; count > 0; count--) {
      const known = must(this.entries[count - 1], "inside");
      const position = life.storage.log.positionAt(known.zxid);
      if (position === undefined) return count;
      if (
        compareZxid(position.zxid, known.zxid) === 0 &&
        position.chain.high === known.chain.high &&
        position.chain.low === known.chain.low
      ) {
        return count;
      }
    }
    return 0;
  }
}
