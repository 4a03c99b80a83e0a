/** Starts members, ends them, and restarts those that stop by themselves: what the platform does with durable objects. */
import { assert, must } from "../../core/assert.ts";
import { DamagedError } from "../../core/damaged-error.ts";
import type { ServerConfig } from "../../core/server/config.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { Calls } from "../calls.ts";
import type { Invariants } from "../checkers/invariants.ts";
import { DiskFullError, FencedError } from "../disk.ts";
import type { Engine, Range } from "../engine.ts";
import type { Faults } from "../faults.ts";
import type { CachePressure } from "../nemesis/cache-pressure.ts";
import type { Network } from "../network.ts";
import { Life, type LifeObserver, type Outgoing, type Platform } from "./life.ts";
import { type CoreStart, type Member, startCore } from "./member.ts";
import { Turns } from "./turns.ts";

/** Pause before another start of a member whose disk is full; ms. */
const START_AGAIN_MS = 200;

/** Observers of members, and the parameters of their starts. */
export interface SupervisorHooks {
  /** Called with every action of a member, as a readable line. */
  readonly onLine: ((line: string) => void) | null;
  /** Called when a member stops by itself: damage was found, or another instance has replaced it. */
  readonly onStop: ((sid: Sid, reason: string) => void) | null;
  /** The protocol version of a life of a member. */
  readonly versionOf: (sid: Sid, life: number) => number;
  /** Records a disturbance of members until now. */
  disturbed(): void;
}

/** The parts of the ensemble that a supervisor uses. */
export interface SupervisorOptions {
  readonly engine: Engine;
  readonly network: Network;
  readonly calls: Calls;
  readonly faults: Faults;
  readonly config: ServerConfig;
  readonly invariants: Invariants;
  readonly observer: LifeObserver;
  readonly hooks: SupervisorHooks;
  readonly pressure: CachePressure;
  readonly fsyncMs: Range;
  readonly yieldMs: Range;
  readonly members: readonly Member[];
  /** how every core starts, apart from its version */
  readonly start: Omit<CoreStart, "version">;
}

/** Invariant: a member has at most one life, and besides at most one older twin, which its next write ends. */
export class Supervisor implements Platform {
  readonly engine: Engine;
  readonly network: Network;
  readonly turns = new Turns();
  readonly faults: Faults;
  readonly config: ServerConfig;
  readonly invariants: Invariants;
  readonly observer: LifeObserver;
  readonly pressure: CachePressure;
  readonly fsyncMs: Range;
  readonly yieldMs: Range;
  readonly #calls: Calls;
  readonly #hooks: SupervisorHooks;
  readonly #members: readonly Member[];
  readonly #start: Omit<CoreStart, "version">;
  /** number of lives of all members so far */
  #lives = 0;

  constructor(options: SupervisorOptions) {
    this.engine = options.engine;
    this.network = options.network;
    this.faults = options.faults;
    this.config = options.config;
    this.invariants = options.invariants;
    this.observer = options.observer;
    this.pressure = options.pressure;
    this.fsyncMs = options.fsyncMs;
    this.yieldMs = options.yieldMs;
    this.#calls = options.calls;
    this.#hooks = options.hooks;
    this.#members = options.members;
    this.#start = options.start;
  }

