/** The channels between members, as parts of a state. */
import { Interner, PairTable } from "./tables.ts";

/** Calls from one member to another, and their returns. */
export interface Channel {
  /** life of the caller, 0 while it is down; its calls bear boot and generation */
  readonly boot: number;
  readonly generation: number;
  /** a call failed, and the caller has not noticed yet */
  readonly broken: boolean;
  /**
   * the caller has noticed, and the callee is still down: further calls are lost silently, since links would be counted
   * without end otherwise
   */
  readonly refused: boolean;
  readonly calls: readonly number[];
  readonly returns: readonly number[];
}

/** The caller has noticed that its link is dead: the next one begins, and so many calls of the old one still arrive. */
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

  /** @param n members @param at where the channels begin in a state */
  constructor(n: number, at: number) {
    this.#n = n;
    this.#at = at;
  }

  /** Where a state has the channel of these members, counted from 0. */
  slot(from: number, to: number): number {
    return this.#at + from * (this.#n - 1) + (to > from ? to - 1 : to);
  }

  /** The channel of this number. */
  at(number: number): Channel {
    return this.#table.at(number);
  }

  /** The channel that a state has between these members. */
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

  /** The channel with one more call or return on its way. @returns its number */
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
