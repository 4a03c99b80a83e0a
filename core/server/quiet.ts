/**
 * Sleep of an ensemble without clients, and the record that it needs when it wakes. While it sleeps, it makes no calls,
 * writes nothing, and has one alarm, for the next session expiry.
 *
 *   leader:   AWAKE ──QUIET▶ FREEZING ──all QUIETED▶ (record stored) ──SLEEP▶ ──all SLEPT▶ ASLEEP
 *   learner:  AWAKE ──QUIET▶ FREEZING ──SLEEP▶ (record stored, SLEPT) ASLEEP
 *
 * A frozen member sends nothing more in this epoch: it continues only through an election, whether it slept or not, and whether
 * it kept its memory or not. So no action of a new leader depends on which members slept. The stored record is final for the
 * epoch: only the leader that continues exactly this epoch uses it, and no later one.
 *
 * @see docs/decisions/0011-quiet-when-idle.md
 */
import { assert, must } from "../assert.ts";
import type { ZabEffect } from "../zab/effects.ts";
import type { Sid } from "../zab/membership.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { equalZxid } from "../zab/zxid.ts";
import type { SessionId } from "../znode/types.ts";
import type { ServerConfig } from "./config.ts";
import { WAKE_EARLY_TICKS } from "./config.ts";
import type { EffectList } from "./effect-list.ts";
import type { ParkedSession } from "./ids.ts";
import type {
  PeerMessage,
  QuietedMessage,
  QuietMessage,
  ServerMessage,
  SleepMessage,
  SleptMessage,
} from "./messages.ts";
import type { SessionTracker } from "./session-tracker.ts";

/** The record that a member stores when it falls asleep. Times are of its own clock, ms since 1970. */
export interface QuietRecord {
  /** the epoch that ended with this sleep */
  readonly epoch: number;
  readonly sinceMs: number;
  /** when this member wakes by itself, for the next session expiry; null: never */
  readonly wakeAtMs: number | null;
  readonly deadlines: readonly (readonly [session: SessionId, ms: number])[];
  /** sessions of `deadlines` that received their full timeout without a heartbeat; absent in records before 2026-11-27 */
  readonly excused?: readonly SessionId[];
  readonly parked: readonly ParkedSession[];
  /** parked sessions whose owners waited at this member */
  readonly waited: readonly ParkedSession[];
}

/** AWAKE: serves; FREEZING: has proposed sleep or agreed to it; ASLEEP: continues only through an election. */
export type QuietState = "AWAKE" | "FREEZING" | "ASLEEP";

/** The interface of the member to {@link Quiet}. */
export interface QuietHost {
  readonly sid: Sid;
  readonly config: ServerConfig;
  readonly zab: ZabPeer;
  readonly tracker: SessionTracker;
  readonly effects: EffectList;
  /** Whether it has had no client for long enough, and nothing is in flight. */
  isIdle(now: number): boolean;
  /** Handles effects of the peer. */
  absorb(effects: readonly ZabEffect[]): void;
}

/**
 * Falling asleep and waking of one member, with the record of its sleep.
 *
 * Invariant: a frozen member sends nothing by itself in this epoch; it becomes ASLEEP only after its record is persisted.
 */
export class Quiet {
  /** *map session → its owner*, an object of this system that waits at this member */
  readonly parked = new Map<SessionId, number>();
  readonly #host: QuietHost;
  #state: QuietState = "AWAKE";
  /** record of the last sleep, in this incarnation or an earlier one */
  #record: QuietRecord | null;
  /** deadline for all members to agree and to fall asleep; ms */
  #giveUpAt = Number.POSITIVE_INFINITY;
  /** LEADING: the answer that it waits for from the learners */
  #asked: "QUIETED" | "SLEPT" = "QUIETED";
  /** LEADING: learners that have not sent it */
  readonly #awaited = new Set<Sid>();
  /** *map session → owner*, for the whole ensemble */
  readonly #parked = new Map<SessionId, number>();
  /** owners that fell asleep with this member, until it serves again */
  #waited: readonly ParkedSession[];
  /** why falling asleep must be aborted; null if it need not */
  #disturbed: string | null = null;

