/**
 * A socket on `/watch`: the changes of one znode as JSON. {@link WatchStream} decides what is sent.
 */
import type { Token } from "../../core/server/ids.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import { type Zxid, zxidToText } from "../../core/zab/zxid.ts";
import { type WatchEvent, WatchEventType } from "../../core/znode/types.ts";
import { type Seen, WatchStream, type WatchStreamKind } from "../../core/znode/watch-stream.ts";
import { inSlices } from "../shared/sockets.ts";

const NAMES: Record<WatchEventType, string> = {
  [WatchEventType.CREATED]: "NodeCreated",
  [WatchEventType.DELETED]: "NodeDeleted",
  [WatchEventType.DATA_CHANGED]: "NodeDataChanged",
  [WatchEventType.CHILDREN_CHANGED]: "NodeChildrenChanged",
};

/** Sets a watch that fires once, at the next change of that kind, or when the znode is created or deleted. */
export function watchFor(server: EnsembleServer, path: string, kind: WatchStreamKind, token: Token): void {
  if (kind === "children") {
    if (server.tree.get(path) === undefined) server.watches.register("exists", path, token);
    else server.watches.register("child", path, token);
  } else server.watches.register(kind, path, token);
}

/**
 * One watch of a reader.
 * Invariant: messages are in zxid order, and the last one is the last state.
 * @source ZooKeeper's persistent watches (ZOOKEEPER-1416)
 */
export class WatchFeed {
  readonly socket: WebSocket;
  readonly #path: string;
  readonly #stream: WatchStream;
  readonly #sendText: (socket: WebSocket, text: string) => void;

  /**
   * Registers the watch. Changes that the reader has missed are sent with the next {@link send}.
   * @param seen the state that the reader has seen, not later than the applied one; undefined for the current state
   */
  constructor(
    token: Token,
    socket: WebSocket,
    server: EnsembleServer,
    path: string,
    kind: WatchStreamKind,
    seen: Seen | undefined,
    send: (socket: WebSocket, text: string) => void,
  ) {
    this.socket = socket;
    this.#path = path;
    this.#sendText = send;
    this.#stream = new WatchStream(server.tree, path, kind, seen);
    server.watches.follow(kind === "children" ? "child" : "data", path, token);
  }

  /** Handles the fired watch. */
  note(event: WatchEvent, zxid: Zxid): void {
    this.#stream.note(event.type, zxid);
  }

  /** Sends the changes that the reader has not seen yet. */
  send(): void {
    for (const { type, zxid } of this.#stream.take()) {
      this.#sendText(
        this.socket,
        JSON.stringify({ type: NAMES[type], path: this.#path, zxid: zxidToText(zxid) }),
      );
    }
  }
}

/**
 * The feeds with changes to send. They are served after the turn's answers.
 * Invariant: a turn of I/O passes after each slice, so that answers, peers and heartbeats do not wait.
 */
export class WatchFanOut {
  #waiting = new Set<WatchFeed>();
  #serving = false;

  /** Adds a feed with changes to send. */
  add(feed: WatchFeed): void {
    this.#waiting.add(feed);
  }

  /** Ends a turn: starts serving the feeds. Between two slices answers, peers and heartbeats get their turn. */
  flush(): void {
    if (this.#serving || this.#waiting.size === 0) return;
    const feeds = [...this.#waiting];
    this.#waiting = new Set();
    this.#serving = true;
    inSlices(
      feeds,
      (feed) => feed.send(),
      () => {
        this.#serving = false;
        this.flush();
      },
    );
  }
}
