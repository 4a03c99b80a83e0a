/** The leader's part of the write path: from an accepted request to a proposed batch of txns. */
import { assert } from "../assert.ts";
import { Fifo } from "../fifo.ts";
import { appendTxn } from "../wire/txn-codec.ts";
import { ByteWriter } from "../wire/writer.ts";
import type { Sid } from "../zab/membership.ts";
import type { ZabPeer } from "../zab/peer.ts";
import type { Zxid } from "../zab/zxid.ts";
import { Prep } from "../znode/prep.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import type { Txn, TxnHeader, WriteRequest } from "../znode/types.ts";
import { failed } from "./answers.ts";
import { type ServerConfig, TXN_OVERHEAD_BYTES } from "./config.ts";
import type { EffectList } from "./effect-list.ts";
import { type Fingerprint, NOT_KNOWN } from "./fingerprint.ts";
import {
  decodeRequest,
  isNumbered,
  type RejectCode,
  type RejectMessage,
  type RoutedRequest,
  type TakenRequest,
  unpackRequests,
} from "./messages.ts";
import type { PendingRequests, PendingWrite } from "./pending.ts";
import type { ReplyCache } from "./reply-cache.ts";
import type { Responder } from "./responder.ts";
import type { SessionTracker } from "./session-tracker.ts";

/** Txns that are proposed together. */
export interface Batch {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** The parts that a {@link ProposalQueue} uses. */
export interface ProposalParts {
  readonly sid: Sid;
  readonly config: ServerConfig;
  readonly zab: ZabPeer;
  readonly effects: EffectList;
  readonly pending: PendingRequests;
  readonly sessions: SessionTracker;
  readonly replies: ReplyCache;
  readonly responder: Responder;
}

/**
 * LEADING: the writes that await a batch, in the order of arrival. Prep turns each into a txn with a fixed outcome, against
 * the tree plus the outstanding changes (proposed and not applied).
 *
 * Invariant: the txns of an epoch have consecutive counters in the order of the queue; a write gets at most one txn.
 *
 * @source ZooKeeper `PrepRequestProcessor`, `ProposalRequestProcessor`
 */
export class ProposalQueue {
  readonly #parts: ProposalParts;
  readonly #queue = new Fifo<TakenRequest | PendingWrite>();
  /** bytes of the bodies in the queue */
  #bytes = 0;
  #tree: ZnodeTree;
  #prep: Prep;

  constructor(parts: ProposalParts, tree: ZnodeTree) {
    this.#parts = parts;
    this.#tree = tree;
    this.#prep = new Prep(tree);
  }

  /** Number of writes that await a batch. */
  get length(): number {
    return this.#queue.length;
  }

  /** Number of changes that are proposed and not applied. */
  get outstanding(): number {
    return this.#prep.outstanding;
  }

  /** Replaces the tree by a received snapshot. */
  loadTree(tree: ZnodeTree): void {
    this.#tree = tree;
    this.#prep = new Prep(tree);
  }

  // ── in ───────────────────────────────────────────────────────────────────

  /** Appends a write. */
  add(write: TakenRequest | PendingWrite): void {
    this.#queue.push(write);
    this.#bytes += write.body.length;
  }

