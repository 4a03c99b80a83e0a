/**
 * Sessions. Which sessions exist, and the last answer of each, is replicated state ({@link SessionTable}); only the
 * leader knows when they expire ({@link ExpiryQueue}).
 */
import { assert, must } from "../assert.ts";
import { ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import { openerOf, type SessionId, type WriteResult } from "./types.ts";

/** The row of a session in a checkpoint; its ephemerals follow from the znodes. */
export interface SessionRow {
  readonly id: SessionId;
  readonly timeoutMs: number;
  /** number of the last write carried out; 0 before the first */
  readonly lastXid: number;
  /** the txn that carried it out */
  readonly lastZxid: Zxid;
  /** its outcome, which a repeat of that write gets again */
  readonly lastResult: WriteResult | null;
  /** fingerprint of its request, see `fingerprint.ts`; 0 or absent: not known. Members may differ in this alone */
  readonly lastFingerprint?: number;
}

/** A session of the tree. Only the tree writes to it. */
export class Session implements SessionRow {
  readonly id: SessionId;
  timeoutMs: number;
  lastXid = 0;
  lastZxid: Zxid = ZXID_ZERO;
  lastResult: WriteResult | null = null;
  lastFingerprint = 0;
  /** changed since the last checkpoint */
  dirty = false;
  /** changed since its hash was removed from the digest */
  stale = false;
  /** this session's part of the tree's digest */
  hashHigh = 0;
  hashLow = 0;

  constructor(id: SessionId, timeoutMs: number) {
    this.id = id;
    this.timeoutMs = timeoutMs;
  }
}

/** *map session id → session*. Only txns open and close sessions, so the table is equal on all members at one zxid. */
export class SessionTable {
  readonly #sessions = new Map<SessionId, Session>();
  /** The session that was looked up last: writes of one session often follow each other. */
  #recent: Session | undefined;

  get size(): number {
    return this.#sessions.size;
  }

  get(id: SessionId): Session | undefined {
    if (this.#recent !== undefined && this.#recent.id === id) return this.#recent;
    const found = this.#sessions.get(id);
    if (found !== undefined) this.#recent = found;
    return found;
  }

  has(id: SessionId): boolean {
    return this.get(id) !== undefined;
  }

  add(session: Session): void {
    assert(!this.#sessions.has(session.id), "a session is added once");
    this.#sessions.set(session.id, session);
  }

  /** Whether the session existed. */
  remove(id: SessionId): boolean {
    if (this.#recent?.id === id) this.#recent = undefined;
    return this.#sessions.delete(id);
  }

  values(): IterableIterator<Session> {
    return this.#sessions.values();
  }
}

interface Deadline {
  readonly timeoutMs: number;
  /** ms since 1970, a multiple of the tick */
  atMs: number;
  /** sid of the learner that reported the last heartbeat; 0: there was none since the deadline was set */
  via: number;
  /** got its full timeout for a time in which no heartbeat could arrive, and has given none since */
  excused: boolean;
}

/**
 * Deadlines of the sessions, kept by the leader. They are rounded up to the next tick and a whole tick
 * expires together, so a touch within one tick costs nothing. A session outlives its timeout by up to one
 * tick and never falls short of it.
 *
 * Invariant: every session is in the bucket of its deadline and in no other.
 * @source ZooKeeper `ExpiryQueue`, `SessionTrackerImpl`
 */
export class ExpiryQueue {
  readonly #tickTimeMs: number;
  readonly #deadlines = new Map<SessionId, Deadline>();
  /** *map deadline in ms → the sessions that expire then* */
  readonly #buckets = new Map<number, Set<SessionId>>();

  /** @param tickTimeMs width of a bucket, > 0 */
  constructor(tickTimeMs: number) {
    assert(Number.isInteger(tickTimeMs) && tickTimeMs > 0, "a tick is a positive number of ms");
    this.#tickTimeMs = tickTimeMs;
  }

  get size(): number {
    return this.#deadlines.size;
  }

  /**
   * Adds a session, which gets its full timeout from `nowMs` on.
   * @param via sid of the learner whose client it is; 0: it is not known
   */
  add(id: SessionId, timeoutMs: number, nowMs: number, via = 0): void {
    this.remove(id);
    const atMs = this.#deadlineAfter(nowMs + timeoutMs);
    this.#schedule(id, { timeoutMs, atMs, via, excused: false });
  }

  /** Restores a stored deadline. A deadline that has passed expires at the next {@link expire}. */
  restore(id: SessionId, timeoutMs: number, deadlineMs: number, excused = false): void {
    this.remove(id);
    const atMs = Math.ceil(deadlineMs / this.#tickTimeMs) * this.#tickTimeMs;
    this.#schedule(id, { timeoutMs, atMs, via: 0, excused });
  }

  /**
   * Notes a heartbeat of the client. A deadline never moves back.
   * @param via sid of the learner that reports it; 0: it was received here
   * @returns false if the session is not in the queue
   */
  touch(id: SessionId, nowMs: number, via = 0): boolean {
    const deadline = this.#deadlines.get(id);
    if (deadline === undefined) return false;
    deadline.via = via;
    deadline.excused = false;
    this.#postpone(id, deadline, this.#deadlineAfter(nowMs + deadline.timeoutMs));
    return true;
  }

  /**
   * The time since the last check does not count as silence of the sessions: the clock was set forward, or this
   * member was paused. A session gets its full timeout, but only once without a heartbeat; after that each check
   * counts as one to two ticks, so that a dead session expires even if every check is late.
   * @param passedMs time since the last check, more than two ticks
   */
  excuseAll(nowMs: number, passedMs: number): void {
    const ticks = Math.floor(passedMs / this.#tickTimeMs) - 1;
    for (const [id, deadline] of this.#deadlines) {
      const { atMs, timeoutMs, excused } = deadline;
      deadline.excused = true;
      this.#postpone(
        id,
        deadline,
        excused ? atMs + ticks * this.#tickTimeMs : this.#deadlineAfter(nowMs + timeoutMs),
      );
    }
  }

  /** Gives the session its full timeout for a time in which no heartbeat could be received. */
  excuse(id: SessionId, nowMs: number): void {
    if (this.touch(id, nowMs)) must(this.#deadlines.get(id), "it was touched").excused = true;
  }

  /**
   * A learner has left, and the heartbeats that it had not reported are lost: the sessions that it reported last
   * get their full timeout, once.
   */
  learnerLeft(sid: number, nowMs: number): void {
    for (const [id, deadline] of this.#deadlines) if (deadline.via === sid) this.touch(id, nowMs);
  }

  /** Sessions with a heartbeat since then, with a precision of one tick. A new deadline counts as a heartbeat. */
  heardSince(ms: number): SessionId[] {
    const heard: SessionId[] = [];
    for (const [id, { atMs, timeoutMs, excused }] of this.#deadlines) {
      if (!excused && atMs - timeoutMs > ms) heard.push(id);
    }
    return heard;
  }

  /** Whether the session got its full timeout without a heartbeat, and has had none since. */
  isExcused(id: SessionId): boolean {
    return this.#deadlines.get(id)?.excused === true;
  }

  /** Removes a session that is closing. */
  remove(id: SessionId): void {
    const deadline = this.#deadlines.get(id);
    if (deadline === undefined) return;
    this.#unschedule(id, deadline);
    this.#deadlines.delete(id);
  }

  /** Removes and returns every session whose deadline has passed, earliest first, and by id within a tick. */
  expire(nowMs: number): SessionId[] {
    const due = [...this.#buckets.keys()].filter((atMs) => atMs <= nowMs).sort((a, b) => a - b);
    const expired: SessionId[] = [];
    for (const atMs of due) {
      const ids = [...(this.#buckets.get(atMs) ?? [])].sort((a, b) => a - b);
      this.#buckets.delete(atMs);
      for (const id of ids) this.#deadlines.delete(id);
      expired.push(...ids);
    }
    return expired;
  }

  /** Replaces all deadlines by full timeouts, as a new leader does. */
  restart(sessions: Iterable<SessionRow>, nowMs: number): void {
    this.#deadlines.clear();
    this.#buckets.clear();
    for (const { id, timeoutMs } of sessions) this.add(id, timeoutMs, nowMs, openerOf(id));
  }

  /** When {@link expire} will next return a session; undefined: never. */
  nextDeadline(): number | undefined {
    let earliest: number | undefined;
    for (const atMs of this.#buckets.keys()) if (earliest === undefined || atMs < earliest) earliest = atMs;
    return earliest;
  }

  /** ms since 1970; undefined if the session is not in the queue. */
  deadlineOf(id: SessionId): number | undefined {
    return this.#deadlines.get(id)?.atMs;
  }

  #postpone(id: SessionId, deadline: Deadline, atMs: number): void {
    if (atMs <= deadline.atMs) return;
    this.#unschedule(id, deadline);
    deadline.atMs = atMs;
    this.#schedule(id, deadline);
  }

  /** The next multiple of the tick strictly after `ms`. */
  #deadlineAfter(ms: number): number {
    return (Math.floor(ms / this.#tickTimeMs) + 1) * this.#tickTimeMs;
  }

  #schedule(id: SessionId, deadline: Deadline): void {
    this.#deadlines.set(id, deadline);
    const bucket = this.#buckets.get(deadline.atMs);
    if (bucket === undefined) this.#buckets.set(deadline.atMs, new Set([id]));
    else bucket.add(id);
  }

  #unschedule(id: SessionId, deadline: Deadline): void {
    const bucket = this.#buckets.get(deadline.atMs);
    bucket?.delete(id);
    if (bucket?.size === 0) this.#buckets.delete(deadline.atMs);
  }
}
