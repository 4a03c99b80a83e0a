/** A founding that takes its time: members start one after the other, and one may be gone while it happens. */
import type { ClientWorld } from "./clients/client-world.ts";
import type { Member } from "./member/member.ts";
import { Chance } from "./random.ts";

/** Starts the members of a run that founds its ensemble one by one. Invariant: a member is started here at most once. */
export class Founding {
  readonly #world: ClientWorld;
  readonly #chance: Chance;
  readonly #onWithout: () => void;
  #isOver = false;

  /** @param onWithout is called when a member has no part in what is written first */
  constructor(world: ClientWorld, seed: number, onWithout: () => void) {
    this.#world = world;
    this.#chance = new Chance(seed * 1_693 + 41);
    this.#onWithout = onWithout;
  }

  /** Everything heals: no member is left out any more. */
  end(): void {
    this.#isOver = true;
  }

  /** Members come into being, and can be reached, one after the other; then somebody writes what all else is written below. */
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

  /** A member is gone as soon as others count it as new, and has no part in what is written then. */
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

  /** Asks until it is there: before the ensemble is founded nobody can write. */
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
      // Each attempt has data of its own, by which it is known in the log.
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
