/**
 * Which sessions are alive, and which connection each of them uses. Which sessions exist is replicated state
 * (`SessionTable` of the tree); what is here is known to one member and lost with its memory.
 */
import { assert } from "../assert.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { ExpiryQueue, type SessionTable } from "../znode/session.ts";
import type { SessionId } from "../znode/types.ts";
import type { ServerConfig } from "./config.ts";
import type { EffectList } from "./effect-list.ts";
import { type ConnectionId, NO_CONNECTION } from "./ids.ts";
import type { RoutedRequest } from "./messages.ts";

/**
 * The signs of life of sessions. The leader extends their deadlines by them; a learner collects them and reports them to its
 * leader, at the latest half a tick after the first.
 *
 * Invariant: a sign of life that a member has received reaches a leader, this one or a later one, or the session gets its full
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
  /** sessions with a sign of life that has not been reported */
  readonly #touched = new Set<SessionId>();
  /** when they are reported */
  #reportAt = 0;
  /** *map session → when its last report left*: reports on their way are lost at the end of a stay */
  readonly #reported = new Map<SessionId, number>();
  /** LEADING: *map session → the connection that attached to it last*, for sessions that moved in this epoch */
  readonly #owners = new Map<SessionId, ConnectionId>();

  constructor(config: ServerConfig, zab: ZabPeer, effects: EffectList, sessions: SessionTable) {
    this.expiry = new ExpiryQueue(config.tickTimeMs);
    this.#config = config;
    this.#zab = zab;
    this.#effects = effects;
    this.#sessions = sessions;
  }

  /** Sessions of the tree. */
  get sessions(): SessionTable {
    return this.#sessions;
  }

  /** A received snapshot has become the tree. */
  loadTree(sessions: SessionTable): void {
    this.#sessions = sessions;
  }

  /** When {@link maybeReport} or {@link expiry} has something to do, while this member serves; ms. */
  get deadline(): number {
    const reportAt = this.#touched.size > 0 ? this.#reportAt : Number.POSITIVE_INFINITY;
    if (this.#zab.proposing === undefined) return reportAt;
    return Math.min(reportAt, this.expiry.nextDeadline() ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Takes the time since the last input. More than two ticks do not count as silence of the sessions: the clock was set
   * forward, or this member was suspended and received nothing.
   */
  timePassed(now: number, passedMs: number): void {
    if (passedMs > 2 * this.#config.tickTimeMs) this.expiry.excuseAll(now, passedMs);
  }

  // ── signs of life ────────────────────────────────────────────────────────

  /** A client of this member has sent something. */
  touch(now: number, session: SessionId): void {
    if (this.#zab.proposing !== undefined) this.expiry.touch(session, now);
    else if (this.#sessions.has(session)) {
      if (this.#touched.size === 0) this.#reportAt = now + this.#config.tickTimeMs / 2;
      this.#touched.add(session);
    }
  }

  /** LEADING: a learner reports signs of life. */
  touchAll(now: number, sessions: readonly SessionId[], from: number): void {
    for (const session of sessions) this.expiry.touch(session, now, from);
  }

  /** @returns the sessions with a sign of life that has not been reported, which count as reported from now on */
  takeTouched(): SessionId[] {
    const touched = [...this.#touched];
    this.#touched.clear();
    return touched;
  }

  /** Reports signs of life to the leader, if it is time. */
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

  /** The end of a stay is noticed within this time; ms. */
  get #stayEndMs(): number {
    return (this.#config.syncLimit + 1) * this.#config.tickTimeMs;
  }

  // ── roles ────────────────────────────────────────────────────────────────

  /**
   * The stay with the leader, or this leader's epoch, has ended: the next leader may not know the latest signs of life received
   * here. They are reported to it, however late.
   * @param slept the epoch ended in a sleep, whose record contains every deadline
   */
  epochEnded(now: number, slept: boolean): void {
    const since = now - this.#stayEndMs;
    for (const [session, at] of this.#reported) if (at >= since) this.#touched.add(session);
    this.#reported.clear();
    // A leader may give up its learners one after the other before it steps down, so it looks back twice as far.
    const heard = slept ? [] : this.expiry.heardSince(since - this.#stayEndMs);
    for (const session of heard) this.#touched.add(session);
    this.expiry.restart([], now);
    this.#owners.clear();
  }

  /** LEADING, as soon as it serves: the signs of life received here before count now. */
  becomeLeading(now: number): void {
    assert(this.#zab.proposing !== undefined, "only a leader extends deadlines");
    for (const session of this.#touched) this.expiry.touch(session, now);
    this.#touched.clear();
  }

  /**
   * FOLLOWING, as soon as it serves: reports to the new leader at the next opportunity.
   * @param all every session counts as touched: the leader may not know that no sign of life could be received meanwhile
   */
  becomeFollowing(now: number, all: boolean): void {
    assert(this.#zab.proposing === undefined, "only a learner reports");
    if (all) for (const { id } of this.#sessions.values()) this.#touched.add(id);
    this.#reportAt = now;
  }

  /** LEADING: a `createSession` was applied. */
  opened(now: number, session: SessionId, timeoutMs: number): void {
    this.expiry.add(session, timeoutMs, now);
  }

  /** LEADING: a `closeSession` was applied. */
  closed(session: SessionId): void {
    this.expiry.remove(session);
    this.#owners.delete(session);
  }

  // ── owners ───────────────────────────────────────────────────────────────

  /** LEADING: a connection has attached to the session; earlier connections of the session are void from here on. */
  setOwner(now: number, session: SessionId, connection: ConnectionId): void {
    this.#owners.set(session, connection);
    this.expiry.touch(session, now);
  }

  /** LEADING: did the write come by a connection that its session has left? */
  hasMoved({ session, connection, xid }: RoutedRequest): boolean {
    if (this.#owners.size === 0 || connection === NO_CONNECTION || xid === connection) return false;
    const owner = this.#owners.get(session);
    return owner !== undefined && owner !== connection;
  }
}
