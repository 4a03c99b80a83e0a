/**
 * The faults of a run: several may be active at a time, and each heals after some time. A member that lost
 * its storage, or found it damaged, counts as failed until it has synchronised; there is never more than a minority of those.
 */

import { NO_SESSION } from "../../core/znode/types.ts";
import type { Cluster } from "../cluster.ts";
import { type Faults, NO_FAULTS } from "../faults.ts";
import { Chance } from "../random.ts";
import type { FaultKind, SwarmOptions } from "../swarm.ts";
import { FaultWindow } from "./fault-window.ts";
import { MemoryLoss } from "./memory-loss.ts";
import { Moments } from "./moments.ts";
import { Partitions } from "./partitions.ts";
import { Storm } from "./storm.ts";
import { TREE_DAMAGE_KINDS, type TreeDamageKind } from "./tree-damage.ts";

/** Minimum of storms, or of damages of trees, in a run with such faults, evenly spread. */
const SPREAD = 6;

/** Chooses the faults, and heals them. Invariant: after {@link heal} no fault begins. */
export class Nemesis {
  readonly #cluster: Cluster;
  readonly #options: SwarmOptions;
  readonly #chance: Chance;
  readonly #count: (kind: FaultKind) => void;
  readonly #window: FaultWindow;
  readonly #memory: MemoryLoss;
  readonly #moments: Moments;
  readonly #partitions: Partitions;
  readonly #storm: Storm;
  /** until when no fault begins */
  #restsUntil = 0;

  constructor(cluster: Cluster, options: SwarmOptions, chance: Chance, count: (kind: FaultKind) => void) {
    this.#cluster = cluster;
    this.#options = options;
    this.#chance = chance;
    this.#count = count;
    const window = new FaultWindow(cluster.engine);
    this.#window = window;
    this.#memory = new MemoryLoss(cluster, options, chance, window, count);
    this.#moments = new Moments(cluster, chance, window, this.#memory);
    this.#partitions = new Partitions(cluster, options, chance, window);
    // With a random source of its own, so that seeds without storms keep their runs.
    this.#storm = new Storm(cluster, new Chance(options.seed * 6_007 + 31), window, this.#memory);
    cluster.onStop = (sid) => this.#memory.restartLater(sid);
  }

  /** Whether a fault that interrupts writes is active. */
  get isOverWrites(): boolean {
    return this.#storm.isOverWrites || this.#moments.isCutting;
  }

  /** Starts the faults. */
  begin(): void {
    const { kinds } = this.#options;
    if (TREE_DAMAGE_KINDS.some((kind) => kinds.includes(kind)))
      this.#cluster.invariants.digests.expectDamage();
    this.#cluster.onDelivery = (from, to, messages) => {
      const lost = this.#moments.meet(from, to, messages);
      return this.#storm.meet(from, to, messages) || lost;
    };
    if (kinds.includes("storm")) this.#spread(() => "storm");
    const damages = TREE_DAMAGE_KINDS.filter((kind) => kinds.includes(kind));
    const chance = new Chance(this.#options.seed * 1_987 + 59);
    if (damages.length > 0) this.#spread(() => chance.oneOf(damages));
    this.#next();
  }

  /** Damages a tree. Sometimes all members start together, so that the damaged one may lead before any other has compared. */
  #damageTree(sid: number, kind: TreeDamageKind): boolean {
    const cluster = this.#cluster;
    if (!this.#memory.damageTree(sid, kind)) return false;
    if (cluster.now % 2 === 0) return true;
    for (const { sid: each, life } of cluster.members) if (life !== null) cluster.crash(each, 1_000);
    for (const { sid: each, life } of cluster.members) if (life === null) this.#memory.start(each);
    return true;
  }

