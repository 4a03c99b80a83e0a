/** A queue that keeps nothing of what was taken out of it. */
import { assert } from "./assert.ts";

/** Places emptied at the front before they are given back. */
const HEAD_MAX = 1024;

/**
 * First in, first out, without moving the rest of an array each time.
 * Invariant: `#items` is empty places up to `#head`, items from there on; when there are no items it has no places either.
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

  /** Puts `by` in the place of an item that is in the queue. */
  replace(item: T, by: T): void {
    const at = this.#items.indexOf(item, this.#head);
    assert(at >= 0, "only what is queued is replaced");
    this.#items[at] = by;
  }

  /** Everything, oldest first. */
  items(): T[] {
    return this.#items.slice(this.#head) as T[];
  }

  /** Drops what the predicate is false for. */
  keep(predicate: (item: T) => boolean): void {
    this.#items = this.items().filter(predicate);
    this.#head = 0;
  }

  /** Takes everything, oldest first. */
  drain(): T[] {
    const all = this.items();
    this.#items = [];
    this.#head = 0;
    return all;
  }
}