  member(sid: number): Member {
    return must(this.#members[sid - 1], `there is no member ${sid}`);
  }

  lifeOf(sid: number): Life | null {
    return this.member(sid).life;
  }

  post(life: Life, outgoing: readonly Outgoing[]): void {
    this.#calls.post(life, outgoing);
  }

  /** Starts a member that is down; if its disk is full, tries again later. */
  start(sid: number): void {
    const member = this.member(sid);
    assert(member.life === null, "a member starts once");
    const number = member.lives + 1;
    let core: ReturnType<typeof startCore>;
    try {
      core = startCore(member, { ...this.#start, version: this.#hooks.versionOf(member.sid, number) });
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      this.#startAgain(member);
      return;
    }
    this.#mayFindDamage(member, core.storage.damage);
    member.bend = null;
    member.lives = number;
    const { disk, clock } = member;
    const life = new Life(this, { sid: member.sid, number, index: this.#lives, ...core, disk, clock });
    this.#lives += 1;
    member.life = life;
    this.engine.mix(0x51a7 + sid);
    this.#hooks.onLine?.(`${sid} starts, life ${number}`);
    this.invariants.started(life);
    life.gate.syncSoon();
    life.step({ type: "start" });
  }

  /** Damage may be found only on a disk that a fault changed. */
  #mayFindDamage({ sid, disk }: Member, damage: string | undefined): void {
    this.invariants.must(
      "Undamaged",
      damage === undefined || disk.isTampered,
      () => `${sid} finds a whole storage damaged: ${damage}`,
    );
  }

  /** Starts a member again later, because its start could not be stored and so did not happen. */
  #startAgain(member: Member): void {
    this.#hooks.onLine?.(`${member.sid} cannot start: its disk is full`);
    member.disk.crash(0);
    this.engine.after(START_AGAIN_MS, () => this.#startIfDown(member));
  }

  #startIfDown(member: Member): void {
    if (member.life === null) this.start(member.sid);
  }

  /**
   * Crashes a member, which loses its memory and its writes that are not durable.
   * @param keep number of groups of writes that survive beyond the durable ones
   */
  crash(sid: number, keep = 0): void {
    const member = this.member(sid);
    const life = must(member.life, "only a member that lives crashes");
    member.life = null;
    const { disk } = life;
    this.#hooks.onLine?.(`${sid} crashes, ${Math.min(keep, disk.pending)} of ${disk.pending} writes survive`);
    this.engine.mix(0xdead + sid);
    disk.crash(keep);
    this.invariants.crashed(member);
    life.end();
  }

  /** Starts another instance of the member while this one lives until its next write. */
  replaceByTwin(sid: number, keep = 0): void {
    const member = this.member(sid);
    const life = must(member.life, "only a member that lives has a twin");
    this.endTwin(member.sid);
    this.#hooks.onLine?.(`${sid} lives on beside its successor`);
    life.disk.fenced = true;
    member.disk = life.disk.successor(keep);
    member.twin = life;
    member.life = null;
    this.invariants.crashed(member);
    this.start(sid);
  }

  /** Ends the older instance, if there is one. */
  endTwin(sid: number): void {
    const member = this.member(sid);
    const { twin } = member;
    member.twin = null;
    if (twin === null) return;
    this.#hooks.disturbed();
    twin.end();
  }

  /** Pauses the member with its memory; events wait until it resumes. */
  pause(sid: number): void {
    const life = must(this.member(sid).life, "only a member that lives pauses");
    this.#hooks.onLine?.(`${sid} stands still`);
    life.pause();
  }

  resume(sid: number): void {
    const life = must(this.member(sid).life, "only a member that lives resumes");
    this.#hooks.onLine?.(`${sid} resumes`);
    this.#hooks.disturbed();
    life.resume();
  }

  // ── members that stop by themselves ──────────────────────────────────────

  onStorageError(life: Life, error: Error): void {
    const member = this.member(life.sid);
    if (error instanceof DamagedError) this.#mayFindDamage(member, error.message);
    this.#hooks.onLine?.(`${life.sid} ends: ${error.message}`);
    this.#hooks.onStop?.(life.sid, error.message);
    if (!(error instanceof FencedError) && member.life === life) {
      // Earlier writes of this turn may or may not be durable.
      this.crash(life.sid, this.engine.between([0, life.disk.pending]));
      if (error instanceof DamagedError) this.invariants.wiped(member);
      this.engine.after(this.network.delay(), () => this.#startIfDown(member));
    } else if (member.twin === life) this.endTwin(member.sid);
    else if (member.life === life) this.crash(life.sid);
  }

  onAbort(life: Life): void {
    const member = this.member(life.sid);
    if (member.life !== life) return;
    this.crash(life.sid, Number.POSITIVE_INFINITY);
    this.engine.after(this.network.delay(), () => this.#startIfDown(member));
  }
}
