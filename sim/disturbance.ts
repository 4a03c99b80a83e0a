/** Whether something is wrong with time, links or members now, or was until lately: what checkers must know who demand haste. */
import type { Engine } from "./engine.ts";
import { delays, type Faults } from "./faults.ts";
import type { Member } from "./member/member.ts";
import type { Network } from "./network.ts";

/** Invariant: {@link since} is no earlier than anything that still delays a message, an alarm or a write. */
export class Disturbance {
  readonly #engine: Engine;
  readonly #network: Network;
  readonly #faults: Faults;
  readonly #members: readonly Member[];
  /** until when what was wrong shows; ms of virtual time */
  #until = 0;
  #skewMs = 0;

  constructor(engine: Engine, network: Network, faults: Faults, members: readonly Member[]) {
    this.#engine = engine;
    this.#network = network;
    this.#faults = faults;
    this.#members = members;
  }

  /** Something is wrong, or was until now, with links, alarms, clocks or members. @param ms how long it still shows */
  note(ms = 0): void {
    this.#until = Math.max(this.#until, this.#engine.now + ms);
  }

  /** Since when every message, alarm and write took no longer than usual; a member that is down disturbs nobody. */
  get since(): number {
    const odd = this.#members.some(
      ({ life, twin, clock }) =>
        twin !== null || clock.odd || (life !== null && (life.isPaused || life.alarm.isLost)),
    );
    return delays(this.#faults) || this.#network.isDisturbed || odd ? this.#engine.now : this.#until;
  }

  // ── clocks ───────────────────────────────────────────────────────────────

  /** By how much some member may have counted more time than passed in this run, at most; ms. */
  get skewMs(): number {
    return this.#skewMs;
  }

  /** A member may count so much time that did not pass. */
  noteSkew(ms: number): void {
    this.#skewMs += Math.max(0, ms);
  }
}
