/** The states of a search that were found, each with the cheapest way to it that is known, and which are to be looked at next. */
import { StateSet } from "./tables.ts";

/** Numbers that are kept behind those of a state: the state it was found from (−1: none), and cost and depth of the way. */
const FROM = 0;
const COST = 1;
const DEPTH = 2;
const EXTRA = 3;

/** Invariant: a state has the lowest cost at which it was found, and is in the bucket of that cost. */
export class Frontier {
  readonly #length: number;
  readonly #set: StateSet;
  /** *cost → states found at that cost*, some of which were found cheaper since */
  readonly #buckets: number[][] = [];

  /** @param length numbers that make a state */
  constructor(length: number) {
    this.#length = length;
    this.#set = new StateSet(length, EXTRA);
  }

  /** Room for a state, and for what is kept with it. */
  newState(): Int32Array {
    return new Int32Array(this.#length + EXTRA);
  }

  /** States found. */
  get size(): number {
    return this.#set.size;
  }

  /** One more than the highest cost. */
  get costs(): number {
    return this.#buckets.length;
  }

  /** States of this cost, to which more may come while they are looked at; some have a lower cost by now. */
  bucket(cost: number): readonly number[] {
    return this.#buckets[cost] ?? [];
  }

  /** All states of this cost were looked at. */
  done(cost: number): void {
    this.#buckets[cost] = [];
  }

  /** A state was found. @param from −1: it is the first @returns its number if it is new */
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

  /** The states on the way to this one, from the first on. */
  wayTo(index: number): number[] {
    const way: number[] = [];
    for (let at = index; at >= 0; at = this.#set.list.field(at, this.#length + FROM)) way.push(at);
    return way.reverse();
  }
}
