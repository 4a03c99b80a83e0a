/** The channels between members, as parts of a state. */
import { Interner, PairTable } from "./tables.ts";

/** Calls from one member to another, and their returns. */
export interface Channel {
  /** life of the caller, 0 while it is down; its calls carry boot and generation */
  readonly boot: number;
  readonly generation: number;
  /** whether a call failed that the caller has not noticed yet */
  readonly broken: boolean;
  /**
   * whether the caller has noticed while the callee is still down: further calls are then lost silently, since the number
   * of links would otherwise have no bound
   */
  readonly refused: boolean;
  readonly calls: readonly number[];
  readonly returns: readonly number[];
}

/** The channel after its caller has noticed that the link is dead. @param keep number of calls of the old link that still arrive */
export const nextGeneration = (channel: Channel, keep: number): Channel => ({
  ...channel,
  generation: channel.generation + 1,
  broken: false,
  calls: channel.calls.slice(0, keep),
  returns: [],
});

/** All channels of one search, by number. Invariant: equal channels have equal numbers. */
export class Channels {
  readonly #n: number;
  readonly #at: number;
  readonly #table = new Interner<Channel>();
  /** *map channel and what was pushed → channel* */
  readonly #pushed = new PairTable();

  /** @param n number of members @param at index of the first channel in a state */
  constructor(n: number, at: number) {
    this.#n = n;
    this.#at = at;
  }

  /** Index of the channel of these members (counted from 0) in a state. */
  slot(from: number, to: number): number {
    return this.#at + from * (this.#n - 1) + (to > from ? to - 1 : to);
  }

  /** The channel of this number. */
  at(number: number): Channel {
    return this.#table.at(number);
  }

  /** The channel between these members in a state. */
  of(state: Int32Array, from: number, to: number): Channel {
    return this.#table.at(state[this.slot(from, to)] as number);
  }

  set(state: Int32Array, from: number, to: number, channel: Channel): void {
    state[this.slot(from, to)] = this.id(channel);
  }

  /** The number of a channel. */
  id(channel: Channel): number {
    const { boot, generation, broken, refused, calls, returns } = channel;
    const key = `${boot}.${generation}${broken ? "!" : "."}${refused ? "x" : ""}${calls.join(",")};${returns.join(",")}`;
    return this.#table.id(key, () => channel);
  }

  /** Adds a call or a return to a channel. @returns the number of the resulting channel */
  push(channel: number, input: number, isCall: boolean): number {
    const key = input * 2 + (isCall ? 1 : 0);
    const known = this.#pushed.get(channel, key);
    if (known >= 0) return known;
    const old = this.#table.at(channel);
    const made = this.id(
      isCall ? { ...old, calls: [...old.calls, input] } : { ...old, returns: [...old.returns, input] },
    );
    this.#pushed.set(channel, key, made);
    return made;
  }
}
