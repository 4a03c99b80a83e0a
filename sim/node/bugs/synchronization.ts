/** Bugs of synchronization: what a learner cuts, takes over and stores. */
import { FOLLOWER, STAGING, STORAGE, SYNCHRONIZATION } from "../sources.ts";
import type { SeededBug } from "./bug.ts";

/** Bugs of synchronization and broadcast. */
export const SYNCHRONIZATION_BUGS: readonly SeededBug[] = [
  {
    name: "trunc-not-written",
    what: "a TRUNC is done in memory and not on disk: entries that were never committed return",
    source: "ZOOKEEPER-3701, 1154",
    rare: true,
    patches: [
      {
        file: STAGING,
        find: '      writes.push({ type: "truncate", to: this.#truncateTo.zxid });\n',
        replace: "",
      },
    ],
  },
  {
    name: "trunc-missing",
    what: "a learner with other entries gets DIFF from the nearest common entry, and keeps its own",
    source: "ZOOKEEPER-1154, 2832",
    patches: [
      {
        file: SYNCHRONIZATION,
        find: 'return { mode: "TRUNC", to: ours.zxid };',
        replace: 'return { mode: "DIFF", from: ours };',
      },
      {
        file: FOLLOWER,
        find: "return this.#staging !== null && equalZxid(this.#staging.tail.zxid, message.from);",
        replace: "return this.#staging !== null;",
      },
      { file: STAGING, find: "if (!samePosition(tail, message.prev)) return undefined;\n", replace: "" },
      {
        file: STAGING,
        find: "    if (!equalZxid(this.#tail.zxid, last)) return false;\n",
        replace: "",
      },
    ],
  },
  {
    name: "snap-over-old-tree",
    what: "a SNAP is received over the tree that it is to replace: an interrupted one leaves neither",
    source: "ZOOKEEPER-2872, 3642",
    rare: true,
    patches: [
      {
        file: STORAGE,
        find: '      case "snapshotBegin":\n        this.#backend.clearTable(this.#otherTable());',
        replace:
          '      case "snapshotBegin":\n        this.#backend.clearTable(this.#meta.table);\n        this.#backend.clearTable(this.#otherTable());',
      },
    ],
  },
  {
    name: "snap-rows-kept",
    what: "rows of an interrupted SNAP are kept under the next one",
    source: "ZAB-63; ZOOKEEPER-2872",
    patches: [
      {
        file: STORAGE,
        find: '      case "snapshotBegin":\n        this.#backend.clearTable(this.#otherTable());\n',
        replace: '      case "snapshotBegin":\n',
      },
    ],
  },
];
