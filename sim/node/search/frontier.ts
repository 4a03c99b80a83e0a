/** The found states of a search, each with the cheapest known path to it, and the states to expand next. */
import { StateSet } from "./tables.ts";

/** Numbers stored after those of a state: the state from which it was found (−1 for none), and cost and depth of the path. */
const FROM = 0;
const COST = 1;
const DEPTH = 2;
const EXTRA = 3;

/** Queue of states by cost. Invariant: a state has the lowest cost at which it was found, and is in the bucket of that cost. */
export class Frontier {
  readonly #length: number;
  readonly #set: StateSet;
  /** *map cost → states found at that cost*, some of which were later found at a lower cost */
  readonly #buckets: number[][] = [];

  /** @param length numbers per state */
  constructor(length: number) {
    this.#length = length;
    this.#set = new StateSet(length, EXTRA);
  }

  /** An array for a state and the numbers stored with it. */
  newState(): Int32Array {
    return new Int32Array(this.#length + EXTRA);
  }

  /** Number of states found. */
  get size(): number {
    return this.#set.size;
  }

  /** The highest cost plus one. */
  get costs(): number {
    return this.#buckets.length;
  }

  /** States of this cost; more may be added during the iteration, and some may have a lower cost by now. */
  bucket(cost: number): readonly number[] {
    return this.#buckets[cost] ?? [];
  }

  /** Records that all states of this cost were expanded. */
  done(cost: number): void {
    this.#buckets[cost] = [];
  }

  /** Adds a found state. @param from −1 for the first one @returns its number if it is new */
  add(state: Int32Array, from: number, cost: number, depth: number): number | undefined {
    state[this.#length + FROM] = from;
    state[this.#length + COST] = cost;
    state[this.#length + DEPTH] = depth;
    const number = this.#set.add(state);
    if (number < 0) {
      this.#enqueue(cost, ~number);
      return ~number;
    }
    if (this.costOf(number) > cost) {
      this.#set.list.setField(number, this.#length + FROM, from);
      this.#set.list.setField(number, this.#length + COST, cost);
      this.#set.list.setField(number, this.#length + DEPTH, depth);
      this.#enqueue(cost, number);
    }
    return undefined;
  }

  #enqueue(cost: number, index: number): void {
    while (this.#buckets.length <= cost) this.#buckets.push([]);
    (this.#buckets[cost] as number[]).push(index);
  }

  read(index: number, into: Int32Array): void {
    this.#set.list.read(index, into);
  }

  costOf(index: number): number {
    return this.#set.list.field(index, this.#length + COST);
  }

  depthOf(index: number): number {
    return this.#set.list.field(index, this.#length + DEPTH);
  }

  /** The states on the path to this one, from the first on. */
  wayTo(index: number): number[] {
    const way: number[] = [];
    for (let at = index; at >= 0; at = this.#set.list.field(at, this.#length + FROM)) way.push(at);
    return way.reverse();
  }
}
