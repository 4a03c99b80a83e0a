/** Answers the requests of this member's clients, in the order in which each session sent them. */
import type { Zxid } from "../zab/zxid.ts";
import { isAnonymous, type SessionId, type Txn, type TxnHeader, type WriteResult } from "../znode/types.ts";
import { failed, type ServerAnswer } from "./answers.ts";
import type { ServerConfig } from "./config.ts";
import type { Connections } from "./connections.ts";
import type { EffectList } from "./effect-list.ts";
import { type Fingerprint, NOT_KNOWN } from "./fingerprint.ts";
import { NO_CONNECTION, type Token } from "./ids.ts";
import type { LocalReads } from "./local-reads.ts";
import type { PendingLocal, PendingRequest, PendingRequests, PendingWrite } from "./pending.ts";
import type { Readiness } from "./readiness.ts";
import type { ReplyCache } from "./reply-cache.ts";

/**
 * Matches committed txns with pending writes, and answers the requests after them.
 *
 * Invariant: answers of a session have the order of its requests; only a write's own txn answers it with a result.
 *
 * @source ZooKeeper `CommitProcessor`, `FinalRequestProcessor` (responses)
 */
export class Responder {
  readonly #config: ServerConfig;
  readonly #effects: EffectList;
  readonly #pending: PendingRequests;
  readonly #reads: LocalReads;
  readonly #replies: ReplyCache;
  readonly #connections: Connections;
  readonly #readiness: Readiness;

  constructor(
    config: ServerConfig,
    effects: EffectList,
    pending: PendingRequests,
    reads: LocalReads,
    replies: ReplyCache,
    connections: Connections,
    readiness: Readiness,
  ) {
    this.#config = config;
    this.#effects = effects;
    this.#pending = pending;
    this.#reads = reads;
    this.#replies = replies;
    this.#connections = connections;
    this.#readiness = readiness;
  }

  /** Answers after the earlier requests of the session; requests without a session have no order. */
  respondInTurn(now: number, token: Token, session: SessionId, xid: number, answer: ServerAnswer): void {
    if (isAnonymous(session) || !this.#pending.has(session)) this.#effects.respond(token, xid, answer);
    else {
      const deadline = now + this.#config.requestTimeoutMs;
      this.#pending.add({ type: "answered", token, session, xid, answer, deadline });
    }
  }

  /**
   * Handles an applied txn: answers the write that it was made of, if that is pending here, and the reads after it.
   * @param fingerprint of the txn's request
   */
  answerTxn(header: TxnHeader, txn: Txn, result: WriteResult, fingerprint: Fingerprint): void {
    const { session, xid } = header;
    for (;;) {
      const head = this.#pending.first(session);
      if (head === undefined) return;
      // Before the member first serves, its tree passes through old states, which no client may see.
      if (head.type !== "answered" && !this.#readiness.hasServed) return;
      if (head.type !== "write") {
        this.#pending.shift(session);
        this.#answerLocal(head);
      } else if (head.xid === xid && (head.sent || xid > 0)) {
        // A write that was not sent and is not numbered cannot have become a txn: this txn is of an earlier incarnation.
        this.#pending.shift(session);
        this.#answerWrite(head, header, txn, result, fingerprint);
      } else if (xid > head.xid && head.xid > 0 && !isAnonymous(session)) {
        this.#pending.shift(session);
        this.#effects.respond(head.token, head.xid, failed(header.zxid, "XID_TOO_OLD"));
      } else return;
    }
  }

  #answerWrite(
    write: PendingWrite,
    header: TxnHeader,
    txn: Txn,
    result: WriteResult,
    fingerprint: Fingerprint,
  ): void {
    const { session, xid, zxid } = header;
    if (write.fingerprint !== NOT_KNOWN) {
      if (this.#replies.isOfAnother(write, header, txn, result, fingerprint)) {
        this.#effects.respond(write.token, xid, failed(zxid, "XID_REUSED"));
        return;
      }
      if (write.sent && fingerprint === NOT_KNOWN) {
        this.#replies.noteFingerprint(session, xid, write.fingerprint);
      }
    }
    if (write.connection !== NO_CONNECTION && opens(write, result)) {
      this.#connections.attach(session, write.token);
    }
    const { token, read } = write;
    this.#effects.respond(
      token,
      xid,
      read === null ? { ok: true, zxid, result } : this.#reads.readSynced(token, read),
    );
  }

  /** Answers the requests with no write before them. @param reads whether to answer reads too, since this member is ready */
  answerWaiting(reads: boolean): void {
    for (const request of this.#pending.takeLocal(reads)) this.#answerLocal(request);
  }

  #answerLocal(local: PendingLocal): void {
    const answer =
      local.type === "answered" ? local.answer : this.#reads.read(local.token, local.session, local.request);
    this.#effects.respond(local.token, local.xid, answer);
  }

  /** Answers the requests whose deadline has passed. @param lastApplied last zxid applied to the tree */
  expire(now: number, lastApplied: Zxid): void {
    for (const request of this.#pending.expired(now)) {
      this.#effects.respond(request.token, request.xid, unanswered(request, lastApplied));
    }
    this.answerWaiting(false);
  }
}

/** The answer to a request that timed out. Only the outcome of a write can be unknown. */
export function unanswered(request: PendingRequest, lastApplied: Zxid): ServerAnswer {
  if (request.type === "answered") return request.answer;
  const isUnknown = request.type === "write" && request.sent && request.read === null;
  return failed(lastApplied, isUnknown ? "UNKNOWN_OUTCOME" : "NO_QUORUM");
}

/** Whether the result of this write makes its connection the session's. */
function opens(write: PendingWrite, result: WriteResult): boolean {
  return result.type === "createSession" || (result.type === "sync" && write.xid === write.connection);
}
