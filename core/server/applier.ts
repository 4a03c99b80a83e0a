/** Applies committed txns at this member. */
import { assert } from "../assert.ts";
import { StorageError } from "../damaged-error.ts";
import { TxnCursor } from "../wire/txn-codec.ts";
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import type { SessionId, Txn } from "../znode/types.ts";
import type { Connections } from "./connections.ts";
import type { DigestCheck } from "./digest-check.ts";
import { ApplyError } from "./failure.ts";
import type { LocalReads } from "./local-reads.ts";
import { isNumbered } from "./messages.ts";
import type { ReplyCache } from "./reply-cache.ts";
import type { Responder } from "./responder.ts";
import type { SessionTracker } from "./session-tracker.ts";

/**
 * Applies committed txns to the tree in zxid order, and passes each to watches, then sessions, then answers.
 *
 * Invariant: the tree is the result of all committed txns up to `lastApplied`, each applied once; no other class changes the tree.
 *
 * @source ZooKeeper `FinalRequestProcessor`; etcd's apply loop
 */
export class Applier {
  readonly #reads: LocalReads;
  readonly #replies: ReplyCache;
  readonly #sessions: SessionTracker;
  readonly #connections: Connections;
  readonly #digests: DigestCheck;
  readonly #responder: Responder;
  #tree: ZnodeTree;

  constructor(
    tree: ZnodeTree,
    reads: LocalReads,
    replies: ReplyCache,
    sessions: SessionTracker,
    connections: Connections,
    digests: DigestCheck,
    responder: Responder,
  ) {
    this.#tree = tree;
    this.#reads = reads;
    this.#replies = replies;
    this.#sessions = sessions;
    this.#connections = connections;
    this.#digests = digests;
    this.#responder = responder;
  }

  /** The tree, which only the applier changes. */
  get tree(): ZnodeTree {
    return this.#tree;
  }

  /** Replaces the tree by a received snapshot. */
  loadTree(tree: ZnodeTree): void {
    this.#tree = tree;
  }

  /**
   * Applies the txns of `batch` from `offset` on, up to and including `upTo`.
   * @param leads whether this member leads, and so tracks the deadlines of sessions
   * @throws ApplyError if a txn cannot be applied. It is committed, so this member cannot skip it
   * @throws TreeDamagedError when the row of a znode is damaged, and StorageError when it cannot be read now
   */
  apply(now: number, batch: Uint8Array, offset: number, upTo: Zxid, leads: boolean): void {
    try {
      this.#applyUpTo(now, batch, offset, upTo, leads);
    } catch (error) {
      // The txn itself can be applied: to another copy of the rows, or once the storage can be read.
      if (error instanceof StorageError) throw error;
      throw new ApplyError(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  #applyUpTo(now: number, batch: Uint8Array, offset: number, upTo: Zxid, leads: boolean): void {
    const tree = this.#tree;
    const cursor = new TxnCursor(batch, offset);
    while (cursor.next()) {
      if (cursor.epoch > upTo.epoch || (cursor.epoch === upTo.epoch && cursor.counter > upTo.counter)) break;
      const numbered = isNumbered(cursor.session, cursor.xid);
      const fingerprint = numbered ? this.#replies.takeFingerprint(cursor) : cursor.fingerprint;
      const header = cursor.header();
      const txn = cursor.txn();
      const { session, zxid } = header;
      assert(compareZxid(zxid, tree.lastApplied) > 0, "a txn is applied once, in order");
      const result = tree.apply(header, txn, fingerprint);
      if (tree.events.length > 0) this.#reads.fireWatches(zxid);
      if (leads) this.#trackSession(now, session, txn);
      if (this.#digests.isExpecting) this.#digests.check(now, zxid);
      if (numbered) this.#replies.applied(header, result, fingerprint);
      else if (header.xid < 0 && txn.type === "sync") this.#connections.sessionMoved(session, header.xid);
      this.#responder.answerTxn(header, txn, result, fingerprint);
      if (txn.type === "closeSession") this.#connections.sessionClosed(session);
    }
    this.#digests.report();
  }

  #trackSession(now: number, session: SessionId, txn: Txn): void {
    if (txn.type === "createSession") this.#sessions.opened(now, session, txn.timeoutMs);
    else if (txn.type === "closeSession") this.#sessions.closed(session);
  }
}
