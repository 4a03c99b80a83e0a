/**
 * One replica of a partition: all decisions of its object, as one step from an input to an ordered list of effects.
 *
 * ```
 *  call append ─▶ queue ─▶ flush: fence, keys, offsets ─▶ persist ─▶ persisted ─▶ respond, wakeTails, answer long polls
 *                   ▲                                                    └──────▶ sync ─▶ synced ─┐
 *                   └──────────────── the next flush ◀────────────────────────────────────────────┘
 * call read ─▶ respond, or pollTimer and later respond call leaderAndIsr ─▶ persist ─▶ persisted ─▶ tellTails, respond ```
 * The state changes only when its write is persisted, so a failed write leaves it unchanged. Answers are sent once the
 * write is durable, which the caller of {@link Replica.step} ensures.
 *
 * While the stored leadership is damaged, calls wait until the brokers have been asked for it.
 *
 * @source Kafka `Partition`, `ReplicaManager`; `appendRecords`, `makeLeader`, `fetchRecords`
 */
import { AssertionError, assert, assertNever } from "../assert.ts";
import { SECOND_MS } from "../units.ts";
import { AppendPath } from "./append-path.ts";
import type { Dispatch } from "./append-queue.ts";
import type { PartitionConfig } from "./config.ts";
import type { GroupCommit } from "./group-commit.ts";
import { LeaderSearch } from "./leader-search.ts";
import {
  type AppendRequest,
  checkLeaderEpoch,
  decideLeadership,
  EMPTY_PARTITION,
  fail,
  type IdempotencyKey,
  type Leadership,
  type LeadershipDecision,
  type PartitionFailure,
  type PartitionState,
  storageFailure,
} from "./partition.ts";
import type { PartitionBackend, PartitionWrite } from "./partition-backend.ts";
import { PartitionLog } from "./partition-log.ts";
import { admitTail, answerOfTime, boundsOf, offsetOf, readAt, tooMany } from "./partition-reads.ts";
import { endWrite } from "./partition-rows.ts";
import type {
  PartitionAnswer,
  ReadRequest,
  ReplicaAnswer,
  ReplicaCall,
  ReplicaEffect,
  ReplicaInput,
  TailFrameAnswer,
} from "./replica-messages.ts";

/** Identity of the partition, under which brokers are asked for its leadership. */
export interface ReplicaIdentity {
  readonly topicId: string;
  readonly partition: number;
}

/** The interface of a replica to its environment. */
export interface ReplicaPorts {
  readonly backend: PartitionBackend;
  readonly config: PartitionConfig;
  /** undefined if the object was not opened under the name of a partition */
  readonly identity: ReplicaIdentity | undefined;
  /** brokers 0 to brokerCount − 1 can be asked for the leadership */
  readonly brokerCount: number;
}

/** A long poll: a read that waits for the log to grow. */
interface Poll {
  readonly offset: number;
  readonly bytesMax: number;
}

/** What to do once the current write is persisted. */
type Pending =
  | { readonly type: "flush"; readonly commit: GroupCommit }
  | { readonly type: "claim"; readonly id: number }
  | {
      readonly type: "leadership";
      /** undefined: a broker was asked */
      readonly id: number | undefined;
      readonly leadership: Leadership;
      readonly state: PartitionState;
      readonly epochBegins: boolean;
    }
  | { readonly type: "end" }
  | { readonly type: "expireKeys" };

/**
 * One replica.
 * Invariant: its state equals the persisted one; at most one write is outstanding.
 * @source Kafka `Partition`, `ReplicaManager`
 */
export class Replica {
  readonly #config: PartitionConfig;
  readonly #identity: ReplicaIdentity | undefined;
  readonly #log: PartitionLog;
  readonly #appends: AppendPath;
  #state: PartitionState;
  /** why no append or read is possible until the leader is known again; undefined if they are */
  #damage: string | undefined;
  readonly #isReadable: boolean;
  readonly #search: LeaderSearch;
  /** *map id of the call → its read*, in order of arrival */
  readonly #polls = new Map<number, Poll>();
  #pending: Pending | undefined;
  #nowMs = 0;
  #effects: ReplicaEffect[] = [];

