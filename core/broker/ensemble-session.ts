/**
 * A broker's session with the ensemble, like that of any client: writes are numbered and sent one after the other, so an
 * unknown outcome is resolved by sending the same number again, at any node. If a node fails, the session moves to the next
 * one.
 *
 * Invariant: a number is used for one write; the next write begins when the outcome of the last one is known or its deadline
 * has passed.
 */
import { errorInfo, type ZooErrorCode } from "../errors.ts";
import { NO_SESSION, type SessionId, type WriteRequest, type WriteResult } from "../znode/types.ts";
import { type ClusterRead, type ClusterReadResult, clusterReadResult, requestOf } from "./cluster-read.ts";
import type { ClusterCondition } from "./cluster-view.ts";
import type { BrokerConfig } from "./config.ts";
import {
  failure,
  type NodeAnswer,
  type NodeCall,
  type NodeCallName,
  type NodeValue,
  now,
  type Outcome,
  type Program,
  pause,
  perform,
} from "./program.ts";

/** Whether another node may answer: every write is numbered, so one whose outcome is unknown can be sent again. */
function mayRetry(code: ZooErrorCode): boolean {
  const info = errorInfo(code);
  return info !== undefined && (info.retryElsewhere || info.unknownOutcome || code === "THROTTLED");
}

/** Codes of the operations of a failed multi that did not fail themselves. */
const BESIDE_FAILED: ReadonlySet<ZooErrorCode> = new Set(["OK", "RUNTIME_INCONSISTENCY"]);

/** A value, and the node that returned it. */
export interface Served<T> {
  readonly answer: T;
  readonly sid: number;
}

/** A write that was carried out. */
export interface Written {
  readonly result: WriteResult;
  /** the node that answered */
  readonly sid: number;
}

/** How a wait ended: paths whose conditions are outdated, or the epoch in which the ensemble fell asleep. */
export type Change = { readonly paths: readonly string[] } | { readonly asleep: number };

/** The session of one broker. @see the invariant above @source ZooKeeper `ClientCnxn` */
export class EnsembleSession {
  readonly #size: number;
  readonly #config: BrokerConfig;
  /** sid of the node that serves this broker now, from 1 */
  #sid: number;
  #session: SessionId = NO_SESSION;
  #xid = 0;
  #queued = 0;
  #moves = 0;

  /** @param home the node to begin with */
  constructor(size: number, home: number, config: BrokerConfig) {
    this.#size = size;
    this.#sid = home;
    this.#config = config;
  }

  /** Id of the session; {@link NO_SESSION} while there is none. */
  get id(): SessionId {
    return this.#session;
  }

  /** Number of the last write. */
  get xid(): number {
    return this.#xid;
  }

  /** Whether writes wait or are under way. */
  get isWriting(): boolean {
    return this.#queued > 0;
  }

  /** Number of times that the serving node changed or the session was lost. A step `wait` ends when it changes. */
  get moves(): number {
    return this.#moves;
  }

  /** Continues a session after sleep; nothing was written in it meanwhile. */
  resume(session: SessionId, xid: number): void {
    this.#session = session;
    this.#xid = xid;
  }

  #forget(session: SessionId): void {
    if (this.#session !== session) return;
    this.#session = NO_SESSION;
    this.#moves += 1;
  }

