/**
 * Client of an ensemble: chooses a node, tries the next one if that is safe, and waits for an election to end.
 * Every failure is an {@link ApiError}.
 */

import { errorInfo, ZOO_ERRORS, type ZooErrorCode } from "../../../core/errors.ts";
import type { RequestTimeouts } from "../../../core/server/config.ts";
import { refusalText } from "../../../core/znode/refusal-text.ts";
import {
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WriteRequest,
  type WriteResult,
} from "../../../core/znode/types.ts";
import { CallTimeout, withTimeout } from "../../../durable-objects/shared/timeout.ts";
import type {
  Answer,
  NodeStatus,
  ReadInput,
  ReadResult,
  WriteInput,
} from "../../../durable-objects/zooweeper-node/rpc.ts";
import { ROUND_PAUSE_MS, STATUS_MS } from "../config.ts";
import { quorumOf, tooFewUp } from "../ensemble/quorum.ts";
import { type ApiEnv, timeoutsOf } from "../env.ts";
import { ApiError } from "../http/errors.ts";
import type { NodeView } from "../schema/views.ts";
import { damageOf, logDamage, reasonOfStop } from "./damage.ts";
import { memoOf } from "./ensemble-memo.ts";
import { found, sizeOfDefault } from "./founding.ts";
import { isDeadForGood, isRefusal, type NodeStub, nodeDown, nodeStub } from "./node-stub.ts";

/**
 * Effect of a request, which determines whether it is repeated after an attempt with an unknown outcome: a `read` and a
 * `numbered` write, which is applied once, are repeated at another node; a `single` write is not, because it could be
 * applied twice.
 */
type Effect = "read" | "numbered" | "single";

/** An answer, with the node that returned it. */
export interface Answered<T> {
  readonly value: T;
  /** last zxid that the answering node had applied */
  readonly zxid: string;
  readonly node: number;
}

/**
 * Sends requests to the nodes of one ensemble.
 * Invariant: a write whose outcome is unknown is repeated only if its session numbered it.
 */
export class EnsembleClient {
  readonly name: string;
  readonly #env: ApiEnv;
  readonly #size: number | undefined;
  readonly #pin: number | undefined;
  readonly #timeouts: RequestTimeouts;

  /**
   * @param size size of a named ensemble, from the registry; the default ensemble is founded on first use
   * @param pin the only node to use
   */
  constructor(env: ApiEnv, name: string, size?: number, pin?: number) {
    this.name = name;
    this.#env = env;
    this.#size = size;
    this.#pin = pin;
    this.#timeouts = timeoutsOf(env);
  }

