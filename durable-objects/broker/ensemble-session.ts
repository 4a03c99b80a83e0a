/**
 * A broker's session of the ensemble, as every client has one: writes are numbered and go one after the other, so an
 * unknown outcome is resolved by sending the same number again, at any node. A node that fails is passed over; a
 * stub that failed is never used again.
 */

import type { ClusterRead, ClusterReadResult } from "../../core/broker/cluster-read.ts";
import type { ClusterCondition } from "../../core/broker/cluster-view.ts";
import type { BrokerConfig } from "../../core/broker/config.ts";
import { errorInfo, type ZooErrorCode } from "../../core/errors.ts";
import { NO_SESSION, type SessionId, type WriteRequest, type WriteResult } from "../../core/znode/types.ts";
import { pause, Waiters, withTimeout } from "../shared/timeout.ts";
import type { Answer, ZooWeeperNodeRpc } from "../zooweeper-node/rpc.ts";

/** Whether another node may answer: every write is numbered, so one whose outcome is unknown can be sent again. */
function mayRetry(code: ZooErrorCode): boolean {
  const info = errorInfo(code);
  return info !== undefined && (info.retryElsewhere || info.unknownOutcome || code === "THROTTLED");
}

/** The ensemble refused, or could not be reached in time. */
export class EnsembleError extends Error {
  override readonly name = "EnsembleError";
  readonly code: ZooErrorCode;

  constructor(code: ZooErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface Written {
  readonly result: WriteResult;
  /** the node that answered */
  readonly sid: number;
}

export class EnsembleSession {
  readonly #size: number;
  readonly #connect: (sid: number) => ZooWeeperNodeRpc;
  readonly #config: BrokerConfig;
  readonly #stubs = new Map<number, ZooWeeperNodeRpc>();
  /** the node that serves this broker now */
  #sid: number;
  #session: SessionId = NO_SESSION;
  #xid = 0;
  #lastWrite: Promise<unknown> = Promise.resolve();
  #queued = 0;
  /** woken when another node serves, or the session is gone */
  readonly #moved = new Waiters();

  constructor(size: number, home: number, connect: (sid: number) => ZooWeeperNodeRpc, config: BrokerConfig) {
    this.#size = size;
    this.#sid = home;
    this.#connect = connect;
    this.#config = config;
  }

  /** {@link NO_SESSION} while there is none. */
  get id(): SessionId {
    return this.#session;
  }

  /** number of the last write */
  get xid(): number {
    return this.#xid;
  }

  /** Writes that wait or are under way. */
  get writing(): boolean {
    return this.#queued > 0;
  }

  /** Goes on with a session that slept: nothing was written in it since. */
  resume(session: SessionId, xid: number): void {
    this.#session = session;
    this.#xid = xid;
  }

  /** The ensemble no longer knows the session. */
  forget(session: SessionId): void {
    if (this.#session !== session) return;
    this.#session = NO_SESSION;
    this.#moved.wake();
  }

  async open(): Promise<SessionId> {
    const { answer } = await this.#anywhere((node) => node.openSession(this.#config.sessionTimeoutMs));
    this.#session = answer.session;
    this.#xid = 0;
    return answer.session;
  }

  /** A sign of life. False when the session is gone. */
  async touch(): Promise<boolean> {
    const session = this.#session;
    if (session === NO_SESSION) return false;
    try {
      await this.#anywhere((node) => node.touchSession(session, true));
      return true;
    } catch (error) {
      if (error instanceof EnsembleError && error.code === "SESSION_EXPIRED") this.forget(session);
      return this.#session !== NO_SESSION;
    }
  }

  /** Closes any session: one's own of a former life, or that of a broker that is gone. */
  async close(session: SessionId): Promise<void> {
    try {
      await this.#anywhere((node) => node.closeSession(session));
    } catch (error) {
      if (!(error instanceof EnsembleError && error.code === "SESSION_EXPIRED")) throw error;
    }
  }

  /**
   * Writes under this session, in turn.
   * @param prefer the node to try first
   * @throws EnsembleError the code of a refusal; of a multi, that of the operation that failed
   */
  write(request: WriteRequest, prefer?: number): Promise<Written> {
    if (this.#queued >= this.#config.writeQueueMax)
      return Promise.reject(new EnsembleError("THROTTLED", "too many writes of this broker are waiting"));
    this.#queued += 1;
    const deadline = Date.now() + this.#config.writeDeadlineMs;
    const turn = this.#lastWrite.then(() => {
      if (Date.now() > deadline) throw new EnsembleError("NO_QUORUM", "the write did not begin in time");
      return this.#writeNow(request, prefer);
    });
    this.#lastWrite = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn.finally(() => {
      this.#queued -= 1;
    });
  }

