/** The first packet of a connection: opens a session, or continues one. */
import {
  type ConnectRequest,
  type ConnectResponse,
  expiredResponse,
  PASSWORD_BYTES,
} from "../wire/jute/connect.ts";
import { compareZxid } from "../zab/zxid.ts";
import { isAnonymous, NO_SESSION, type SessionId } from "../znode/types.ts";
import type { ServerAnswer } from "./answers.ts";
import type { Token } from "./ids.ts";
import type { EnsembleServer } from "./server.ts";

/** Outcome of a handshake. */
export type HandshakeOutcome =
  | {
      readonly type: "open";
      readonly session: SessionId;
      readonly response: ConnectResponse;
      /**
       * offset that is added to the client's xids to make them numbers of the session: this project's clients know the
       * session's last number and continue from it; ZooKeeper's clients count within their connection
       */
      readonly numbersFrom: number;
    }
  /** the session cannot be resumed */
  | { readonly type: "expired"; readonly response: ConnectResponse }
  /** the connection is closed without a response */
  | { readonly type: "closed"; readonly end: "NORMAL" | "TRY_AGAIN"; readonly reason: string };

/**
 * One handshake. Opening and continuing a session are both a txn: once it is applied here, this member has every state that
 * the client has seen at any member.
 * Invariant: at most one txn is under way.
 * @source ZooKeeper `ZooKeeperServer.processConnectRequest`, `finishSessionInit`
 */
export class Handshake {
  readonly #server: EnsembleServer;
  readonly #token: Token;
  #waiting: { readonly session: SessionId; readonly request: ConnectRequest } | null = null;

  constructor(server: EnsembleServer, token: Token) {
    this.#server = server;
    this.#token = token;
  }

  /** Whether its txn is under way, so that the next answer is for it. */
  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  /**
   * Takes the request of a client.
   * @param newSessionId gives the id of a new session
   * @returns undefined if the outcome depends on a txn
   */
  begin(now: number, request: ConnectRequest, newSessionId: () => SessionId): HandshakeOutcome | undefined {
    const server = this.#server;
    if (request.session === NO_SESSION) {
      const session = newSessionId();
      this.#waiting = { session, request };
      server.openSession(now, this.#token, session, request.timeoutMs);
      return undefined;
    }
    if (request.session < 0 || isAnonymous(request.session)) return expired(request);
    if (!server.ready && !server.waking) return closed("TRY_AGAIN", "this node is not part of a quorum now");
    this.#waiting = { session: request.session, request };
    server.attach(now, this.#token, request.session);
    return undefined;
  }

  /** Ends the handshake with the answer to its txn, which is applied here or refused. */
  end(answer: ServerAnswer): HandshakeOutcome {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null || !answer.ok) return closed("TRY_AGAIN", "no quorum of the ensemble is reachable");
    const { session, request } = waiting;
    const { tree } = this.#server;
    if (compareZxid(request.lastZxidSeen, tree.lastApplied) > 0)
      return closed("NORMAL", "no quorum has the state that the client has seen");
    const known = tree.sessions.get(session);
    if (answer.result.type === "error" || known === undefined) return expired(request);
    const wantsLastXid = request.wantsLastXid === true;
    const response: ConnectResponse = {
      timeoutMs: known.timeoutMs,
      session,
      password: new Uint8Array(PASSWORD_BYTES),
      readOnly: request.readOnly,
      lastXid: wantsLastXid ? known.lastXid : undefined,
    };
    return { type: "open", session, response, numbersFrom: wantsLastXid ? 0 : known.lastXid };
  }
}

const expired = (request: ConnectRequest): HandshakeOutcome => ({
  type: "expired",
  response: expiredResponse(request.readOnly),
});

const closed = (end: "NORMAL" | "TRY_AGAIN", reason: string): HandshakeOutcome => ({
  type: "closed",
  end,
  reason,
});