  /** @param record see `Meta.quiet` */
  constructor(host: QuietHost, record: string | null) {
    this.#host = host;
    this.#record = record === null ? null : (JSON.parse(record) as QuietRecord);
    this.#waited = this.#record?.waited ?? [];
  }

  /** Whether this member is awake, falling asleep or asleep. */
  get state(): QuietState {
    return this.#state;
  }

  /** The record of the last sleep; null if there was none. */
  get record(): QuietRecord | null {
    return this.#record;
  }

  /** When {@link tick} is to be called, at the latest; ms. */
  get deadline(): number {
    return this.#state === "ASLEEP" ? (this.#record?.wakeAtMs ?? Number.POSITIVE_INFINITY) : this.#giveUpAt;
  }

  /** Whether the session is parked during sleep, so that it needs no heartbeat. */
  isParked(session: SessionId): boolean {
    if (this.#state === "FREEZING") return this.parked.has(session);
    return this.#record?.parked.some((parked) => parked.session === session) ?? false;
  }

  /** Whether a call of a peer with these messages ends the sleep. */
  wakesUp(now: number, messages: readonly PeerMessage[]): boolean {
    const { syncLimit, tickTimeMs } = this.#host.config;
    // Messages sent before all members were frozen may arrive a little later; any later message is from a member that is awake.
    const late = now - (this.#record?.sinceMs ?? now) <= syncLimit * tickTimeMs;
    const moment = this.#state === "FREEZING" ? "freezing" : late ? "late" : "asleep";
    // An unknown type ends the sleep too.
    return messages.some(({ type }) => HARMLESS[type]?.includes(moment) !== true);
  }

  /** Begins to fall asleep if that is due, aborts it if it takes too long, and wakes before the next session expiry. */
  tick(now: number): void {
    if (this.#state === "AWAKE") this.#maybeBegin(now);
    else if (now < this.deadline) return;
    else if (this.#state === "FREEZING") this.#wake(now, "not every member fell asleep in time");
    else this.#wake(now, "a session expires soon");
  }

  /** Aborts falling asleep: the member wakes at the end of the step. */
  disturb(reason: string): void {
    if (this.#state === "FREEZING") this.#disturbed = reason;
  }

  /** Ends a step. */
  finish(now: number): void {
    const reason = this.#disturbed;
    this.#disturbed = null;
    if (reason !== null && this.#state === "FREEZING") this.#wake(now, reason);
  }

  #wake(now: number, reason: string): void {
    const { absorb, zab } = this.#host;
    absorb(zab.wake(now, reason));
  }

  /** Ends FREEZING or ASLEEP, because the member has begun an election. */
  becomeAwake(): void {
    this.#state = "AWAKE";
    this.#giveUpAt = Number.POSITIVE_INFINITY;
    this.#awaited.clear();
    this.#parked.clear();
  }

  /** LEADING: sends QUIET to the learners once no member has had a client for long enough. */
  #maybeBegin(now: number): void {
    const { config, isIdle, tracker, zab } = this.#host;
    if (zab.proposing === undefined || !isIdle(now)) return;
    const areLearnersIdle = zab.learnersIdleMs >= config.quietAfterMs;
    if (!areLearnersIdle || tracker.sessions.size > config.quietSessionsMax) return;
    this.#freeze(now);
    for (const [session, owner] of this.parked) this.#parked.set(session, owner);
    this.#ask(now, "QUIETED", (join) => ({ type: "QUIET", join, zxid: zab.lastLogged.zxid }));
  }

  #freeze(now: number): void {
    const { zab, config } = this.#host;
    zab.freeze();
    this.#state = "FREEZING";
    this.#giveUpAt = now + config.syncLimit * config.tickTimeMs;
  }

  #ask(now: number, asked: "QUIETED" | "SLEPT", message: (join: number) => ServerMessage): void {
    const leader = must(this.#host.zab.proposing, "only a leader proposes sleep");
    this.#asked = asked;
    for (const sid of leader.activeSet) {
      if (sid === this.#host.sid) continue;
      this.#awaited.add(sid);
      this.#host.effects.send(
        sid,
        message(must(leader.joinOf(sid), "a learner of the active set has a stay")),
      );
    }
    this.#maybeAdvance(now);
  }

  #maybeAdvance(now: number): void {
    if (this.#awaited.size > 0) return;
    if (this.#asked === "QUIETED") this.#sendSleep(now);
    else this.#fallAsleep();
  }

  /** Every member is frozen, so the deadlines are final. */
  #sendSleep(now: number): void {
    const { sessions, expiry } = this.#host.tracker;
    const remaining: (readonly [SessionId, number])[] = [];
    const parked: ParkedSession[] = [];
    for (const { id } of sessions.values()) {
      const owner = this.#parked.get(id);
      if (owner !== undefined) parked.push({ session: id, owner });
      else remaining.push([id, Math.max(0, (expiry.deadlineOf(id) ?? now) - now)]);
    }
    const excused = remaining.flatMap(([id]) => (expiry.isExcused(id) ? [id] : []));
    this.#store(now, { remaining, parked, excused }, 0);
    this.#ask(now, "SLEPT", (join) => ({ type: "SLEEP", join, remaining, parked, excused }));
  }

  /**
   * Stores the record.
   * @param rank order of this member's own alarm among the members: it fires only if the earlier ones did not wake the
   * ensemble
   */
  #store(
    now: number,
    { remaining, parked, excused = [] }: Pick<SleepMessage, "remaining" | "parked" | "excused">,
    rank: number,
  ): void {
    const { zab, config } = this.#host;
    const next = remaining.reduce((least, [, ms]) => Math.min(least, ms), Number.POSITIVE_INFINITY);
    const wakeAtMs = now + next + (rank - WAKE_EARLY_TICKS) * config.tickTimeMs;
    this.#record = {
      epoch: zab.currentEpoch,
      sinceMs: now,
      wakeAtMs: Number.isFinite(wakeAtMs) ? Math.max(now, wakeAtMs) : null,
      deadlines: remaining.map(([session, ms]) => [session, now + ms]),
      excused,
      parked,
      waited: [...this.parked].map(([session, owner]) => ({ session, owner })),
    };
    this.#waited = this.#record.waited;
    this.#host.absorb(zab.keep(JSON.stringify(this.#record)));
  }

  #fallAsleep(): void {
    assert(this.#state === "FREEZING" && this.#host.zab.frozen, "only a frozen member falls asleep");
    assert(this.#record?.epoch === this.#host.zab.currentEpoch, "the record is of this sleep");
    this.#state = "ASLEEP";
    this.#host.effects.push({ type: "asleep" });
  }

  // ── messages ─────────────────────────────────────────────────────────────

  /** FOLLOWING: handles a message of the leader in the current stay. */
  handleFromLeader(now: number, message: QuietMessage | SleepMessage): void {
    const { sid } = this.#host;
    if (message.type === "QUIET") this.#answerQuiet(now, message);
    else if (this.#state === "FREEZING") {
      this.#store(now, message, sid);
      this.#host.effects.push({ type: "reply", message: { type: "SLEPT", join: message.join } });
      this.#fallAsleep();
    }
  }

  #answerQuiet(now: number, { join, zxid }: QuietMessage): void {
    const { zab } = this.#host;
    const ok = this.#state === "AWAKE" && this.#host.isIdle(now) && equalZxid(zab.lastLogged.zxid, zxid);
    if (ok) this.#freeze(now);
    const parked = [...this.parked].map(([session, owner]) => ({ session, owner }));
    const touched = ok ? this.#host.tracker.takeTouched(now) : [];
    this.#host.effects.push({ type: "reply", message: { type: "QUIETED", join, ok, touched, parked } });
  }

  /** LEADING: handles the answer of a learner in its current stay. */
  handleFromLearner(now: number, from: Sid, message: QuietedMessage | SleptMessage): void {
    if (this.#state !== "FREEZING" || message.type !== this.#asked || !this.#awaited.delete(from)) return;
    if (message.type === "QUIETED") {
      if (!message.ok) {
        this.#wake(now, "a learner is not idle");
        return;
      }
      this.#host.tracker.touchAll(now, message.touched, from);
      for (const { session, owner } of message.parked) this.#parked.set(session, owner);
    }
    this.#maybeAdvance(now);
  }

  // ── waking ───────────────────────────────────────────────────────────────

  /**
   * LEADING, as soon as it serves: lets the deadlines of the sessions run again. If this leader does not continue the epoch
   * of the sleep, the last heartbeats are unknown, and every session gets its full timeout.
   * @param inTime whether a quorum was reachable before the request that woke this member timed out
   */
  restore(now: number, continues: number | null, inTime: boolean): void {
    const { config, tracker } = this.#host;
    const { expiry, sessions } = tracker;
    expiry.restart(sessions.values(), now);
    const record = this.#record;
    this.#waited = [];
    if (record === null) return;
    // A member that was restarted meanwhile does not know for how long there was no quorum; a late alarm of its own shows it too.
    const isMissed = record.wakeAtMs !== null && now > record.wakeAtMs + config.requestTimeoutMs;
    if (record.epoch === continues && inTime) this.#restoreDeadlines(now, record, isMissed);
    this.#wakeOwners(record.parked);
  }

  /**
   * Restores the deadlines from the record.
   * @param isMissed whether the alarms of all members were late or missed. Then a session gets its full timeout, but only
   * once without a heartbeat, so that alarms that are always late do not keep a dead session alive.
   */
  #restoreDeadlines(now: number, { deadlines, excused = [] }: QuietRecord, isMissed: boolean): void {
    const { config, tracker } = this.#host;
    const { expiry, sessions } = tracker;
    // The ensemble may have been woken by a heartbeat that has not arrived yet.
    const earliest = now + config.tickTimeMs;
    const known = new Set(excused);
    for (const [id, deadline] of deadlines) {
      const session = sessions.get(id);
      if (session === undefined) continue;
      const { timeoutMs } = session;
      // The clock may have been set back since.
      const atMs = Math.min(Math.max(deadline, earliest), now + timeoutMs);
      if (isMissed && !known.has(id)) expiry.excuse(id, now);
      else expiry.restore(id, timeoutMs, atMs, known.has(id));
    }
  }

  /**
   * FOLLOWING, as soon as it serves: wakes the owners that fell asleep with this member. The leader wakes them too, but a
   * leader that did not receive the last SLEEP does not know them.
   */
  rejoin(): void {
    this.#wakeOwners(this.#waited);
    this.#waited = [];
  }

  #wakeOwners(owners: readonly ParkedSession[]): void {
    const { effects, tracker } = this.#host;
    for (const parked of owners) {
      if (tracker.sessions.has(parked.session)) effects.push({ type: "wakeOwner", parked });
    }
  }
}

/** When a message arrives; freezing: not all members sleep yet; late: it may have been sent before all members were frozen */
type Moment = "freezing" | "late" | "asleep";

/** The moments at which a message of a peer does not end the sleep. */
const HARMLESS: Readonly<Record<PeerMessage["type"], readonly Moment[]>> = {
  PING: ["freezing", "late"],
  TOUCH: ["freezing"],
  QUIET: ["freezing"],
  SLEEP: ["freezing"],
  REQUEST: [],
  REJECT: [],
  QUIETED: [],
  SLEPT: [],
  NOTIFICATION: [],
  OUTDATED: [],
  PONG: [],
  FOLLOWERINFO: [],
  LEADERINFO: [],
  ACKEPOCH: [],
  DIFF: [],
  TRUNC: [],
  POSITION: [],
  SNAP: [],
  SNAPCHUNK: [],
  STAGED: [],
  PROPOSAL: [],
  NEWLEADER: [],
  ACK: [],
  UPTODATE: [],
  COMMIT: [],
  LEADERACK: [],
  CHECK: [],
  CONFIRM: [],
};
