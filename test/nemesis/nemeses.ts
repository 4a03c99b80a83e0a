/**
 * The nemeses: each breaks five real members in its own way until its time is over. Whoever started it heals what is left.
 *
 * A member that lost storage counts as failed until it serves again, and none but a minority fails meanwhile: what a
 * majority acknowledged must be held by somebody who may vote.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { Chance } from "../../sim/random.ts";
import type { Calm } from "./client.ts";
import type { RealEnsemble } from "./ensemble.ts";

/** Longer than any nemesis waits: what it forgets ends by itself. */
const TTL_MS = 60_000;
/** More than two ticks: silence that is noticed. */
const NOTICED_MS = 2_600;
/** How long a member without storage may take to serve again. */
const SYNCED_MS_MAX = 15_000;

export class Attack {
  readonly ensemble: RealEnsemble;
  readonly chance: Chance;
  /** ms of performance.now() */
  readonly #end: number;
  readonly faults: string[];
  readonly calm: Calm;

  constructor(ensemble: RealEnsemble, chance: Chance, seconds: number, faults: string[], calm: Calm) {
    this.ensemble = ensemble;
    this.chance = chance;
    this.#end = performance.now() + seconds * 1_000;
    this.faults = faults;
    this.calm = calm;
  }

  get mayContinue(): boolean {
    return performance.now() < this.#end;
  }

  /** Waits so long, or until the end. */
  async rest(leastMs: number, mostMs: number = leastMs): Promise<void> {
    const left = this.#end - performance.now();
    await wait(Math.max(0, Math.min(left, this.chance.between(leastMs, mostMs))));
  }

  get anybody(): number {
    return this.chance.oneOf(this.ensemble.sids);
  }

  /** As many as may fail at the same time. */
  get minority(): readonly number[] {
    const { sids } = this.ensemble;
    return this.chance.shuffled(sids).slice(0, Math.floor((sids.length - 1) / 2));
  }

  /** Anybody, when nobody leads. */
  async leader(): Promise<number> {
    return (await this.ensemble.leader()) ?? this.anybody;
  }

  async follower(): Promise<number> {
    const leader = await this.leader();
    return this.chance.oneOf(this.ensemble.sids.filter((sid) => sid !== leader));
  }

  others(sid: number): readonly number[] {
    return this.ensemble.sids.filter((each) => each !== sid);
  }
}

export type Nemesis = (attack: Attack) => Promise<void>;

async function whileItLasts(attack: Attack, round: () => Promise<void>): Promise<void> {
  while (attack.mayContinue) await round();
}

/** Inflicts a fault, leaves it for a while, and ends it. */
async function forAWhile(
  attack: Attack,
  sid: number,
  fault: string,
  body: object,
  ms: readonly [number, number],
): Promise<void> {
  await attack.ensemble.fault(sid, fault, { ...body, ttlMs: TTL_MS });
  await attack.rest(...ms);
  await attack.ensemble.heal(sid, fault);
}

/** Takes the storage of a few members away while all others are well, and waits until they have everything again. */
async function loseStorage(
  attack: Attack,
  victims: readonly number[],
  lose: (sid: number) => Promise<boolean>,
): Promise<void> {
  const { ensemble } = attack;
  await ensemble.heal();
  if (!(await ensemble.whole(SYNCED_MS_MAX))) {
    attack.faults.push(`[nemesis] not whole ${SYNCED_MS_MAX} ms after everything was healed`);
    return;
  }
  for (const sid of victims) await lose(sid);
  if (await ensemble.whole(SYNCED_MS_MAX)) return;
  const who = victims.join(" and ");
  attack.faults.push(`[nemesis] ${who} lost storage, and not everybody serves ${SYNCED_MS_MAX} ms later`);
}

const wipeFew = (attack: Attack, victims: readonly number[]): Promise<void> =>
  loseStorage(attack, victims, (sid) => attack.ensemble.fault(sid, "wipe"));

/** Inverts a byte of a log row: a member that finds it cannot vouch for what came behind it. */
const corruptFew = (attack: Attack, victims: readonly number[]): Promise<void> =>
  loseStorage(attack, victims, (sid) =>
    attack.ensemble.fault(sid, "corrupt", { row: attack.chance.oneOf(["oldest", "newest"]), ttlMs: TTL_MS }),
  );

