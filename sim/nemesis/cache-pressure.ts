/** Short memory: clean znodes may be evicted between any two turns, without an observable effect. */
import type { ZnodeTree } from "../../core/znode/tree.ts";
import { Chance } from "../random.ts";

/**
 * Evicts znodes and lists of members. Invariant: it has a random source of its own, so that a run is the same with it and
 * without it unless evictions have an effect.
 */
export class CachePressure {
  readonly #chance: Chance;
  readonly #share: number;
  /** number of evicted znodes */
  evicted = 0;

  /** @param share of the turns after which znodes are evicted, 0 to 1 */
  constructor(seed: number, share: number) {
    this.#chance = new Chance(seed * 6_899 + 31);
    this.#share = share;
  }

  /** May evict znodes after a turn of a member. */
  squeeze(tree: ZnodeTree): void {
    const chance = this.#chance;
    if (!chance.chance(this.#share)) return;
    const all = chance.oneIn(2);
    tree.evict(({ dirty }) => {
      if (!all && chance.oneIn(2)) return false;
      if (!dirty) this.evicted += 1;
      return true;
    });
  }
}
