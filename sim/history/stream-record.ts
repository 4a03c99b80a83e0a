/** The events that readers of watch streams received. */
import type { WatchEventType } from "../../core/znode/types.ts";
import type { WatchStreamKind } from "../../core/znode/watch-stream.ts";

/** A state of a znode that a reader knows: as of `zxid`; `gone` if there was no znode. */
export interface KnownState {
  readonly zxid: number;
  readonly gone: boolean;
}

/** An event that a reader received (`event`, with ZooKeeper's number), or the zxid up to which it has received all events. */
export interface StreamEntry {
  readonly event: WatchEventType | null;
  readonly zxid: number;
}

/** What one reader received about one znode, over any number of connections. */
export interface StreamRecord {
  readonly reader: number;
  readonly path: string;
  readonly kind: WatchStreamKind;
  /** the state that it read before the stream began */
  readonly first: KnownState;
  /** in the order of their arrival */
  readonly entries: StreamEntry[];
}