  async #writeNow(request: WriteRequest, prefer: number | undefined): Promise<Written> {
    const session = this.#session;
    if (session === NO_SESSION) throw new EnsembleError("SESSION_EXPIRED", "the broker has no session");
    this.#xid += 1;
    const xid = this.#xid;
    try {
      const { answer, sid } = await this.#anywhere((node) => node.write({ session, xid, request }), prefer);
      const failed =
        answer.type === "multi"
          ? answer.results.find((each) => each.type === "error" && !INNOCENT.has(each.code))
          : undefined;
      if (failed?.type === "error") throw new EnsembleError(failed.code, "an operation of the multi failed");
      return { result: answer, sid };
    } catch (error) {
      if (error instanceof EnsembleError && error.code === "SESSION_EXPIRED") this.forget(session);
      throw error;
    }
  }

  /** Runs a coroutine of reads at one node that has first caught up with the leader. */
  async readAll<T>(
    start: () => Generator<readonly ClusterRead[], T, readonly ClusterReadResult[]>,
  ): Promise<T> {
    await this.#anywhere((node) =>
      node.read({
        session: this.#session,
        request: { type: "exists", path: "/", watch: false },
        consistency: "linearizable",
        stale: false,
        background: true,
      }),
    );
    const sid = this.#sid;
    const steps = start();
    let step = steps.next();
    while (!step.done) {
      const results: ClusterReadResult[] = [];
      for (let at = 0; at < step.value.length; at += READS_AT_ONCE) {
        // a chain of calls within one process never lets timers and sockets in
        if (at > 0) await pause(0);
        const reads = step.value.slice(at, at + READS_AT_ONCE);
        results.push(...(await Promise.all(reads.map((read) => this.#readAt(sid, read)))));
      }
      step = steps.next(results);
    }
    return step.value;
  }

  async #readAt(sid: number, { type, path }: ClusterRead): Promise<ClusterReadResult> {
    const request =
      type === "getData"
        ? ({ type, path, watch: false } as const)
        : ({ type, path, watch: false, withStat: true } as const);
    const answer = await this.#attempt(sid, (node) =>
      node.read({ session: this.#session, request, consistency: "local", stale: false, background: true }),
    );
    if (!answer.ok) {
      if (answer.code === "NO_NODE") return undefined;
      this.#leave(sid);
      throw new EnsembleError(answer.code, answer.message);
    }
    const { value } = answer;
    return {
      data: value.type === "getData" ? value.data : null,
      children: value.type === "getChildren" ? value.children : [],
      stat: value.stat,
    };
  }

  /**
   * Waits until some conditions are outdated, or for `timeoutMs`; returns their paths.
   * @param owner number under which the ensemble wakes us
   * @returns a number when the ensemble has fallen asleep: the epoch in which it did
   */
  async waitForChange(
    conditions: readonly ClusterCondition[],
    timeoutMs: number,
    owner: number,
  ): Promise<readonly string[] | number> {
    const sid = this.#sid;
    const owned = { session: this.#session, owner };
    const bound = timeoutMs + this.#config.attemptTimeoutMs;
    const waiting = this.#attempt(
      sid,
      (node) => node.waitForChange({ conditions, timeoutMs, owner: owned }),
      bound,
    );
    // when the node turns out to be dead elsewhere, e.g. at a heartbeat, the wait is made again at another one
    const answer = await this.#moved.or(waiting, timeoutMs);
    waiting.catch(() => undefined);
    if (answer === undefined) return [];
    if (answer.ok && answer.value.asleep !== undefined) return answer.value.asleep;
    if (answer.ok) return answer.value.changed.flatMap((index) => conditions[index]?.path ?? []);
    this.#leave(sid);
    throw new EnsembleError(answer.code, answer.message);
  }

  /** One call at one node. @throws when it breaks or takes too long */
  async #attempt<T>(
    sid: number,
    call: (node: ZooWeeperNodeRpc) => Promise<Answer<T>>,
    timeoutMs = this.#config.attemptTimeoutMs,
  ): Promise<Answer<T>> {
    const stub = this.#stubs.get(sid) ?? this.#connect(sid);
    this.#stubs.set(sid, stub);
    try {
      return await withTimeout(call(stub), timeoutMs);
    } catch (error) {
      if (this.#stubs.get(sid) === stub) this.#stubs.delete(sid);
      this.#leave(sid);
      throw error;
    }
  }

  /** The next node serves from here on. */
  #leave(sid: number): void {
    if (this.#sid === sid) this.#moveTo((sid % this.#size) + 1);
  }

  #moveTo(sid: number): void {
    if (this.#sid === sid) return;
    this.#sid = sid;
    this.#moved.wake();
  }

  /** Tries node after node until one answers, for as long as an election may take. */
  async #anywhere<T>(
    call: (node: ZooWeeperNodeRpc) => Promise<Answer<T>>,
    prefer: number = this.#sid,
  ): Promise<{ readonly answer: T; readonly sid: number }> {
    const deadline = Date.now() + this.#config.writeDeadlineMs;
    let last = "none was asked in time";
    for (let tries = 0; Date.now() < deadline; tries++) {
      const sid = tries === 0 ? prefer : ((prefer - 1 + tries) % this.#size) + 1;
      if (tries > 0 && tries % this.#size === 0) await pause(this.#config.retryMs);
      try {
        const answer = await this.#attempt(sid, call);
        if (answer.ok) {
          // a node that was asked for by name may serve once without becoming this broker's own
          if (tries > 0) this.#moveTo(sid);
          return { answer: answer.value, sid };
        }
        if (!mayRetry(answer.code)) throw new EnsembleError(answer.code, answer.message);
        last = `node ${sid}: ${answer.message}`;
      } catch (error) {
        if (error instanceof EnsembleError) throw error;
        last = `node ${sid}: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    throw new EnsembleError("NO_QUORUM", `no node of the ensemble serves the broker; ${last}`);
  }
}

/** Codes that the operations beside the failed one of a multi have. */
const INNOCENT: ReadonlySet<ZooErrorCode> = new Set(["OK", "RUNTIME_INCONSISTENCY"]);

/** reads sent together; they are answered from memory */
const READS_AT_ONCE = 50;
