/** Requests over RPC: writes, reads and sessions. */
import { assert } from "../../core/assert.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import { ANSWER_BYTES_MAX } from "../../core/server/config.ts";
import type { Token } from "../../core/server/ids.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import { type Zxid, zxidFromText } from "../../core/zab/zxid.ts";
import { boundedRead } from "../../core/znode/ops/bounded-read.ts";
import {
  makeSessionId,
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WriteResult,
} from "../../core/znode/types.ts";
import { failure, success, toAnswer, UNKNOWN_ENSEMBLE } from "./answers.ts";
import type { Incarnation } from "./incarnation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Answer, ReadInput, ReadResult, WriteInput } from "./rpc.ts";

const UNSEEN = "no quorum has the zxid that the client has seen";

/** A read that always succeeds. */
const EXISTS_ROOT = { type: "exists", path: "/", watch: false } as const;

/**
 * Submits requests to the core and resolves them with its answers.
 * Invariant: each waiting token is answered at most once; unanswered requests end with the incarnation.
 * @source ZooKeeper's `ZooKeeperServer.submitRequest`
 */
export class Requests {
  readonly #lifecycle: Lifecycle;
  /** *map token → resolves the request that waits for its answer* */
  readonly #waiting = new Map<Token, (answer: ServerAnswer) => void>();

  constructor(lifecycle: Lifecycle) {
    this.#lifecycle = lifecycle;
  }

  /** Handles an answer of the core, unless its token belongs to another part of the node. */
  respond(token: Token, answer: ServerAnswer): void {
    const resolve = this.#waiting.get(token);
    this.#waiting.delete(token);
    resolve?.(answer);
  }

