/**
 * The names of a znode's children. The sorted list is made when it is read, and stays the same array until the names
 * change; after a few changes it is merged with them instead of being sorted again.
 */

/** Share of the list from which on the changes make sorting cheaper than merging. */
const MERGED_SHARE = 1 / 4;
/** Number of changes up to which each is inserted separately. */
const SPLICED_MAX = 16;

/**
 * A set of names with a sorted list of them.
 * Invariant: `sorted()` gives the same array until a name comes or goes.
 */
export class ChildNames {
  readonly #names = new Set<string>();
  #sorted: readonly string[] | null = null;
  /** names that were added or removed since `#sorted` was made; empty while there is no `#sorted` */
  #changed: string[] = [];
  #length = 0;

  /** @param sorted names to begin with, in code unit order; the array is not changed */
  constructor(sorted: readonly string[] = []) {
    if (sorted.length === 0) return;
    for (const name of sorted) this.add(name);
    this.#sorted = sorted;
  }

  get size(): number {
    return this.#names.size;
  }

  /** Code units of all names together. */
  get length(): number {
    return this.#length;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  add(name: string): void {
    const before = this.#names.size;
    this.#names.add(name);
    if (this.#names.size === before) return;
    this.#length += name.length;
    this.#note(name);
  }

  delete(name: string): void {
    if (!this.#names.delete(name)) return;
    this.#length -= name.length;
    this.#note(name);
  }

  #note(name: string): void {
    if (this.#sorted === null) return;
    this.#changed.push(name);
    if (this.#changed.length <= this.#sorted.length * MERGED_SHARE) return;
    this.#sorted = null;
    this.#changed = [];
  }

  /** In code unit order. The array is never changed afterwards. */
  sorted(): readonly string[] {
    if (this.#sorted === null) this.#sorted = [...this.#names].sort();
    else if (this.#changed.length > 0) this.#sorted = this.#merged(this.#sorted);
    this.#changed = [];
    return this.#sorted;
  }

  #merged(before: readonly string[]): readonly string[] {
    const changed = new Set(this.#changed);
    if (changed.size > SPLICED_MAX) return this.#mergedWith(before, changed);
    const list = before.slice();
    for (const name of changed) {
      const at = lowerBound(list, name);
      const listed = list[at] === name;
      if (this.#names.has(name)) {
        if (!listed) list.splice(at, 0, name);
      } else if (listed) list.splice(at, 1);
    }
    return list;
  }

  #mergedWith(before: readonly string[], changed: ReadonlySet<string>): readonly string[] {
    const added = [...changed].filter((name) => this.#names.has(name)).sort();
    const merged: string[] = [];
    let next = 0;
    for (const name of before) {
      // a name that was created again is among the added ones
      if (changed.has(name)) continue;
      for (; next < added.length && (added[next] as string) < name; next++)
        merged.push(added[next] as string);
      merged.push(name);
    }
    for (; next < added.length; next++) merged.push(added[next] as string);
    return merged;
  }
}

/** Index of `name` in a sorted list, or of its place. */
function lowerBound(list: readonly string[], name: string): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