  /** Schedules the minimum of a kind of faults. */
  #spread(kindOf: () => FaultKind): void {
    for (let i = 1; i <= SPREAD; i++) {
      this.#window.after(Math.floor((i * this.#options.chaosMs) / (SPREAD + 1)), () => {
        if (this.#cluster.now >= this.#restsUntil) this.#strike(kindOf());
      });
    }
  }

  /** Ends all faults: no link is cut or slow, and no member is paused or down. */
  heal(): void {
    const cluster = this.#cluster;
    this.#window.close();
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
    for (const { sid, life } of cluster.members) if (life === null) this.#memory.start(sid);
    const { kinds, seed } = this.#options;
    if (kinds.includes("alarm-lost") && new Chance(seed * 2_293 + 17).oneIn(2)) this.#loseAlarms();
  }

  /** Loses all alarms, as a runtime that lost its list of them. A member that gets a request sets an overdue alarm again. */
  #loseAlarms(): void {
    const cluster = this.#cluster;
    cluster.loseAlarms();
    const ask = (): void => {
      const lost = cluster.members.filter(({ life }) => life?.alarm.isLost === true);
      for (const { sid } of lost)
        cluster.read(sid, { type: "exists", path: "/", watch: false }, false, NO_SESSION, true);
      if (lost.length > 0) cluster.after(cluster.config.tickTimeMs, ask);
    };
    ask();
  }

  /** Sets some clocks right again, by minutes: a member that trusted them would wait for as long. */
  #putBackClocks(): void {
    const cluster = this.#cluster;
    const chance = new Chance(this.#options.seed * 2_963 + 13);
    const some = chance.shuffled(cluster.members).slice(0, chance.between(1, this.#options.size));
    for (const { sid } of some) cluster.jumpClock(sid, -chance.between(10_000, 300_000));
  }

  /** Begins no fault for `ms`. */
  rest(ms: number): void {
    this.#restsUntil = this.#cluster.now + ms;
  }

  /** Sometimes crashes the leader when requests resume after a calm. */
  strikeOnWaking(): void {
    if (this.#window.isOver || !this.#options.kinds.includes("crash") || !this.#chance.oneIn(2)) return;
    const { tickTimeMs } = this.#cluster.config;
    this.#window.after(this.#chance.between(1, 3 * tickTimeMs), () => this.#crashLeader());
  }

  #crashLeader(but = 0): void {
    const { leader } = this.#cluster;
    if (leader === undefined || leader.sid === but) return;
    this.#cluster.crash(leader.sid, this.#chance.oneOf([0, 100]));
    this.#memory.restartLater(leader.sid);
  }

  #next(): void {
    if (this.#window.isOver) return;
    this.#cluster.after(this.#chance.between(...this.#options.everyMs), () => {
      if (this.#window.isOver) return;
      const rests = this.#cluster.now < this.#restsUntil;
      if (this.#options.kinds.length > 0 && !rests) this.#strike(this.#chance.oneOf(this.#options.kinds));
      this.#next();
    });
  }

  #strike(kind: FaultKind): void {
    const line = this.#cluster.onLine;
    line?.(`fault: ${kind}`);
    if (this.#carryOut(kind)) this.#count(kind);
  }

  /** Carries out a fault. @returns false if it had no target */
  #carryOut(kind: FaultKind): boolean {
    const cluster = this.#cluster;
    const chance = this.#chance;
    // The leader is chosen more often than other members.
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
        this.#window.after(duration, () => cluster.setLatency(this.#options.latencyMs));
        return true;
      case "alarm-late":
        return this.#disturb("alarmLateMs", chance.oneOf([100, 3_000, 60_000]), duration);
      case "alarm-lost":
        // Loses the alarms that are set, like a runtime that restarts without its list, or future ones.
        if (chance.oneIn(2)) cluster.loseAlarms();
        else this.#disturb("loseAlarm", chance.oneOf([0.2, 1]), duration);
        return true;
      case "alarm-overdue":
        return this.#disturb("alarmLateMs", chance.between(60_000, 900_000), duration);
      case "alarm-needless":
        return this.#disturb("spuriousTick", chance.oneOf([0.1, 1]), duration);
      case "slow-member":
        cluster.slow(sid, chance.oneOf([20, 100, 800]));
        this.#window.after(duration, () => cluster.slow(sid, 0));
        return true;
      case "clog": {
        const to = chance.between(1, this.#options.size);
        if (to === sid) return false;
        cluster.clog(sid, to, chance.between(100, 5_000));
        return true;
      }
      case "swizzle-clog":
        return this.#partitions.swizzle();
      case "partition":
      case "one-way":
      case "isolate":
      case "majorities-ring":
        return this.#partitions.cut(kind, sid, duration);
      case "crash":
        if (member.life === null) return false;
        cluster.crash(sid, chance.oneOf([0, 0, 100]));
        this.#memory.restartLater(sid);
        return true;
      case "evict":
        // It loses its memory, keeps its storage, and restarts at once.
        if (member.life === null) return false;
        cluster.crash(sid, 1_000);
        this.#memory.start(sid);
        return true;
      case "disk-full":
        // All members may share one disk.
        for (const each of chance.oneIn(4) ? cluster.members.map((one) => one.sid) : [sid]) {
          cluster.disks.fill(each, chance.below(12));
          this.#window.after(duration, () => cluster.disks.free(each));
        }
        return true;
      case "cut-behind-request":
        return this.#options.size > 1 && this.#moments.cutBehindRequests(8);
      case "torn-batch":
        return this.#moments.crashAt(
          (effect) => effect.type === "persist",
          () => ({ when: "after", keep: 1 }),
        );
      case "crash-at-write":
        return this.#moments.crashAt(
          (effect) => effect.type === "persist",
          () => ({ when: chance.oneOf(["before", "after"] as const), keep: chance.below(3) }),
        );
      case "crash-at-send":
        return this.#moments.crashAt(
          (effect) => effect.type === "send" || effect.type === "reply",
          () => ({ when: chance.oneOf(["before", "after"] as const), keep: chance.below(3) }),
        );
      case "early-proposal":
        // The leader's PROPOSAL has left; its own write never happens.
        return this.#moments.crashAt(
          (effect, leads) =>
            leads &&
            effect.type === "persist" &&
            effect.writes?.some(({ type }) => type === "append") === true,
          () => ({ when: "before", keep: 0 }),
        );
      case "at-message":
        return this.#moments.atMessage();
      case "storm":
        return this.#storm.begin(() => this.#crashLeader());
      case "comeback":
        return this.#comeback();
      case "restart-all":
        for (const each of cluster.members) {
          if (each.life !== null) cluster.crash(each.sid, chance.below(3));
          if (chance.oneIn(3)) this.#memory.restartLater(each.sid);
          else if (each.life === null) this.#memory.start(each.sid);
        }
        return true;
      case "rolling-restart":
        for (const [i, each] of chance.shuffled(cluster.members).entries()) {
          this.#window.after(i * chance.between(200, 3_000), () => {
            if (each.life === null) return;
            cluster.crash(each.sid, 1_000);
            this.#memory.start(each.sid);
          });
        }
        return true;
      case "pause":
        if (member.life === null || member.life.isPaused) return false;
        cluster.pause(sid);
        this.#window.after(chance.oneOf([300, 2_000, 10_000, 60_000]), () => {
          if (member.life?.isPaused === true) cluster.resume(sid);
        });
        return true;
      case "wipe":
        return this.#memory.lose(sid, () => cluster.disks.wipe(sid));
      case "rollback":
        return this.#memory.rollBack(sid);
      case "bit-flip":
      case "truncation":
      case "misplaced":
        return this.#memory.damage(sid, kind);
      case "row-changed":
      case "rows-swapped":
      case "session-changed":
      case "memory-differs":
        return this.#damageTree(sid, kind);
      case "clock-jump": {
        // Sometimes little more than the time that counts as silence.
        const by = chance.oneIn(3) ? chance.between(0, 10_000) : chance.between(-300_000, 300_000);
        cluster.jumpClock(sid, by);
        return true;
      }
      case "clock-freeze": {
        const ms = chance.between(100, 10_000);
        cluster.disturbance.noteSkew(Math.min(ms, 2 * cluster.config.tickTimeMs));
        member.clock.freeze(cluster.now);
        this.#window.after(ms, () => {
          member.clock.thaw(cluster.now);
          cluster.clockChanged(sid);
        });
        return true;
      }
      case "clock-skew": {
        const rate = chance.oneOf([0.5, 0.9, 1.1, 2]);
        cluster.disturbance.noteSkew((rate - 1) * this.#options.chaosMs);
        member.clock.setRate(rate, cluster.now);
        cluster.clockChanged(sid);
        return true;
      }
      case "twin":
        if (member.life === null || member.life.isPaused) return false;
        cluster.replaceByTwin(sid, chance.below(3));
        this.#window.after(duration, () => cluster.endTwin(sid));
        return true;
    }
  }

  /** Disturbs calls or alarms with some probability, or by some delay, for some time. */
  #disturb(what: keyof Faults, howMuch: number, ms: number): boolean {
    const { faults } = this.#cluster;
    const cluster = this.#cluster;
    faults[what] = howMuch;
    this.#window.after(ms, () => {
      // An alarm that was set late stays late, and so does a reordered call.
      cluster.disturbed(what === "alarmLateMs" ? howMuch : 200);
      faults[what] = 0;
    });
    return true;
  }

  /** Cuts the leader off with its outstanding proposals; it returns with its memory, and may lead again. */
  #comeback(): boolean {
    const cluster = this.#cluster;
    const { tickTimeMs, syncLimit } = cluster.config;
    const sid = cluster.leader?.sid;
    if (sid === undefined || this.#options.size === 1) return false;
    cluster.isolate(sid);
    this.#window.after((syncLimit + this.#chance.between(1, 3)) * tickTimeMs, () => {
      cluster.healCuts();
      this.#window.after(this.#chance.between(1, 3 * tickTimeMs), () => this.#crashLeader(sid));
    });
    return true;
  }
}
