/**
 * Decides what a watch stream tells its reader about one znode. Pure: the tree and the events are arguments.
 *
 * A stream is level-triggered. Its state is what the reader knows: whether the znode exists, as of a zxid. Between two
 * calls of {@link WatchStream.take} any number of events may be noted; states that were overtaken are dropped, the last
 * one never is. So the last event of a stream always describes the state of the znode.
 *
 * | kind | events | zxid of the state |
 * |---|---|---|
 * | data, exists | CREATED, DATA_CHANGED, DELETED | mzxid |
 * | children | CREATED, CHILDREN_CHANGED, DELETED | pzxid |
 */
import { assertNever } from "../assert.ts";
import { compareZxid, ZXID_ZERO, type Zxid, zxidFromText } from "../zab/zxid.ts";
import type { ZnodeTree } from "./tree.ts";
import { WatchEventType } from "./types.ts";

/** What a stream shows of a znode. */
export type WatchStreamKind = "data" | "children" | "exists";

/** The state that a reader knows: as of `zxid`; `gone` if there was no znode. */
export interface Seen {
  readonly zxid: Zxid;
  readonly gone: boolean;
}

/** One event of a stream. `zxid` is that of the state it describes. */
export interface StreamEvent {
  readonly type: WatchEventType;
  readonly zxid: Zxid;
}

/** Parses an id of a watch stream: `0x…`, or `0x…-` of a state without a znode; undefined if it is not valid. */
export function seenFromText(text: string): Seen | undefined {
  const gone = text.endsWith("-");
  const zxid = zxidFromText(gone ? text.slice(0, -1) : text);
  return zxid === undefined ? undefined : { zxid, gone };
}

/** The zxid of the last change that this kind of stream shows; zero if there is no znode. */
export function changedAt(tree: ZnodeTree, path: string, kind: WatchStreamKind): Zxid {
  const node = tree.get(path);
  if (node === undefined) return ZXID_ZERO;
  return kind === "children" ? node.pzxid : node.mzxid;
}

/**
 * The events that a reader has missed whose last known state is `seen`. The tree has applied `seen.zxid`.
 * A znode that was deleted and created again since gives CREATED. One multi may delete and create, so the zxid alone does not
 * distinguish the state without the znode from the state with it: `gone` does.
 */
export function missedSince(tree: ZnodeTree, path: string, kind: WatchStreamKind, seen: Seen): StreamEvent[] {
  const node = tree.get(path);
  if (node === undefined) {
    return seen.gone ? [] : [{ type: WatchEventType.DELETED, zxid: tree.lastApplied }];
  }
  const zxid = changedAt(tree, path, kind);
  if (seen.gone) return [{ type: WatchEventType.CREATED, zxid }];
  if (compareZxid(zxid, seen.zxid) <= 0) return [];
  if (compareZxid(node.czxid, seen.zxid) > 0) return [{ type: WatchEventType.CREATED, zxid }];
  return [{ type: changeOf(kind), zxid }];
}

const changeOf = (kind: WatchStreamKind): WatchEventType =>
  kind === "children" ? WatchEventType.CHILDREN_CHANGED : WatchEventType.DATA_CHANGED;

/**
 * The events that the reader of a stream has not received yet.
 * Invariant: after the pending events the reader knows the state of the znode; there is at most one event of each type.
 */
export class WatchStream {
  /** whether the znode is missing in the last state that was sent */
  #gone: boolean;
  /** not sent yet, in order of their zxids; at most one event of each type */
  #pending: StreamEvent[];

  /** @param seen the state that the reader knows; undefined: the current one */
  constructor(tree: ZnodeTree, path: string, kind: WatchStreamKind, seen: Seen | undefined) {
    this.#gone = seen === undefined ? tree.get(path) === undefined : seen.gone;
    this.#pending = seen === undefined ? [] : missedSince(tree, path, kind, seen);
  }

  /** Notes an event of the znode. Events arrive in the order of their txns. */
  note(type: WatchEventType, zxid: Zxid): void {
    const pending = this.#pending;
    switch (type) {
      case WatchEventType.CREATED:
        // earlier events are obsolete, except the deletion of a znode that the reader knows
        this.#pending = pending.filter((event) => !this.#gone && event.type === WatchEventType.DELETED);
        break;
      case WatchEventType.DELETED:
        // A reader that knows a state without the znode gets its creation first, or the deletion would make no sense.
        this.#pending = pending.filter((event) => this.#gone && event.type === WatchEventType.CREATED);
        break;
      case WatchEventType.DATA_CHANGED:
      case WatchEventType.CHILDREN_CHANGED:
        if (pending.at(-1)?.type === type) pending.pop();
        break;
      default:
        assertNever(type);
    }
    this.#pending.push({ type, zxid });
  }

  /** Takes the events that are sent to the reader now, in order. */
  take(): readonly StreamEvent[] {
    const events = this.#pending;
    const last = events.at(-1);
    if (last === undefined) return events;
    this.#pending = [];
    this.#gone = last.type === WatchEventType.DELETED;
    return events;
  }
}
