/** The one alarm of a member: the shell's own, over the simulation's time. */
import { DeadlineAlarm } from "../../durable-objects/shared/deadline-alarm.ts";
import type { SimClock } from "../clock.ts";
import type { Engine } from "../engine.ts";
import type { Faults } from "../faults.ts";

/** The owner of an alarm. */
export interface AlarmOwner {
  readonly alive: boolean;
  /** whether this member is asleep */
  readonly isAsleep: boolean;
  /** Called when the alarm fires. */
  onAlarm(): void;
  /** Called for an alarm that was not set, or that fires twice. */
  onNeedlessAlarm(): void;
}

/** Resolved at once: nothing else runs before the simulation's next event. */
const DONE = Promise.resolve();

/** The alarm of one member. Invariant: it fires once, at the last time that was set, or never if that alarm was lost. */
export class MemberAlarm {
  readonly #engine: Engine;
  readonly #clock: SimClock;
  readonly #faults: Faults;
  readonly #owner: AlarmOwner;
  /** the time it is set to, on the member's clock; infinity if it is not set */
  #setTo = Number.POSITIVE_INFINITY;
  /** when it fires; infinity if it is not set, or was lost */
  #ringsAt = Number.POSITIVE_INFINITY;
  /** the shell's part, which decides when to set it */
  readonly shell: DeadlineAlarm;

  constructor(engine: Engine, clock: SimClock, faults: Faults, tickTimeMs: number, owner: AlarmOwner) {
    this.#engine = engine;
    this.#clock = clock;
    this.#faults = faults;
    this.#owner = owner;
    this.shell = new DeadlineAlarm(
      {
        getAlarm: () => Promise.resolve(null),
        setAlarm: (at) => this.#set(at),
        deleteAlarm: () => this.#set(Number.POSITIVE_INFINITY),
      },
      tickTimeMs,
      () => clock.at(engine.now),
    );
  }

  /** Whether it is set but was lost. */
  get isLost(): boolean {
    return Number.isFinite(this.#setTo) && !Number.isFinite(this.#ringsAt);
  }

  /** Loses the alarm that is set now. */
  lose(): void {
    this.#ringsAt = Number.POSITIVE_INFINITY;
  }

  /** Moves the alarm after a change of the member's clock. */
  clockChanged(): void {
    if (Number.isFinite(this.#ringsAt)) this.#schedule();
  }

  #set(ms: number): Promise<void> {
    this.#setTo = ms;
    this.#ringsAt = Number.POSITIVE_INFINITY;
    const isLost = this.#engine.happens(this.#faults.loseAlarm);
    if (this.#owner.alive && Number.isFinite(ms) && !isLost) this.#schedule();
    return DONE;
  }

  #schedule(): void {
    const engine = this.#engine;
    const due = Math.max(engine.now + 1, this.#clock.whenShows(this.#setTo, engine.now));
    const { alarmLateMs, wakeLateMs, spuriousTick } = this.#faults;
    const lateMs = alarmLateMs === 0 ? 0 : engine.between([0, alarmLateMs]);
    const at = due + lateMs + (this.#owner.isAsleep ? wakeLateMs : 0);
    this.#ringsAt = at;
    engine.at(at, () => {
      if (!this.#owner.alive || this.#ringsAt !== at) return;
      this.#ringsAt = Number.POSITIVE_INFINITY;
      this.#owner.onAlarm();
    });
    if (engine.happens(spuriousTick)) {
      const needless = engine.now + engine.between([0, 2 * (at - engine.now)]);
      engine.at(needless, () => this.#owner.onNeedlessAlarm());
    }
  }
}
