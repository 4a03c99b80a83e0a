/**
 * Unanswered requests of this member's clients: per session in the order of arrival, in which they are answered.
 */
import { Fifo } from "../fifo.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { ReadRequest, SessionId } from "../znode/types.ts";
import type { SeenWatches } from "../znode/watch.ts";
import type { ServerAnswer } from "./answers.ts";
import type { Token } from "./ids.ts";
import type { RequestName, TakenRequest } from "./messages.ts";

/** A read that waits until its `sync` is committed. */
export interface SyncedRead {
  /** session of the client; the sync itself has none */
  readonly session: SessionId;
  readonly request: ReadRequest;
  /** zxid that the client has seen; the answer must not be of an earlier state */
  readonly atLeast: Zxid;
}

/** A request that this member answers without a quorum. */
export type LocalRequest = ReadRequest | { readonly type: "setWatches"; readonly seen: SeenWatches };

/** A request that was accepted and is not answered yet. */
export type PendingRequest =
  | (TakenRequest & {
      readonly type: "write";
      readonly token: Token;
      /** a linearizable read, answered once this write, a `sync`, is committed */
      readonly read: SyncedRead | null;
      /** the latest time of its answer; ms */
      readonly deadline: number;
      /** whether it was proposed or forwarded, in this stay or an earlier one */
      sent: boolean;
    })
  | {
      readonly type: "read";
      readonly token: Token;
      readonly session: SessionId;
      readonly xid: number;
      readonly request: LocalRequest;
      readonly deadline: number;
    }
  /** its answer is known, and waits for the answers of earlier requests */
  | {
      readonly type: "answered";
      readonly token: Token;
      readonly session: SessionId;
      readonly xid: number;
      readonly answer: ServerAnswer;
      readonly deadline: number;
    };

/** A request that this member answers by itself. */
export type PendingLocal = Exclude<PendingRequest, { type: "write" }>;
/** A write, which the leader orders. */
export type PendingWrite = Extract<PendingRequest, { type: "write" }>;

/**
 * *map session → its requests, oldest first*.
 * Invariant: no queue is empty; count and bytes are the totals of all queues.
 *
 * @source ZooKeeper `CommitProcessor.pendingRequests`
 */
export class PendingRequests {
  readonly #queues = new Map<SessionId, Fifo<PendingRequest>>();
  #count = 0;
  #bytes = 0;
  #earliest = Number.POSITIVE_INFINITY;

  /** Number of pending requests. */
  get length(): number {
    return this.#count;
  }

  /** Bytes of the pending writes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The earliest deadline, or a time before it; {@link expired} corrects it. */
  get deadline(): number {
    return this.#earliest;
  }

  /** Whether the session has a pending request. */
  has(session: SessionId): boolean {
    return this.#queues.has(session);
  }

  /** Appends a request to those of its session. */
  add(request: PendingRequest): void {
    let queue = this.#queues.get(request.session);
    if (queue === undefined) {
      queue = new Fifo();
      this.#queues.set(request.session, queue);
    }
    queue.push(request);
    this.#count += 1;
    this.#bytes += bytesOf(request);
    if (request.deadline < this.#earliest) this.#earliest = request.deadline;
  }

  /** The oldest request of the session. */
  first(session: SessionId): PendingRequest | undefined {
    if (this.#count === 0) return undefined;
    return this.#queues.get(session)?.first;
  }

  /** Removes the oldest request of the session. */
  shift(session: SessionId): PendingRequest | undefined {
    const queue = this.#queues.get(session);
    const request = queue?.shift();
    if (queue === undefined || request === undefined) return undefined;
    this.#count -= 1;
    this.#bytes -= bytesOf(request);
    if (queue.length === 0) this.#queues.delete(session);
    return request;
  }

  /** Replaces a write by its answer. @returns whether the write is pending */
  answer({ session, xid, connection }: RequestName, answer: ServerAnswer): boolean {
    const queue = this.#queues.get(session);
    const write = queue?.items().find((request) => {
      return request.type === "write" && request.xid === xid && request.connection === connection;
    });
    if (queue === undefined || write === undefined) return false;
    const { token, deadline } = write;
    queue.replace(write, { type: "answered", token, session, xid, answer, deadline });
    this.#bytes -= bytesOf(write);
    return true;
  }

  /** The pending write under this number of its session. Numbers rise, so one comparison suffices for a new write. */
  writeOf(session: SessionId, xid: number): PendingWrite | undefined {
    const queue = this.#queues.get(session);
    const newest = queue?.last?.xid ?? 0;
    if (queue === undefined || (newest > 0 && newest < xid)) return undefined;
    return queue.items().find((each): each is PendingWrite => each.type === "write" && each.xid === xid);
  }

  /** Removes the requests of a closed connection. */
  removeToken(token: Token): void {
    for (const session of [...this.#queues.keys()]) {
      this.#filter(session, (request) => request.token !== token);
    }
  }

  /** Removes the requests whose deadline has passed, oldest first within a session. */
  expired(now: number): PendingRequest[] {
    if (now < this.#earliest) return [];
    const out: PendingRequest[] = [];
    let earliest = Number.POSITIVE_INFINITY;
    for (const session of [...this.#queues.keys()]) {
      this.#filter(session, (request) => {
        if (request.deadline <= now) {
          out.push(request);
          return false;
        }
        if (request.deadline < earliest) earliest = request.deadline;
        return true;
      });
    }
    this.#earliest = earliest;
    return out;
  }

  /**
   * Removes the requests with no write before them, session by session, in order.
   * @param reads whether to remove reads too, or answers only
   */
  takeLocal(reads: boolean): PendingLocal[] {
    const taken: PendingLocal[] = [];
    for (const session of [...this.#queues.keys()]) {
      for (let head = this.first(session); head !== undefined; head = this.first(session)) {
        if (head.type === "write" || (head.type === "read" && !reads)) break;
        this.shift(session);
        taken.push(head);
      }
    }
    return taken;
  }

  /** All writes, session by session, in order. */
  writes(): PendingWrite[] {
    return [...this.#queues.values()].flatMap((queue) =>
      queue.items().filter((request): request is PendingWrite => request.type === "write"),
    );
  }

  #filter(session: SessionId, predicate: (request: PendingRequest) => boolean): void {
    const queue = this.#queues.get(session);
    if (queue === undefined) return;
    queue.keep((request) => {
      if (predicate(request)) return true;
      this.#count -= 1;
      this.#bytes -= bytesOf(request);
      return false;
    });
    if (queue.length === 0) this.#queues.delete(session);
  }
}

const bytesOf = (request: PendingRequest): number => (request.type === "write" ? request.body.length : 0);