  /** Appends the writes that a learner forwards, all or none. @throws WireError for a pack that cannot be decoded */
  addForwarded(from: Sid, packed: Uint8Array): void {
    const requests = unpackRequests(packed, from);
    const { queueLengthMax, queueBytesMax } = this.#parts.config;
    const isTooLong = this.#queue.length + requests.length > queueLengthMax;
    if (isTooLong || this.#bytes + packed.length > queueBytesMax) this.#reject(from, requests, "THROTTLED");
    else for (const request of requests) this.add(request);
  }

  /** Drops the writes of a learner whose stay has ended: it will forward again what was not proposed. */
  dropOf(learner: Sid): void {
    this.#queue.keep((write) => write.origin !== learner);
    this.#bytes = this.#queue.items().reduce((sum, write) => sum + write.body.length, 0);
  }

  /**
   * Empties the queue at the end of the epoch. Writes that were not proposed cannot be committed; those of own clients are
   * marked as not sent.
   */
  reset(): void {
    for (const write of this.#queue.drain()) if ("sent" in write) write.sent = false;
    this.#bytes = 0;
    this.#prep.reset();
  }

  // ── out ──────────────────────────────────────────────────────────────────

  /** Removes writes from the queue and makes a batch of txns; undefined if none is left, or if the leader may not propose now. */
  nextBatch(now: number): Batch | undefined {
    const { config, zab, replies } = this.#parts;
    const leader = zab.proposing;
    if (leader === undefined || !leader.mayPropose || this.#queue.length === 0) return undefined;
    const isStored = zab.supports("recordFingerprints");
    const { epoch, counter: first } = leader.nextZxid;
    const writer = new ByteWriter(this.#batchBytes);
    let counter = first;
    for (let write = this.#queue.first; write !== undefined; write = this.#queue.first) {
      const bytes = writer.length + write.body.length + TXN_OVERHEAD_BYTES;
      if (counter > first && bytes > config.batchBytesMax) break;
      this.#queue.shift();
      if (this.#tree.bytes > config.znodeCacheBytes) this.#tree.trim(config.znodeCacheBytes);
      this.#bytes -= write.body.length;
      assert(this.#bytes >= 0, "the bytes of the queue are those of its writes");
      const numbered = isNumbered(write.session, write.xid);
      if (!this.#isDue(write, numbered)) continue;
      const { session, xid, fingerprint } = write;
      const header = { session, xid, zxid: { epoch, counter }, timeMs: now };
      if (numbered) replies.prepared(header, fingerprint);
      this.#prepare(header, write, writer, isStored ? fingerprint : NOT_KNOWN);
      counter += 1;
    }
    // `finish` returns a buffer of exactly this length, because the log and the messages keep the whole buffer.
    return counter === first ? undefined : { bytes: writer.finish(), count: counter - first };
  }

  /** Capacity for the next batch: all that waits, up to the maximum of a batch. */
  get #batchBytes(): number {
    const all = this.#bytes + this.#queue.length * TXN_OVERHEAD_BYTES;
    return Math.min(all, this.#parts.config.batchBytesMax);
  }

  /** Whether this write gets a txn. If not, it is refused here, or its existing txn answers it. */
  #isDue(write: TakenRequest, numbered: boolean): boolean {
    if (numbered && this.#isUsed(write)) {
      if (this.#parts.replies.isFalseRetry(write)) this.#refuse(write, "XID_REUSED");
      return false;
    }
    if (this.#parts.sessions.hasMoved(write)) {
      this.#refuse(write, "SESSION_MOVED");
      return false;
    }
    return true;
  }

  /** Whether the number of this write is already used: its txn is in the log, or its answer is known. */
  #isUsed(write: RoutedRequest): boolean {
    // The numbers of a closing or closed session are forgotten, so that its write is refused, not ignored.
    return write.xid <= this.#prep.lastXidOf(write.session) && this.#prep.isOpen(write.session);
  }

  #prepare(header: TxnHeader, write: RoutedRequest, writer: ByteWriter, fingerprint: Fingerprint): void {
    const request = decodeRequest(write);
    const txn: Txn =
      "code" in request
        ? { type: "error", code: request.code, ops: 0, at: 0 }
        : this.#prep.prepare(header, this.#bounded(request));
    if (txn.type === "sync" && write.xid < 0 && write.xid === write.connection) {
      this.#parts.sessions.setOwner(header.timeMs, write.session, write.connection);
    }
    appendTxn(writer, header, txn, fingerprint);
  }

  /** Clamps a requested session timeout to the allowed range. */
  #bounded(request: WriteRequest): WriteRequest {
    if (request.type !== "createSession") return request;
    const { sessionTimeoutMsMin, sessionTimeoutMsMax } = this.#parts.config;
    const timeoutMs = Math.min(Math.max(request.timeoutMs, sessionTimeoutMsMin), sessionTimeoutMsMax);
    return { type: "createSession", timeoutMs };
  }

  /** Removes outstanding changes up to `zxid`, which are applied. */
  applied(zxid: Zxid): void {
    this.#prep.committed(zxid);
  }

  // ── refusals ─────────────────────────────────────────────────────────────

  /**
   * Refuses a write without a txn: it changes nothing and uses no number. A write whose session has moved may be repeated
   * over the session's new connection. A learner that does not know XID_REUSED answers THROTTLED instead, so its client may
   * repeat the write.
   */
  #refuse(write: TakenRequest, code: "SESSION_MOVED" | "XID_REUSED"): void {
    const { sid, pending, responder } = this.#parts;
    if (write.origin !== sid) {
      if (code === "XID_REUSED") this.#reject(write.origin, [write], "THROTTLED", code);
      else this.#reject(write.origin, [write], code);
      return;
    }
    pending.answer(write, failed(this.#tree.lastApplied, code));
    responder.answerWaiting(false);
  }

  /** Sends REJECT for a learner's writes. */
  #reject(
    to: Sid,
    writes: readonly RoutedRequest[],
    code: RejectCode,
    exactly: RejectMessage["exactly"] = undefined,
  ): void {
    const join = this.#parts.zab.proposing?.joinOf(to);
    if (join === undefined) return;
    const requests = writes.map(({ session, xid, connection }) => ({ session, xid, connection }));
    const message = { type: "REJECT", join, code, requests } as const;
    this.#parts.effects.send(to, exactly === undefined ? message : { ...message, exactly });
  }
}