  *open(): Program<Outcome<SessionId>> {
    const opened = yield* this.#anywhere({
      name: "openSession",
      timeoutMs: this.#config.sessionTimeoutMs,
    });
    if (!opened.ok) return opened;
    const { session } = opened.value.answer;
    this.#session = session;
    this.#xid = 0;
    return { ok: true, value: session };
  }

  /** Keeps the session alive. A session that the ensemble no longer knows is dropped. */
  *touch(): Program<void> {
    const session = this.#session;
    if (session === NO_SESSION) return;
    const touched = yield* this.#anywhere({ name: "touchSession", session });
    if (!touched.ok && touched.code === "SESSION_EXPIRED") this.#forget(session);
  }

  /** Closes any session: this broker's from a previous life, or that of a dead broker. */
  *close(session: SessionId): Program<Outcome<null>> {
    const closed = yield* this.#anywhere({ name: "closeSession", session });
    return closed.ok || closed.code === "SESSION_EXPIRED" ? { ok: true, value: null } : closed;
  }

  /**
   * Writes under this session, in turn.
   * @param prefer the node to try first
   * @returns the zxid, or the code of a refusal; for a multi, the code of the operation that failed
   */
  *write(request: WriteRequest, prefer?: number): Program<Outcome<Written>> {
    if (this.#queued >= this.#config.writeQueueMax)
      return failure("THROTTLED", "too many writes of this broker are waiting");
    this.#queued += 1;
    try {
      const deadline = (yield* now()) + this.#config.writeDeadlineMs;
      yield* perform({ type: "turn" });
      const written =
        (yield* now()) > deadline
          ? failure("NO_QUORUM", "the write did not begin in time")
          : yield* this.#writeNow(request, prefer);
      yield* perform({ type: "endTurn" });
      return written;
    } finally {
      this.#queued -= 1;
    }
  }

  *#writeNow(request: WriteRequest, prefer: number | undefined): Program<Outcome<Written>> {
    const session = this.#session;
    if (session === NO_SESSION) return failure("SESSION_EXPIRED", "the broker has no session");
    this.#xid += 1;
    const written = yield* this.#anywhere({ name: "write", session, xid: this.#xid, request }, prefer);
    if (!written.ok) {
      if (written.code === "SESSION_EXPIRED") this.#forget(session);
      return written;
    }
    const { answer: result, sid } = written.value;
    const failed =
      result.type === "multi"
        ? result.results.find((each) => each.type === "error" && !BESIDE_FAILED.has(each.code))
        : undefined;
    return failed?.type === "error"
      ? failure(failed.code, "an operation of the multi failed")
      : { ok: true, value: { result, sid } };
  }

  /** Runs a coroutine of reads at one node that has first caught up with the leader. */
  *readAll<T>(
    start: () => Generator<readonly ClusterRead[], T, readonly ClusterReadResult[]>,
  ): Program<Outcome<T>> {
    const request = { type: "exists", path: "/", watch: false } as const;
    const synced = yield* this.#anywhere({ name: "read", session: this.#session, request, fresh: true });
    if (!synced.ok) return synced;
    const sid = this.#sid;
    const steps = start();
    let step = steps.next();
    while (!step.done) {
      const results: ClusterReadResult[] = [];
      for (let at = 0; at < step.value.length; at += this.#config.readsAtOnce) {
        // without this, a chain of calls within one process would never give timers and sockets a turn
        if (at > 0) yield* pause(0);
        const reads = step.value.slice(at, at + this.#config.readsAtOnce);
        const read = yield* this.#readAt(sid, reads);
        if (!read.ok) return read;
        results.push(...read.value);
      }
      step = steps.next(results);
    }
    return { ok: true, value: step.value };
  }

  *#readAt(sid: number, reads: readonly ClusterRead[]): Program<Outcome<readonly ClusterReadResult[]>> {
    const calls = reads.map((read): NodeCall<"read"> => {
      return { name: "read", session: this.#session, request: requestOf(read), fresh: false };
    });
    const { attemptTimeoutMs: timeoutMs } = this.#config;
    const answers = yield* perform({ type: "reads", sid, calls, timeoutMs });
    const results: ClusterReadResult[] = [];
    for (const answer of answers) {
      if (answer?.ok) results.push(clusterReadResult(answer.value));
      else if (answer?.code === "NO_NODE") results.push(undefined);
      else {
        this.#leave(sid);
        return answer ?? broken(sid);
      }
    }
    return { ok: true, value: results };
  }

  /**
   * Waits until some conditions are outdated, for `timeoutMs`, or until the session moves.
   * @param owner number under which the ensemble wakes this broker
   */
  *waitForChange(
    conditions: readonly ClusterCondition[],
    timeoutMs: number,
    owner: number,
  ): Program<Outcome<Change>> {
    const sid = this.#sid;
    const call = { name: "waitForChange", conditions, timeoutMs, session: this.#session, owner } as const;
    const answer = yield* perform({ type: "wait", sid, call, timeoutMs });
    if (answer === null) return { ok: true, value: { paths: [] } };
    if (!answer?.ok) {
      this.#leave(sid);
      return answer ?? broken(sid);
    }
    const { asleep, changed } = answer.value;
    return {
      ok: true,
      value:
        asleep !== undefined
          ? { asleep }
          : { paths: changed.flatMap((index) => conditions[index]?.path ?? []) },
    };
  }

  /** Moves to the next node. */
  #leave(sid: number): void {
    if (this.#sid === sid) this.#moveTo((sid % this.#size) + 1);
  }

  #moveTo(sid: number): void {
    if (this.#sid === sid) return;
    this.#sid = sid;
    this.#moves += 1;
  }

  /** Tries node after node until one answers, for at most the duration of an election. */
  *#anywhere<Name extends NodeCallName>(
    call: NodeCall<Name>,
    prefer: number = this.#sid,
  ): Program<Outcome<Served<NodeValue<Name>>>> {
    const { writeDeadlineMs, attemptTimeoutMs: timeoutMs, retryMs } = this.#config;
    const deadline = (yield* now()) + writeDeadlineMs;
    let last = "none was asked in time";
    for (let tries = 0; (yield* now()) < deadline; tries++) {
      const sid = tries === 0 ? prefer : ((prefer - 1 + tries) % this.#size) + 1;
      if (tries > 0 && tries % this.#size === 0) yield* pause(retryMs);
      const answer = (yield* perform({
        type: "node",
        sid,
        call: call as NodeCall,
        timeoutMs,
      })) as NodeAnswer<Name>;
      if (answer?.ok) {
        // a preferred node may serve one write without becoming this broker's serving node
        if (tries > 0) this.#moveTo(sid);
        return { ok: true, value: { answer: answer.value, sid } };
      }
      if (answer === undefined) this.#leave(sid);
      else if (!mayRetry(answer.code)) return answer;
      last = `node ${sid}: ${answer?.message ?? "the call broke"}`;
    }
    return failure("NO_QUORUM", `no node of the ensemble serves the broker; ${last}`);
  }
}

const broken = (sid: number) => failure("NODE_DOWN", `node ${sid}: the call broke`);