  /** Submits a request and waits for its answer. */
  submit(incarnation: Incarnation, submit: (token: Token, now: number) => void): Promise<ServerAnswer> {
    const token = this.#lifecycle.nextToken();
    const answer = new Promise<ServerAnswer>((resolve) => {
      this.#waiting.set(token, resolve);
    });
    this.#lifecycle.turn(incarnation, (now) => {
      submit(token, now);
      return incarnation.server.flush(now);
    });
    return answer;
  }

  // ── writes and reads ─────────────────────────────────────────────────────

  /** See `ZooWeeperNodeRpc.write`. */
  async write(input: WriteInput): Promise<Answer<WriteResult>> {
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return UNKNOWN_ENSEMBLE;
    const answer = await this.submit(incarnation, (token, now) =>
      incarnation.server.submitWrite(now, token, {
        session: input.session,
        xid: input.xid,
        ...encodeWrite(input.request),
      }),
    );
    return toAnswer(incarnation, answer) as Answer<WriteResult>;
  }

  /** See `ZooWeeperNodeRpc.read`. */
  async read<Request extends ReadRequest>(
    input: ReadInput<Request>,
  ): Promise<Answer<ReadResult<Request["type"]>>> {
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return UNKNOWN_ENSEMBLE;
    const { session, request, consistency, stale, background = false } = input;
    const atLeast = zxidFromText(input.atLeast ?? "");
    const answer = await this.submit(incarnation, (token, now) =>
      incarnation.server.submitRead(now, token, {
        session,
        xid: 0,
        request: withoutWatch(request),
        linearizable: consistency === "linearizable",
        stale,
        background,
        atLeast,
      }),
    );
    if (!answer.ok && answer.code === "BAD_ARGUMENTS") return failure(answer.code, UNSEEN, incarnation);
    // Without a quorum this cannot be checked, and a client that accepts stale answers accepts this one.
    const canTell = incarnation.server.ready || !stale;
    const lost = session !== NO_SESSION && canTell ? await this.#lossOf(incarnation, session) : undefined;
    if (lost !== undefined) return lost;
    return toAnswer(incarnation, answer) as Answer<ReadResult<Request["type"]>>;
  }

  /**
   * Catches up with the quorum: a znode or session that this node does not have afterwards does not exist.
   * @param atLeast a zxid; if this node has applied it, no quorum is needed
   */
  confirm(incarnation: Incarnation, atLeast?: Zxid): Promise<ServerAnswer> {
    return this.submit(incarnation, (token, now) =>
      incarnation.server.submitRead(now, token, {
        session: NO_SESSION,
        xid: 0,
        request: EXISTS_ROOT,
        linearizable: atLeast === undefined,
        stale: false,
        atLeast,
      }),
    );
  }

  /** Wakes the ensemble if it sleeps, and waits until this node serves or cannot. Called before other requests. */
  async awaken(incarnation: Incarnation, background = false): Promise<void> {
    const { server } = incarnation;
    if (!server.zab.frozen && !server.waking) return;
    const read = {
      session: NO_SESSION,
      xid: 0,
      request: EXISTS_ROOT,
      linearizable: false,
      stale: false,
      background,
    };
    await this.submit(incarnation, (token, now) => server.submitRead(now, token, read));
  }

  // ── sessions ─────────────────────────────────────────────────────────────

  /** See `ZooWeeperNodeRpc.openSession`. */
  async openSession(
    timeoutMs: number,
  ): Promise<Answer<{ readonly session: SessionId; readonly timeoutMs: number }>> {
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return UNKNOWN_ENSEMBLE;
    const session = this.newSessionId(incarnation);
    const open = encodeWrite({ type: "createSession", timeoutMs });
    const answer = await this.submit(incarnation, (token, now) =>
      incarnation.server.submitWrite(now, token, { session, xid: 0, ...open }),
    );
    if (!answer.ok) return failure(answer.code, undefined, incarnation);
    assert(answer.result.type === "createSession", "the answer to createSession is its result");
    return success(incarnation, { session, timeoutMs: answer.result.timeoutMs });
  }

  /** See `ZooWeeperNodeRpc.touchSession`. */
  async touchSession(
    session: SessionId,
    background = false,
  ): Promise<Answer<{ readonly timeoutMs: number }>> {
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return UNKNOWN_ENSEMBLE;
    const { server } = incarnation;
    const isParked = background && server.isSessionParked(session);
    if (!isParked) await this.awaken(incarnation, background);
    if (!server.ready) return failure("NO_QUORUM", undefined, incarnation);
    const lost = await this.#lossOf(incarnation, session);
    if (lost !== undefined) return lost;
    const known = server.tree.sessions.get(session);
    if (known === undefined) return failure("SESSION_EXPIRED", undefined, incarnation);
    this.touch(incarnation, session, background);
    return success(incarnation, { timeoutMs: known.timeoutMs });
  }

  /** Handles a heartbeat of a session. @param background whether it must not keep the ensemble awake */
  touch(incarnation: Incarnation, session: SessionId, background: boolean): void {
    this.#lifecycle.turn(incarnation, (now) => {
      incarnation.server.touch(now, session, background);
      return incarnation.server.flush(now);
    });
  }

  /** See `ZooWeeperNodeRpc.closeSession`. */
  async closeSession(session: SessionId): Promise<Answer<null>> {
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return UNKNOWN_ENSEMBLE;
    const answer = await this.submitClose(incarnation, session);
    if (!answer.ok) return failure(answer.code, undefined, incarnation);
    if (answer.result.type === "error") return failure(answer.result.code, undefined, incarnation);
    return success(incarnation, null);
  }

  /** Closes a session in an incarnation that has started. */
  submitClose(incarnation: Incarnation, session: SessionId): Promise<ServerAnswer> {
    const close = encodeWrite({ type: "closeSession" });
    return this.submit(incarnation, (token, now) =>
      incarnation.server.submitWrite(now, token, { session, xid: 0, ...close }),
    );
  }

  /** A random id; its highest bits are the sid of this member, as in ZooKeeper. */
  newSessionId({ config }: Incarnation): SessionId {
    const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
    return makeSessionId(config.sid, (high % 2 ** 17) * 2 ** 32 + low);
  }

  /** The answer for a session that has ended: one that neither this node nor a quorum knows; undefined if it exists. */
  async #lossOf(incarnation: Incarnation, session: SessionId): Promise<Answer<never> | undefined> {
    const { server } = incarnation;
    if (server.tree.sessions.has(session)) return undefined;
    const confirmed = await this.confirm(incarnation);
    if (!confirmed.ok) return failure(confirmed.code, undefined, incarnation, confirmed.zxid);
    return server.tree.sessions.has(session) ? undefined : failure("SESSION_EXPIRED", undefined, incarnation);
  }
}

/** A read over RPC sets no watch, and its answer must fit into a message. */
const withoutWatch = (request: ReadRequest): ReadRequest => {
  const bounded = boundedRead(request, ANSWER_BYTES_MAX);
  return "watch" in bounded ? { ...bounded, watch: false } : bounded;
};
