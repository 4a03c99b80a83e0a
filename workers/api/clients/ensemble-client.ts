/**
 * Speaks to an ensemble as a whole: picks a node, goes to the next one where that is safe, and waits out an election.
 * Every failure leaves here as an {@link ApiError}.
 */

import { errorInfo, ZOO_ERRORS, type ZooErrorCode } from "../../../core/errors.ts";
import { type RequestTimeouts, requestTimeouts } from "../../../core/server/config.ts";
import { DEFAULT_ZAB_CONFIG } from "../../../core/zab/config.ts";
import { refusalText } from "../../../core/znode/refusal-text.ts";
import {
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WriteRequest,
  type WriteResult,
} from "../../../core/znode/types.ts";
import type {
  Answer,
  NodeStatus,
  ReadInput,
  ReadResult,
  WriteInput,
} from "../../../durable-objects/zooweeper-node/rpc.ts";
import { ROUND_PAUSE_MS, STATUS_MS } from "../config.ts";
import { quorumOf, tooFewUp } from "../ensemble/quorum.ts";
import type { ApiEnv } from "../env.ts";
import { ApiError } from "../http/errors.ts";
import type { NodeView } from "../schema/views.ts";
import { damageOf, reasonOfStop } from "./damage.ts";
import { memoOf } from "./ensemble-memo.ts";
import { found, sizeOfDefault } from "./founding.ts";
import {
  CallTimeout,
  isDeadForGood,
  isRefusal,
  type NodeStub,
  nodeDown,
  nodeStub,
  withTimeout,
} from "./node-stub.ts";

/**
 * What a request does to the ensemble, and so what may be done when the outcome of an attempt is unknown:
 * a `read` is repeated at another node and changes nothing; a `numbered` write is repeated too, since it applies once;
 * a `single` write is not, since it could happen twice.
 */
type Effect = "read" | "numbered" | "single";

/** A good answer, with the node that gave it. */
export interface Answered<T> {
  readonly value: T;
  /** last zxid that the answering node had applied */
  readonly zxid: string;
  readonly node: number;
}

export class EnsembleClient {
  readonly name: string;
  readonly #env: ApiEnv;
  readonly #size: number | undefined;
  readonly #pin: number | undefined;
  readonly #timeouts: RequestTimeouts;

  /**
   * @param size of a named ensemble, from the registry; the default one's is found out, and founded, on first use
   * @param pin the only node to use
   */
  constructor(env: ApiEnv, name: string, size?: number, pin?: number) {
    this.name = name;
    this.#env = env;
    this.#size = size;
    this.#pin = pin;
    this.#timeouts = requestTimeouts(Number(env.TICK_TIME_MS ?? DEFAULT_ZAB_CONFIG.tickTimeMs));
  }

  /** The same client, bound to one node; undefined leaves the choice open. */
  through(sid: number | undefined): EnsembleClient {
    return sid === undefined ? this : new EnsembleClient(this.#env, this.name, this.#size, sid);
  }

  /** Number of members. Founds the default ensemble if it does not exist yet. */
  async size(): Promise<number> {
    return this.#size ?? memoOf(this.name).size ?? (await sizeOfDefault(this.#env));
  }

  /** A node's stub. @throws ApiError NOT_FOUND when the ensemble has no such member, so that no object comes to be */
  async node(sid: number): Promise<NodeStub> {
    const size = await this.size();
    if (!Number.isInteger(sid) || sid < 1 || sid > size) {
      throw new ApiError("NOT_FOUND", `the ensemble has the nodes 1 to ${size}`);
    }
    return nodeStub(this.#env, this.name, sid);
  }

  read(input: ReadInput): Promise<Answered<ReadResult>> {
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

  /** Repeated as a read is: it changes nothing. */
  sync(): Promise<Answered<WriteResult>> {
    const input = { session: NO_SESSION, xid: 0, request: { type: "sync" } } as const;
    return this.#call("read", (node) => node.write(input));
  }

  /** Repeated as a read is: a session that nobody knows of expires by itself. */
  openSession(
    timeoutMs: number,
  ): Promise<Answered<{ readonly session: SessionId; readonly timeoutMs: number }>> {
    return this.#call("read", (node) => node.openSession(timeoutMs));
  }

  touchSession(session: SessionId): Promise<Answered<{ readonly timeoutMs: number }>> {
    return this.#call("read", (node) => node.touchSession(session));
  }

  /** A session that is gone after an attempt whose outcome is unknown was closed by that attempt. */
  async closeSession(session: SessionId): Promise<void> {
    try {
      await this.#call("numbered", (node) => node.closeSession(session));
    } catch (error) {
      const closed = error instanceof ApiError && error.code === "SESSION_EXPIRED" && error.extras.repeated;
      if (!closed) throw error;
    }
  }

  /** Every member's status at the same time; one that does not answer is down. */
  async statuses(): Promise<readonly NodeView[]> {
    const size = await this.size();
    const views = await Promise.all(sidsOf(size).map((sid) => this.#view(sid, size)));
    const leader = views.find((view) => view.up && view.role === "LEADING" && view.serving);
    if (leader !== undefined) memoOf(this.name).preferred = leader.sid;
    return views;
  }

  /**
   * Opens a WebSocket at `path` of a node, the preferred one first.
   * @param left a node that a reader has just left: it is asked after all others
   */
  async upgrade(path: string, left?: number): Promise<Upgraded> {
    let failure: unknown;
    const order = await this.#order();
    for (const sid of [...order.filter((each) => each !== left), ...order.filter((each) => each === left)]) {
      try {
        const call = (await this.node(sid)).fetch(upgradeRequest(path));
        const response = await withTimeout(call, this.#timeouts.readMs).catch((error: unknown) => {
          // A socket that comes too late has no reader.
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
      const why = reason === undefined ? damageOf(this.#env, this.name, sid, error) : { reason };
      return { sid, up: false, code: "NODE_DOWN", detail, ...why };
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

  /** Asks one node. @throws ApiError when its answer ends the request */
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

  /** Are so many nodes dead that waiting cannot help: the chosen one, or more than a quorum can do without? */
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
  /** the one of `response`, not accepted yet */
  readonly socket: WebSocket;
  readonly node: number;
}

/** Closes a socket that has no reader any more. */
export function discard({ webSocket }: Response): void {
  if (webSocket === null) return;
  webSocket.accept();
  webSocket.close(1000, "the socket is no longer needed");
}

/** What went wrong so far while one request was carried from node to node. */
interface Trouble {
  /** an attempt may have been carried out */
  unknown: boolean;
  last: ApiError | undefined;
  /** sids that said they are down when they were asked last */
  readonly refused: Set<number>;
}

/** Makes a refusal name the znode that it is about. */
async function named<T>(request: ReadRequest | WriteRequest, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ApiError && error.code in ZOO_ERRORS)) throw error;
    const { title } = ZOO_ERRORS[error.code as ZooErrorCode];
    // words of its own say more
    if (error.message !== title) throw error;
    throw new ApiError(error.code, refusalText(error.code as ZooErrorCode, request), error.extras);
  }
}

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
