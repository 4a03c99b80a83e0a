/** Bugs of the tree as a cache over the stored znodes. */
import { TREE_STATE, ZNODE_CACHE } from "../sources.ts";
import type { SeededBug } from "./bug.ts";

/** Bugs of the store. */
export const STORE_BUGS: readonly SeededBug[] = [
  {
    name: "changed-znode-evicted",
    what: "a znode is evicted although it has changed since the last checkpoint",
    source: "any write-behind cache",
    patches: [
      {
        file: ZNODE_CACHE,
        find: "      if (node.dirty || node.slot < 0) this.#dropList(node);",
        replace: "      if (node.slot < 0) this.#dropList(node);",
      },
      {
        file: ZNODE_CACHE,
        find: "      if (node.dirty || survives(node)) this.#hand += 1;",
        replace: "      if (survives(node)) this.#hand += 1;",
      },
    ],
  },
  {
    name: "list-without-changes",
    what: "a list of children is read from the store alone, without the changes since the last checkpoint",
    source: "any write-behind cache",
    patches: [
      {
        file: TREE_STATE,
        find: "    const changed = this.#changes.childrenOf(node.path);\n",
        replace: "    const changed = new Map<string, boolean>();\n",
      },
      {
        file: TREE_STATE,
        find: "    if (names.size !== node.numChildren)\n",
        replace: "    if (names.size < 0)\n",
      },
    ],
  },
  {
    name: "digest-counts-reads",
    what: "a znode that is read again is added to the digest again",
    source: "thought of beside ZooKeeper's AdHash, which has no evictions",
    patches: [
      {
        file: TREE_STATE,
        find: "    const node = fromStore(stored);\n    hashAll(node);\n",
        replace:
          "    const node = fromStore(stored);\n    hashAll(node);\n    this.#digest.add(node.hashHigh, node.hashLow);\n",
      },
    ],
  },
  {
    name: "deletion-forgotten-in-memory",
    what: "a znode that was deleted since the last checkpoint is read from the store again",
    source: "any write-behind cache",
    patches: [
      {
        file: TREE_STATE,
        find: "    if (path.charCodeAt(0) !== SLASH || this.#absent.has(path) || this.#changes.znodes.has(path)) return true;\n",
        replace: "    if (path.charCodeAt(0) !== SLASH || this.#absent.has(path)) return true;\n",
      },
    ],
  },
];
