/**
 * The faults of an object, and their effect on messages. Pure: the clock and the seeds are arguments, so that every
 * decision can be repeated.
 *
 * A fault belongs to one object and affects the messages that reach or leave it. So a cut from A to B is a fault of A
 * (`out`) or of B (`in`), and the other object is not informed.
 */

import { assertNever } from "../../core/assert.ts";
import { random } from "../../core/prng.ts";

/** Direction of the messages that a fault affects, seen from the object that has it. */
export type Direction = "in" | "out" | "both";

/** The messages that a fault affects. */
interface Scope {
  /** ids of the objects at the other end; undefined for all */
  readonly peers?: readonly number[] | undefined;
  /** undefined for both */
  readonly direction?: Direction | undefined;
}

/** A lasting fault. */
export type Fault =
  /** refuses every call, its alarm does nothing */
  | { readonly fault: "kill" }
  /** does nothing and keeps its memory: calls, alarms and completions wait */
  | { readonly fault: "pause" }
  /** messages are lost silently */
  | ({ readonly fault: "isolate" } & Scope)
  | ({ readonly fault: "drop"; readonly probability: number } & Scope)
  /** messages are delayed by `delayMs` to `delayMs + jitterMs`, those of one link in their order */
  | ({ readonly fault: "delay"; readonly delayMs: number; readonly jitterMs: number } & Scope)
  /** calls are delivered twice */
  | ({ readonly fault: "duplicate"; readonly probability: number } & Scope)
  /** calls are carried out, but the caller sees a failure */
  | ({ readonly fault: "lose-return"; readonly probability: number } & Scope)
  /** the clock is ahead by this much */
  | { readonly fault: "skew"; readonly skewMs: number }
  /** writes count as durable only after this delay */
  | { readonly fault: "slow-storage"; readonly delayMs: number }
  /** one byte of a stored row is inverted; `check` identifies the row */
  | { readonly fault: "corrupt"; readonly seq: number; readonly at: number; readonly check: number };

/** Name of a fault. */
export type FaultName = Fault["fault"];

/** *map fault → whether it survives a loss of memory*: a paused process that is restarted runs */
const IS_STORED: Readonly<Record<FaultName, boolean>> = {
  kill: true,
  pause: false,
  isolate: true,
  drop: true,
  delay: true,
  duplicate: true,
  "lose-return": true,
  skew: true,
  "slow-storage": true,
  corrupt: true,
};

/** An active fault. */
export type ActiveFault = Fault & {
  /** ms since 1970 at which it ends; null: when it is healed */
  readonly until: number | null;
  /** seed of its random numbers */
  readonly seed: number;
};

/** A fault as it is listed. */
export type FaultView = Fault & { readonly remainingMs: number | null };

/** The event that faults of an object began or ended. `faults` are all that are active afterwards. */
export interface FaultEvent {
  readonly type: "fault";
  /** absent in the state with which a stream begins */
  readonly began?: string;
  readonly ended?: readonly string[];
  readonly faults: readonly FaultView[];
}

/** Outcome of one message. */
export interface Fate {
  /** it does not arrive, silently */
  readonly lost: boolean;
  /** a return only: the caller sees a failure */
  readonly fails: boolean;
  /** a call only: it is delivered twice */
  readonly twice: boolean;
  readonly delayMs: number;
}

/** The faults of one object. Invariant: at most one of each name; each has its own sequence of random numbers. */
export class FaultSet {
  readonly #faults = new Map<FaultName, { readonly fault: ActiveFault; readonly random: () => number }>();

  /** @param text result of {@link serialize}; undefined for no faults */
  constructor(text?: string) {
    if (text !== undefined) for (const fault of JSON.parse(text) as ActiveFault[]) this.add(fault);
  }

  get size(): number {
    return this.#faults.size;
  }

  get<N extends FaultName>(name: N): (ActiveFault & { readonly fault: N }) | undefined {
    return this.#faults.get(name)?.fault as (ActiveFault & { readonly fault: N }) | undefined;
  }

  /** Adds a fault, or replaces the one of the same name. */
  add(fault: ActiveFault): void {
    this.#faults.set(fault.fault, { fault, random: random(fault.seed) });
  }

  /** Ends one, or all. @returns those that were active */
  remove(name?: FaultName): ActiveFault[] {
    return this.#take(({ fault }) => name === undefined || fault === name);
  }

  /** Ends those whose time limit has passed. @returns them */
  expire(now: number): ActiveFault[] {
    return this.#take(({ until }) => until !== null && until <= now);
  }

  #take(which: (fault: ActiveFault) => boolean): ActiveFault[] {
    const taken = [...this.#faults.values()].map(({ fault }) => fault).filter(which);
    for (const { fault } of taken) this.#faults.delete(fault);
    return taken;
  }

  /** When the next one ends by itself, ms since 1970; Infinity if none does. */
  get nextEnd(): number {
    let end = Number.POSITIVE_INFINITY;
    for (const { fault } of this.#faults.values()) end = Math.min(end, fault.until ?? end);
    return end;
  }

  list(now: number): FaultView[] {
    return [...this.#faults.values()].map(({ fault: { until, seed: _, ...fault } }) => ({
      ...fault,
      remainingMs: until === null ? null : Math.max(0, until - now),
    }));
  }

  /** Those that survive a loss of memory, as text. */
  serialize(): string {
    return JSON.stringify(
      [...this.#faults.values()].map(({ fault }) => fault).filter(({ fault }) => IS_STORED[fault]),
    );
  }

  /**
   * Decides the fate of one message. Each fault that affects it draws one number, even if another fault has already decided.
   */
  fate(direction: "in" | "out", peer: number, kind: "call" | "return"): Fate {
    let lost = false;
    let fails = false;
    let twice = false;
    let delayMs = 0;
    for (const { fault, random } of this.#faults.values()) {
      if (!isAbout(fault, direction, peer)) continue;
      switch (fault.fault) {
        case "isolate":
          lost = true;
          break;
        case "drop":
          if (random() < fault.probability) lost = true;
          break;
        case "delay":
          delayMs += fault.delayMs + random() * fault.jitterMs;
          break;
        case "duplicate":
          if (kind === "call" && random() < fault.probability) twice = true;
          break;
        case "lose-return":
          if (kind === "return" && random() < fault.probability) fails = true;
          break;
        case "kill":
        case "pause":
        case "skew":
        case "slow-storage":
        case "corrupt":
          // does not affect single messages
          break;
        default:
          assertNever(fault);
      }
    }
    return { lost, fails, twice, delayMs };
  }
}

/** Whether the message is in the scope of the fault; a fault without a scope affects all. */
function isAbout(fault: Fault, direction: "in" | "out", peer: number): boolean {
  const scope: Scope & { readonly fault: FaultName } = fault;
  const oneWay = scope.direction !== undefined && scope.direction !== "both";
  if (oneWay && scope.direction !== direction) return false;
  return scope.peers === undefined || scope.peers.includes(peer);
}
