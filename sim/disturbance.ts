/** Records disturbances of time, links and members, for checkers of rules with time limits. */
import type { Engine } from "./engine.ts";
import { delays, type Faults } from "./faults.ts";
import type { Member } from "./member/member.ts";
import type { Network } from "./network.ts";

/**
 * The disturbances of a run.
 * Invariant: {@link since} is not before any disturbance that still delays a message, an alarm or a write.
 */
export class Disturbance {
  readonly #engine: Engine;
  readonly #network: Network;
  readonly #faults: Faults;
  readonly #members: readonly Member[];
  /** until when past disturbances have effects; ms of virtual time */
  #until = 0;
  #skewMs = 0;

  constructor(engine: Engine, network: Network, faults: Faults, members: readonly Member[]) {
    this.#engine = engine;
    this.#network = network;
    this.#faults = faults;
    this.#members = members;
  }

  /** Records a disturbance of links, alarms, clocks or members until now. @param ms how long its effects last */
  note(ms = 0): void {
    this.#until = Math.max(this.#until, this.#engine.now + ms);
  }

  /** Since when every message, alarm and write took no longer than usual. A member that is down is no disturbance. */
  get since(): number {
    const odd = this.#members.some(
      ({ life, twin, clock }) =>
        twin !== null || clock.odd || (life !== null && (life.isPaused || life.alarm.isLost)),
    );
    return delays(this.#faults) || this.#network.isDisturbed || odd ? this.#engine.now : this.#until;
  }

  // ── clocks ───────────────────────────────────────────────────────────────

  /** Maximum by which some member may have counted more time than passed in this run; ms. */
  get skewMs(): number {
    return this.#skewMs;
  }

  /** Records that a member may count this much time that did not pass. */
  noteSkew(ms: number): void {
    this.#skewMs += Math.max(0, ms);
  }
}
