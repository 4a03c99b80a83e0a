/**
 * Which connection's requests a node serves next. The cost of a message varies: it may contain 4,000 reads of 1 MB. So a turn
 * serves the connections round robin, a share each, until the turn's budget is spent; then I/O has a turn, so that calls of
 * peers, heartbeats and other clients are received. Costs are counted in bytes, because the clock of an object does not advance
 * while it runs.
 */
import { TURN_COST, TURN_MS } from "./config.ts";

/** Round robin among the connections that wait. Invariant: a connection waits at most once. */
export class Turns<T> {
  /** in the order in which they are served */
  readonly #waiting = new Set<T>();
  #spent = 0;
  #since = Number.NEGATIVE_INFINITY;

  /** Connections that wait for their share. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Puts a connection at the end of the circle, unless it waits there already. */
  add(connection: T): void {
    this.#waiting.add(connection);
  }

  remove(connection: T): void {
    this.#waiting.delete(connection);
  }

  /** I/O had its turn: there is a whole budget again. */
  begin(now: number): void {
    this.#spent = 0;
    this.#since = now;
  }

  spend(cost: number): void {
    this.#spent += cost;
  }

  /** Is there any budget left? */
  hasBudget(now: number): boolean {
    if (now - this.#since >= TURN_MS || now < this.#since) this.begin(now);
    return this.#spent < TURN_COST;
  }

  /** May a request that comes now be served at once: nobody waits, and the turn is not over? */
  isFree(now: number): boolean {
    return this.#waiting.size === 0 && this.hasBudget(now);
  }

  /** Takes out the connection that is served next; undefined when none waits or the budget is spent. */
  next(): T | undefined {
    if (this.#spent >= TURN_COST) return undefined;
    for (const connection of this.#waiting) {
      this.#waiting.delete(connection);
      return connection;
    }
    return undefined;
  }
}
