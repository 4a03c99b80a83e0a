/**
 * How an ensemble without clients falls asleep, and what it must know when it wakes. While it sleeps, it makes no calls, writes
 * nothing, and has one alarm, for the next session that expires.
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

/** What a member stores when it falls asleep. Times are of its own clock, ms since 1970. */
export interface QuietRecord {
  /** the epoch that ended in this sleep */
  readonly epoch: number;
  readonly sinceMs: number;
  /** when this member wakes by itself, for the session that expires next; null: never */
  readonly wakeAtMs: number | null;
  readonly deadlines: readonly (readonly [session: SessionId, ms: number])[];
  /** sessions of `deadlines` that got their full timeout without a sign of life; absent in records before 2026-11-27 */
  readonly excused?: readonly SessionId[];
  readonly parked: readonly ParkedSession[];
  /** parked sessions whose owners waited at this member */
  readonly waited: readonly ParkedSession[];
}

/** AWAKE: serves; FREEZING: has agreed or asked to sleep; ASLEEP: continues only through an election. */
export type QuietState = "AWAKE" | "FREEZING" | "ASLEEP";

/** What a {@link Quiet} works with. */
export interface QuietHost {
  readonly sid: Sid;
  readonly config: ServerConfig;
  readonly zab: ZabPeer;
  readonly tracker: SessionTracker;
  readonly effects: EffectList;
  /** Has it had no client for long enough, and nothing under way? */
  isIdle(now: number): boolean;
  /** Takes what the peer answers. */
  absorb(effects: readonly ZabEffect[]): void;
}

/**
 * Falling asleep and waking of one member, with the record that its sleep leaves.
 *
 * Invariant: a frozen member sends nothing by itself in this epoch; ASLEEP only after its record is written.
 */
export class Quiet {
  /** *map session → its owner*, an object of this system that waits at this member */
  readonly parked = new Map<SessionId, number>();
  readonly #host: QuietHost;
  #state: QuietState = "AWAKE";
  /** of the last sleep, in this incarnation or an earlier one */
  #record: QuietRecord | null;
  /** deadline for all members to agree and to fall asleep; ms */
  #giveUpAt = Number.POSITIVE_INFINITY;
  /** LEADING: the answer that it waits for */
  #asked: "QUIETED" | "SLEPT" = "QUIETED";
  /** LEADING: learners that have not given it */
  readonly #awaited = new Set<Sid>();
  /** *map session → owner*, of the whole ensemble */
  readonly #parked = new Map<SessionId, number>();
  /** owners that fell asleep with this member, until it serves again */
  #waited: readonly ParkedSession[];
  /** why a sleep that has begun cannot continue */
  #disturbed: string | null = null;

  /** @param record see `Meta.quiet` */
  constructor(host: QuietHost, record: string | null) {
    this.#host = host;
    this.#record = record === null ? null : (JSON.parse(record) as QuietRecord);
    this.#waited = this.#record?.waited ?? [];
  }

  /** Where this member is on its way to sleep. */
  get state(): QuietState {
    return this.#state;
  }

  /** Of the last sleep; null: there was none. */
  get record(): QuietRecord | null {
    return this.#record;
  }

  /** When {@link tick} is to be called, at the latest; ms. */
  get deadline(): number {
    return this.#state === "ASLEEP" ? (this.#record?.wakeAtMs ?? Number.POSITIVE_INFINITY) : this.#giveUpAt;
  }

