/**
 * A whole ensemble in one deterministic process: the real core of every member, with virtual time, clocks, network and
 * storage. One event at a time; the same seed gives the same run. Members crash with a prefix of their writes, calls fail
 * with unknown outcome, are duplicated or delayed, links stall or are cut one way, members are paused with their memory or
 * run beside their own successor. {@link Invariants} are checked after every event.
 */
import { must } from "../core/assert.ts";
import { random } from "../core/prng.ts";
import type { ServerAnswer } from "../core/server/answers.ts";
import { makeServerConfig, type ServerConfig } from "../core/server/config.ts";
import type { ServerEffect } from "../core/server/effects.ts";
import type { ParkedSession, Token } from "../core/server/ids.ts";
import type { PeerMessage } from "../core/server/messages.ts";
import type { EnsembleServer } from "../core/server/server.ts";
import { PROTOCOL_VERSION } from "../core/version.ts";
import type { TraceEvent } from "../core/zab/effects.ts";
import type { Sid } from "../core/zab/membership.ts";
import { compareZxid } from "../core/zab/zxid.ts";
import {
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WatchEvent,
  type WriteRequest,
} from "../core/znode/types.ts";
import { type CallHooks, Calls } from "./calls.ts";
import { Invariants } from "./checkers/invariants.ts";
import type { Asked } from "./checkers/requests.ts";
import type { EnsembleView } from "./checkers/view.ts";
import { DiskFaults } from "./disk-faults.ts";
import { Disturbance } from "./disturbance.ts";
import { Engine, type Range } from "./engine.ts";
import { type Faults, NO_FAULTS } from "./faults.ts";
import type { Connection } from "./member/client-table.ts";
import type { CrashOrder, Life, LifeObserver } from "./member/life.ts";
import { type Member, newMembers } from "./member/member.ts";
import { Supervisor, type SupervisorHooks } from "./member/supervisor.ts";
import { CachePressure } from "./nemesis/cache-pressure.ts";
import { Network } from "./network.ts";
import { Requests } from "./requests.ts";
import { memberText } from "./text.ts";

/** Default start time of a run; ms. */
const START_AT = 1_000_000;

/** Size, configuration and seed of an ensemble. */
export interface ClusterOptions {
  readonly size: number;
  readonly seed?: number;
  readonly config?: Partial<ServerConfig>;
  /** one way, ms */
  readonly latencyMs?: Range;
  readonly fsyncMs?: Range;
  /** how long a turn of I/O takes in which requests gather, ms */
  readonly yieldMs?: Range;
  /** ms since 1970 at which the run begins */
  readonly startAt?: number;
  /** added to the number of a member's first life: members without memory number their lives by the time of day */
  readonly bootBase?: number;
  /** whether returns have other delays than calls, so that they overtake calls in the other direction and vice versa */
  readonly crossing?: boolean;
  /** whether calls that overtook each other are put in order, as in the shell; otherwise the core receives them as they arrive */
  readonly ordered?: boolean;
  /** share of the turns after which clean znodes leave memory, 0 to 1 */
  readonly evictions?: number;
  /** whether to keep trace events, for readable traces; costs time and memory */
  readonly tracing?: boolean;
}

/**
 * The members of an ensemble, their links, and the faults of scenarios.
 * Invariant: every part acts through the {@link Engine}, so the seed determines the run.
 */
export class Cluster implements EnsembleView, LifeObserver, SupervisorHooks, CallHooks {
  readonly members: readonly Member[];
  readonly config: ServerConfig;
  readonly engine: Engine;
  readonly network: Network;
  readonly disks: DiskFaults;
  readonly #supervisor: Supervisor;
  readonly calls: Calls;
  readonly pressure: CachePressure;
  readonly invariants: Invariants;
  readonly faults: Faults = { ...NO_FAULTS };
  readonly #fsyncMs: Range;
  readonly #yieldMs: Range;
  readonly trace: { at: number; sid: Sid; event: TraceEvent }[] = [];
  readonly #requests: Requests;
  readonly disturbance: Disturbance;
  /** number of times that a member has fallen asleep */
  sleeps = 0;
  /** the owners that a leader would wake */
  readonly owners: ParkedSession[] = [];

