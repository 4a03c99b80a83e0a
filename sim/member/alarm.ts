/** The one alarm of a member: the shell's own, over the simulation's time. */
import { DeadlineAlarm } from "../../durable-objects/shared/deadline-alarm.ts";
import type { SimClock } from "../clock.ts";
import type { Engine } from "../engine.ts";
import type { Faults } from "../faults.ts";

/** Whose alarm it is. */
export interface AlarmOwner {
  readonly alive: boolean;
  /** The alarm rings. */
  onAlarm(): void;
  /** An alarm comes that was not set, or comes twice. */
  onNeedlessAlarm(): void;
}

/** Nobody waits for it: nothing else runs before the simulation's next event. */
const DONE = Promise.resolve();

/** Invariant: it rings at one moment, the last one that was set; or never, if that was lost. */
export class MemberAlarm {
  readonly #engine: Engine;
  readonly #clock: SimClock;
  readonly #faults: Faults;
  readonly #owner: AlarmOwner;
  /** what it is set to, on the member's clock; infinity: it is not set */
  #setTo = Number.POSITIVE_INFINITY;
  /** when it rings; infinity: never, also when it is set and was lost */
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

  /** It is set, and does not ring. */
  get isLost(): boolean {
    return Number.isFinite(this.#setTo) && !Number.isFinite(this.#ringsAt);
  }

  /** What is set now never rings. */
  lose(): void {
    this.#ringsAt = Number.POSITIVE_INFINITY;
  }

  /** The member's clock was changed: the alarm is where the new time has it. */
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
    const { alarmLateMs, spuriousTick } = this.#faults;
    const at = alarmLateMs === 0 ? due : due + engine.between([0, alarmLateMs]);
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