  /** The same client, bound to one node; undefined leaves the choice open. */
  through(sid: number | undefined): EnsembleClient {
    return sid === undefined ? this : new EnsembleClient(this.#env, this.name, this.#size, sid);
  }

  /** Number of members. Founds the default ensemble if it does not exist yet. */
  async size(): Promise<number> {
    return this.#size ?? memoOf(this.name).size ?? (await sizeOfDefault(this.#env));
  }

  /** A node's stub. @throws ApiError NOT_FOUND if the ensemble has no such member, so that no object is created */
  async node(sid: number): Promise<NodeStub> {
    const size = await this.size();
    if (!Number.isInteger(sid) || sid < 1 || sid > size) {
      throw new ApiError("NOT_FOUND", `the ensemble has the nodes 1 to ${size}`);
    }
    return nodeStub(this.#env, this.name, sid);
  }

  read<Request extends ReadRequest>(
    input: ReadInput<Request>,
  ): Promise<Answered<ReadResult<Request["type"]>>> {
    return named(
      input.request,
      this.#call("read", (node) => node.read(input)),
    );
  }

  write(input: WriteInput): Promise<Answered<WriteResult>> {
    const effect = input.session > 0 && input.xid > 0 ? "numbered" : "single";
    return named(
      input.request,
      this.#call(effect, (node) => node.write(input)),
    );
  }

  /** Repeated like a read, because it changes nothing. */
  sync(): Promise<Answered<WriteResult>> {
    const input = { session: NO_SESSION, xid: 0, request: { type: "sync" } } as const;
    return this.#call("read", (node) => node.write(input));
  }

  /** Repeated like a read: a session that no client knows expires by itself. */
  openSession(
    timeoutMs: number,
  ): Promise<Answered<{ readonly session: SessionId; readonly timeoutMs: number }>> {
    return this.#call("read", (node) => node.openSession(timeoutMs));
  }

  touchSession(session: SessionId): Promise<Answered<{ readonly timeoutMs: number }>> {
    return this.#call("read", (node) => node.touchSession(session));
  }

  /** If a session no longer exists after an attempt with an unknown outcome, that attempt closed it. */
  async closeSession(session: SessionId): Promise<void> {
    try {
      await this.#call("numbered", (node) => node.closeSession(session));
    } catch (error) {
      const closed = error instanceof ApiError && error.code === "SESSION_EXPIRED" && error.extras.repeated;
      if (!closed) throw error;
    }
  }

  /** The status of all nodes, requested in parallel; a node that does not answer is down. */
  async statuses(): Promise<readonly NodeView[]> {
    const size = await this.size();
    const views = await Promise.all(sidsOf(size).map((sid) => this.#view(sid, size)));
    const leader = views.find((view) => view.up && view.role === "LEADING" && view.serving);
    if (leader !== undefined) memoOf(this.name).preferred = leader.sid;
    return views;
  }

  /**
   * Opens a WebSocket at `path` of a node, the preferred one first.
   * @param left the node that the reader has just left, which is tried last
   */
  async upgrade(path: string, left?: number): Promise<Upgraded> {
    let failure: unknown;
    const order = await this.#order();
    for (const sid of [...order.filter((each) => each !== left), ...order.filter((each) => each === left)]) {
      try {
        const call = (await this.node(sid)).fetch(upgradeRequest(path));
        const response = await withTimeout(call, this.#timeouts.readMs).catch((error: unknown) => {
          // a socket that arrives too late has no reader
          if (error instanceof CallTimeout) call.then(discard, () => undefined);
          throw error;
        });
        const { webSocket } = response;
        if (response.status === 101 && webSocket !== null) return { response, socket: webSocket, node: sid };
        failure = new ApiError("NODE_DOWN", `node ${sid} answered ${response.status}`);
      } catch (error) {
        if (error instanceof ApiError && error.code === "NOT_FOUND") throw error;
        failure = nodeDown(sid, error);
      }
    }
    throw failure;
  }

  async #view(sid: number, size: number): Promise<NodeView> {
    try {
      const status = await withTimeout(this.#statusOf(sid, size), STATUS_MS);
      return { up: true, ...status };
    } catch (error) {
      const detail =
        error instanceof CallTimeout
          ? error.message
          : isDeadForGood(error)
            ? nodeDown(sid, error).message
            : "the node refuses calls or does not answer";
      const reason = reasonOfStop(this.#env, sid, error);
      if (reason !== undefined) return { sid, up: false, code: "NODE_DOWN", detail, reason };
      const damage = damageOf(this.#env, this.name, sid, error);
      if (damage !== undefined) logDamage(this.name, sid, damage);
      return { sid, up: false, code: "NODE_DOWN", detail, ...damage };
    }
  }

  async #statusOf(sid: number, size: number): Promise<NodeStatus> {
    try {
      return await nodeStub(this.#env, this.name, sid).status();
    } catch (error) {
      if (!String(error).includes("never founded")) throw error;
      await found(this.#env, this.name, size);
      return nodeStub(this.#env, this.name, sid).status();
    }
  }

  /** Sids in the order in which they are tried. */
  async #order(): Promise<readonly number[]> {
    const size = await this.size();
    if (this.#pin !== undefined) {
      await this.node(this.#pin);
      return [this.#pin];
    }
    const first = memoOf(this.name).preferred ?? 1;
    return sidsOf(size).map((sid) => ((first + sid - 2) % size) + 1);
  }

  async #call<T>(effect: Effect, ask: (node: NodeStub) => Promise<Answer<T>>): Promise<Answered<T>> {
    const deadline = Date.now() + this.#timeouts.retryMs;
    const trouble: Trouble = { unknown: false, last: undefined, refused: new Set() };
    let founded = false;
    for (let round = 0; ; round++) {
      for (const sid of await this.#order()) {
        const outcome = await this.#attempt(sid, effect, ask, trouble);
        if (outcome === "unfounded" && !founded) {
          founded = true;
          await found(this.#env, this.name, await this.size());
        } else if (typeof outcome === "object") {
          if (this.#pin === undefined) memoOf(this.name).preferred = sid;
          return outcome;
        }
      }
      const size = await this.size();
      if (Date.now() >= deadline || this.#isHopeless(trouble, size)) throw this.#giveUp(trouble, size);
      await sleep(
        Math.min(ROUND_PAUSE_MS.first * 2 ** round, ROUND_PAUSE_MS.max) * (0.5 + Math.random() / 2),
      );
    }
  }

  /** Sends the request to one node. @throws ApiError if its answer ends the request */
  async #attempt<T>(
    sid: number,
    effect: Effect,
    ask: (node: NodeStub) => Promise<Answer<T>>,
    trouble: Trouble,
  ): Promise<Answered<T> | "unfounded" | "next"> {
    let answer: Answer<T>;
    trouble.refused.delete(sid);
    try {
      const call = ask(nodeStub(this.#env, this.name, sid));
      answer = await withTimeout(call, effect === "read" ? this.#timeouts.readMs : this.#timeouts.writeMs);
    } catch (error) {
      if (isRefusal(error)) {
        trouble.refused.add(sid);
        trouble.last ??= nodeDown(sid, error);
        return "next";
      }
      if (effect === "single") throw unknownOutcome(sid);
      trouble.unknown ||= effect === "numbered";
      return "next";
    }
    if (answer.ok) return { value: answer.value, zxid: answer.zxid, node: sid };
    const { code, message, leader, zxid } = answer;
    const info = errorInfo(code);
    if (info?.unknownOutcome) {
      if (effect === "single") throw unknownOutcome(sid);
      trouble.unknown ||= effect === "numbered";
      return "next";
    }
    // any other code is the answer to the request itself
    if (!info?.retryElsewhere) throw new ApiError(code, message, { leader, zxid, repeated: trouble.unknown });
    if (code === "NODE_DOWN") {
      trouble.refused.add(sid);
      trouble.last ??= new ApiError(code, message);
      return "next";
    }
    trouble.last = new ApiError(code, message, { leader, zxid });
    return code === "UNKNOWN_ENSEMBLE" ? "unfounded" : "next";
  }

  /** Whether waiting cannot help: the chosen node is down, or too few nodes for a quorum are up. */
  #isHopeless({ refused }: Trouble, size: number): boolean {
    return this.#pin !== undefined ? refused.has(this.#pin) : size - refused.size < quorumOf(size);
  }

  #giveUp(trouble: Trouble, size: number): ApiError {
    const { unknown, last, refused } = trouble;
    if (unknown) return unknownOutcome();
    if (this.#pin === undefined && this.#isHopeless(trouble, size)) {
      return new ApiError("NO_QUORUM", tooFewUp(size - refused.size, size), { zxid: last?.extras.zxid });
    }
    return last ?? new ApiError("NO_QUORUM", "no node answered");
  }
}

/** A WebSocket at a node. */
export interface Upgraded {
  readonly response: Response;
  /** the socket of `response`, not accepted yet */
  readonly socket: WebSocket;
  readonly node: number;
}

/** Closes a socket that no longer has a reader. */
export function discard({ webSocket }: Response): void {
  if (webSocket === null) return;
  webSocket.accept();
  webSocket.close(1000, "the socket is no longer needed");
}

/** Failures of one request so far, at all nodes. */
interface Trouble {
  /** an attempt may have been carried out */
  unknown: boolean;
  last: ApiError | undefined;
  /** sids whose last answer was that they are down */
  readonly refused: Set<number>;
}

/** Adds the path of the znode to a refusal. */
async function named<T>(request: ReadRequest | WriteRequest, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ApiError && error.code in ZOO_ERRORS)) throw error;
    const { title } = ZOO_ERRORS[error.code as ZooErrorCode];
    // the node's message is more specific
    if (error.message !== title) throw error;
    throw new ApiError(error.code, refusalText(error.code as ZooErrorCode, request), error.extras);
  }
}

/** The sids of an ensemble: 1 to `size`. */
export const sidsOf = (size: number): readonly number[] => Array.from({ length: size }, (_, i) => i + 1);

function unknownOutcome(sid?: number): ApiError {
  const who = sid === undefined ? "no node" : `node ${sid} did not`;
  return new ApiError(
    "UNKNOWN_OUTCOME",
    `${who} ${sid === undefined ? "answered" : "answer"}; the request may or may not have been carried out`,
  );
}

const upgradeRequest = (path: string): Request =>
  new Request(`http://node${path}`, { headers: { upgrade: "websocket" } });

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
