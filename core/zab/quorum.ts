/** Who votes, and how many of them are enough. */
import { assert } from "../assert.ts";

declare const sidBrand: unique symbol;
/** Server id of a member: 1 ≤ sid ≤ 9 */
export type Sid = number & { readonly [sidBrand]: true };

export const asSid = (value: number): Sid => value as Sid;

/** Ensemble sizes that may be founded: odd, since an even one tolerates no more failures than one less. */
export const ENSEMBLE_SIZES: readonly number[] = [1, 3, 5, 7, 9];

/** Majority of a fixed set of voters. @source ZooKeeper QuorumMaj */
export class MajorityQuorum {
  /** sids 1 … size, ascending */
  readonly voters: readonly Sid[];
  /** the least number of voters that is a majority */
  readonly majority: number;

  constructor(size: number) {
    assert(ENSEMBLE_SIZES.includes(size), `an ensemble has 1, 3, 5, 7 or 9 members, not ${size}`);
    this.voters = Array.from({ length: size }, (_, i) => asSid(i + 1));
    this.majority = Math.floor(size / 2) + 1;
  }

  /** Do these voters make a quorum? Each counts once. */
  contains(sids: Iterable<Sid>): boolean {
    return new Set(sids).size >= this.majority;
  }
}
