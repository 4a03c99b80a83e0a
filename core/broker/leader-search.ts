/**
 * The search for the leader of a partition whose stored leadership is damaged: it asks the brokers one after the other,
 * because a controller sends the leadership again only when it changes. Calls wait meanwhile.
 *
 * Invariant: while calls wait, a broker is asked or a write is under way, so each call is answered.
 */
import type { ReplicaCall } from "./replica-messages.ts";

/** A call that waits until the leader is known. */
export interface HeldCall {
  /** number of the call that is answered */
  readonly id: number;
  readonly call: ReplicaCall;
}

/** The search of one partition. @see the invariant above */
export class LeaderSearch {
  readonly #brokerCount: number;
  /** the broker being asked; undefined if none is */
  #asked: number | undefined;
  #held: HeldCall[] = [];

  /** @param brokerCount brokers 0 to brokerCount − 1 can be asked */
  constructor(brokerCount: number) {
    this.#brokerCount = brokerCount;
  }

  get isRunning(): boolean {
    return this.#asked !== undefined;
  }

  hold(held: HeldCall): void {
    this.#held.push(held);
  }

  /** The next broker to ask; undefined if all were asked, which ends the search. */
  next(): number | undefined {
    const broker = this.#asked === undefined ? 0 : this.#asked + 1;
    this.#asked = broker < this.#brokerCount ? broker : undefined;
    return this.#asked;
  }

  end(): void {
    this.#asked = undefined;
  }

  /** Removes and returns the oldest waiting call; undefined if there is none, or if the search has not ended. */
  release(): HeldCall | undefined {
    return this.isRunning ? undefined : this.#held.shift();
  }
}
