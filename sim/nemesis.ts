/**
 * What goes wrong in a run: faults come one after the other, several at a time, each heals after a while. A member that lost
 * its storage, or found it damaged, counts as failed until it has synchronised; there is never more than a minority of those.
 */

import type { PeerMessage } from "../core/server/messages.ts";
import type { Cluster } from "./cluster.ts";
import type { DamageKind } from "./disk.ts";
import { type Faults, NO_FAULTS } from "./faults.ts";
import type { CrashOrder } from "./life.ts";
import type { MemoryBackend } from "./memory-backend.ts";
import { Chance } from "./random.ts";
import type { FaultKind, SwarmOptions } from "./swarm.ts";
import { damageTree, TREE_DAMAGE_KINDS, type TreeDamageKind } from "./tree-damage.ts";

/** How long a member on an older disk waits before it looks again whether it may start. */
const ROLLED_BACK_WAIT_MS = 100;

/** Messages at which something may happen to who sends them or takes them: a run has few of most of them. */
const MOMENTS: readonly PeerMessage["type"][] = [
  "NOTIFICATION",
  "FOLLOWERINFO",
  "LEADERINFO",
  "LEADERINFO",
  "ACKEPOCH",
  "ACKEPOCH",
  "DIFF",
  "TRUNC",
  "POSITION",
  "SNAP",
  "SNAPCHUNK",
  "SNAPCHUNK",
  "STAGED",
  "NEWLEADER",
  "ACK",
  "UPTODATE",
  "PROPOSAL",
  "COMMIT",
  "REQUEST",
  "REQUEST",
  "REJECT",
  "TOUCH",
  "QUIET",
  "QUIETED",
  "SLEEP",
  "SLEPT",
];

/** What happens there. */
const BLOWS = [
  "lose",
  "lose",
  "lose",
  "crash-from",
  "crash-to",
  "evict-from",
  "evict-to",
  "pause-from",
  "pause-to",
  "clog",
  "isolate-from",
  "isolate-to",
  "wipe-from",
  "wipe-to",
] as const;

/** An appointment with a message. */
interface Moment {
  readonly type: PeerMessage["type"];
  readonly blow: (typeof BLOWS)[number] | "part-from";
  left: number;
}

/** Appointments at once, at most. */
const MOMENTS_MAX = 4;

export class Nemesis {
  readonly #cluster: Cluster;
  readonly #options: SwarmOptions;
  readonly #chance: Chance;
  readonly #count: (kind: FaultKind) => void;
  /** members without their memory of before: sid → the life in which they have to come back */
  readonly #forgetful = new Set<number>();
  /** members on an older copy of their disk: sid → the last epoch that they promised before, and may have forgotten */
  readonly #behind = new Map<number, number>();
  readonly #moments: Moment[] = [];
  /** older copies of disks */
  readonly #copies = new Map<number, MemoryBackend>();
  #over = false;
  /** until when nothing goes wrong */
  #restsUntil = 0;

  constructor(cluster: Cluster, options: SwarmOptions, chance: Chance, count: (kind: FaultKind) => void) {
    this.#cluster = cluster;
    this.#options = options;
    this.#chance = chance;
    this.#count = count;
    cluster.onStop = (sid) => this.#restartLater(sid);
  }

  /** Faults begin, and go on for as long as the options say. */
  begin(): void {
    const { kinds } = this.#options;
    if (TREE_DAMAGE_KINDS.some((kind) => kinds.includes(kind)))
      this.#cluster.invariants.digests.expectDamage();
    this.#next();
  }

