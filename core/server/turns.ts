/**
 * Schedules the connections of a node. The cost of a message varies: it may contain 4,000 reads of 1 MB. So a turn serves
 * the connections round robin, a share each, until the turn's budget is spent; then I/O gets a turn, so that calls of
 * peers, heartbeats and other clients are received. Costs are counted in bytes, because the clock of an object does not
 * advance while it runs.
 */
import { TURN_COST, TURN_MS } from "./config.ts";

/** Round-robin queue of the waiting connections. Invariant: a connection is in it at most once. */
export class Turns<T> {
  /** in the order of service */
  readonly #waiting = new Set<T>();
  #spent = 0;
  #since = Number.NEGATIVE_INFINITY;

  /** Number of connections that wait for their share. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Appends a connection, unless it already waits. */
  add(connection: T): void {
    this.#waiting.add(connection);
  }

  remove(connection: T): void {
    this.#waiting.delete(connection);
  }

  /** Begins a turn with a full budget, after a turn of I/O. */
  begin(now: number): void {
    this.#spent = 0;
    this.#since = now;
  }

  spend(cost: number): void {
    this.#spent += cost;
  }

  /** Whether any budget is left. */
  hasBudget(now: number): boolean {
    if (now - this.#since >= TURN_MS || now < this.#since) this.begin(now);
    return this.#spent < TURN_COST;
  }

  /** Whether a request that arrives now may be served at once: no connection waits, and budget is left. */
  isFree(now: number): boolean {
    return this.#waiting.size === 0 && this.hasBudget(now);
  }

  /** Removes and returns the next connection; undefined if none waits or the budget is spent. */
  next(): T | undefined {
    if (this.#spent >= TURN_COST) return undefined;
    for (const connection of this.#waiting) {
      this.#waiting.delete(connection);
      return connection;
    }
    return undefined;
  }
}
