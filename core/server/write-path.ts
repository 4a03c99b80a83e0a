/**
 * The path of a write to its proposal.
 *
 *   client ▶ submit ▶ pending ▶ (follower: outbox ▶ REQUEST ▶) leader: queue ▶ prep ▶ batch ▶ proposal
 *
 * The `Applier` handles the committed txns. A write that is pending when this member changes its leader is neither lost nor
 * executed twice: the history that a new leader establishes contains every write of earlier epochs that can still be
 * committed. A write that is part of it is answered from it; one that is not was never committed, and is forwarded again.
 */
import { assert } from "../assert.ts";
import { encodeWrite } from "../wire/jute/requests.ts";
import type { ZabEffect } from "../zab/effects.ts";
import type { Sid } from "../zab/membership.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import { NO_SESSION, type SessionId, type WriteRequest } from "../znode/types.ts";
import { failed, type ServerAnswer } from "./answers.ts";
import { TXN_OVERHEAD_BYTES } from "./config.ts";
import { type Fingerprint, fingerprintOf, NOT_KNOWN } from "./fingerprint.ts";
import type { Gather } from "./gather.ts";
import { type ConnectionId, NO_CONNECTION, type Token } from "./ids.ts";
import { packRequests, type RawRequest, type RejectMessage } from "./messages.ts";
import type { PendingWrite, SyncedRead } from "./pending.ts";
import { type ProposalParts, ProposalQueue } from "./proposal-queue.ts";
import type { Readiness } from "./readiness.ts";
import { unanswered } from "./responder.ts";
import { isSameRequest } from "./reuse.ts";

/** The parts that a {@link WritePath} uses. */
export interface WriteParts extends ProposalParts {
  /** session of the writes without a session; see `anonymousSession` */
  readonly anonymous: SessionId;
  readonly gather: Gather;
  readonly readiness: Readiness;
  /** Handles effects of the peer. */
  absorb(effects: readonly ZabEffect[]): void;
}

/**
 * The writes of this member's clients, and at the leader those of all members, until they are proposed.
 *
 * Invariant: a write whose `sent` is false cannot have been committed through this member.
 *
 * @source ZooKeeper `FollowerRequestProcessor`, `LeaderRequestProcessor`
 */
export class WritePath {
  readonly #parts: WriteParts;
  readonly #queue: ProposalQueue;
  /** FOLLOWING: writes to be forwarded to the leader */
  #outbox: PendingWrite[] = [];
  #anonymousXid = 0;
  #tree: ZnodeTree;

  constructor(parts: WriteParts, tree: ZnodeTree) {
    this.#parts = parts;
    this.#queue = new ProposalQueue(parts, tree);
    this.#tree = tree;
  }

  // ── accepting ────────────────────────────────────────────────────────────

  /** Takes a write of a client; see `EnsembleServer.submitWrite`. */
  submit(
    now: number,
    token: Token,
    request: RawRequest,
    connection: ConnectionId,
    known: Fingerprint | undefined,
  ): void {
    if (request.session === NO_SESSION) {
      const { anonymous } = this.#parts;
      this.#take(now, token, anonymous, this.#nextAnonymousXid(), request, connection, NOT_KNOWN, null);
      return;
    }
    const { session, xid } = request;
    let fingerprint = NOT_KNOWN;
    if (xid > 0) {
      fingerprint = known ?? fingerprintOf(request.opcode, request.body);
      const answer = this.#answerTo(request, fingerprint);
      if (answer !== undefined) {
        this.#parts.responder.respondInTurn(now, token, session, xid, answer);
        return;
      }
    }
    this.#take(now, token, session, xid, request, connection, fingerprint, null);
  }

  /** Takes a linearizable read, which is answered once a `sync` is committed. @param xid number of the read */
  submitSynced(now: number, token: Token, xid: number, read: SyncedRead): void {
    const sync = { session: NO_SESSION, xid, ...encodeWrite({ type: "sync" }) };
    const { anonymous } = this.#parts;
    this.#take(now, token, anonymous, this.#nextAnonymousXid(), sync, NO_CONNECTION, NOT_KNOWN, read);
  }

  /** LEADING: takes a write that the member itself makes for a session. */
  submitOwn(session: SessionId, request: WriteRequest): void {
    const { sid } = this.#parts;
    const raw = { session, xid: 0, ...encodeWrite(request) };
    this.#queue.add({ ...raw, connection: NO_CONNECTION, fingerprint: NOT_KNOWN, origin: sid });
  }

  /** LEADING: takes the writes that a learner forwards. @throws WireError */
  takeForwarded(from: Sid, packed: Uint8Array): void {
    this.#queue.addForwarded(from, packed);
  }