async function killFew(attack: Attack, victims: readonly number[]): Promise<void> {
  for (const sid of victims) await attack.ensemble.fault(sid, "kill", { ttlMs: TTL_MS });
  await attack.rest(300, 1_500);
  for (const sid of victims) await attack.ensemble.heal(sid, "kill");
}

async function splitInTwo(attack: Attack): Promise<void> {
  const { ensemble, chance } = attack;
  const leader = await attack.leader();
  const few = chance.oneIn(3)
    ? attack.minority
    : [
        leader,
        ...chance.shuffled(attack.others(leader)).slice(0, Math.floor((ensemble.sids.length - 3) / 2)),
      ];
  await ensemble.partition([few], TTL_MS);
  await attack.rest(NOTICED_MS, 3_200);
  await ensemble.heal("all", "isolate");
}

/** Messages of all members get lost, late, double, or their returns fail. */
async function noise(attack: Attack, ttlMs: number): Promise<void> {
  const { ensemble, chance } = attack;
  switch (chance.below(4)) {
    case 0:
      await ensemble.fault("all", "drop", { probability: chance.oneOf([0.005, 0.02]), ttlMs });
      break;
    case 1:
      await ensemble.fault("all", "delay", { delayMs: chance.below(20), jitterMs: chance.below(40), ttlMs });
      break;
    case 2:
      await ensemble.fault("all", "duplicate", { probability: 0.5, ttlMs });
      break;
    default:
      await ensemble.fault("all", "lose-return", { probability: 0.02, ttlMs });
  }
}

const skew = ({ ensemble, chance, anybody }: Attack, ttlMs: number): Promise<boolean> =>
  ensemble.fault(anybody, "skew", { skewMs: chance.between(-600_000, 600_000), ttlMs });

const slowStorage = ({ ensemble, chance, anybody }: Attack, ttlMs: number): Promise<boolean> =>
  ensemble.fault(anybody, "slow-storage", { delayMs: chance.between(5, 200), ttlMs });

/** How long an ensemble that nobody asks anything may take to fall asleep: sessions may have to expire before. */
const ASLEEP_MS_MAX = 20_000;

/** Nobody asks anything until all sleep. Then clients wake them, also members that lost their memory, or died, in their sleep. */
async function sleepAndWake(attack: Attack): Promise<void> {
  const { ensemble, chance, calm } = attack;
  calm.isOn = true;
  const isAsleep = await ensemble.asleep(ASLEEP_MS_MAX);
  if (!isAsleep)
    attack.faults.push(`[nemesis] not asleep after ${ASLEEP_MS_MAX} ms in which nobody asked anything`);
  else {
    await attack.rest(100, 2_500);
    if (chance.oneIn(3)) await ensemble.fault("all", chance.oneOf(["evict", "crash"]));
    else if (chance.oneIn(2)) for (const sid of attack.minority) await ensemble.fault(sid, "evict");
  }
  calm.isOn = false;
  await attack.rest(50, 600);
  if (chance.oneIn(2)) await ensemble.fault(await attack.leader(), "crash");
  await attack.rest(500, 1_500);
}

/** Ticks that let an ensemble fall asleep between two faults. */
export const SLEEPY = { TICK_TIME_MS: "200", QUIET_AFTER_MS: "800" } as const;

