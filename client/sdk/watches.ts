/** The watches of a session. The server loses them with the connection, so they are set again. */
import { ReservedXid } from "../../core/wire/jute/opcodes.ts";
import { writeSetWatchesRequest } from "../../core/wire/jute/requests.ts";
import type { ByteWriter } from "../../core/wire/writer.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import { WATCHES_BYTES_MAX } from "./config.ts";
import type { WatchEvent, WatchListener } from "./types.ts";

/** Kind of a watch: on data, on the absence of a znode, or on children. */
export type WatchKind = "data" | "exist" | "child";

const KINDS: readonly WatchKind[] = ["data", "exist", "child"];

/** *map event → kinds of watches that it fires*: a deletion fires all. */
const FIRED_BY: Readonly<Record<WatchEvent["type"], readonly WatchKind[]>> = {
  created: ["data", "exist"],
  changed: ["data", "exist"],
  deleted: KINDS,
  children: ["child"],
};

/**
 * *map kind → path → listeners*. Invariant: no set of listeners is empty.
 * @source ZooKeeper `ZKWatchManager`
 */
export class Watches {
  readonly #byKind: Readonly<Record<WatchKind, Map<string, Set<WatchListener>>>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
  };

  /** Adds the watch of a read. */
  add(kind: WatchKind, path: string, listener: WatchListener): void {
    const listeners = this.#byKind[kind].get(path);
    if (listeners === undefined) this.#byKind[kind].set(path, new Set([listener]));
    else listeners.add(listener);
  }

  /** Removes the listener from all watches of the path. */
  remove(path: string, listener: WatchListener): void {
    for (const kind of KINDS) {
      const listeners = this.#byKind[kind].get(path);
      if (listeners?.delete(listener) && listeners.size === 0) this.#byKind[kind].delete(path);
    }
  }

  /** Removes and returns the watches that the event fires. */
  take({ type, path }: WatchEvent): ReadonlySet<WatchListener> {
    const fired = new Set<WatchListener>();
    for (const kind of FIRED_BY[type]) {
      for (const listener of this.#byKind[kind].get(path) ?? []) fired.add(listener);
      this.#byKind[kind].delete(path);
    }
    return fired;
  }

  /** Writes the requests that set them again. The server fires those that changed after `relativeZxid`. */
  writeRequests(writer: ByteWriter, relativeZxid: Zxid): void {
    let batch: Record<WatchKind, string[]> = { data: [], exist: [], child: [] };
    let bytes = 0;
    const end = (): void => {
      if (bytes > 0) writeSetWatchesRequest(writer, ReservedXid.SET_WATCHES, { relativeZxid, ...batch });
      batch = { data: [], exist: [], child: [] };
      bytes = 0;
    };
    for (const kind of KINDS) {
      for (const path of this.#byKind[kind].keys()) {
        batch[kind].push(path);
        bytes += 4 + 3 * path.length;
        if (bytes >= WATCHES_BYTES_MAX) end();
      }
    }
    end();
  }
}
