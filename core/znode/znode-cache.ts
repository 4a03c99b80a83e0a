/** Cache of the znodes in memory. */
import { bytesOf, type Znode } from "./stat.ts";

/** Bytes of a name in a list beside its characters. */
const NAME_BYTES = 64;
/**
 * A znode up to this size stays for one more round without use, because evicting it frees little and reading it again costs
 * the same.
 */
const SMALL_BYTES_MAX = 4_096;
/** Rounds for which a used small znode stays. */
const SMALL_ROUNDS = 2;
const LARGE_ROUNDS = 1;
/** A list with more names is compared with the budget at the end of each turn. */
const LONG_LIST_NAMES = 16_384;
/** Share of the budget that one list may use after the turn in which it was read. */
const LIST_SHARE_MAX = 1 / 4;
/** Share of the budget that is freed beyond the necessary. */
const HEADROOM = 1 / 64;

/** Approximate bytes of the list of a znode's children. */
const listBytesOf = ({ children }: Znode): number =>
  children === null ? 0 : children.size * NAME_BYTES + children.length;

/** Approximate bytes of a znode and its list in memory. */
const allBytesOf = (node: Znode): number => bytesOf(node) + listBytesOf(node);

/**
 * *map path → znode*, within a budget. Clean znodes are evicted by the CLOCK policy: a hand passes over them, and evicts
 * those that were not used since its last passes. Large ones get fewer passes, because they free more.
 *
 * Invariants: a znode that has changed since the last checkpoint, or is pinned, is not evicted; `bytes` is the sum of the
 * sizes of all znodes, each as of when it was last added or measured.
 * @source CLOCK: Corbató, A Paging Experiment with the Multics System (1968); sizes: Cao and Irani, GreedyDual-Size (1997)
 */
export class ZnodeCache {
  readonly #nodes = new Map<string, Znode>();
  /** znodes that may be evicted while they are clean, in the order of the hand */
  readonly #ring: Znode[] = [];
  #hand = 0;
  #bytes = 0;
  /** znodes with lists that may be too large to be kept */
  readonly #longLists = new Set<Znode>();
  #isStuck = false;

  /** number of znodes in memory */
  get size(): number {
    return this.#nodes.size;
  }

  /** approximate bytes of the znodes in memory */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the last trim found that all remaining znodes have changed, so that none can be evicted before a checkpoint. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  get(path: string): Znode | undefined {
    const node = this.#nodes.get(path);
    if (node !== undefined) node.used = true;
    return node;
  }

  /** Like {@link get}, without counting as a use. */
  peek(path: string): Znode | undefined {
    return this.#nodes.get(path);
  }

  values(): IterableIterator<Znode> {
    return this.#nodes.values();
  }

  /** Adds a znode that may be evicted while it is clean. */
  add(node: Znode): void {
    node.slot = this.#ring.length;
    this.#ring.push(node);
    if (!node.dirty) this.#isStuck = false;
    this.pin(node);
  }

  /** Adds a znode that is never evicted. */
  pin(node: Znode): void {
    this.#nodes.set(node.path, node);
    node.bytes = allBytesOf(node);
    this.#bytes += node.bytes;
  }

  /** Removes a znode. */
  remove(node: Znode): void {
    this.#nodes.delete(node.path);
    this.#bytes -= node.bytes;
    this.#longLists.delete(node);
    if (node.slot < 0) return;
    const last = this.#ring.pop();
    if (last !== undefined && last !== node) {
      this.#ring[node.slot] = last;
      last.slot = node.slot;
    }
    node.slot = -1;
  }

  /** Records the new size of a znode. */
  measure(node: Znode): void {
    const bytes = allBytesOf(node);
    this.#bytes += bytes - node.bytes;
    node.bytes = bytes;
    if (node.children !== null && node.children.size > LONG_LIST_NAMES) this.#longLists.add(node);
  }

  /** Records that a checkpoint was made, so that all znodes are clean. */
  cleaned(): void {
    this.#isStuck = false;
  }

  /** Evicts znodes until the others are within the budget, as far as possible. No caller may have a reference to a znode. */
  trim(bytesMax: number): void {
    for (const node of this.#longLists) {
      if (listBytesOf(node) > bytesMax * LIST_SHARE_MAX) this.#dropList(node);
      if (node.children === null) this.#longLists.delete(node);
    }
    if (this.#bytes <= bytesMax || this.#isStuck) return;
    const goal = bytesMax * (1 - HEADROOM);
    for (let left = (SMALL_ROUNDS + 2) * this.#ring.length; left > 0 && this.#bytes > goal; left--) {
      if (this.#hand >= this.#ring.length) this.#hand = 0;
      const node = this.#ring[this.#hand];
      if (node === undefined) break;
      if (node.dirty || survives(node)) this.#hand += 1;
      else this.remove(node);
    }
    this.#isStuck = this.#bytes > bytesMax;
  }

  /** Evicts clean znodes and lists regardless of the budget. No caller may have a reference to a znode. */
  evict(mayLeave: (node: Znode) => boolean): void {
    for (const node of [...this.#nodes.values()]) {
      if (!mayLeave(node)) continue;
      if (node.dirty || node.slot < 0) this.#dropList(node);
      else this.remove(node);
    }
  }

  #dropList(node: Znode): void {
    if (node.children === null) return;
    node.children = null;
    this.measure(node);
  }
}

/** Moves the hand over a znode. @returns whether it stays */
function survives(node: Znode): boolean {
  if (node.used) {
    node.used = false;
    node.rounds = node.bytes <= SMALL_BYTES_MAX ? SMALL_ROUNDS : LARGE_ROUNDS;
    // Small data share a buffer, so a remaining znode must not keep the data of evicted ones in memory.
    if (node.data !== null && node.data.buffer.byteLength > 2 * node.data.length)
      node.data = node.data.slice();
  }
  node.rounds -= 1;
  return node.rounds >= 0;
}