  /** Called before every effect is run; may make the member crash there. */
  onEffect: ((sid: Sid, effect: ServerEffect) => CrashOrder | undefined) | null = null;
  onMessage: ((from: Sid, to: Sid, message: PeerMessage, isReturn: boolean) => void) | null = null;
  onDelivery: ((from: Sid, to: Sid, messages: readonly PeerMessage[], isReturn: boolean) => boolean) | null =
    null;
  /** Called with every action of a member, as a readable line. */
  onLine: ((line: string) => void) | null = null;
  /** Called when a member stops by itself: damage was found, or another instance has replaced it. */
  onStop: ((sid: Sid, reason: string) => void) | null = null;
  /** Called when a member falls asleep. */
  onSleep: ((life: Life) => void) | null = null;
  /** Called when a member wakes an owner. */
  onWake: ((life: Life, parked: ParkedSession) => void) | null = null;
  /** The protocol version of a life of a member. */
  versionOf: (sid: Sid, life: number) => number = () => PROTOCOL_VERSION;

  constructor(options: ClusterOptions) {
    const { size, seed = 1, latencyMs = [1, 3], crossing = false, ordered = false } = options;
    const config = makeServerConfig({ quietAfterMs: 0, ...options.config });
    this.config = config;
    this.#fsyncMs = options.fsyncMs ?? [0, 2];
    this.#yieldMs = options.yieldMs ?? [0, 0];
    const engine = new Engine(seed, options.startAt ?? START_AT, () => this.describe());
    this.engine = engine;
    // It draws from its own sequence, so runs without it do not change.
    const ownChance = crossing ? random(seed * 5_303 + 29) : null;
    const network = new Network(engine, { size, latencyMs, crossing: ownChance });
    this.network = network;
    const members = newMembers(size, config);
    this.members = members;
    const invariants = new Invariants(this);
    this.invariants = invariants;
    this.#requests = new Requests(members, invariants);
    this.disturbance = new Disturbance(engine, network, this.faults, members);
    this.calls = new Calls({
      engine,
      network,
      faults: this.faults,
      invariants,
      members,
      hooks: this,
      ordered,
    });
    this.disks = new DiskFaults(members, invariants, (line) => this.onLine?.(line));
    this.pressure = new CachePressure(seed, options.evictions ?? 0);
    this.#supervisor = new Supervisor({
      engine,
      network,
      calls: this.calls,
      faults: this.faults,
      config,
      invariants,
      observer: this,
      hooks: this,
      pressure: this.pressure,
      fsyncMs: this.#fsyncMs,
      yieldMs: this.#yieldMs,
      members,
      start: { size, config, bootBase: options.bootBase ?? 0, tracing: options.tracing ?? true },
    });
  }

  get seed(): number {
    return this.engine.seed;
  }

  get now(): number {
    return this.engine.now;
  }

  get events(): number {
    return this.engine.events;
  }

  // ── life and death: see Supervisor ───────────────────────────────────────

  /** Starts all members that are down. */
  startAll(): void {
    for (const { sid, life } of this.members) if (life === null) this.start(sid);
  }

  /** @see Supervisor.start */
  start(sid: number): void {
    this.#supervisor.start(sid);
  }

  /** @see Supervisor.crash */
  crash(sid: number, keep = 0): void {
    this.#supervisor.crash(sid, keep);
  }

  /** Crashes every member that is up. */
  crashAll(keep = 0): void {
    for (const { sid, life } of this.members) if (life !== null) this.crash(sid, keep);
  }

  /** @see Supervisor.replaceByTwin */
  replaceByTwin(sid: number, keep = 0): void {
    this.#supervisor.replaceByTwin(sid, keep);
  }

  /** @see Supervisor.endTwin */
  endTwin(sid: number): void {
    this.#supervisor.endTwin(sid);
  }

  /** @see Supervisor.pause */
  pause(sid: number): void {
    this.#supervisor.pause(sid);
  }

  /** @see Supervisor.resume */
  resume(sid: number): void {
    this.#supervisor.resume(sid);
  }

  /** Feeds a tick that no alarm requested. */
  tick(sid: number): void {
    this.#lifeOf(sid).step({ type: "tick" });
  }

  // ── links, clocks, alarms ────────────────────────────────────────────────

  /** @see Network.cut */
  cut(from: number, to: number): void {
    this.network.cut(from, to);
  }

  /** @see Network.isolate */
  isolate(sid: number): void {
    this.network.isolate(sid);
  }

  /** @see Network.clog */
  clog(from: number, to: number, ms: number): void {
    this.network.clog(from, to, ms);
    this.disturbed(ms);
  }

  /** @see Network.slow */
  slow(sid: number, ms: number): void {
    this.disturbed(ms + this.network.slow(sid, ms));
  }

  /** @see Network.healCuts */
  healCuts(): void {
    this.disturbed();
    this.network.healCuts();
  }

  /** @see Network.heal */
  heal(): void {
    this.disturbed();
    this.network.heal();
  }

  /** @see Network.setLatency */
  setLatency(latencyMs: Range): void {
    this.disturbed(this.network.setLatency(latencyMs));
  }

  /** Loses the alarms that are set now. */
  loseAlarms(): void {
    this.disturbed(2 * this.config.tickTimeMs);
    for (const { life } of this.members) life?.alarm.lose();
  }

  /** Sets a member's clock; a member that sleeps or is down cannot distinguish that from elapsed time. */
  jumpClock(sid: number, byMs: number): void {
    const member = this.member(sid);
    const isSeen = member.life?.server.zab.frozen === false;
    member.clock.jump(byMs, this.now, isSeen);
    this.disturbance.noteSkew(isSeen ? Math.min(byMs, 2 * this.config.tickTimeMs) : byMs);
    this.clockChanged(sid);
  }

  /** Moves a member's alarm after a change of its clock. */
  clockChanged(sid: number): void {
    this.disturbed();
    const { life, twin } = this.member(sid);
    life?.alarm.clockChanged();
    twin?.alarm.clockChanged();
  }

  /** @see Disturbance.note */
  disturbed(ms = 0): void {
    this.disturbance.note(ms);
  }

  /** @see Disturbance.since */
  get undisturbedSince(): number {
    return this.disturbance.since;
  }

  /** @see Disturbance.skewMs */
  get skewMs(): number {
    return this.disturbance.skewMs;
  }

  /** Longest undisturbed delay of a message to the leader, with the writes that it may wait for; ms. */
  get slowestMs(): number {
    return 10 * (this.network.usualMsMax + this.#fsyncMs[1] + this.#yieldMs[1]);
  }

  // ── members ──────────────────────────────────────────────────────────────

  member(sid: number): Member {
    return must(this.members[sid - 1], `there is no member ${sid}`);
  }

  server(sid: number): EnsembleServer {
    return must(this.member(sid).life, `member ${sid} is down`).server;
  }

  get alive(): EnsembleServer[] {
    return this.members.flatMap(({ life }) => (life === null ? [] : [life.server]));
  }

  /** The leader in broadcast with the highest epoch. */
  get leader(): EnsembleServer | undefined {
    return this.alive
      .filter((server) => server.zab.proposing !== undefined && server.ready)
      .sort((a, b) => b.zab.currentEpoch - a.zab.currentEpoch)[0];
  }

  /** sid of the leader. */
  get leaderSid(): Sid {
    return must(this.leader, "there is a leader").sid;
  }

  /** sids of the members that are up and do not lead, ascending. */
  get followers(): Sid[] {
    const leader = this.leaderSid;
    return this.alive.map((server) => server.sid).filter((sid) => sid !== leader);
  }

  /** Time of the member's clock. */
  timeAt(sid: number): number {
    return this.member(sid).clock.at(this.now);
  }

  /** The life of a member, which is up. */
  #lifeOf(sid: number): Life {
    return must(this.member(sid).life, `member ${sid} is down`);
  }

  // ── clients: see Requests ────────────────────────────────────────────────

  /** *map token → answer* */
  get answers(): ReadonlyMap<Token, ServerAnswer> {
    return this.#requests.answers;
  }

  /** Events for clients without a connection. */
  get notified(): readonly { readonly token: Token; readonly path: string; readonly type: number }[] {
    return this.#requests.notified;
  }

  write(sid: number, request: WriteRequest, session: SessionId = NO_SESSION, xid = 0): Token {
    return must(this.writes(sid, [{ request, session, xid }])[0], "a write has a token");
  }

  /** Several writes in one turn of the member. */
  writes(
    sid: number,
    requests: readonly { request: WriteRequest; session?: SessionId; xid?: number }[],
  ): Token[] {
    return this.#requests.writes(
      sid,
      requests.map(({ request, session = NO_SESSION, xid = 0 }) => ({ request, session, xid })),
    );
  }

  read(
    sid: number,
    request: ReadRequest,
    linearizable = false,
    session: SessionId = NO_SESSION,
    stale = false,
  ): Token {
    return this.#requests.read(sid, request, linearizable, session, stale);
  }

  touch(sid: number, session: SessionId): void {
    this.#requests.touch(sid, session);
  }

  /** Connects a client; the token stands for the connection. Undefined if the member is down. */
  connect(sid: number, connection: Connection): { readonly life: Life; readonly token: Token } | undefined {
    const { life } = this.member(sid);
    return life === null ? undefined : { life, token: life.clients.connect(connection) };
  }

  /**
   * Sends a request to a member without a connection, as over HTTP.
   * @param isFresh a read that may not be stale
   * @param answered called with undefined if the member ends before it answers
   * @returns false if the member is down
   */
  request(
    sid: number,
    ask: (server: EnsembleServer, now: number, token: Token, life: Life) => void,
    answered: (answer: ServerAnswer | undefined) => void,
    isFresh = false,
  ): boolean {
    return this.#requests.request(this.member(sid), ask, answered, isFresh);
  }

  /** Runs until these are answered. */
  answered(tokens: readonly Token[], limitMs = 60_000): ServerAnswer[] {
    this.runUntil(() => tokens.every((token) => this.answers.has(token)), limitMs, "an answer");
    return this.#requests.answersTo(tokens);
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Runs until the condition holds. @throws Error when it does not within `limitMs` of virtual time */
  runUntil(condition: () => boolean, limitMs = 60_000, what = "the condition"): void {
    this.engine.runUntil(condition, limitMs, what);
  }

  runFor(ms: number): void {
    this.engine.runFor(ms);
  }

  /** Runs an event from outside, of a client or a fault, after `ms`. */
  after(ms: number, run: () => void): void {
    this.engine.after(ms, run);
  }

  /** Runs until every member that is up serves and has applied the same zxid. */
  settle(limitMs = 60_000): void {
    this.runUntil(() => this.settled, limitMs, "agreement");
  }

  get settled(): boolean {
    const leader = this.leader;
    return (
      leader !== undefined &&
      this.alive.every(
        (server) =>
          server.ready &&
          server.zab.leader === leader.sid &&
          compareZxid(server.tree.lastApplied, leader.zab.lastLogged.zxid) === 0,
      )
    );
  }

  /** One line per member, for failures. */
  describe(): string {
    return this.members.map(memberText).join(" | ");
  }

  // ── LifeObserver ─────────────────────────────────────────────────────────

  crashOrder({ sid }: Life, effect: ServerEffect): CrashOrder | undefined {
    return this.onEffect?.(sid, effect);
  }

  onAsleep(life: Life): void {
    this.sleeps += 1;
    if (this.onSleep !== null) this.#supervisor.turns.tell(() => this.onSleep?.(life));
  }

  onWakeOwner(life: Life, parked: ParkedSession): void {
    this.owners.push(parked);
    if (this.onWake !== null) this.#supervisor.turns.tell(() => this.onWake?.(life, parked));
  }

  onTrace({ sid }: Life, event: TraceEvent): void {
    this.trace.push({ at: this.now, sid, event });
  }

  onNotify(token: Token, event: WatchEvent): void {
    this.#requests.onNotify(token, event);
  }

  onAnswer(life: Life, token: Token, asked: Asked, answer: ServerAnswer): void {
    this.#requests.onAnswer(life, token, asked, answer);
  }
}
