/** No session expires too early, and heartbeats count at whichever member they arrive. */
import type { PeerMessage } from "../../core/server/messages.ts";
import { TxnType } from "../../core/wire/txn-body.ts";
import { TxnCursor } from "../../core/wire/txn-codec.ts";
import type { DurableWrite } from "../../core/zab/effects.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { type Committed, keyOf } from "./committed-history.ts";
import type { ElectionChecker } from "./election.ts";
import { PerLife } from "./per-life.ts";
import type { ReadinessChecker } from "./readiness.ts";
import type { EnsembleView, LifeView } from "./view.ts";

/** The last heartbeat of a session, and the longest silence before it; ms. */
interface Heard {
  readonly at: number;
  readonly longestMs: number;
  /** the member that received it, and how far every member's clock had run ahead then */
  readonly by: LifeView | null;
  readonly gains: readonly number[];
}

/** Heartbeats of sessions that one incarnation has received. */
interface LifeState {
  /** LEADING in BROADCAST as of its last step */
  leads: boolean;
  /**
   * *map session → its last heartbeat*, at this leader or one before it; those that a deposed leader gets are lost
   */
  heard: Map<SessionId, Heard>;
  /** *map session → its heartbeats from clients of this member*: the last ones, ascending */
  readonly signs: Map<SessionId, number[]>;
  /** LEADING: *map session → the learner that reported its last heartbeat* */
  readonly via: Map<SessionId, Sid>;
  /** LEADING: *map learner → its stay*, as of its last step */
  readonly stays: Map<Sid, number>;
  /** whether it has agreed to sleep, as of its last step */
  frozen: boolean;
  /** when it woke from the last sleep, ms of virtual time; null: it has not slept */
  woke: number | null;
}

/** Limit of heartbeats kept per session. */
const SIGNS_MAX = 16;

/** The epoch that ended with the sleep of this record; null if there is none. */
const epochOf = (quiet: string | null): number | null =>
  quiet === null ? null : (JSON.parse(quiet) as { readonly epoch: number }).epoch;

/** Ticks that a heartbeat may take to the leader: half a tick until it is sent, and the delay of alarms. */
const SIGN_TICKS = 2;

/**
 * SessionExpiry, Grace, FullTimeout, SignOfLife. Invariant: a session's silence is measured by the clock of the member that
 * counts it; a clock that runs ahead by itself is no fault of the core.
 */
export class SessionChecker implements Checker {
  readonly #ensemble: EnsembleView;
  readonly #checks: Checks;
  readonly #election: ElectionChecker;
  readonly #readiness: ReadinessChecker;
  readonly #states = new PerLife<LifeState>();
  /** *map session → its last heartbeat at a leader* */
  readonly #heard = new Map<SessionId, Heard>();
  /** *map session → when it was opened*: its leader tracks its deadline from then on */
  readonly #opened = new Map<SessionId, Heard>();
  /** *map zxid → the expiry that it carries out* */
  readonly #expiring = new Map<number, { readonly silentMs: number; readonly timeoutMs: number }>();
  /** sessions whose owner sleeps with the ensemble */
  readonly #standing = new Set<SessionId>();
  /** sessions that their client closes */
  readonly #closing = new Set<SessionId>();

  constructor(
    ensemble: EnsembleView,
    checks: Checks,
    election: ElectionChecker,
    readiness: ReadinessChecker,
  ) {
    this.#ensemble = ensemble;
    this.#checks = checks;
    this.#election = election;
    this.#readiness = readiness;
  }

