/**
 * A socket on `/watch`: the changes of one znode, as they come, as JSON. Level-triggered at its beginning: what changed
 * after `since` is told at once.
 */
import type { Token } from "../../core/server/pending.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import { compareZxid, ZXID_ZERO, type Zxid, zxidFromText, zxidToText } from "../../core/zab/zxid.ts";
import { type WatchEvent, WatchEventType } from "../../core/znode/types.ts";
import { trySend } from "../shared/sockets.ts";

export type WatchKind = "data" | "children" | "exists";

const NAMES: Record<WatchEventType, string> = {
  [WatchEventType.CREATED]: "NodeCreated",
  [WatchEventType.DELETED]: "NodeDeleted",
  [WatchEventType.DATA_CHANGED]: "NodeDataChanged",
  [WatchEventType.CHILDREN_CHANGED]: "NodeChildrenChanged",
};

/** The state that a reader has seen last: as of `zxid`, and whether it was that there is no znode. */
export interface Seen {
  readonly zxid: Zxid;
  readonly gone: boolean;
}

/** Reads an id of a watch stream, `0x…`, of a znode that is gone `0x…-`; undefined when it is none. */
export function seenFromText(text: string): Seen | undefined {
  const gone = text.endsWith("-");
  const zxid = zxidFromText(gone ? text.slice(0, -1) : text);
  return zxid === undefined ? undefined : { zxid, gone };
}

/** The zxid of the last change of that kind; zero for a znode that is not there. */
export function changedAt(server: EnsembleServer, path: string, kind: WatchKind): Zxid {
  const node = server.tree.get(path);
  if (node === undefined) return ZXID_ZERO;
  return kind === "children" ? node.pzxid : node.mzxid;
}

/** Leaves a watch that fires at the next change of that kind, also at the znode's coming and going. */
export function watchFor(server: EnsembleServer, path: string, kind: WatchKind, token: Token): void {
  if (kind === "children") {
    if (server.tree.get(path) === undefined) server.watches.register("exists", path, token);
    else server.watches.register("child", path, token);
  } else server.watches.register(kind, path, token);
}

export class WatchFeed {
  readonly token: Token;
  readonly #socket: WebSocket;
  readonly #server: EnsembleServer;
  readonly #path: string;
  readonly #kind: WatchKind;

  constructor(token: Token, socket: WebSocket, server: EnsembleServer, path: string, kind: WatchKind) {
    this.token = token;
    this.#socket = socket;
    this.#server = server;
    this.#path = path;
    this.#kind = kind;
  }

  /** @param seen what the reader has seen, not later than what is applied here; undefined: begin with now */
  start(seen: Seen | undefined): void {
    if (seen !== undefined) this.#catchUp(seen);
    watchFor(this.#server, this.#path, this.#kind, this.token);
  }

  #catchUp({ zxid: since, gone }: Seen): void {
    const node = this.#server.tree.get(this.#path);
    if (node === undefined) {
      if (!gone && compareZxid(since, ZXID_ZERO) > 0)
        this.#send(WatchEventType.DELETED, this.#server.tree.lastApplied);
      return;
    }
    const at = changedAt(this.#server, this.#path, this.#kind);
    if (compareZxid(at, since) <= 0) return;
    if (compareZxid(node.czxid, since) > 0) this.#send(WatchEventType.CREATED, at);
    else
      this.#send(
        this.#kind === "children" ? WatchEventType.CHILDREN_CHANGED : WatchEventType.DATA_CHANGED,
        at,
      );
  }

  /** The watch fired: tells it, and leaves the next one. */
  notify(event: WatchEvent, zxid: Zxid): void {
    this.#send(event.type, zxid);
    watchFor(this.#server, this.#path, this.#kind, this.token);
  }

  #send(type: WatchEventType, zxid: Zxid): void {
    trySend(this.#socket, JSON.stringify({ type: NAMES[type], path: this.#path, zxid: zxidToText(zxid) }));
  }
}
