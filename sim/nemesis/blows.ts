/** Faults of a message, or of the members at its ends, at the moment of its delivery. */
import type { Cluster } from "../cluster.ts";
import type { Chance } from "../random.ts";
import type { FaultWindow } from "./fault-window.ts";
import type { MemoryLoss } from "./memory-loss.ts";

/**
 * What happens, and at which end. `lose` and `isolate` lose the message, the others let it arrive. `part` is a short isolation
 * that the other end notices; `break` ends the channel of one end's calls.
 */
export type Blow =
  | "lose"
  | "clog"
  | "break-from"
  | "break-to"
  | "crash-from"
  | "crash-to"
  | "evict-from"
  | "evict-to"
  | "pause-from"
  | "pause-to"
  | "isolate-from"
  | "isolate-to"
  | "part-from"
  | "part-to"
  | "slow-from"
  | "slow-to"
  | "wipe-from"
  | "wipe-to";

/** Carries these faults out. Invariant: each heals after some time, or with all others. */
export class Blows {
  readonly #cluster: Cluster;
  readonly #chance: Chance;
  readonly #window: FaultWindow;
  readonly #memory: MemoryLoss;

  constructor(cluster: Cluster, chance: Chance, window: FaultWindow, memory: MemoryLoss) {
    this.#cluster = cluster;
    this.#chance = chance;
    this.#window = window;
    this.#memory = memory;
  }

  /** @returns whether the message is lost */
  strike(blow: Blow, from: number, to: number): boolean {
    const cluster = this.#cluster;
    const chance = this.#chance;
    const [what, who] = blow.split("-");
    const sid = who === "from" ? from : to;
    const { life, twin } = cluster.member(sid);
    switch (what) {
      case "lose":
        return true;
      case "clog":
        cluster.clog(from, to, chance.between(50, 3_000));
        return false;
      case "isolate":
        cluster.isolate(sid);
        this.#window.after(chance.between(100, 6_000), () => cluster.healCuts());
        return true;
      case "part":
        // The other end notices at once, and gives the member up: without it the log may be cut.
        cluster.calls.break(sid === from ? to : from, sid);
        cluster.isolate(sid);
        this.#window.after(chance.between(20, 2 * cluster.config.tickTimeMs), () => cluster.healCuts());
        return false;
      case "break":
        this.#window.after(chance.oneOf([0, 5, 50]), () =>
          cluster.calls.break(sid, sid === from ? to : from),
        );
        return false;
      case "slow":
        cluster.slow(sid, chance.oneOf([5, 50, 500]));
        this.#window.after(chance.between(100, 5_000), () => cluster.slow(sid, 0));
        return false;
      case "wipe":
        this.#memory.lose(sid, () => cluster.disks.wipe(sid));
        return false;
      default:
        break;
    }
    if (life === null || twin !== null) return false;
    if (what === "pause") {
      if (life.isPaused) return false;
      cluster.pause(sid);
      this.#window.after(chance.oneOf([100, 1_000, 5_000]), () => {
        if (life.alive && life.isPaused) cluster.resume(sid);
      });
      return false;
    }
    const evicted = what === "evict";
    cluster.crash(sid, evicted ? 1_000 : chance.oneOf([0, 0, 1, 100]));
    if (evicted) this.#memory.start(sid);
    else this.#memory.restartLater(sid);
    return false;
  }
}