  #nextAnonymousXid(): number {
    this.#anonymousXid = (this.#anonymousXid % 0x7fff_ffff) + 1;
    return this.#anonymousXid;
  }

  /** The answer to a repeated write, or to one whose number belongs to another pending write; undefined if the write is new. */
  #answerTo(write: RawRequest, fingerprint: Fingerprint): ServerAnswer | undefined {
    const waiting = this.#parts.pending.writeOf(write.session, write.xid);
    if (waiting !== undefined && !isSameRequest(waiting, write)) return this.#failed("XID_REUSED");
    return this.#parts.replies.answerTo(write, fingerprint);
  }

  /** Accepts a write. @param read read that is answered instead of the write */
  #take(
    now: number,
    token: Token,
    session: SessionId,
    xid: number,
    request: RawRequest,
    connection: ConnectionId,
    fingerprint: Fingerprint,
    read: SyncedRead | null,
  ): void {
    const { config, pending, readiness, responder, sid } = this.#parts;
    if (
      pending.length >= config.queueLengthMax ||
      pending.bytes + request.body.length > config.queueBytesMax
    ) {
      responder.respondInTurn(now, token, session, request.xid, this.#failed("THROTTLED"));
      return;
    }
    const write: PendingWrite = {
      type: "write",
      token,
      session,
      connection,
      xid,
      opcode: request.opcode,
      body: request.body,
      fingerprint,
      origin: sid,
      read,
      deadline: now + config.requestTimeoutMs,
      sent: false,
    };
    pending.add(write);
    if (readiness.isReady) this.#route(write);
  }

  #failed(code: "XID_REUSED" | "THROTTLED"): ServerAnswer {
    return failed(this.#tree.lastApplied, code);
  }

  /** Queues the write to be proposed or forwarded. It may be committed from now on. */
  #route(write: PendingWrite): void {
    write.sent = true;
    if (this.#parts.zab.proposing !== undefined) this.#queue.add(write);
    else this.#outbox.push(write);
  }

  // ── sending ──────────────────────────────────────────────────────────────

  /** Whether no write waits to be sent, and every proposal is applied. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#outbox.length === 0 && !this.hasOutstanding && !this.#isYielding;
  }

  get #isYielding(): boolean {
    return this.#parts.gather.isYielding;
  }

  /** Whether changes are proposed and not applied. */
  get hasOutstanding(): boolean {
    return this.#queue.outstanding > 0;
  }

  /** LEADING: whether writes await a batch. */
  get hasQueued(): boolean {
    return this.#queue.length > 0;
  }

  /** Sends the waiting writes, or requests a turn of I/O after which they are sent. */
  maybeLeave(now: number): void {
    if (this.#mayLeave()) this.leave(now);
  }

  /**
   * Sends the waiting writes: a leader proposes them in batches, a follower forwards them. A member that is not ready keeps
   * them.
   */
  leave(now: number): void {
    const { absorb, gather, readiness, zab } = this.#parts;
    if (!readiness.isReady) return;
    if (zab.proposing === undefined) {
      this.#forward();
      return;
    }
    for (let next = this.#queue.nextBatch(now); next !== undefined; next = this.#queue.nextBatch(now)) {
      gather.sent(next.count);
      absorb(zab.propose(now, next.bytes));
    }
  }

  #mayLeave(): boolean {
    const { gather, readiness, zab } = this.#parts;
    const leader = zab.proposing;
    const waiting = leader !== undefined ? this.#queue.length : this.#outbox.length;
    if (waiting === 0 || !readiness.isReady || gather.isYielding) return false;
    if (leader !== undefined && !leader.mayPropose) return false;
    return gather.mayLeave(waiting);
  }

  /** FOLLOWING: forwards the waiting writes to the leader, in messages of the size of a batch. */
  #forward(): void {
    const { config, effects, gather, zab } = this.#parts;
    assert(zab.proposing === undefined, "a leader proposes its writes");
    const { leader, join } = zab;
    const writes = this.#outbox;
    if (leader === null || join === undefined || writes.length === 0) return;
    this.#outbox = [];
    gather.sent(writes.length);
    for (let start = 0; start < writes.length; ) {
      let bytes = 0;
      let end = start;
      for (; end < writes.length; end++) {
        bytes += (writes[end]?.body.length ?? 0) + TXN_OVERHEAD_BYTES;
        if (bytes > config.batchBytesMax && end > start) break;
      }
      effects.send(leader, { type: "REQUEST", join, packed: packRequests(writes.slice(start, end)) });
      start = end;
    }
  }

  /** FOLLOWING: handles REJECT: the leader has refused these writes, which will not be committed. */
  rejected({ code, exactly, requests }: RejectMessage): void {
    const { pending, replies, responder } = this.#parts;
    const reason = exactly ?? code;
    for (const name of requests) {
      const isAnswered = pending.answer(name, failed(this.#tree.lastApplied, reason));
      // The write was answered with the result of another write under its number, so the fingerprint recorded for that
      // number may be wrong.
      if (!isAnswered && reason === "XID_REUSED") replies.noteFingerprint(name.session, name.xid, NOT_KNOWN);
    }
    responder.answerWaiting(false);
  }

  // ── changes of the leader ────────────────────────────────────────────────

  /** Handles the end of the stay or epoch. Writes that were neither proposed nor forwarded cannot be committed. */
  reset(): void {
    this.#queue.reset();
    for (const write of this.#outbox) write.sent = false;
    this.#outbox = [];
    this.#parts.gather.reset();
  }

  /** Handles readiness: the history of the epoch is applied. Answers the writes that are part of it, and sends the others again. */
  begin(): void {
    const { pending, replies, responder } = this.#parts;
    replies.forgetPrepared();
    for (const write of pending.writes()) {
      const known = replies.answerTo(write, write.fingerprint);
      if (known === undefined) this.#route(write);
      else pending.answer(write, known);
    }
    responder.answerWaiting(true);
  }

  /** Handles a received snapshot. The results of the txns that it contains are known only in part. */
  loadTree(tree: ZnodeTree): void {
    const { pending, replies, responder } = this.#parts;
    this.#tree = tree;
    this.#queue.loadTree(tree);
    for (const write of pending.writes()) {
      const known = replies.answerTo(write, write.fingerprint);
      if (!write.sent && known === undefined) continue;
      pending.answer(write, known ?? unanswered(write, tree.lastApplied));
    }
    responder.answerWaiting(false);
  }

  /** LEADING: handles the end of a learner's stay: the learner will forward again what was not proposed. */
  learnerLeft(learner: Sid): void {
    this.#queue.dropOf(learner);
  }

  /** LEADING: handles that the tree has applied everything up to `zxid`. */
  applied(zxid: Zxid): void {
    this.#queue.applied(zxid);
  }
}
