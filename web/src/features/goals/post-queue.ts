/**
 * Goals that are not stored yet. Only one post at a time is outstanding, in all tabs where the browser has locks, so that
 * posts without a quorum never occupy the connections that faults and polls need. The others wait here.
 */
import { ApiProblem } from "../../api/http.ts";
import type { Goal } from "../../api/types.ts";

/** The broker to which a goal is posted; "auto": any broker that is up at that time. */
export type Broker = number | "auto";

/** A goal that is not stored yet. */
export interface Flight {
  readonly key: string;
  readonly goal: Goal;
  readonly broker: Broker;
  /** Attempts so far, this one included; 0: it waits for its turn. */
  readonly attempt: number;
  /** Why the previous attempt failed; null for the first. */
  readonly reason: string | null;
  /** When it was queued, on the page's clock, ms. */
  readonly sinceMs: number;
}

/** A goal that was stored, with the time and the attempts that it took. */
export interface Stored {
  readonly goal: Goal;
  readonly ms: number;
  readonly attempts: number;
}

/** What the queue needs from outside: sending, time, and listeners. */
export interface PostQueueOptions {
  /** One attempt. @returns the problem, or undefined if the goal is stored */
  readonly send: (flight: Flight, signal: AbortSignal) => Promise<ApiProblem | undefined>;
  readonly newKey: () => string;
  /** Pauses between two attempts for a goal. */
  readonly pause: (attempt: number) => Promise<void>;
  /** Runs one attempt while no other tab runs one. */
  readonly alone: <T>(run: () => Promise<T>) => Promise<T>;
  /** Time limit of an attempt, ms; the next one has the same key. */
  readonly answerMsMax: number;
  readonly now: () => number;
  readonly onChange: (flights: readonly Flight[]) => void;
  readonly onStored: (stored: Stored) => void;
  readonly onRefused: (goal: Goal, problem: ApiProblem) => void;
}

/** Goals that may wait; further ones are refused. */
export const QUEUE_MAX = 50;
/** Statuses after which the same request is sent again; 504: unknown outcome, 0: no answer. */
const RETRIED: ReadonlySet<number> = new Set([0, 408, 425, 429, 502, 503, 504]);
const ATTEMPTS_MAX = 60;

/**
 * Posts goals one after the other. Invariant: a goal keeps its key for all attempts, and leaves the queue only when
 * it is stored or refused.
 */
export class PostQueue {
  readonly #options: PostQueueOptions;
  readonly #end = new AbortController();
  #flights: readonly Flight[] = [];
  #running = false;

  constructor(options: PostQueueOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#flights.length;
  }

  /** Puts a goal at the end of the queue. @returns whether there was room */
  post(goal: Goal, broker: Broker): boolean {
    if (this.#flights.length >= QUEUE_MAX) return false;
    const flight = {
      key: this.#options.newKey(),
      goal,
      broker,
      attempt: 0,
      reason: null,
      sinceMs: this.#options.now(),
    };
    this.#set([...this.#flights, flight]);
    if (!this.#running) void this.#run();
    return true;
  }

  /** Empties the queue. The goal that is outstanding may be stored or not. */
  close(): void {
    this.#end.abort();
    this.#flights = [];
  }

  #set(flights: readonly Flight[]): void {
    this.#flights = flights;
    this.#options.onChange(flights);
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (
      let next = this.#flights[0];
      next !== undefined && !this.#end.signal.aborted;
      next = this.#flights[0]
    )
      await this.#send(next);
    this.#running = false;
  }

  /** Sends one goal until it is stored or refused. */
  async #send(flight: Flight): Promise<void> {
    const options = this.#options;
    let reason: string | null = null;
    for (let attempt = 1; ; attempt++) {
      const now = { ...flight, attempt, reason };
      this.#set(this.#flights.map((each) => (each.key === flight.key ? now : each)));
      const problem = await options.alone(() => this.#tryOnce(flight)).catch(asProblem);
      if (this.#end.signal.aborted) return;
      const over = problem === undefined || !RETRIED.has(problem.status) || attempt >= ATTEMPTS_MAX;
      if (over) {
        this.#set(this.#flights.filter(({ key }) => key !== flight.key));
        const ms = Math.round(options.now() - flight.sinceMs);
        if (problem === undefined) options.onStored({ goal: flight.goal, ms, attempts: attempt });
        else options.onRefused(flight.goal, problem);
        return;
      }
      reason = problem.message;
      await options.pause(attempt);
      if (this.#end.signal.aborted) return;
    }
  }

  #tryOnce(flight: Flight): Promise<ApiProblem | undefined> {
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(this.#options.answerMsMax)]);
    return this.#options.send(flight, signal).catch((error: unknown) => {
      if (signal.aborted) return new ApiProblem(0, "UNREACHABLE", "no answer yet");
      return asProblem(error);
    });
  }
}

const asProblem = (error: unknown): ApiProblem =>
  error instanceof ApiProblem
    ? error
    : new ApiProblem(-1, "FAILED", error instanceof Error ? error.message : String(error));
