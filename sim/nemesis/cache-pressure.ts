/** Memory that is short: clean znodes leave it at any moment between two turns. Nobody must notice. */
import type { ZnodeTree } from "../../core/znode/tree.ts";
import { Chance } from "../random.ts";

/**
 * Takes znodes and lists out of the memory of members. Invariant: it uses a chance of its own, so that a run is the same with it
 * and without it as long as nobody notices.
 */
export class CachePressure {
  readonly #chance: Chance;
  readonly #share: number;
  /** znodes that have left */
  evicted = 0;

  /** @param share of the turns after which something leaves, 0 to 1 */
  constructor(seed: number, share: number) {
    this.#chance = new Chance(seed * 6_899 + 31);
    this.#share = share;
  }

  /** A turn of a member has ended. */
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
