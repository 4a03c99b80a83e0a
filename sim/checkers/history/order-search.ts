/**
 * The search for an order of a partition's operations in which each gets the result that its client got. It is bounded by steps,
 * not by time, so that a verdict does not depend on the machine.
 *
 * @source Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for linearizability" (2017)
 */
import { type ModelNode, newNode } from "./model.ts";
import type { Entry, Partition } from "./partition.ts";
import { State, step } from "./partition-state.ts";

/** Result of the search. */
export interface Verdict {
  readonly type: "ok" | "illegal" | "undecided";
  readonly steps: number;
  /** the longest order that was found, as indices of entries */
  readonly longest: readonly number[];
  /** the entry that does not fit after it; −1 if none */
  readonly stuck: number;
}

/** A state of the search: some operations are taken, and the next one is to be chosen. */
interface Place {
  readonly state: State;
  /** operations that may be next, the likeliest first */
  readonly choices: readonly number[];
  tried: number;
  /** the one that is taken now; −1: none */
  taken: number;
}

/**
 * Searches for an order. `entries` are by invoke. Calls and returns stand in a doubly linked list by time: an operation may
 * be next while no return stands before its call, and both leave the list when it is taken.
 */
export function search(partition: Partition, stepsMax: number): Verdict {
  const { entries } = partition;
  const list = new CallList(entries);
  const taken = new Uint16Array(Math.ceil(entries.length / 16));
  const seen = new Set<string>();
  /** operations that have to be taken */
  let left = entries.filter((entry) => Number.isFinite(entry.return)).length;
  const untake = (index: number): void => {
    taken[index >> 4] = (taken[index >> 4] as number) & ~(1 << (index & 15));
    if (Number.isFinite((entries[index] as Entry).return)) left += 1;
    list.unlift(index);
  };
  let steps = 0;
  let longest: number[] = [];
  let stuck = -1;
  const stack: Place[] = [
    { state: new State(initialNodes(partition)), choices: list.choices(entries), tried: 0, taken: -1 },
  ];
  while (left > 0) {
    const here = stack.at(-1);
    if (here === undefined) return { type: "illegal", steps, longest, stuck };
    if (here.taken !== -1) {
      untake(here.taken);
      here.taken = -1;
    }
    const index = here.choices[here.tried];
    if (index === undefined) {
      if (stuck === -1 || stack.length > longest.length + 1) {
        longest = stack.slice(0, -1).map((place) => place.taken);
        stuck = list.bound;
      }
      stack.pop();
      continue;
    }
    here.tried += 1;
    steps += 1;
    if (steps > stepsMax) return { type: "undecided", steps, longest, stuck };
    const entry = entries[index] as Entry;
    const after = step(partition, here.state, entry);
    if (after === null) continue;
    // Taking a read or a refusal that fits here excludes no order: there is no other choice to try.
    const free = after === here.state;
    if (free) here.tried = here.choices.length;
    else if (!isNew(seen, taken, index, after)) continue;
    taken[index >> 4] = (taken[index >> 4] as number) | (1 << (index & 15));
    if (Number.isFinite(entry.return)) left -= 1;
    list.lift(index);
    here.taken = index;
    stack.push({ state: after, choices: list.choices(entries), tried: 0, taken: -1 });
  }
  return { type: "ok", steps, longest: [], stuck: -1 };
}

/** Is this state of the search new? */
function isNew(seen: Set<string>, taken: Uint16Array, index: number, after: State): boolean {
  const word = taken[index >> 4] as number;
  taken[index >> 4] = word | (1 << (index & 15));
  const key = String.fromCharCode(...taken) + after.text;
  taken[index >> 4] = word;
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

/** The built-in nodes are there from the beginning. */
function initialNodes({ paths }: Partition): Map<string, ModelNode> {
  const nodes = new Map<string, ModelNode>();
  if (!paths.has("/")) return nodes;
  nodes.set("/", { ...newNode(0, "", 0), children: 1 });
  nodes.set("/zookeeper", { ...newNode(0, "", 0), children: 2 });
  return nodes;
}

/** Calls (0 … n−1, by entry) and returns (n … 2n−1) in the order of time. The end is −1. */
class CallList {
  readonly #n: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  constructor(entries: readonly Entry[]) {
    this.#n = entries.length;
    const n = this.#n;
    const moments = entries.flatMap((entry, i) =>
      Number.isFinite(entry.return)
        ? [
            { at: entry.invoke, id: i },
            { at: entry.return, id: n + i },
          ]
        : [{ at: entry.invoke, id: i }],
    );
    moments.sort((a, b) => a.at - b.at);
    // One more place, at 2n, is the head.
    this.#next = new Int32Array(2 * n + 1).fill(-1);
    this.#previous = new Int32Array(2 * n + 1).fill(-1);
    let last = 2 * n;
    for (const { id } of moments) {
      this.#next[last] = id;
      this.#previous[id] = last;
      last = id;
    }
  }

  /** The calls that no return precedes. */
  choices(entries: readonly Entry[]): number[] {
    const calls: number[] = [];
    let id = this.#next[2 * this.#n] as number;
    for (; id !== -1 && id < this.#n; id = this.#next[id] as number) calls.push(id);
    return calls.sort((a, b) => (entries[a] as Entry).hint - (entries[b] as Entry).hint || a - b);
  }

  /** The call whose return stands first; −1: none. */
  get bound(): number {
    let id = this.#next[2 * this.#n] as number;
    while (id !== -1 && id < this.#n) id = this.#next[id] as number;
    return id === -1 ? -1 : id - this.#n;
  }

  lift(call: number): void {
    this.#remove(call);
    this.#remove(this.#n + call);
  }

  unlift(call: number): void {
    this.#restore(this.#n + call);
    this.#restore(call);
  }

  #remove(id: number): void {
    const previous = this.#previous[id] as number;
    const next = this.#next[id] as number;
    if (previous === -1) return;
    this.#next[previous] = next;
    if (next !== -1) this.#previous[next] = previous;
  }

  #restore(id: number): void {
    const previous = this.#previous[id] as number;
    const next = this.#next[id] as number;
    if (previous === -1) return;
    this.#next[previous] = id;
    if (next !== -1) this.#previous[next] = id;
  }
}
