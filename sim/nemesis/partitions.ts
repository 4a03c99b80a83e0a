/** Cuts and stalls of links that hit several members at once. */
import type { Cluster } from "../cluster.ts";
import type { Chance } from "../random.ts";
import type { FaultKind, SwarmOptions } from "../swarm.ts";
import type { FaultWindow } from "./fault-window.ts";

/** Invariant: every cut is healed after its duration. */
export class Partitions {
  readonly #cluster: Cluster;
  readonly #options: SwarmOptions;
  readonly #chance: Chance;
  readonly #window: FaultWindow;

  constructor(cluster: Cluster, options: SwarmOptions, chance: Chance, window: FaultWindow) {
    this.#cluster = cluster;
    this.#options = options;
    this.#chance = chance;
    this.#window = window;
  }

  /** Cuts links for `duration`. @param sid the member of a cut that affects one member @returns false if there are no links */
  cut(kind: FaultKind, sid: number, duration: number): boolean {
    const cluster = this.#cluster;
    const { size } = this.#options;
    if (size === 1) return false;
    const sids = Array.from({ length: size }, (_, i) => i + 1);
    if (kind === "isolate") cluster.isolate(sid);
    else if (kind === "one-way") {
      for (const other of sids) if (other !== sid && this.#chance.oneIn(2)) cluster.cut(sid, other);
    } else if (kind === "partition") {
      const left = new Set(this.#chance.shuffled(sids).slice(0, this.#chance.between(1, size - 1)));
      for (const a of sids) for (const b of sids) if (left.has(a) !== left.has(b)) cluster.cut(a, b);
    } else {
      // Every member sees a majority, and no two see the same one.
      const reach = Math.floor(size / 2);
      const ring = this.#chance.shuffled(sids);
      for (const [i, a] of ring.entries()) {
        for (const [j, b] of ring.entries()) {
          const distance = Math.min((i - j + size) % size, (j - i + size) % size);
          if (distance > Math.ceil(reach / 2)) cluster.cut(a, b);
        }
      }
    }
    this.#window.after(duration, () => cluster.healCuts());
    return true;
  }

  /** Stalls links one by one, and frees them in another order. */
  swizzle(): boolean {
    const cluster = this.#cluster;
    const { size } = this.#options;
    if (size === 1) return false;
    const members = this.#chance.shuffled(cluster.members).slice(0, this.#chance.between(1, size));
    for (const { sid } of members) {
      this.#window.after(this.#chance.between(0, 3_000), () => {
        const ms = this.#chance.between(500, 8_000);
        for (const { sid: other } of cluster.members) {
          if (other === sid) continue;
          cluster.clog(sid, other, ms);
          cluster.clog(other, sid, ms);
        }
      });
    }
    return true;
  }
}
