/** What is asked of members without a connection, as over HTTP, and what they answer. */
import { must } from "../core/assert.ts";
import type { ServerAnswer } from "../core/server/answers.ts";
import type { Token } from "../core/server/ids.ts";
import type { EnsembleServer } from "../core/server/server.ts";
import { encodeWrite } from "../core/wire/jute/requests.ts";
import {
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WatchEvent,
  type WriteRequest,
} from "../core/znode/types.ts";
import type { Invariants } from "./checkers/invariants.ts";
import type { Asked } from "./checkers/requests.ts";
import type { Life } from "./member/life.ts";
import type { Member } from "./member/member.ts";

/** Tokens of requests without a connection begin above this: more connections than a life has. */
const REQUEST_TOKENS = 2 ** 32;

/** A write, and the session that sends it. */
export interface SessionWrite {
  readonly request: WriteRequest;
  readonly session: SessionId;
  readonly xid: number;
}

/** Invariant: a token is that of one request in the whole run, and its answer is kept for good. */
export class Requests {
  readonly #members: readonly Member[];
  readonly #invariants: Invariants;
  /** *map token → answer* */
  readonly answers = new Map<Token, ServerAnswer>();
  /** events of watches that such a request has set */
  readonly notified: { token: Token; path: string; type: number }[] = [];
  #tokens = 0;

  constructor(members: readonly Member[], invariants: Invariants) {
    this.#members = members;
    this.#invariants = invariants;
  }

  /** Several writes in one turn of a member that is up. */
  writes(sid: number, writes: readonly SessionWrite[]): Token[] {
    const life = this.#lifeOf(sid);
    const { sessions } = this.#invariants;
    const tokens = writes.map(({ session }) => this.#ask(life, session, false));
    life.turn((server, now) => {
      for (const [i, { request, session, xid }] of writes.entries()) {
        if (request.type === "closeSession") sessions.closing(session);
        else this.#heard(life, session);
        server.submitWrite(now, tokens[i] as Token, { session, xid, ...encodeWrite(request) });
      }
    });
    return tokens;
  }

  /** A read of a member that is up. */
  read(sid: number, request: ReadRequest, linearizable: boolean, session: SessionId, stale: boolean): Token {
    const life = this.#lifeOf(sid);
    const token = this.#ask(life, session, linearizable);
    life.turn((server, now) => {
      this.#heard(life, session);
      server.submitRead(now, token, { session, xid: 0, request, linearizable, stale });
    });
    return token;
  }

  /** A session shows at a member that is up that it lives. */
  touch(sid: number, session: SessionId): void {
    const life = this.#lifeOf(sid);
    life.turn((server, now) => {
      this.#invariants.sessions.heard(life, session);
      server.touch(now, session);
    });
  }

  /** Something whose answer its sender takes; see `Cluster.request`. @returns false: the member is down */
  request(
    { life }: Member,
    ask: (server: EnsembleServer, now: number, token: Token, life: Life) => void,
    answered: (answer: ServerAnswer | undefined) => void,
    isFresh: boolean,
  ): boolean {
    if (life === null) return false;
    const token = this.#token();
    life.clients.request(token, { answered, isFresh });
    life.turn((server, now) => ask(server, now, token, life));
    return true;
  }

  // ── what comes back ──────────────────────────────────────────────────────

  onAnswer(life: Life, token: Token, asked: Asked, answer: ServerAnswer): void {
    this.answers.set(token, answer);
    this.#invariants.requests.responded(life, asked, answer);
  }

  onNotify(token: Token, { path, type }: WatchEvent): void {
    this.notified.push({ token, path, type });
  }

  /** These, which are answered. */
  answersTo(tokens: readonly Token[]): ServerAnswer[] {
    return tokens.map((token) => must(this.answers.get(token), "it was waited for"));
  }

  // ── parts ────────────────────────────────────────────────────────────────

  #lifeOf(sid: number): Life {
    const member = must(this.#members[sid - 1], `there is no member ${sid}`);
    return must(member.life, `member ${sid} is down`);
  }

  #heard(life: Life, session: SessionId): void {
    if (session !== NO_SESSION) this.#invariants.sessions.heard(life, session);
  }

  /** Something will be asked whose answer is kept in {@link answers}. */
  #ask(life: Life, session: SessionId, linearizable: boolean): Token {
    const token = this.#token();
    life.clients.expect(token, this.#invariants.requests.asked(life, session, token, linearizable));
    return token;
  }

  #token(): Token {
    this.#tokens += 1;
    return (REQUEST_TOKENS + this.#tokens) as Token;
  }
}