  #state(life: LifeView): LifeState {
    return this.#states.of(life);
  }

  started(life: LifeView): void {
    const { quiet, currentEpoch } = life.storage.meta;
    const sleptLast = epochOf(quiet) === currentEpoch;
    this.#states.set(life, {
      leads: false,
      heard: new Map(),
      signs: new Map(),
      via: new Map(),
      stays: new Map(),
      frozen: false,
      woke: sleptLast ? this.#ensemble.now : null,
    });
  }

  stepped(life: LifeView): void {
    const state = this.#state(life);
    const { role, phase, frozen } = life.server.zab;
    const leads = role === "LEADING" && phase === "BROADCAST";
    const slept = state.frozen;
    state.frozen = frozen;
    if (slept && !frozen) state.woke = this.#ensemble.now;
    if (leads) this.#learnersLeft(life, state);
    if (leads === state.leads) return;
    state.leads = leads;
    state.via.clear();
    if (!leads) {
      state.stays.clear();
      if (!slept) this.#deposed(life, state);
      return;
    }
    state.heard = new Map(this.#heard);
    for (const session of this.#standing) state.heard.set(session, this.#hear(life, undefined));
  }

  /** Counts a heartbeat for the sessions that a lost learner reported last, since it may have received more. */
  #learnersLeft(life: LifeView, { stays, via, heard }: LifeState): void {
    const leader = life.server.zab.proposing;
    for (const [sid, join] of stays) {
      if (leader?.joinOf(sid) === join) continue;
      stays.delete(sid);
      for (const [session, by] of via) {
        if (by !== sid) continue;
        via.delete(session);
        heard.set(session, this.#hear(life, heard.get(session) ?? this.#opened.get(session)));
      }
    }
    for (const { sid } of this.#ensemble.members) {
      const join = leader?.joinOf(sid);
      if (join !== undefined) stays.set(sid, join);
    }
  }

  /** Handles the end of a leadership: its last heartbeats are reported to the next leader, as those of a follower. */
  #deposed(life: LifeView, { heard }: LifeState): void {
    const { now, config } = this.#ensemble;
    const since = now - (config.syncLimit + 1) * config.tickTimeMs;
    for (const [session, { at, by }] of heard) if (by === life && at >= since) this.#sign(life, session, at);
  }

  // ── clients ──────────────────────────────────────────────────────

  /** A heartbeat of a session comes to a member. It counts if that is the leader and does not sleep. */
  heard(life: LifeView, session: SessionId): void {
    const { zab, tree } = life.server;
    if (!tree.sessions.has(session)) return;
    if (zab.proposing === undefined) this.#sign(life, session, this.#ensemble.now);
    else if (!zab.frozen) {
      const { heard, via } = this.#state(life);
      via.delete(session);
      const now = this.#hear(life, heard.get(session) ?? this.#opened.get(session));
      heard.set(session, now);
      if (zab.currentEpoch === this.#election.lastEpoch) this.#heard.set(session, { ...now, longestMs: 0 });
    }
  }

  #sign(life: LifeView, session: SessionId, at: number): void {
    const { signs } = this.#state(life);
    const times = signs.get(session);
    if (times === undefined) signs.set(session, [at]);
    else {
      times.push(at);
      if (times.length > SIGNS_MAX) times.shift();
    }
  }

  /**
   * The owner of a session falls asleep with the ensemble (`still`), or wakes: meanwhile the deadline does not
   * advance.
   */
  stands(session: SessionId, still: boolean): void {
    if (still) this.#standing.add(session);
    else this.#standing.delete(session);
  }

  /** A client closes its session. */
  closing(session: SessionId): void {
    this.#closing.add(session);
  }

  // ── what members do ──────────────────────────────────────────────────────

  handled(from: LifeView, to: LifeView, message: PeerMessage): void {
    if (message.type !== "TOUCH") return;
    // Messages of an ended stay do not count, nor those after a gap.
    if (to.server.zab.proposing?.joinOf(from.sid) !== message.join) return;
    const { via } = this.#state(to);
    for (const session of message.sessions) {
      this.heard(to, session);
      via.set(session, from.sid);
    }
  }

  persisting(life: LifeView, writes: readonly DurableWrite[]): void {
    for (const write of writes) {
      if (write.type !== "append" || !this.#election.leads(life, write.first.epoch)) continue;
      const cursor = new TxnCursor(write.batch);
      while (cursor.next()) {
        // This includes a txn that attaches a connection, whose heartbeat no learner reported.
        this.#state(life).via.delete(cursor.session);
        if (cursor.type === TxnType.CLOSE_SESSION && cursor.xid === 0)
          this.#expires(life, cursor.session, cursor.zxid());
      }
    }
  }

  committed({ zxid, session }: Committed, { type }: TxnCursor): void {
    const expiring = this.#expiring.get(keyOf(zxid));
    if (expiring !== undefined) {
      const { silentMs, timeoutMs } = expiring;
      this.#checks.must(
        "SessionExpiry",
        silentMs >= timeoutMs,
        () => `session ${session} is closed ${silentMs} ms after its last heartbeat, not ${timeoutMs}`,
      );
    }
    if (type === TxnType.CREATE_SESSION) {
      this.#opened.set(session, { at: this.#ensemble.now, longestMs: 0, by: null, gains: this.#gains() });
    }
  }

  /** A leader closes a session for its silence. Whether the txn is committed is seen later. */
  #expires(life: LifeView, session: SessionId, zxid: Zxid): void {
    const known = life.server.tree.sessions.get(session);
    const heard = this.#state(life).heard.get(session) ?? this.#opened.get(session);
    if (known === undefined || heard === undefined || this.#closing.has(session)) return;
    // A heartbeat that arrives while the close waits to be proposed is too late.
    const { now, config, skewMs } = this.#ensemble;
    const silentMs = Math.max(heard.longestMs, this.#silence(heard, life));
    this.#expiring.set(keyOf(zxid), { silentMs, timeoutMs: known.timeoutMs });
    const serving = this.#readiness.servingOf(life);
    // It may step down in the same step.
    if (serving !== null) {
      const since = now - serving.since;
      this.#checks.must(
        "Grace",
        since >= config.tickTimeMs - skewMs,
        () => `${life.sid} closes session ${session} ${since} ms after it became ready`,
      );
      if (!this.#mayKnowDeadlines(life, serving.since)) {
        this.#checks.must(
          "FullTimeout",
          since >= known.timeoutMs - skewMs,
          () =>
            `${life.sid} closes session ${session} ${since} ms after it became ready, not ${known.timeoutMs}`,
        );
      }
    }
    this.#looksForSigns(life, session, known.timeoutMs);
  }

  /** Whether a leader may use stored deadlines: it continues the epoch of its last sleep, and had a quorum soon after it woke. */
  #mayKnowDeadlines(life: LifeView, readyAt: number): boolean {
    const { woke } = this.#state(life);
    if (woke === null || epochOf(life.storage.meta.quiet) !== life.server.zab.proposing?.continues)
      return false;
    const { requestTimeoutMs, tickTimeMs } = this.#ensemble.config;
    return readyAt - woke <= requestTimeoutMs + tickTimeMs + this.#ensemble.skewMs;
  }

  /** Checks that followers which served without faults for some time have forwarded their earlier heartbeats. */
  #looksForSigns(leader: LifeView, session: SessionId, timeoutMs: number): void {
    const ensemble = this.#ensemble;
    const { now, config } = ensemble;
    const at = now - SIGN_TICKS * config.tickTimeMs - ensemble.slowestMs;
    if (ensemble.undisturbedSince > at) return;
    for (const { life } of ensemble.members) {
      if (life === null || life === leader) continue;
      const serving = this.#readiness.servingOf(life);
      if (serving === null || serving.leader !== leader.sid || serving.since > at) continue;
      const last = this.#state(life)
        .signs.get(session)
        ?.findLast((time) => time <= at);
      if (last === undefined) continue;
      this.#checks.must(
        "SignOfLife",
        now - last >= timeoutMs - ensemble.skewMs,
        () =>
          `session ${session} is closed ${now - last} ms after ${life.sid} received its heartbeat, not ${timeoutMs}`,
      );
    }
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Time since then as this member may have counted it: a clock that ran ahead is no fault of the core. */
  #silence({ at, by, gains }: Heard, life: LifeView): number {
    const { now, members } = this.#ensemble;
    const gained = this.#gains().map((gain, i) => gain - (gains[i] ?? 0));
    const own = gained[members.findIndex(({ sid }) => sid === life.sid)] ?? 0;
    // The deadlines of another leader are by that leader's clock, or from its record of the sleep.
    return now - at + (by === life ? own : gained.reduce((sum, gain) => sum + gain, 0));
  }

  /** How far each member's clock has run ahead, by what the member may count; ms. */
  #gains(): number[] {
    const { now, members } = this.#ensemble;
    return members.map(({ clock }) => clock.countedAt(now) - now);
  }

  #hear(by: LifeView, before: Heard | undefined): Heard {
    const longestMs = before === undefined ? 0 : Math.max(before.longestMs, this.#silence(before, by));
    return { at: this.#ensemble.now, longestMs, by, gains: this.#gains() };
  }
}
