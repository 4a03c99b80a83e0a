/**
 * Tracks which sessions are alive, and which connection each of them uses. The set of sessions is replicated state
 * (`SessionTable` of the tree); the state here belongs to one member and is lost with its memory.
 */
import { assert } from "../assert.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { ExpiryQueue, type SessionTable } from "../znode/session.ts";
import { openerOf, type SessionId } from "../znode/types.ts";
import type { ServerConfig } from "./config.ts";
import type { EffectList } from "./effect-list.ts";
import { type ConnectionId, memberOf, NO_CONNECTION } from "./ids.ts";
import type { RoutedRequest } from "./messages.ts";

/**
 * The heartbeats of sessions. On each one the leader extends the session's deadline; a learner collects heartbeats and
 * reports them to its leader, at the latest half a tick after the first.
 *
 * Invariant: a heartbeat that a member has received reaches the current leader or a later one, or the session gets its full
 * timeout there. A session never expires because a message was lost.
 *
 * @source ZooKeeper `SessionTrackerImpl`, `LearnerSessionTracker`
 */
export class SessionTracker {
  /** LEADING: when each session expires */
  readonly expiry: ExpiryQueue;
  readonly #config: ServerConfig;
  readonly #zab: ZabPeer;
  readonly #effects: EffectList;
  #sessions: SessionTable;
  /** sessions with a heartbeat that has not been reported */
  readonly #touched = new Set<SessionId>();
  /** when they are reported; ms */
  #reportAt = 0;
  /** *map session → time of its last report*, ms: reports in flight are lost at the end of a stay */
  readonly #reported = new Map<SessionId, number>();
  /** LEADING: *map session → the last connection that attached to it*, for sessions that moved in this epoch */
  readonly #owners = new Map<SessionId, ConnectionId>();

  constructor(config: ServerConfig, zab: ZabPeer, effects: EffectList, sessions: SessionTable) {
    this.expiry = new ExpiryQueue(config.tickTimeMs);
    this.#config = config;
    this.#zab = zab;
    this.#effects = effects;
    this.#sessions = sessions;
  }

  /** The sessions of the tree. */
  get sessions(): SessionTable {
    return this.#sessions;
  }

  /** Replaces the sessions by those of a received snapshot. */
  loadTree(sessions: SessionTable): void {
    this.#sessions = sessions;
  }

  /** The next time at which {@link maybeReport} or {@link expiry} is due, while this member serves; ms. */
  get deadline(): number {
    const reportAt = this.#touched.size > 0 ? this.#reportAt : Number.POSITIVE_INFINITY;
    if (this.#zab.proposing === undefined) return reportAt;
    return Math.min(reportAt, this.expiry.nextDeadline() ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Handles the time since the last input. A gap of more than two ticks does not count against the sessions: the clock was
   * set forward, or this member was suspended and received nothing.
   */
  timePassed(now: number, passedMs: number): void {
    if (passedMs > 2 * this.#config.tickTimeMs) this.expiry.excuseAll(now, passedMs);
  }

  // ── heartbeats ───────────────────────────────────────────────────────────

  /** Records a heartbeat of a client of this member. */
  touch(now: number, session: SessionId): void {
    if (this.#zab.proposing !== undefined) this.expiry.touch(session, now);
    else if (this.#sessions.has(session)) {
      if (this.#touched.size === 0) this.#reportAt = now + this.#config.tickTimeMs / 2;
      this.#touched.add(session);
    }
  }

  /** LEADING: handles the heartbeats that a learner reports. */
  touchAll(now: number, sessions: readonly SessionId[], from: number): void {
    for (const session of sessions) this.expiry.touch(session, now, from);
  }

  /**
   * Takes the sessions with an unreported heartbeat, which count as reported from now on, and those reported within the last tick:
   * what takes these to the leader may overtake that report.
   */
  takeTouched(now: number): SessionId[] {
    for (const [session, at] of this.#reported)
      if (now - at <= this.#config.tickTimeMs) this.#touched.add(session);
    const touched = [...this.#touched];
    this.#touched.clear();
    return touched;
  }

  /** Reports heartbeats to the leader, if that is due. */
  maybeReport(now: number): void {
    if (this.#touched.size === 0 || now < this.#reportAt) return;
    const { leader, join, frozen } = this.#zab;
    if (leader === null || join === undefined || frozen) return;
    this.#effects.send(leader, { type: "TOUCH", join, sessions: [...this.#touched] });
    for (const [session, at] of this.#reported) {
      if (now - at > this.#stayEndMs) this.#reported.delete(session);
    }
    for (const session of this.#touched) this.#reported.set(session, now);
    this.#touched.clear();
  }

  /** The time within which the end of a stay is noticed; ms. */
  get #stayEndMs(): number {
    return (this.#config.syncLimit + 1) * this.#config.tickTimeMs;
  }

  // ── roles ────────────────────────────────────────────────────────────────

  /**
   * Handles the end of the stay with the leader, or of this leader's epoch. The next leader may not know the latest
   * heartbeats received here, so they are reported to it, however late.
   * @param slept whether the epoch ended in a sleep, whose record contains every deadline
   */
  epochEnded(now: number, slept: boolean): void {
    const since = now - this.#stayEndMs;
    for (const [session, at] of this.#reported) if (at >= since) this.#touched.add(session);
    this.#reported.clear();
    // A leader may lose its learners one after the other before it steps down, so it looks back twice as far.
    const heard = slept ? [] : this.expiry.heardSince(since - this.#stayEndMs);
    for (const session of heard) this.#touched.add(session);
    this.expiry.restart([], now);
    this.#owners.clear();
  }

  /** LEADING, as soon as it serves: applies the heartbeats received here before. */
  becomeLeading(now: number): void {
    assert(this.#zab.proposing !== undefined, "only a leader extends deadlines");
    for (const session of this.#touched) this.expiry.touch(session, now);
    this.#touched.clear();
  }

  /**
   * FOLLOWING, as soon as it serves: reports to the new leader at the next opportunity.
   * @param all whether to report every session: the leader may not know that no heartbeat could be received meanwhile
   */
  becomeFollowing(now: number, all: boolean): void {
    assert(this.#zab.proposing === undefined, "only a learner reports");
    if (all) for (const { id } of this.#sessions.values()) this.#touched.add(id);
    this.#reportAt = now;
  }

  /**
   * LEADING: handles an applied `createSession`. The session's first heartbeats may already have been reported, because a follower
   * may apply the txn before its leader.
   */
  opened(now: number, session: SessionId, timeoutMs: number): void {
    this.expiry.add(session, timeoutMs, now, openerOf(session));
  }

  /** LEADING: handles an applied `closeSession`. */
  closed(session: SessionId): void {
    this.expiry.remove(session);
    this.#owners.delete(session);
  }

  // ── owners ───────────────────────────────────────────────────────────────

  /**
   * LEADING: records the connection that has attached to the session. Writes over its earlier connections are refused from
   * now on. The heartbeats of the connection arrive at its member, and are lost with it.
   */
  setOwner(now: number, session: SessionId, connection: ConnectionId): void {
    this.#owners.set(session, connection);
    this.expiry.touch(session, now, memberOf(connection));
  }

  /** LEADING: whether the write came over a connection that its session has left. */
  hasMoved({ session, connection, xid }: RoutedRequest): boolean {
    if (this.#owners.size === 0 || connection === NO_CONNECTION || xid === connection) return false;
    const owner = this.#owners.get(session);
    return owner !== undefined && owner !== connection;
  }
}