  /** Everything is as it should be from now on: nothing is cut, late, paused or down. */
  heal(): void {
    const cluster = this.#cluster;
    this.#over = true;
    cluster.onEffect = null;
    cluster.onDelivery = null;
    Object.assign(cluster.faults, NO_FAULTS);
    cluster.setLatency(this.#options.latencyMs);
    cluster.heal();
    for (const { sid, clock, life, twin } of cluster.members) {
      cluster.disks.free(sid);
      clock.thaw(cluster.now);
      clock.setRate(1, cluster.now);
      if (twin !== null) cluster.endTwin(sid);
      if (life?.isPaused) cluster.resume(sid);
      cluster.clockChanged(sid);
    }
    if (this.#options.kinds.includes("clock-jump")) this.#putBackClocks();
    for (const { sid, life } of cluster.members) if (life === null) this.#start(sid);
  }

  /** Some clocks are right again, by minutes: who believed them would do nothing for as long. */
  #putBackClocks(): void {
    const cluster = this.#cluster;
    const chance = new Chance(this.#options.seed * 2_963 + 13);
    const some = chance.shuffled(cluster.members).slice(0, chance.between(1, this.#options.size));
    for (const { sid } of some) cluster.jumpClock(sid, -chance.between(10_000, 300_000));
  }

  /** Nothing new goes wrong for so long. */
  rest(ms: number): void {
    this.#restsUntil = this.#cluster.now + ms;
  }

  /** Somebody asks again after a calm: now and then whoever leads then dies of it. */
  strikeOnWaking(): void {
    if (this.#over || !this.#options.kinds.includes("crash") || !this.#chance.oneIn(2)) return;
    const { tickTimeMs } = this.#cluster.config;
    this.#after(this.#chance.between(1, 3 * tickTimeMs), () => this.#crashLeader());
  }

  #crashLeader(but = 0): void {
    const { leader } = this.#cluster;
    if (leader === undefined || leader.sid === but) return;
    this.#cluster.crash(leader.sid, this.#chance.oneOf([0, 100]));
    this.#restartLater(leader.sid);
  }

  #next(): void {
    if (this.#over) return;
    this.#cluster.after(this.#chance.between(...this.#options.everyMs), () => {
      if (this.#over) return;
      const rests = this.#cluster.now < this.#restsUntil;
      if (this.#options.kinds.length > 0 && !rests) this.#strike(this.#chance.oneOf(this.#options.kinds));
      this.#next();
    });
  }

  /** Heals later, unless everything is healed before. */
  #after(ms: number, heal: () => void): void {
    this.#cluster.after(ms, () => {
      if (!this.#over) heal();
    });
  }

  #strike(kind: FaultKind): void {
    const line = this.#cluster.onLine;
    line?.(`fault: ${kind}`);
    if (this.#carryOut(kind)) this.#count(kind);
  }

  /** @returns false when there was nothing to harm */
  #carryOut(kind: FaultKind): boolean {
    const cluster = this.#cluster;
    const chance = this.#chance;
    // The leader more often than others.
    const leader = chance.oneIn(4) ? cluster.leader?.sid : undefined;
    const sid = leader ?? chance.between(1, this.#options.size);
    const member = cluster.member(sid);
    const duration = chance.between(500, 12_000);
    switch (kind) {
      case "call-lost":
        return this.#disturb("failCall", chance.oneOf([0.005, 0.03, 0.2]), duration);
      case "return-lost":
        return this.#disturb("loseReturn", chance.oneOf([0.005, 0.03, 0.2]), duration);
      case "duplicate":
        return this.#disturb("duplicate", chance.oneOf([0.01, 0.1, 0.5]), duration);
      case "reorder":
        return this.#disturb("reorder", chance.oneOf([0.002, 0.02, 0.1]), duration);
      case "delay":
        cluster.setLatency([1, chance.oneOf([50, 300, 1_500])]);
        this.#after(duration, () => cluster.setLatency(this.#options.latencyMs));
        return true;
      case "alarm-late":
        return this.#disturb("alarmLateMs", chance.oneOf([100, 3_000, 60_000]), duration);
      case "alarm-lost":
        // Those that are set, as when the runtime starts again without its list of them, or those that will be.
        if (chance.oneIn(2)) cluster.loseAlarms();
        else this.#disturb("loseAlarm", chance.oneOf([0.2, 1]), duration);
        return true;
      case "alarm-overdue":
        return this.#disturb("alarmLateMs", chance.between(60_000, 900_000), duration);
      case "alarm-needless":
        return this.#disturb("spuriousTick", chance.oneOf([0.1, 1]), duration);
      case "slow-member":
        cluster.slow(sid, chance.oneOf([20, 100, 800]));
        this.#after(duration, () => cluster.slow(sid, 0));
        return true;
      case "clog": {
        const to = chance.between(1, this.#options.size);
        if (to === sid) return false;
        cluster.clog(sid, to, chance.between(100, 5_000));
        return true;
      }
      case "swizzle-clog":
        return this.#swizzle();
      case "partition":
      case "one-way":
      case "isolate":
      case "majorities-ring":
        return this.#cut(kind, sid, duration);
      case "crash":
        if (member.life === null) return false;
        cluster.crash(sid, chance.oneOf([0, 0, 100]));
        this.#restartLater(sid);
        return true;
      case "evict":
        // Its memory goes, its storage stays, and it is there again at once.
        if (member.life === null) return false;
        cluster.crash(sid, 1_000);
        this.#start(sid);
        return true;
      case "disk-full":
        // All members may share one disk.
        for (const each of chance.oneIn(4) ? cluster.members.map((one) => one.sid) : [sid]) {
          cluster.disks.fill(each, chance.below(12));
          this.#after(duration, () => cluster.disks.free(each));
        }
        return true;
      case "cut-behind-request":
        return this.#options.size > 1 && this.#cutBehindRequests(8);
      case "torn-batch":
        return this.#crashAt(
          (effect) => effect.type === "persist",
          () => ({ when: "after", keep: 1 }),
        );
      case "crash-at-write":
        return this.#crashAt(
          (effect) => effect.type === "persist",
          () => ({ when: chance.oneOf(["before", "after"] as const), keep: chance.below(3) }),
        );
      case "crash-at-send":
        return this.#crashAt(
          (effect) => effect.type === "send" || effect.type === "reply",
          () => ({ when: chance.oneOf(["before", "after"] as const), keep: chance.below(3) }),
        );
      case "early-proposal":
        // The leader's PROPOSAL has left; its own write never happens.
        return this.#crashAt(
          (effect, leads) =>
            leads &&
            effect.type === "persist" &&
            effect.writes?.some(({ type }) => type === "append") === true,
          () => ({ when: "before", keep: 0 }),
        );
      case "at-message":
        return this.#atMessage();
      case "comeback":
        return this.#comeback();
      case "restart-all":
        for (const each of cluster.members) {
          if (each.life !== null) cluster.crash(each.sid, chance.below(3));
          if (chance.oneIn(3)) this.#restartLater(each.sid);
          else if (each.life === null) this.#start(each.sid);
        }
        return true;
      case "rolling-restart":
        for (const [i, each] of chance.shuffled(cluster.members).entries()) {
          this.#after(i * chance.between(200, 3_000), () => {
            if (each.life === null) return;
            cluster.crash(each.sid, 1_000);
            this.#start(each.sid);
          });
        }
        return true;
      case "pause":
        if (member.life === null || member.life.isPaused) return false;
        cluster.pause(sid);
        this.#after(chance.oneOf([300, 2_000, 10_000, 60_000]), () => {
          if (member.life?.isPaused === true) cluster.resume(sid);
        });
        return true;
      case "wipe":
        return this.#lose(sid, () => cluster.disks.wipe(sid));
      case "rollback":
        return this.#rollBack(sid);
      case "bit-flip":
      case "truncation":
      case "misplaced":
        return this.#damage(sid, kind);
      case "row-changed":
      case "rows-swapped":
      case "session-changed":
      case "memory-differs":
        return this.#damageTree(sid, kind);
      case "clock-jump": {
        // Now and then little more than a member takes for silence.
        const by = chance.oneIn(3) ? chance.between(0, 10_000) : chance.between(-300_000, 300_000);
        cluster.jumpClock(sid, by);
        return true;
      }
      case "clock-freeze": {
        const ms = chance.between(100, 10_000);
        cluster.skewMs += Math.min(ms, 2 * cluster.config.tickTimeMs);
        member.clock.freeze(cluster.now);
        this.#after(ms, () => {
          member.clock.thaw(cluster.now);
          cluster.clockChanged(sid);
        });
        return true;
      }
      case "clock-skew": {
        const rate = chance.oneOf([0.5, 0.9, 1.1, 2]);
        cluster.skewMs += Math.max(0, (rate - 1) * this.#options.chaosMs);
        member.clock.setRate(rate, cluster.now);
        cluster.clockChanged(sid);
        return true;
      }
      case "twin":
        if (member.life === null || member.life.isPaused) return false;
        cluster.replaceByTwin(sid, chance.below(3));
        this.#after(duration, () => cluster.endTwin(sid));
        return true;
    }
  }

  /** Calls or alarms go wrong with some probability, or by some time, for a while. */
  #disturb(what: keyof Faults, howMuch: number, ms: number): boolean {
    const { faults } = this.#cluster;
    const cluster = this.#cluster;
    faults[what] = howMuch;
    this.#after(ms, () => {
      // An alarm that was set late stays late, and a call that was put behind others too.
      cluster.disturbed(what === "alarmLateMs" ? howMuch : 200);
      faults[what] = 0;
    });
    return true;
  }

  #restart(sid: number): void {
    const { life, twin } = this.#cluster.member(sid);
    if (life === null || twin !== null) return;
    this.#cluster.crash(sid, 1_000);
    this.#start(sid);
  }

  #restartLater(sid: number): void {
    this.#after(this.#chance.oneOf([0, 50, 1_000, 5_000, 15_000]), () => {
      if (this.#cluster.member(sid).life === null) this.#start(sid);
    });
  }

  /** A member on an older copy of its disk waits for what docs/divergence.md demands of whoever starts one. */
  #start(sid: number): void {
    const cluster = this.#cluster;
    if (this.#mayStart(sid)) {
      cluster.start(sid);
      return;
    }
    cluster.after(ROLLED_BACK_WAIT_MS, () => {
      if (cluster.member(sid).life === null) this.#start(sid);
    });
  }

  /** A leader of the latest epoch runs, with a quorum of others: those know what this member has forgotten. */
  #mayStart(sid: number): boolean {
    if (this.#forgetting === 0) return true;
    const promised = this.#behind.get(sid);
    if (promised === undefined) return true;
    const cluster = this.#cluster;
    const leading = cluster.leader?.zab;
    const active = leading?.proposing?.activeSet.filter((each) => each !== sid) ?? [];
    if (leading === undefined || active.length <= this.#options.size / 2) return false;
    const epochs = cluster.members.map(({ disk }) => disk.readMeta().acceptedEpoch);
    return leading.currentEpoch >= Math.max(promised, ...epochs);
  }

  /** Some member crashes at one of its next effects of this kind. */
  #crashAt(
    fits: (effect: { type: string; writes?: readonly { type: string }[] }, leads: boolean) => boolean,
    order: () => CrashOrder,
  ): boolean {
    const cluster = this.#cluster;
    if (cluster.onEffect !== null) return false;
    let left = this.#chance.between(1, 40);
    cluster.onEffect = (sid, effect) => {
      const leads = cluster.member(sid).life?.server.zab.proposing !== undefined;
      if (!fits(effect, leads)) return undefined;
      left -= 1;
      // A twin is ended by its writes, not by crashes.
      if (left > 0 || cluster.member(sid).twin !== null) return undefined;
      cluster.onEffect = null;
      this.#restartLater(sid);
      return order();
    };
    return true;
  }

  /** The leader is cut off with what it has under way, comes back with its memory, and may lead again. */
  #comeback(): boolean {
    const cluster = this.#cluster;
    const { tickTimeMs, syncLimit } = cluster.config;
    const sid = cluster.leader?.sid;
    if (sid === undefined || this.#options.size === 1) return false;
    cluster.isolate(sid);
    this.#after((syncLimit + this.#chance.between(1, 3)) * tickTimeMs, () => {
      cluster.healCuts();
      this.#after(this.#chance.between(1, 3 * tickTimeMs), () => this.#crashLeader(sid));
    });
    return true;
  }

  /** Something happens to a member at one of its next messages of some type; and then, perhaps, once more. */
  #atMessage(): boolean {
    const chance = this.#chance;
    if (this.#moments.length >= MOMENTS_MAX) return false;
    const type = chance.oneOf(MOMENTS);
    return this.#await({ type, blow: chance.oneOf(BLOWS), left: chance.between(1, 4) });
  }

  /** Again and again a member is cut off just when a write of its has arrived: it comes back to a log that was cut behind it. */
  #cutBehindRequests(times: number): boolean {
    const done = this.#await({ type: "REQUEST", blow: "part-from", left: this.#chance.between(1, 4) });
    if (times > 1) {
      const { tickTimeMs } = this.#cluster.config;
      this.#after(this.#chance.between(2, 5) * tickTimeMs, () => this.#cutBehindRequests(times - 1));
    }
    return done;
  }

  #await(moment: Moment): boolean {
    const cluster = this.#cluster;
    const chance = this.#chance;
    if (this.#moments.length > MOMENTS_MAX) return false;
    this.#moments.push(moment);
    cluster.onDelivery ??= (from, to, messages) => {
      let lost = false;
      for (const moment of [...this.#moments]) {
        if (!messages.some((message) => message.type === moment.type)) continue;
        moment.left -= 1;
        if (moment.left > 0) continue;
        this.#moments.splice(this.#moments.indexOf(moment), 1);
        cluster.onLine?.(`at ${moment.type} of ${from} to ${to}: ${moment.blow}`);
        if (this.#blow(moment.blow, from, to)) lost = true;
        if (chance.oneIn(2)) this.#atMessage();
      }
      return lost;
    };
    return true;
  }

  /** @returns whether the message is lost */
  #blow(blow: Moment["blow"], from: number, to: number): boolean {
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
        this.#after(chance.between(100, 6_000), () => cluster.healCuts());
        return true;
      case "part":
        cluster.isolate(sid);
        this.#after(chance.between(20, 2 * cluster.config.tickTimeMs), () => cluster.healCuts());
        return false;
      case "wipe":
        this.#lose(sid, () => cluster.disks.wipe(sid));
        return false;
      default:
        break;
    }
    if (life === null || twin !== null) return false;
    if (what === "pause") {
      if (life.isPaused) return false;
      cluster.pause(sid);
      this.#after(chance.oneOf([100, 1_000, 5_000]), () => {
        if (life.alive && life.isPaused) cluster.resume(sid);
      });
      return false;
    }
    const evicted = what === "evict";
    cluster.crash(sid, evicted ? 1_000 : chance.oneOf([0, 0, 1, 100]));
    if (evicted) this.#start(sid);
    else this.#restartLater(sid);
    return false;
  }

  #cut(kind: FaultKind, sid: number, duration: number): boolean {
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
      // Everybody sees a majority, and nobody sees the same one.
      const reach = Math.floor(size / 2);
      const ring = this.#chance.shuffled(sids);
      for (const [i, a] of ring.entries()) {
        for (const [j, b] of ring.entries()) {
          const distance = Math.min((i - j + size) % size, (j - i + size) % size);
          if (distance > Math.ceil(reach / 2)) cluster.cut(a, b);
        }
      }
    }
    this.#after(duration, () => cluster.healCuts());
    return true;
  }

  /** Links stall one by one, and are freed in another order. */
  #swizzle(): boolean {
    const cluster = this.#cluster;
    const { size } = this.#options;
    if (size === 1) return false;
    const members = this.#chance.shuffled(cluster.members).slice(0, this.#chance.between(1, size));
    for (const { sid } of members) {
      this.#after(this.#chance.between(0, 3_000), () => {
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

  // ── members that forget ──────────────────────────────────────────────────

  /** How many members do not have what they once promised. */
  get #forgetting(): number {
    for (const sid of this.#forgetful) {
      const { life } = this.#cluster.member(sid);
      if (life?.server.ready === true && life.storage.meta.initialized && life.disk.pending === 0) {
        this.#forgetful.delete(sid);
        this.#behind.delete(sid);
      }
    }
    return this.#forgetful.size;
  }

  /** Something is done to the disk of a member that makes it forget. */
  #lose(sid: number, how: () => void, forgets = true): boolean {
    const cluster = this.#cluster;
    const { size } = this.#options;
    // Who forgot and whose tree is wrong are a minority together: both are of no use to the others.
    const failed = new Set<number>(cluster.invariants.digests.damagedTrees);
    if (this.#forgetting > 0) for (const each of this.#forgetful) failed.add(each);
    // A member that was left out of the founding has no more than one that forgot it. Its epoch tells, not what it believes.
    for (const { sid: each, disk } of cluster.members) {
      if (disk.readMeta().currentEpoch === 0) failed.add(each);
    }
    const room = failed.add(sid).size;
    // A leader whose tree is wrong waits for members that lag, which cannot tell before they have caught up: beside others
    // that have forgotten everything too few may be left. See docs/testing.md, Open.
    if (room > 1 && (!forgets || cluster.invariants.digests.damagedTrees.size > 0)) return false;
    // Before anything was committed there is nothing to forget, and a founding must not begin twice.
    if (room > (size - 1) / 2 || cluster.invariants.history.length === 0) return false;
    const member = cluster.member(sid);
    if (member.twin !== null) return false;
    if (member.life !== null) cluster.crash(sid, this.#chance.below(3));
    if (forgets) this.#forgetful.add(sid);
    how();
    this.#restartLater(sid);
    return true;
  }

  #rollBack(sid: number): boolean {
    const cluster = this.#cluster;
    const copy = this.#copies.get(sid);
    if (copy === undefined) {
      // Damage that comes back later would not be that of a minority.
      if (cluster.invariants.digests.damagedTrees.has(sid)) return false;
      this.#copies.set(sid, cluster.member(sid).disk.durableCopy());
      // Lives that the others see, and then it goes back behind them.
      for (const ms of [1_000, 3_000]) this.#after(ms, () => this.#restart(sid));
      this.#after(this.#chance.between(5_000, 20_000), () => {
        if (this.#rollBack(sid)) this.#count("rollback");
      });
    }
    // Whoever goes back to its last life alone shows the same number as before, and cannot be told from itself.
    const isSeen = copy !== undefined && copy.readMeta().boot + 1 < cluster.member(sid).disk.readMeta().boot;
    if (copy === undefined || !isSeen || cluster.leader === undefined) return false;
    return this.#lose(sid, () => {
      this.#copies.delete(sid);
      const { acceptedEpoch } = cluster.member(sid).disk.readMeta();
      this.#behind.set(sid, Math.max(acceptedEpoch, this.#behind.get(sid) ?? 0));
      cluster.disks.rollBack(sid, copy);
    });
  }

  #damage(sid: number, kind: DamageKind): boolean {
    const cluster = this.#cluster;
    let damaged = false;
    const struck = this.#lose(sid, () => {
      damaged = cluster.disks.damage(sid, kind, (n) => this.#chance.below(n));
    });
    return struck && damaged;
  }

  /** The rest of the damage that a member may have heals by itself, from the others. */
  #damageTree(sid: number, kind: TreeDamageKind): boolean {
    const cluster = this.#cluster;
    if (cluster.invariants.digests.damagedTrees.has(sid)) return false;
    let damaged = false;
    const struck = this.#lose(
      sid,
      () => {
        damaged = damageTree(cluster, sid, kind, (n) => this.#chance.below(n));
      },
      false,
    );
    return struck && damaged;
  }
}
