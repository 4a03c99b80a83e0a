/** A slow founding: members start one after the other, and one may crash during it. */
import type { ClientWorld } from "./clients/client-world.ts";
import type { Member } from "./member/member.ts";
import { Chance } from "./random.ts";

/** Starts the members of a run that founds its ensemble one by one. Invariant: a member is started here at most once. */
export class Founding {
  readonly #world: ClientWorld;
  readonly #chance: Chance;
  readonly #onWithout: () => void;
  #isOver = false;

  /** @param onWithout called if a member misses the first writes */
  constructor(world: ClientWorld, seed: number, onWithout: () => void) {
    this.#world = world;
    this.#chance = new Chance(seed * 1_693 + 41);
    this.#onWithout = onWithout;
  }

  /** Ends the founding, when everything heals: no member is left out any more. */
  end(): void {
    this.#isOver = true;
  }

  /** Starts the members, and makes them reachable, one after the other; then writes the parents of all other znodes. */
  begin(): void {
    const { cluster } = this.#world;
    const chance = this.#chance;
    const members = chance.shuffled(cluster.members);
    const withinMs = chance.oneOf([100, 3_000, 15_000]);
    for (const member of members) {
      const { sid } = member;
      cluster.after(chance.between(0, withinMs), () => {
        if (member.lives > 0 || member.life !== null) return;
        cluster.start(sid);
        for (const { sid: other } of cluster.members) {
          if (other === sid || !chance.oneIn(3)) continue;
          cluster.clog(sid, other, chance.between(1, withinMs));
          cluster.clog(other, sid, chance.between(1, withinMs));
        }
      });
    }
    const late = members[0];
    if (late !== undefined && members.length > 1 && chance.oneIn(2)) this.#leaveUntilWrites(late);
    this.#setUp();
  }

  /** Takes a member down as soon as others count it as new, until the first writes are committed. */
  #leaveUntilWrites(late: Member): void {
    const { cluster } = this.#world;
    const chance = this.#chance;
    const { invariants } = cluster;
    const keep = chance.oneOf([0, 100]);
    const comeBack = (): void => {
      if (late.life !== null) return;
      if (invariants.history.length >= 10) cluster.start(late.sid);
      else cluster.after(20, comeBack);
    };
    const leave = (): void => {
      if (this.#isOver) return;
      const isFounded = cluster.members.some(
        ({ sid, life }) => sid !== late.sid && life?.storage.meta.initialized,
      );
      if (!isFounded) cluster.after(2, leave);
      else if (late.life !== null && late.twin === null && invariants.history.length === 0) {
        this.#onWithout();
        cluster.crash(late.sid, keep);
        comeBack();
      }
    };
    leave();
  }

  /** Repeats the first writes until they succeed, which they cannot before the founding. */
  #setUp(): void {
    const { cluster } = this.#world;
    const chance = this.#chance;
    const { root, setup } = this.#world.workload;
    const isThere = (): boolean => cluster.alive.some(({ tree }) => tree.get(root) !== undefined);
    let asked = 0;
    const ask = (): void => {
      if (isThere()) return;
      const sid = chance.between(1, cluster.members.length);
      asked += 1;
      // Each attempt has its own data, which identify it in the log.
      for (const request of setup)
        this.#world.writeAnonymously(
          sid,
          request.type === "create" ? { ...request, data: `${asked}` } : request,
        );
      cluster.after(cluster.config.requestTimeoutMs, ask);
    };
    ask();
  }
}
