/**
 * What can be broken about an object, and what becomes of a message while it is. Pure: the clock and the seeds are
 * arguments, so that every decision can be repeated.
 *
 * A fault is held by one object, the one it is inflicted on, and is about what reaches it or leaves it. So a cut from A
 * to B is held by A (`out`) or by B (`in`), and the other one knows nothing of it.
 */
import { assertNever } from "../../core/assert.ts";

/** Which way the messages go that a fault is about, seen from the object that holds it. */
export type Direction = "in" | "out" | "both";

/** The messages that a fault is about. */
interface Scope {
  /** ids of the objects at the other end; undefined: all */
  readonly peers?: readonly number[] | undefined;
  /** undefined: both */
  readonly direction?: Direction | undefined;
}

/** A fault that lasts. */
export type Fault =
  /** refuses every call, its alarm does nothing */
  | { readonly fault: "kill" }
  /** stands still with its memory: what arrives, rings or completes waits */
  | { readonly fault: "pause" }
  /** messages are lost silently */
  | ({ readonly fault: "isolate" } & Scope)
  | ({ readonly fault: "drop"; readonly probability: number } & Scope)
  /** messages are late by `delayMs` to `delayMs + jitterMs`, those of one link in their order */
  | ({ readonly fault: "delay"; readonly delayMs: number; readonly jitterMs: number } & Scope)
  /** calls are delivered twice */
  | ({ readonly fault: "duplicate"; readonly probability: number } & Scope)
  /** calls are carried out, but the caller sees a failure */
  | ({ readonly fault: "lose-return"; readonly probability: number } & Scope)
  /** the clock is ahead by so much */
  | { readonly fault: "skew"; readonly skewMs: number }
  /** what is written counts as durable only so much later */
  | { readonly fault: "slow-storage"; readonly delayMs: number }
  /** one byte of a stored row is inverted; `check` knows the row again */
  | { readonly fault: "corrupt"; readonly seq: number; readonly at: number; readonly check: number };

/** Name of a fault. */
export type FaultName = Fault["fault"];

/** Faults that are over when the memory is lost: a process that stands still and is restarted runs. */
const VOLATILE: readonly FaultName[] = ["pause"];

/** A fault that is on. */
export type ActiveFault = Fault & {
  /** ms since 1970 at which it is over; null: when it is healed */
  readonly until: number | null;
  /** begins the row of random numbers */
  readonly seed: number;
};

/** A fault as it is listed. */
export type FaultView = Fault & { readonly remainingMs: number | null };

/** Faults of an object began or ended. `faults` are those that are on afterwards. */
export interface FaultEvent {
  readonly type: "fault";
  /** absent in the state with which a stream begins */
  readonly began?: string;
  readonly ended?: readonly string[];
  readonly faults: readonly FaultView[];
}

/** What becomes of one message. */
export interface Fate {
  /** it does not arrive, silently */
  readonly lost: boolean;
  /** a return only: the caller sees a failure */
  readonly fails: boolean;
  /** a call only: it is delivered twice */
  readonly twice: boolean;
  readonly delayMs: number;
}

/** A random number generator that can be seeded, of [0, 1). @source splitmix32 */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let x = state ^ (state >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x ^= x >>> 15;
    x = Math.imul(x, 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** The faults of one object: at most one of each name. */
export class FaultSet {
  readonly #faults = new Map<FaultName, { readonly fault: ActiveFault; readonly random: () => number }>();

  /** @param text of {@link serialize}; undefined: none */
  constructor(text?: string) {
    if (text !== undefined) for (const fault of JSON.parse(text) as ActiveFault[]) this.add(fault);
  }

  get size(): number {
    return this.#faults.size;
  }

  get<N extends FaultName>(name: N): (ActiveFault & { readonly fault: N }) | undefined {
    return this.#faults.get(name)?.fault as (ActiveFault & { readonly fault: N }) | undefined;
  }

  /** Takes the place of one of the same name. */
  add(fault: ActiveFault): void {
    this.#faults.set(fault.fault, { fault, random: random(fault.seed) });
  }

  /** Ends one, or all. @returns those that were on */
  remove(name?: FaultName): ActiveFault[] {
    return this.#take(({ fault }) => name === undefined || fault === name);
  }

  /** Ends those whose time is up. @returns them */
  expire(now: number): ActiveFault[] {
    return this.#take(({ until }) => until !== null && until <= now);
  }

  #take(which: (fault: ActiveFault) => boolean): ActiveFault[] {
    const taken = [...this.#faults.values()].map(({ fault }) => fault).filter(which);
    for (const { fault } of taken) this.#faults.delete(fault);
    return taken;
  }

  /** When the next one ends by itself, ms since 1970; Infinity: none does. */
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

  /** Those that outlive the memory, as text. */
  serialize(): string {
    return JSON.stringify(
      [...this.#faults.values()].map(({ fault }) => fault).filter(({ fault }) => !VOLATILE.includes(fault)),
    );
  }

  /** Decides about one message. Each fault that is about it draws one number, whether another has decided or not. */
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
          // not about single messages
          break;
        default:
          assertNever(fault);
      }
    }
    return { lost, fails, twice, delayMs };
  }
}

/** Has the fault no scope, or does the message fall into it? */
function isAbout(fault: Fault, direction: "in" | "out", peer: number): boolean {
  const scope: Scope & { readonly fault: FaultName } = fault;
  const oneWay = scope.direction !== undefined && scope.direction !== "both";
  if (oneWay && scope.direction !== direction) return false;
  return scope.peers === undefined || scope.peers.includes(peer);
}