/** *map name → what it does* */
export const NEMESES: Readonly<Record<string, Nemesis>> = {
  crash: (attack) =>
    whileItLasts(attack, async () => {
      await attack.ensemble.fault(attack.anybody, "crash");
      await attack.rest(100, 900);
    }),

  "leader-crash": (attack) =>
    whileItLasts(attack, async () => {
      await attack.ensemble.fault(await attack.leader(), "crash");
      await attack.rest(200, 1_000);
    }),

  evict: (attack) =>
    whileItLasts(attack, async () => {
      await attack.ensemble.fault(attack.anybody, "evict");
      await attack.rest(100, 900);
    }),

  "all-crash": (attack) =>
    whileItLasts(attack, async () => {
      await attack.ensemble.fault("all", "crash");
      await attack.rest(300, 1_500);
    }),

  pause: (attack) =>
    whileItLasts(attack, async () => {
      await forAWhile(attack, await attack.leader(), "pause", {}, [NOTICED_MS, 3_000]);
      await attack.rest(300);
      await forAWhile(attack, await attack.follower(), "pause", {}, [200, 2_600]);
      await attack.rest(300);
    }),

  isolate: (attack) =>
    whileItLasts(attack, async () => {
      await forAWhile(attack, await attack.leader(), "isolate", {}, [NOTICED_MS, 3_000]);
      await attack.rest(200, 600);
      await forAWhile(attack, attack.anybody, "isolate", {}, [200, 2_600]);
      await attack.rest(200, 600);
    }),

  "one-way": (attack) =>
    whileItLasts(attack, async () => {
      const { chance } = attack;
      const leader = await attack.leader();
      const direction = chance.oneOf(["in", "out"]);
      const peers = chance.oneIn(2) ? {} : { peers: chance.shuffled(attack.others(leader)).slice(0, 2) };
      await forAWhile(attack, leader, "isolate", { direction, ...peers }, [NOTICED_MS, 3_000]);
      await attack.rest(200, 600);
    }),

  partition: (attack) =>
    whileItLasts(attack, async () => {
      await splitInTwo(attack);
      await attack.rest(200, 600);
    }),

  ring: (attack) =>
    whileItLasts(attack, async () => {
      await attack.ensemble.ring(TTL_MS);
      await attack.rest(NOTICED_MS, 3_200);
      await attack.ensemble.heal("all", "isolate");
      await attack.rest(200, 600);
    }),

  links: (attack) =>
    whileItLasts(attack, async () => {
      await noise(attack, 2_000);
      await attack.rest(300, 900);
    }),

  kill: (attack) =>
    whileItLasts(attack, async () => {
      await killFew(attack, attack.minority);
      await attack.rest(100, 500);
    }),

  wipe: (attack) =>
    whileItLasts(attack, async () => {
      await wipeFew(attack, attack.chance.oneIn(2) ? attack.minority : [await attack.follower()]);
      await attack.rest(100, 500);
    }),

  corrupt: (attack) =>
    whileItLasts(attack, async () => {
      await corruptFew(attack, attack.minority);
      await attack.rest(100, 500);
    }),

  skew: (attack) =>
    whileItLasts(attack, async () => {
      await skew(attack, 3_000);
      await attack.rest(200, 800);
    }),

  "slow-storage": (attack) =>
    whileItLasts(attack, async () => {
      await slowStorage(attack, 2_500);
      await attack.rest(200, 800);
    }),

  sleep: (attack) => whileItLasts(attack, () => sleepAndWake(attack)),

  everything: (attack) => {
    const { ensemble, chance } = attack;
    /** when the killed ones are back, ms of performance.now() */
    let downUntil = 0;
    const down = (ms: number): boolean => {
      if (performance.now() < downUntil) return false;
      downUntil = performance.now() + ms;
      return true;
    };
    const step = async (): Promise<unknown> => {
      const ttlMs = chance.between(300, 3_500);
      switch (chance.below(16)) {
        case 0:
        case 1:
          return ensemble.fault(attack.anybody, "crash");
        case 2:
          return ensemble.fault(await attack.leader(), "crash");
        case 3:
          return ensemble.fault("all", "crash");
        case 4:
          return ensemble.fault(attack.anybody, "evict");
        case 5:
          return ensemble.fault(chance.oneIn(2) ? await attack.leader() : attack.anybody, "pause", { ttlMs });
        case 6:
          return ensemble.fault(await attack.leader(), "isolate", { ttlMs });
        case 7:
          return ensemble.fault(attack.anybody, "isolate", { direction: chance.oneOf(["in", "out"]), ttlMs });
        case 8:
          return ensemble.partition([attack.minority], ttlMs);
        case 9:
          return ensemble.ring(ttlMs);
        case 10:
          if (!down(ttlMs)) return;
          return Promise.all(attack.minority.map((sid) => ensemble.fault(sid, "kill", { ttlMs })));
        case 11:
          return corruptFew(attack, attack.minority);
        case 12:
          return wipeFew(attack, attack.minority);
        case 13:
          return skew(attack, ttlMs);
        case 14:
          return slowStorage(attack, ttlMs);
        default:
          return noise(attack, ttlMs);
      }
    };
    return whileItLasts(attack, async () => {
      await step();
      await attack.rest(50, 700);
    });
  },
};
