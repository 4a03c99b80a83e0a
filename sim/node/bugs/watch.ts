/** Bugs of watches and watch streams. */
import { STREAM, WATCH } from "../sources.ts";
import type { SeededBug } from "./bug.ts";

/** Bugs of watches. */
export const WATCH_BUGS: readonly SeededBug[] = [
  {
    name: "watch-lost-on-reconnect",
    what: "a client that reconnects does not get the events that it missed",
    source: "ZooKeeper setWatches; reliability, T20",
    patches: [{ file: WATCH, find: "      else missed.push({ type, path });\n", replace: "" }],
  },
  {
    name: "child-watch-lost-at-delete",
    what: "the deletion of a znode does not notify the watchers of its children",
    source: "ZooKeeper WatchManager, DataTree.deleteNode",
    patches: [
      {
        file: WATCH,
        find: "    if (event.type !== WatchEventType.DELETED) return;\n",
        replace: "    if (event.type >= WatchEventType.CREATED) return;\n",
      },
    ],
  },
  {
    name: "stream-tells-first-change",
    what: "of several changes in one turn, a stream sends only the first",
    source: "use: the reader of a lock believed NodeDeleted while the znode existed",
    rare: true,
    patches: [
      {
        file: STREAM,
        find: "    const pending = this.#pending;\n",
        replace: "    const pending = this.#pending;\n    if (pending.length > 0) return;\n",
      },
    ],
  },
  {
    name: "stream-resumes-at-present",
    what: "a resumed stream begins with the current state, whatever its reader has seen",
    source: "changes between the end of one connection and the begin of the next",
    patches: [
      {
        file: STREAM,
        find: "this.#pending = seen === undefined ? [] : missedSince(tree, path, kind, seen);",
        replace: "this.#pending = seen === undefined ? [] : missedSince(tree, path, kind, seen).slice(1);",
      },
    ],
  },
  {
    name: "stream-forgets-gone",
    what: "a resumed stream ignores that its reader has seen the znode's deletion",
    source: "ids that were zxids alone",
    patches: [
      {
        file: STREAM,
        find: "    return seen.gone ? [] : [{ type: WatchEventType.DELETED, zxid: tree.lastApplied }];",
        replace: "    return [{ type: WatchEventType.DELETED, zxid: tree.lastApplied }];",
      },
    ],
  },
  {
    name: "stream-ends-at-deletion",
    what: "the watch of a stream is removed with its znode, like a standard watch, and a later creation is not sent",
    source: "ZooKeeper's standard watches",
    patches: [
      {
        file: WATCH,
        find: "    for (const watcher of this.#dataStreams.of(event.path)) fired.push({ watcher, event });\n",
        replace:
          "    const streams = this.#dataStreams;\n    const gone = event.type === WatchEventType.DELETED;\n    for (const watcher of gone ? streams.take(event.path) : streams.of(event.path)) fired.push({ watcher, event });\n",
      },
    ],
  },
];