  constructor({ backend, config, identity, brokerCount }: ReplicaPorts) {
    this.#config = config;
    this.#identity = identity;
    this.#search = new LeaderSearch(brokerCount);
    this.#log = new PartitionLog(backend, config);
    const { state, timestampMax, damage, isReadable } = loadOf(this.#log);
    this.#state = state;
    this.#appends = new AppendPath(this.#log, config, timestampMax);
    this.#damage = damage;
    this.#isReadable = isReadable;
  }

  /** When the alarm is due after a start, ms since 1970; undefined if no keys expire, or none can be read. */
  deadline(nowMs: number): number | undefined {
    if (this.#state.leadership === undefined) return undefined;
    return orUndefined(() => this.#appends.keyDeadline(nowMs));
  }

  /**
   * Handles one input. After a list that ends in `persist`, the next input is its outcome.
   * @param nowMs ms since 1970
   * @returns the effects, to be run in order
   * @throws Error if an invariant is violated, or the storage fails outside of a call; the replica must not be used afterwards
   */
  step(nowMs: number, input: ReplicaInput): readonly ReplicaEffect[] {
    const isOutcome = input.type === "persisted" || input.type === "persistFailed";
    assert(isOutcome === (this.#pending !== undefined), "the outcome of a write comes before other inputs");
    this.#nowMs = nowMs;
    this.#effects = [];
    this.#handle(input);
    const effects = this.#effects;
    assert(
      (effects.at(-1)?.type === "persist") === (this.#pending !== undefined),
      "a write ends its list of effects",
    );
    return effects;
  }

  #handle(input: ReplicaInput): void {
    switch (input.type) {
      case "call":
        this.#take(input.id, input.call);
        return;
      case "gathered":
        this.#flush();
        return;
      case "persisted":
        this.#persisted();
        this.#release();
        return;
      case "persistFailed":
        this.#persistFailed(input.message);
        this.#release();
        return;
      case "synced":
        this.#dispatch(this.#appends.synced());
        return;
      case "pollExpired":
        this.#answerPoll(input.id);
        return;
      case "endTimer":
        this.#noteEnd();
        return;
      case "alarm":
        this.#expireKeys();
        return;
      case "leaderFound":
        this.#leaderFound(input.leadership);
        return;
      case "removed":
        this.#respond(input.id, { ok: true });
        return;
      default:
        assertNever(input);
    }
  }

  // ── calls ────────────────────────────────────────────────────────────────

  #take(id: number, call: ReplicaCall): void {
    const isControl = call.type === "leaderAndIsr" || call.type === "remove";
    if (this.#damage === undefined || !this.#isReadable || isControl) this.#serve(id, call);
    else {
      this.#search.hold({ id, call });
      if (!this.#search.isRunning) this.#askNext();
    }
  }

  /** Answers a call. If the storage cannot be read, only this call fails, provided that it has changed nothing yet. */
  #serve(id: number, call: ReplicaCall): void {
    try {
      const answer = this.#answer(id, call);
      if (answer !== undefined) this.#respond(id, answer);
    } catch (error) {
      // these two have changed state before they throw
      const hasChanged = call.type === "append" || call.type === "remove" || this.#pending !== undefined;
      if (hasChanged || error instanceof AssertionError) throw error;
      this.#effects.push({ type: "reject", id, message: messageOf(error) });
    }
  }

  /** The answer to a call; undefined if it is answered later, or already in the effects. */
  #answer(id: number, call: ReplicaCall): ReplicaAnswer | undefined {
    switch (call.type) {
      case "append":
        return this.#append(id, call.request);
      case "claim":
        return this.#refusal(call.leaderEpoch) ?? this.#claim(id, call.key);
      case "read":
        return this.#refusal(call.request.leaderEpoch) ?? this.#read(id, call.request);
      case "bounds":
        return this.#refusal(call.leaderEpoch) ?? { ok: true, ...boundsOf(this.#state) };
      case "offsetOfTime":
        return this.#refusal(call.leaderEpoch) ?? answerOfTime(this.#log, this.#state, call.timestampMs);
      case "status":
        return this.#status(call.tails);
      case "tail": {
        const hasRoom = call.tails < this.#config.tailsMax;
        return this.#refusal(call.leaderEpoch) ?? admitTail(this.#log, this.#state, call.offset, hasRoom);
      }
      case "leaderAndIsr":
        return this.#leaderAndIsr(id, call.leadership);
      case "remove":
        return this.#remove(id, call.topicId, call.controllerEpoch);
      default:
        return assertNever(call);
    }
  }

  #respond(id: number, answer: ReplicaAnswer): void {
    this.#effects.push({ type: "respond", id, answer });
  }

  #persist(pending: Pending, writes: readonly PartitionWrite[]): void {
    assert(this.#pending === undefined, "one write is under way at a time");
    this.#pending = pending;
    this.#effects.push({ type: "persist", writes });
  }

  #persisted(): void {
    const pending = this.#pending;
    assert(pending !== undefined, "a write was under way");
    this.#pending = undefined;
    switch (pending.type) {
      case "flush":
        this.#flushed(pending.commit);
        return;
      case "claim":
        this.#respond(pending.id, { ok: true });
        this.#deadline(this.#appends.keyExpiry(this.#nowMs));
        return;
      case "leadership":
        this.#ledBy(pending.id, pending.leadership, pending.state, pending.epochBegins);
        return;
      case "end":
        return;
      case "expireKeys":
        this.#deadline(this.#appends.keyDeadline(this.#nowMs));
        return;
      default:
        assertNever(pending);
    }
  }

  /** Handles a transaction that was rolled back: neither storage nor memory contains any of it. */
  #persistFailed(message: string): void {
    const pending = this.#pending;
    assert(pending !== undefined, "a write was under way");
    this.#pending = undefined;
    switch (pending.type) {
      case "flush":
        for (const { id } of pending.commit.batch) this.#respond(id, storageFailure(message));
        this.#effects.push({ type: "sync" });
        return;
      case "claim":
        this.#effects.push({ type: "reject", id: pending.id, message });
        return;
      case "leadership":
        if (pending.id === undefined) this.#askNext();
        else this.#effects.push({ type: "reject", id: pending.id, message });
        return;
      case "end":
        // the next append detects a failing storage
        return;
      case "expireKeys":
        this.#deadline(this.#nowMs + SECOND_MS);
        return;
      default:
        assertNever(pending);
    }
  }

  // ── appends ──────────────────────────────────────────────────────────────

  #append(id: number, request: AppendRequest): ReplicaAnswer | undefined {
    // checked again at the flush; here it keeps requests that cannot succeed out of the queue
    const refused = this.#refusal(request.leaderEpoch);
    if (refused !== undefined) return refused;
    const dispatch = this.#appends.push({ id, request });
    if (typeof dispatch === "object") return dispatch;
    this.#dispatch(dispatch);
    return undefined;
  }

