/**
 * How an ensemble without clients falls asleep, and what it must know when it wakes. Asleep it makes no call, sets no alarm
 * but for the next session that expires, and writes nothing.
 *
 *   leader:   AWAKE ──QUIET▶ FREEZING ──all QUIETED▶ (noted) ──SLEEP▶ ──all SLEPT▶ ASLEEP
 *   learner:  AWAKE ──QUIET▶ FREEZING ──SLEEP▶ (noted, SLEPT) ASLEEP
 *
 * A frozen member does nothing more in this epoch: it continues only through an election, whether it slept or not, and whether
 * it kept its memory or not. So no action of a new leader depends on which members slept. The stored record is final for the
 * epoch: only the leader that continues exactly this epoch uses it, and no later one.
 *
 * @see docs/decisions/0011-quiet-when-idle.md
 */
import { must } from "../assert.ts";
import type { ZabEffect } from "../zab/effects.ts";
import type { Sid } from "../zab/membership.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { equalZxid } from "../zab/zxid.ts";
import type { SessionId } from "../znode/types.ts";
import type { ServerConfig } from "./config.ts";
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

/** What a member notes when it falls asleep. Times are of its own clock, ms since 1970. */
export interface QuietRecord {
  /** the epoch that ended in this sleep */
  readonly epoch: number;
  readonly sinceMs: number;
  /** when this member wakes by itself, for the session that expires next; null: never */
  readonly wakeAtMs: number | null;
  readonly deadlines: readonly (readonly [session: SessionId, ms: number])[];
  /** those of them that got their full timeout without a sign of life; missing in records before 2026-11-27 */
  readonly excused?: readonly SessionId[];
  readonly parked: readonly ParkedSession[];
  /** those of them that waited at this member */
  readonly waited: readonly ParkedSession[];
}

/** AWAKE: serves; FREEZING: has agreed or asked to sleep; ASLEEP: continues only through an election. */
export type QuietState = "AWAKE" | "FREEZING" | "ASLEEP";

/** What sleep needs of the member that holds it. */
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
  /** *map session → its owner, an object of ours that waits at this member* */
  readonly parked = new Map<SessionId, number>();
  readonly #host: QuietHost;
  #state: QuietState = "AWAKE";
  /** what was noted last, in this life or before it */
  #record: QuietRecord | null;
  /** by when everybody must have agreed and slept */
  #giveUpAt = Number.POSITIVE_INFINITY;
  /** what the leader waits for, and of whom */
  #asked: "QUIETED" | "SLEPT" = "QUIETED";
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

  get state(): QuietState {
    return this.#state;
  }

  get record(): QuietRecord | null {
    return this.#record;
  }

  /** When {@link tick} is to be called, at the latest; ms. */
  get deadline(): number {
    return this.#state === "ASLEEP" ? (this.#record?.wakeAtMs ?? Number.POSITIVE_INFINITY) : this.#giveUpAt;
  }

  /** The session stops with the ensemble, so no sign of life is needed for it. */
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
    // A type that this version does not know wakes, too.
    return messages.some(({ type }) => HARMLESS[type]?.includes(moment) !== true);
  }

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
    const { zab, config } = this.#host;
    const leader = zab.proposing;
    if (leader === undefined || !this.#host.isIdle(now)) return;
    if (
      zab.learnersIdleMs < config.quietAfterMs ||
      this.#host.tracker.sessions.size > config.quietSessionsMax
    )
      return;
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

  /** Everybody is frozen, so the deadlines are final. */
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
    this.#note(now, { remaining, parked, excused }, 0);
    this.#ask(now, "SLEPT", (join) => ({ type: "SLEEP", join, remaining, parked, excused }));
  }

  /** @param rank members wake one after the other: the next one only when those before it did not */
  #note(
    now: number,
    { remaining, parked, excused = [] }: Pick<SleepMessage, "remaining" | "parked" | "excused">,
    rank: number,
  ): void {
    const { zab, config } = this.#host;
    const next = remaining.reduce((least, [, ms]) => Math.min(least, ms), Number.POSITIVE_INFINITY);
    // Early enough for an election, and for a sign of life that comes in the last moment.
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
    this.#state = "ASLEEP";
    this.#host.effects.push({ type: "asleep" });
  }

  // ── messages ─────────────────────────────────────────────────────────────

  /** FOLLOWING: handles a message of the leader, of the present stay. */
  handleFromLeader(now: number, message: QuietMessage | SleepMessage): void {
    const { sid } = this.#host;
    if (message.type === "QUIET") this.#answerQuiet(now, message);
    else if (this.#state === "FREEZING") {
      this.#note(now, message, sid);
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
   * LEADING, as soon as it may take requests: the deadlines of the sessions advance again. After a failure in between the last
   * signs of life are not known, so every session gets its full timeout.
   * @param inTime a quorum was reachable before the request that woke this member timed out
   */
  restore(now: number, continues: number | null, inTime: boolean): void {
    const { config, tracker } = this.#host;
    const { expiry, sessions } = tracker;
    expiry.restart(sessions.values(), now);
    const record = this.#record;
    this.#waited = [];
    if (record === null) return;
    // A member that started since does not know how long the others were without a quorum. Its alarm says so too.
    const isMissed = record.wakeAtMs !== null && now > record.wakeAtMs + config.requestTimeoutMs;
    if (record.epoch === continues && inTime) this.#restoreDeadlines(now, record, isMissed);
    this.#wakeOwners(record.parked);
  }

  /**
   * @param isMissed the alarms of all members were late, or no member was up for them: then a session gets its full timeout,
   * but only once without a sign of life. Alarms that are always late keep no dead session.
   */
  #restoreDeadlines(now: number, { deadlines, excused = [] }: QuietRecord, isMissed: boolean): void {
    const { config, tracker } = this.#host;
    const { expiry, sessions } = tracker;
    // A sign of life may be what woke us, and still be on its way here.
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
   * FOLLOWING, as soon as it may take requests: wakes who fell asleep here. The leader does so too, but one to which the
   * last SLEEP never came knows of nobody.
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

/** How long before a session expires the ensemble wakes for it. */
const WAKE_EARLY_TICKS = 2;

/** freezing: not all members sleep yet; late: possibly sent before all members were frozen */
type Moment = "freezing" | "late" | "asleep";

/** When a message of a peer does not end the sleep. */
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