  /** Does the session stop with the ensemble, so that it needs no sign of life? */
  isParked(session: SessionId): boolean {
    if (this.#state === "FREEZING") return this.parked.has(session);
    return this.#record?.parked.some((parked) => parked.session === session) ?? false;
  }

  /** Does a call of a peer with these messages end the sleep? */
  wakesUp(now: number, messages: readonly PeerMessage[]): boolean {
    const { syncLimit, tickTimeMs } = this.#host.config;
    // Messages sent before all members were frozen may arrive a little later; any later message is from a member that is awake.
    const late = now - (this.#record?.sinceMs ?? now) <= syncLimit * tickTimeMs;
    const moment = this.#state === "FREEZING" ? "freezing" : late ? "late" : "asleep";
    // A type that this version does not know ends it, too.
    return messages.some(({ type }) => HARMLESS[type]?.includes(moment) !== true);
  }

  /** Begins a sleep that is due, gives up one that takes too long, and wakes when a session expires soon. */
  tick(now: number): void {
    if (this.#state === "AWAKE") this.#maybeBegin(now);
    else if (now < this.deadline) return;
    else if (this.#state === "FREEZING") this.#wake(now, "not every member fell asleep in time");
    else this.#wake(now, "a session expires soon");
  }

  /** A sleep that has begun cannot continue: the member wakes at the end of the step. */
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

  /** The member looks for a leader. */
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
    const leader = must(this.#host.zab.proposing, "a leader asks");
    this.#asked = asked;
    for (const sid of leader.activeSet) {
      if (sid === this.#host.sid) continue;
      this.#awaited.add(sid);
      this.#host.effects.send(sid, message(must(leader.joinOf(sid), "a learner of the active set is known")));
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

  /** Stores the record. @param rank members wake one after the other: the next one only if those before it did not */
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

  /** FOLLOWING: handles a message of the leader, of the present stay. */
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
    const touched = ok ? this.#host.tracker.takeTouched() : [];
    this.#host.effects.push({ type: "reply", message: { type: "QUIETED", join, ok, touched, parked } });
  }

  /** LEADING: handles a learner's answer, of its present stay. */
  handleFromLearner(now: number, from: Sid, message: QuietedMessage | SleptMessage): void {
    if (this.#state !== "FREEZING" || message.type !== this.#asked || !this.#awaited.delete(from)) return;
    if (message.type === "QUIETED") {
      if (!message.ok) {
        this.#wake(now, "a learner has something to do");
        return;
      }
      this.#host.tracker.touchAll(now, message.touched, from);
      for (const { session, owner } of message.parked) this.#parked.set(session, owner);
    }
    this.#maybeAdvance(now);
  }

  // ── waking ───────────────────────────────────────────────────────────────

  /**
   * LEADING, as soon as it serves: the deadlines of the sessions advance again. If the leader is not the one that continues the
   * epoch of the sleep, the last signs of life are not known, and every session gets its full timeout.
   * @param inTime a quorum was reachable before the request that woke this member timed out
   */
  restore(now: number, continues: number | null, inTime: boolean): void {
    const { config, tracker } = this.#host;
    const { expiry, sessions } = tracker;
    expiry.restart(sessions.values(), now);
    const record = this.#record;
    this.#waited = [];
    if (record === null) return;
    // A member that has started since does not know how long the others had no quorum. Its own alarm, if late, shows it too.
    const isMissed = record.wakeAtMs !== null && now > record.wakeAtMs + config.requestTimeoutMs;
    if (record.epoch === continues && inTime) this.#restoreDeadlines(now, record, isMissed);
    this.#wakeOwners(record.parked);
  }

  /**
   * @param isMissed the alarms of all members were late, or no member was up for them: then a session gets its full timeout,
   * but only once without a sign of life: alarms that are always late must not keep a dead session.
   */
  #restoreDeadlines(now: number, { deadlines, excused = [] }: QuietRecord, isMissed: boolean): void {
    const { config, tracker } = this.#host;
    const { expiry, sessions } = tracker;
    // What woke the ensemble may be a sign of life that has not arrived yet.
    const earliest = now + config.tickTimeMs;
    const known = new Set(excused);
    for (const [id, deadline] of deadlines) {
      const session = sessions.get(id);
      if (session === undefined) continue;
      if (isMissed && !known.has(id)) expiry.excuse(id, now);
      else expiry.restore(id, session.timeoutMs, Math.max(deadline, earliest), known.has(id));
    }
  }

  /**
   * FOLLOWING, as soon as it serves: wakes the owners that fell asleep here. The leader wakes them too, but a leader that did not
   * receive the last SLEEP does not know them.
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

/** When a message arrives. freezing: not all members sleep; late: it may have been sent before all members were frozen */
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
  CHECK: [],
  CONFIRM: [],
};