  #dispatch(dispatch: Dispatch): void {
    switch (dispatch) {
      case "flush":
        this.#flush();
        return;
      case "gather":
        this.#effects.push({ type: "gather" });
        return;
      case undefined:
        return;
      default:
        assertNever(dispatch);
    }
  }

  #flush(): void {
    const { refused, commit } = this.#appends.plan(this.#state, this.#nowMs);
    for (const { id, failure } of refused) this.#respond(id, failure);
    if (commit === undefined) this.#effects.push({ type: "sync" });
    else if (commit.writes.length === 0) this.#flushed(commit);
    else this.#persist({ type: "flush", commit }, commit.writes);
  }

  #flushed(commit: GroupCommit): void {
    const { logEndOffset, chunks } = commit.plan;
    assert(logEndOffset >= this.#state.logEndOffset, "the log does not shrink");
    this.#state = { ...this.#state, logEndOffset };
    for (const effect of this.#appends.written(commit, this.#nowMs)) this.#effects.push(effect);
    if (chunks.length > 0) {
      this.#answerPolls();
      this.#effects.push({ type: "wakeTails" });
    }
    this.#effects.push({ type: "sync" });
  }

  #claim(id: number, key: IdempotencyKey): ReplicaAnswer | undefined {
    const write = this.#appends.claim(key, this.#nowMs);
    if (write === undefined) return { ok: true };
    if ("code" in write) return write;
    this.#persist({ type: "claim", id }, [write]);
    return undefined;
  }

  #expireKeys(): void {
    if (this.#state.leadership === undefined) return;
    this.#persist({ type: "expireKeys" }, [this.#appends.expireKeys(this.#nowMs)]);
  }

  #deadline(atMs: number | undefined): void {
    if (atMs !== undefined) this.#effects.push({ type: "deadline", atMs });
  }

  #noteEnd(): void {
    this.#appends.endNoted(this.#nowMs);
    if (this.#state.leadership === undefined) return;
    this.#persist({ type: "end" }, [endWrite(this.#state.logEndOffset)]);
  }

  // ── reads ────────────────────────────────────────────────────────────────

  /** Whole batches from the one that contains `offset` on, without waiting; for tails. */
  readAt(offset: number, bytesMax: number): PartitionAnswer<TailFrameAnswer> {
    return this.#refusal(-1) ?? readAt(this.#log, this.#state, offset, bytesMax);
  }

  #read(id: number, { from, bytesMax: wanted, waitMs }: ReadRequest): ReplicaAnswer | undefined {
    const offset = offsetOf(this.#log, this.#state, from);
    if (typeof offset === "object") return offset;
    const bytesMax = Math.min(wanted, this.#config.readBytesMax);
    const answer = this.readAt(offset, bytesMax);
    if (!answer.ok || answer.batches.length > 0 || waitMs <= 0) return answer;
    if (this.#polls.size >= this.#config.waitersMax) return tooMany("long polls");
    this.#polls.set(id, { offset, bytesMax });
    this.#effects.push({ type: "pollTimer", id, ms: Math.min(waitMs, this.#config.waitMsMax) });
    return undefined;
  }

  #answerPolls(): void {
    for (const id of [...this.#polls.keys()]) this.#answerPoll(id);
  }

  /** Answers a long poll with the records available now. */
  #answerPoll(id: number): void {
    const poll = this.#polls.get(id);
    if (poll === undefined) return;
    this.#polls.delete(id);
    try {
      this.#respond(id, this.readAt(poll.offset, poll.bytesMax));
    } catch (error) {
      this.#effects.push({ type: "reject", id, message: messageOf(error) });
    }
  }

  #status(tails: number): ReplicaAnswer {
    const { leadership } = this.#state;
    if (leadership === undefined) return this.#refusal(-1) ?? UNKNOWN_PARTITION;
    const { topic, topicId, partition } = leadership;
    const epochs = this.#log.epochs();
    return {
      ok: true,
      ...boundsOf(this.#state),
      ...this.#log.size(),
      topic,
      topicId,
      partition,
      tails,
      epochs,
    };
  }

  /** Refuses a request with a wrong leader epoch; −1 matches any epoch. */
  #refusal(leaderEpoch: number): PartitionFailure | undefined {
    if (this.#damage !== undefined) return storageFailure(this.#damage);
    return checkLeaderEpoch(this.#state, leaderEpoch);
  }

  // ── leadership ───────────────────────────────────────────────────────────

  #leaderAndIsr(id: number, leadership: Leadership): ReplicaAnswer | undefined {
    if (!this.#isReadable) return storageFailure(this.#damage ?? "the database cannot be read");
    const decision = decideLeadership(this.#state, leadership);
    if (!decision.ok) return decision;
    if (decision.unchanged) return { ok: true, ...boundsOf(this.#state) };
    this.#store(id, leadership, decision.state, decision.epochBegins);
    return undefined;
  }

  #store(id: number | undefined, leadership: Leadership, state: PartitionState, epochBegins: boolean): void {
    // after damage, the start of the epoch may already be stored
    const isNew =
      this.#damage === undefined ||
      this.#log.epochs().every((each) => each.leaderEpoch !== leadership.leaderEpoch);
    const writes = this.#log.leadershipWrites(state, leadership, epochBegins && isNew);
    this.#persist({ type: "leadership", id, leadership, state, epochBegins }, writes);
  }

  #ledBy(
    id: number | undefined,
    { leader, leaderEpoch, isr }: Leadership,
    state: PartitionState,
    epochBegins: boolean,
  ): void {
    assert(
      leaderEpoch >= (this.#state.leadership?.leaderEpoch ?? -1),
      "the leader epoch of a partition does not fall",
    );
    this.#state = state;
    this.#damage = undefined;
    if (epochBegins)
      this.#effects.push({
        type: "tellTails",
        event: { type: "leader", leader, leader_epoch: leaderEpoch, isr },
      });
    this.#search.end();
    if (id !== undefined) this.#respond(id, { ok: true, ...boundsOf(this.#state) });
  }

  /** Asks the next broker for the leadership; after the last one, answers the waiting calls. */
  #askNext(): void {
    const broker =
      this.#identity === undefined || this.#damage === undefined ? undefined : this.#search.next();
    if (broker === undefined || this.#identity === undefined) {
      this.#search.end();
      this.#release();
    } else this.#effects.push({ type: "findLeader", broker, ...this.#identity });
  }

  #leaderFound(leadership: Leadership | null): void {
    if (!this.#search.isRunning) return;
    const decision = leadership === null ? undefined : orUndefined(() => this.#decideFound(leadership));
    if (leadership === null || !decision?.ok) this.#askNext();
    else this.#store(undefined, leadership, decision.state, decision.epochBegins);
  }

  /** Decides on a found leadership. One that is older than the newest known epoch is ignored. */
  #decideFound(leadership: Leadership): LeadershipDecision | undefined {
    const latest = this.#log.epochs().at(-1)?.leaderEpoch ?? 0;
    if (this.#damage === undefined || leadership.leaderEpoch < latest) return undefined;
    return decideLeadership(this.#state, leadership);
  }

  /**
   * Answers the calls that waited for the leadership, in order. After one that writes, the others wait for the outcome of
   * the write.
   */
  #release(): void {
    while (this.#pending === undefined) {
      const held = this.#search.release();
      if (held === undefined) return;
      this.#serve(held.id, held.call);
    }
  }

  // ── removal ──────────────────────────────────────────────────────────────

  #remove(id: number, topicId: string, controllerEpoch: number): ReplicaAnswer | undefined {
    const { leadership } = this.#state;
    if (leadership === undefined && this.#damage === undefined) return { ok: true };
    if (leadership !== undefined && leadership.topicId !== topicId)
      return fail("INVALID_REQUEST", "this object belongs to another topic");
    if (leadership !== undefined && controllerEpoch < leadership.controllerEpoch)
      return fail("STALE_CONTROLLER_EPOCH", `the controller epoch is ${leadership.controllerEpoch}`);
    this.#state = EMPTY_PARTITION;
    if (this.#isReadable) this.#damage = undefined;
    this.#appends.forget();
    this.#effects.push(
      { type: "tellTails", event: { type: "deleted" } },
      { type: "closeTails", code: 4004, reason: "deleted" },
    );
    this.#answerPolls();
    this.#effects.push({ type: "noDeadline" }, { type: "removeAll", id });
    return undefined;
  }
}

const UNKNOWN_PARTITION = fail("UNKNOWN_TOPIC_OR_PARTITION", "no controller has made this partition");

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : "the storage failed");

/** The result of `read`; undefined if the storage failed. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Loads the state. A partition whose rows cannot be read still answers calls, with the reason. */
function loadOf(log: PartitionLog): ReturnType<PartitionLog["load"]> & { readonly isReadable: boolean } {
  try {
    return { ...log.load(), isReadable: true };
  } catch (error) {
    const damage = `the database cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return { state: EMPTY_PARTITION, timestampMax: -1, damage, isReadable: false };
  }
}
