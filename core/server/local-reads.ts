/** Reads that this member answers from its own tree, and the watches that they set. */
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import type { SessionId } from "../znode/types.ts";
import { type SeenWatches, WatchTable } from "../znode/watch.ts";
import { failed, type ServerAnswer } from "./answers.ts";
import type { ServerConfig } from "./config.ts";
import type { EffectList } from "./effect-list.ts";
import { NO_TOKEN, type Token } from "./ids.ts";
import type { LocalRequest, SyncedRead } from "./pending.ts";

/**
 * Answers reads from the current tree. Its callers decide when a read may be answered.
 *
 * Invariant: a watch is in the table from the moment its read is answered until it fires or its client disconnects; the
 * event is sent before any answer that shows the change.
 *
 * @source ZooKeeper `FinalRequestProcessor` (reads), `WatchManager`
 */
export class LocalReads {
  readonly watches = new WatchTable();
  readonly #cacheBytes: number;
  readonly #effects: EffectList;
  #tree: ZnodeTree;

  constructor({ znodeCacheBytes }: ServerConfig, effects: EffectList, tree: ZnodeTree) {
    this.#cacheBytes = znodeCacheBytes;
    this.#effects = effects;
    this.#tree = tree;
  }

  /** Replaces the tree by a received snapshot. */
  loadTree(tree: ZnodeTree): void {
    this.#tree = tree;
  }

  /**
   * Answers a read from the current tree, and registers the watch that it requests.
   * @param session session of the client; NO_SESSION if it has none
   */
  read(token: Token, session: SessionId, request: LocalRequest): ServerAnswer {
    // One turn may answer any number of reads.
    if (this.#tree.bytes > this.#cacheBytes) this.#tree.trim(this.#cacheBytes);
    if (request.type === "setWatches") return this.#resumeWatches(token, request.seen);
    const outcome = this.#tree.read(session, request);
    if (token !== NO_TOKEN) {
      const watch = this.#tree.watchOf(request, outcome.type !== "error");
      if (watch !== undefined) this.watches.register(watch.kind, watch.path, token);
    }
    if (outcome.type === "error") return failed(this.#tree.lastApplied, outcome.code);
    return { ok: true, zxid: this.#tree.lastApplied, result: outcome };
  }

  /**
   * Answers a read whose `sync` was applied. A zxid that a client has seen was committed, so it is below that of any later
   * sync.
   */
  readSynced(token: Token, { session, request, atLeast }: SyncedRead): ServerAnswer {
    if (compareZxid(atLeast, this.#tree.lastApplied) > 0) {
      return failed(this.#tree.lastApplied, "BAD_ARGUMENTS");
    }
    return this.read(token, session, request);
  }

  /** Fires the watches on the changes of the txn at `zxid`. */
  fireWatches(zxid: Zxid): void {
    const { events } = this.#tree;
    for (const { watcher, event } of this.watches.fire(events)) {
      this.#effects.push({ type: "notify", token: watcher as Token, event, zxid });
    }
    // There are one or two events; assigning `length` would leave the optimized code.
    while (events.length > 0) events.pop();
  }

  /** Sets the watches of an earlier connection. Events that the client has missed are sent before the answer. */
  #resumeWatches(token: Token, seen: SeenWatches): ServerAnswer {
    const zxid = this.#tree.lastApplied;
    for (const event of this.watches.resume(this.#tree, seen, token)) {
      this.#effects.push({ type: "notify", token, event, zxid });
    }
    return { ok: true, zxid, result: { type: "setWatches" } };
  }
}
