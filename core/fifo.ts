/** A queue that keeps no reference to removed items. */
import { assert } from "./assert.ts";

/** Number of empty places at the front above which the array is compacted. */
const HEAD_MAX = 1024;

/**
 * First in, first out; removing an item does not move the others.
 * Invariant: `#items` has empty places before `#head` and items from there on; without items it is empty.
 */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The oldest; undefined when there is none. */
  get first(): T | undefined {
    return this.#items[this.#head];
  }

  /** The newest; undefined when there is none. */
  get last(): T | undefined {
    return this.#items.at(-1);
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the oldest; undefined when there is none. */
  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= HEAD_MAX && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Replaces an item of the queue by `by`. */
  replace(item: T, by: T): void {
    const at = this.#items.indexOf(item, this.#head);
    assert(at >= 0, "the replaced item is in the queue");
    this.#items[at] = by;
  }

  /** All items, oldest first. */
  items(): T[] {
    return this.#items.slice(this.#head) as T[];
  }

  /** Removes the items for which the predicate is false. */
  keep(predicate: (item: T) => boolean): void {
    this.#items = this.items().filter(predicate);
    this.#head = 0;
  }

  /** Removes and returns all items, oldest first. */
  drain(): T[] {
    const all = this.items();
    this.#items = [];
    this.#head = 0;
    return all;
  }
}
