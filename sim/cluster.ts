/**
 * A whole ensemble in one deterministic process: the real core of every member, with virtual time, clocks, network and
 * storage. One event at a time; the same seed gives the same run. Members crash with a prefix of what they wrote, calls fail
 * with unknown outcome, come twice or late, links stall or are cut one way, members pause with their memory or meet their own
 * successor. What leaves a member waits for the writes before it, as the platform's output gate has it. {@link Invariants} are
 * checked after every event.
 */
import { assert, must } from "../core/assert.ts";
import type { ServerAnswer } from "../core/server/answers.ts";
import { DamagedError } from "../core/server/checksums.ts";
import { makeServerConfig, type ServerConfig } from "../core/server/config.ts";
import type { DisconnectCode, ServerEffect, ServerInput } from "../core/server/effects.ts";
import type { ParkedSession, Token } from "../core/server/ids.ts";
import type { PeerMessage } from "../core/server/messages.ts";
import { EnsembleServer } from "../core/server/server.ts";
import { MemberStorage } from "../core/server/storage.ts";
import { found } from "../core/server/storage-backend.ts";
import { PROTOCOL_VERSION } from "../core/version.ts";
import { encodeWrite } from "../core/wire/jute/requests.ts";
import { TxnCursor } from "../core/wire/txn-codec.ts";
import type { CallOrigin, TraceEvent } from "../core/zab/effects.ts";
import { asSid, type Sid } from "../core/zab/membership.ts";
import { compareZxid, type Zxid } from "../core/zab/zxid.ts";
import type { ZnodeTree } from "../core/znode/tree.ts";
import {
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WatchEvent,
  type WriteRequest,
} from "../core/znode/types.ts";
import { CallOrder } from "../durable-objects/shared/call-order.ts";
import { DeadlineAlarm } from "../durable-objects/shared/deadline-alarm.ts";
import { guarded } from "../durable-objects/shared/guarded.ts";
import { Invariants } from "./checkers/invariants.ts";
import type { Asked } from "./checkers/requests.ts";
import { SimClock } from "./clock.ts";
import { type DamageKind, DiskFullError, FencedError, SimDisk } from "./disk.ts";
import { EventQueue } from "./event-queue.ts";
import type { MemoryBackend, StoredState } from "./memory-backend.ts";
import { random } from "./random.ts";

/** Longest that a call waits for the one before it, as in `ZooWeeperNode`; ms. */
const CALL_WAIT_MS = 1_000;

/** How long a member that cannot start for want of disk space waits before it tries again; ms. */
const START_AGAIN_MS = 200;

/** The disk of a member of a brand-new ensemble. */
function foundedDisk(): SimDisk {
  const disk = new SimDisk();
  found(disk);
  disk.sync(disk.written);
  return disk;
}

/** One of a member's outgoing links in one life: calls on it arrive in order until it breaks. */
interface Channel {
  seq: number;
  /** a call on it has failed */
  dead: boolean;
  lastArrival: number;
  lastReturn: number;
  /** *map number of a call that is on its way → when it arrives* */
  readonly underWay: Map<number, number>;
}

/** A request without a connection. */
interface Unanswered {
  /** undefined: no answer will come */
  answered(answer: ServerAnswer | undefined): void;
  /** a read that may not be stale */
  readonly isFresh: boolean;
}

/** One life of a member. */
export interface Life {
  readonly sid: Sid;
  /** 1 for the first life of this member, and so on */
  readonly number: number;
  /** 0 for the first life of all members of the run, and so on */
  readonly index: number;
  readonly server: EnsembleServer;
  readonly storage: MemberStorage;
  readonly disk: SimDisk;
  /** *map peer and generation → channel* */
  readonly channels: Map<number, Channel>;
  /** *map peer → the order of its calls*: the shell's own */
  readonly orders: Map<Sid, CallOrder>;
  /** callers whose parked call ends with this life */
  readonly parked: { readonly caller: Life; readonly generation: number }[];
  /** calls being answered: their callers see a break when this life ends */
  readonly answering: Set<() => void>;
  /** what waits for a write to be durable before it leaves */
  readonly gate: { readonly number: number; readonly run: () => void }[];
  /** persist effects whose writes are not known to be durable: the group of writes, and the effect's number */
  readonly persists: { readonly number: number; readonly seq: number }[];
  /** clients that hear of its end */
  readonly connections: Map<Token, Connection>;
  /** requests that came without a connection */
  readonly requests: Map<Token, Unanswered>;
  /** connections so far: every life numbers them from 1 */
  connected: number;
  /** group of writes up to which all is durable */
  durable: number;
  syncing: boolean;
  /** the shell's own, over the simulation's time */
  readonly alarm: DeadlineAlarm;
  /** what its alarm is set to, on the member's clock; infinity: it is not set */
  alarmMs: number;
  /** when its alarm rings; infinity: never, also when it is set and was lost */
  alarmAt: number;
  /** what happened to it while it was paused; null: it runs */
  backlog: (() => void)[] | null;
  alive: boolean;
  /** the call that is being handled was not understood */
  refused: boolean;
}

export interface Member {
  readonly sid: Sid;
  readonly clock: SimClock;
  disk: SimDisk;
  /** what goes wrong with the tree of its next life while that is loaded; see `tree-damage.ts` */
  bend: ((tree: ZnodeTree) => void) | null;
  life: Life | null;
  /** an older instance that is still alive */
  twin: Life | null;
  lives: number;
}

/** A client at a member, as long as that life lasts. */
export interface Connection {
  respond(xid: number, answer: ServerAnswer): void;
  notify(event: WatchEvent, zxid: Zxid): void;
  /** it is over, and what was not answered will not be. @param code why the member closed it, if it says */
  closed(code?: DisconnectCode): void;
}

/** When and how an effect makes its member crash. `keep`: groups of writes that survive though nobody waited for them. */
export interface CrashOrder {
  readonly when: "before" | "after";
  readonly keep: number;
}

export interface ClusterOptions {
  readonly size: number;
  readonly seed?: number;
  readonly config?: Partial<ServerConfig>;
  /** one way, ms: [least, most] */
  readonly latencyMs?: readonly [number, number];
  readonly fsyncMs?: readonly [number, number];
  /** how long a turn of I/O takes in which requests gather, ms: [least, most] */
  readonly yieldMs?: readonly [number, number];
  /** ms since 1970 at which the run begins */
  readonly startAt?: number;
  /** added to the number of a member's first life: members without memory number their lives by the time of day */
  readonly bootBase?: number;
  /** returns take another time than calls: they overtake calls the other way, and are overtaken by them */
  readonly crossing?: boolean;
  /** calls that overtook each other are put in order, as the shell does it; else the core meets them as they come */
  readonly ordered?: boolean;
  /** keep the trace events: for people; costs time and memory */
  readonly tracing?: boolean;
}

/** Probabilities of what may go wrong with one call, and what alarms may do. */
export interface Faults {
  /** executed, but the caller sees a break */
  loseReturn: number;
  /** not executed, and the caller sees a break */
  failCall: number;
  /** delivered a second time, later */
  duplicate: number;
  /** delivered behind calls that came after it */
  reorder: number;
  /** an alarm comes later by up to this; ms */
  alarmLateMs: number;
  /** an alarm never comes, though it is set */
  loseAlarm: number;
  /** an alarm comes though nothing is due, or twice */
  spuriousTick: number;
}

export const NO_FAULTS: Faults = {
  loseReturn: 0,
  failCall: 0,
  duplicate: 0,
  reorder: 0,
  alarmLateMs: 0,
  loseAlarm: 0,
  spuriousTick: 0,
};

/** The one place where a member's core is made. */
function makeServer(
  sid: Sid,
  size: number,
  config: ServerConfig,
  storage: MemberStorage,
  life: number,
  bootBase: number,
  bend: ((tree: ZnodeTree) => void) | null,
  version: number,
): EnsembleServer {
  const { recovered, tree } = storage.recover(bootBase + life);
  bend?.(tree);
  // No two lives draw the same number.
  const nonce = life;
  return new EnsembleServer({
    sid,
    size,
    config,
    log: storage.log,
    snapshot: storage,
    recovered,
    nonce,
    tree,
    version,
  });
}

export class Cluster {
  readonly members: readonly Member[];
  readonly config: ServerConfig;
  readonly seed: number;
  readonly trace: { at: number; sid: Sid; event: TraceEvent }[] = [];
  /** map token → answer */
  readonly answers = new Map<Token, ServerAnswer>();
  /** how often a member has fallen asleep */
  sleeps = 0;
  /** whom a leader would wake */
  readonly owners: ParkedSession[] = [];
  readonly notified: { token: Token; path: string; type: number }[] = [];
  readonly invariants: Invariants;
  readonly faults: Faults = { ...NO_FAULTS };
  /** Asked before every effect is run; may end the member there. */
  onEffect: ((sid: Sid, effect: ServerEffect) => CrashOrder | undefined) | null = null;
  /** Sees every message that arrives. */
  onMessage: ((from: Sid, to: Sid, message: PeerMessage, isReturn: boolean) => void) | null = null;
  /** Asked before a call or its return is delivered; may do something to either member, or lose it (true). */
  onDelivery: ((from: Sid, to: Sid, messages: readonly PeerMessage[], isReturn: boolean) => boolean) | null =
    null;
  /** Sees everything that a member does, in one line: for people. */
  onLine: ((line: string) => void) | null = null;
  /** Hears of a member that stopped by itself: damage was found, or another instance has taken its place. */
  onAbort: ((sid: Sid, reason: string) => void) | null = null;
  /** Which version of the protocol a life of a member speaks. */
  versionOf: (sid: Sid, life: number) => number = () => PROTOCOL_VERSION;
  /** Hears of a member that fell asleep. */
  onAsleep: ((life: Life) => void) | null = null;
  /** Hears of an owner that a member wakes. */
  onWake: ((life: Life, parked: ParkedSession) => void) | null = null;
  readonly #random: () => number;
  #latency: readonly [number, number];
  readonly #fsync: readonly [number, number];
  readonly #yieldMs: readonly [number, number];
  readonly #bootBase: number;
  readonly #tracing: boolean;
  /** how long returns take; null: as long as calls */
  readonly #returns: (() => number) | null;
  readonly #ordered: boolean;
  readonly #queue = new EventQueue();
  /** links that lose every call; see {@link linkOf} */
  readonly #cut = new Set<number>();
  /** *map link → until when it holds everything back* */
  readonly #clogged = new Map<number, number>();
  /** *map sid → ms that every call of this member and to it takes longer* */
  readonly #slow = new Map<number, number>();
  readonly #asked = new Map<Token, Asked>();
  /** until when what was wrong with links, alarms or members shows; see {@link disturbed} */
  #disturbedUntil = 0;
  #usualLatency: readonly [number, number];
  /** events in a row that took no time */
  #stuck = 0;
  #tokens = 0;
  /** lives of all members so far */
  #lives = 0;
  /** steps under way, one within the other */
  #running = 0;
  /** what clients are told once the effects at hand are run */
  readonly #untold: (() => void)[] = [];
  #hash = 0;
  /** events run so far */
  events = 0;
  /** returns that arrive before a call the other way that left before them, and after one that left behind them */
  readonly crossed = { ahead: 0, behind: 0 };
  /** by how much some member may have counted more time than passed in this run, at most; ms */
  skewMs = 0;
  now = 1_000_000;

  constructor(options: ClusterOptions) {
    this.config = makeServerConfig({ quietAfterMs: 0, ...options.config });
    this.seed = options.seed ?? 1;
    this.#random = random(this.seed);
    this.#latency = options.latencyMs ?? [1, 3];
    this.#usualLatency = this.#latency;
    this.#fsync = options.fsyncMs ?? [0, 2];
    this.#yieldMs = options.yieldMs ?? [0, 0];
    this.#bootBase = options.bootBase ?? 0;
    this.now = options.startAt ?? this.now;
    this.#tracing = options.tracing ?? true;
    this.#ordered = options.ordered ?? false;
    // Of a chance of its own: a run without it stays as it is.
    this.#returns = options.crossing === true ? random(this.seed * 5_303 + 29) : null;
    this.members = Array.from({ length: options.size }, (_, i) => ({
      sid: asSid(i + 1),
      clock: new SimClock(2 * this.config.tickTimeMs),
      disk: foundedDisk(),
      bend: null,
      life: null,
      twin: null,
      lives: 0,
    }));
    this.invariants = new Invariants(this);
  }

  /** A number of [0, 1) of this run's own chance. */
  chance(): number {
    return this.#random();
  }

  /** One number for all that has happened so far: runs that are equal have equal numbers. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  #mix(word: number): void {
    this.#hash = (Math.imul(this.#hash ^ word, 0x9e3779b1) + 0x7f4a7c15) | 0;
    this.#hash ^= this.#hash >>> 15;
  }

  // ── life and death ───────────────────────────────────────────────────────

  startAll(): void {
    for (const member of this.members) if (member.life === null) this.start(member.sid);
  }

  start(sid: number): void {
    const member = this.member(sid);
    assert(member.life === null, "a member starts once");
    const { disk } = member;
    let storage: MemberStorage;
    let server: EnsembleServer;
    try {
      storage = new MemberStorage(disk);
      server = makeServer(
        member.sid,
        this.members.length,
        this.config,
        storage,
        member.lives + 1,
        this.#bootBase,
        member.bend,
        this.versionOf(member.sid, member.lives + 1),
      );
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      this.#startAgain(member);
      return;
    }
    member.bend = null;
    server.zab.tracing = this.#tracing;
    member.lives += 1;
    const life: Life = {
      sid: member.sid,
      number: member.lives,
      index: this.#lives,
      server,
      storage,
      disk,
      channels: new Map(),
      orders: new Map(),
      parked: [],
      answering: new Set(),
      gate: [],
      persists: [],
      connections: new Map(),
      requests: new Map(),
      connected: 0,
      durable: 0,
      syncing: false,
      alarm: new DeadlineAlarm(
        {
          getAlarm: () => Promise.resolve(null),
          setAlarm: (at) => this.#setAlarm(life, at),
          deleteAlarm: () => this.#setAlarm(life, Number.POSITIVE_INFINITY),
        },
        this.config.tickTimeMs,
        () => this.timeAt(member.sid),
      ),
      alarmMs: Number.POSITIVE_INFINITY,
      alarmAt: Number.POSITIVE_INFINITY,
      backlog: null,
      alive: true,
      refused: false,
    };
    this.#lives += 1;
    member.life = life;
    this.#mix(0x51a7 + sid);
    this.onLine?.(`${sid} starts, life ${life.number}`);
    this.invariants.started(life);
    this.#syncSoon(life);
    this.#step(life, { type: "start" });
  }

  /** Its start could not be noted: nothing of it happened, and whoever asks for the member next starts it. */
  #startAgain(member: Member): void {
    this.onLine?.(`${member.sid} cannot start: its disk is full`);
    member.disk.crash(0);
    this.#after(START_AGAIN_MS, () => {
      if (member.life === null) this.start(member.sid);
    });
  }

  /**
   * The member loses its memory, and what it wrote is kept as far as it was durable.
   * @param keep groups of writes beyond that which survive all the same
   */
  crash(sid: number, keep = 0): void {
    const member = this.member(sid);
    const life = must(member.life, "only a member that lives crashes");
    member.life = null;
    this.onLine?.(
      `${sid} crashes, ${Math.min(keep, life.disk.pending)} of ${life.disk.pending} writes survive`,
    );
    this.#mix(0xdead + sid);
    life.disk.crash(keep);
    this.invariants.crashed(member);
    this.#end(life);
  }

  /** The core has ended this life: the next one begins from storage. */
  #beginAnew(life: Life): void {
    const member = this.member(life.sid);
    if (member.life !== life) return;
    this.crash(life.sid, Number.POSITIVE_INFINITY);
    this.#after(this.#delay(), () => {
      if (member.life === null) this.start(life.sid);
    });
  }

  /** Another instance of the member starts while this one lives on, until its next write. */
  replaceByTwin(sid: number, keep = 0): void {
    const member = this.member(sid);
    const life = must(member.life, "only a member that lives has a twin");
    this.endTwin(member.sid);
    this.onLine?.(`${sid} lives on beside its successor`);
    life.disk.fenced = true;
    member.disk = life.disk.successor(keep);
    member.twin = life;
    member.life = null;
    this.invariants.crashed(member);
    this.start(sid);
  }

  /** The older instance ends, if there is one. */
  endTwin(sid: number): void {
    const member = this.member(sid);
    const { twin } = member;
    member.twin = null;
    if (twin === null) return;
    this.disturbed();
    this.#end(twin);
  }

  /** What others see of the end of a life. */
  #end(life: Life): void {
    life.alive = false;
    life.gate.length = 0;
    for (const fail of life.answering) fail();
    for (const { caller, generation } of life.parked) {
      this.#after(this.#delay(), () => this.#broken(caller, life.sid, generation));
    }
    const connections = [...life.connections.values()];
    life.connections.clear();
    for (const connection of connections) this.#tell(() => connection.closed());
    const requests = [...life.requests.values()];
    life.requests.clear();
    for (const { answered } of requests) this.#tell(() => answered(undefined));
  }

  /** Crashes every member that lives. */
  crashAll(keep = 0): void {
    for (const { sid, life } of this.members) if (life !== null) this.crash(sid, keep);
  }

  /** A member that is down loses its storage too. */
  wipe(sid: number): void {
    const member = this.member(sid);
    assert(member.life === null, "only a member that is down is wiped");
    this.onLine?.(`${sid} loses its storage`);
    member.disk = new SimDisk();
    this.invariants.wiped(member);
  }

  /** A member that is down goes back to an older copy of its storage. */
  rollBack(sid: number, copy: MemoryBackend): void {
    const member = this.member(sid);
    assert(member.life === null, "only a member that is down is rolled back");
    this.onLine?.(`${sid} goes back to an older storage`);
    member.disk.restore(copy);
    this.invariants.wiped(member);
  }

  /** A row of the log of a member that is down goes bad. @returns whether there was one */
  damage(sid: number, kind: DamageKind, pick: (n: number) => number): boolean {
    const member = this.member(sid);
    assert(member.life === null, "only the storage of a member that is down goes bad");
    const damaged = member.disk.damage(kind, pick);
    this.onLine?.(`${sid} has a log with a ${kind}: ${damaged}`);
    // What it does not have any more it may forget.
    if (damaged) this.invariants.wiped(member);
    return damaged;
  }

  /** The storage of a member that is down is changed behind its back. */
  tamper(sid: number, change: (state: StoredState) => void): void {
    const member = this.member(sid);
    assert(member.life === null, "only the storage of a member that is down goes bad");
    this.onLine?.(`${sid} has a damaged storage`);
    member.disk.tamper(change);
    // What it does not have any more it may forget.
    this.invariants.wiped(member);
  }

  /** The disk of a member has room for no more than so many writes, until {@link freeDisk}. */
  fillDisk(sid: number, writesLeft: number): void {
    const { disk } = this.member(sid);
    this.onLine?.(`${sid} has room for ${writesLeft} writes`);
    disk.full = true;
    disk.writesLeft = writesLeft;
  }

  freeDisk(sid: number): void {
    const { disk } = this.member(sid);
    disk.full = false;
    disk.writesLeft = Number.POSITIVE_INFINITY;
  }

  /** The member stands still with its memory; what happens to it happens when it goes on. */
  pause(sid: number): void {
    const life = must(this.member(sid).life, "only a member that lives pauses");
    this.onLine?.(`${sid} stands still`);
    life.backlog ??= [];
  }

  resume(sid: number): void {
    const life = must(this.member(sid).life, "only a member that lives goes on");
    this.onLine?.(`${sid} goes on`);
    this.disturbed();
    const backlog = life.backlog ?? [];
    life.backlog = null;
    for (const run of backlog) this.#onLife(life, run);
  }

  /** Feeds a tick though nobody asked for one. */
  tick(sid: number): void {
    this.#step(must(this.member(sid).life, `member ${sid} is down`), { type: "tick" });
  }

  // ── the network ──────────────────────────────────────────────────────────

  /** Loses every call from one member to the other, and the returns of the calls the other way. */
  cut(from: number, to: number): void {
    this.#cut.add(linkOf(from, to));
  }

  isolate(sid: number): void {
    for (const { sid: other } of this.members) {
      if (other === sid) continue;
      this.cut(sid, other);
      this.cut(other, sid);
    }
  }

  /** Holds back what goes from one member to the other until this much time has passed; then it goes on, in order. */
  clog(from: number, to: number, ms: number): void {
    this.#clogged.set(linkOf(from, to), this.now + ms);
    this.disturbed(ms);
  }

  /** Every call of this member and to it takes this much longer. */
  slow(sid: number, ms: number): void {
    this.disturbed(ms + (this.#slow.get(sid) ?? 0));
    if (ms === 0) this.#slow.delete(sid);
    else this.#slow.set(sid, ms);
  }

  healCuts(): void {
    this.disturbed();
    this.#cut.clear();
  }

  heal(): void {
    this.disturbed();
    this.#cut.clear();
    this.#clogged.clear();
    this.#slow.clear();
  }

  setLatency(latencyMs: readonly [number, number]): void {
    this.disturbed(this.#latency[1]);
    this.#latency = latencyMs;
  }

  /** Something is wrong, or was until now, with links, alarms, clocks or members. @param ms how long it still shows */
  disturbed(ms = 0): void {
    this.#disturbedUntil = Math.max(this.#disturbedUntil, this.now + ms);
  }

  /** Since when every message, alarm and write took no longer than usual; a member that is down disturbs nobody. */
  get undisturbedSince(): number {
    const { failCall, loseReturn, reorder, alarmLateMs, loseAlarm } = this.faults;
    const faulty = failCall > 0 || loseReturn > 0 || reorder > 0 || alarmLateMs > 0 || loseAlarm > 0;
    const late = this.#latency !== this.#usualLatency || this.#slow.size > 0 || this.#cut.size > 0;
    const odd = this.members.some(
      ({ life, twin, clock }) =>
        twin !== null || life?.backlog != null || clock.odd || (life !== null && isAlarmLost(life)),
    );
    return faulty || late || odd ? this.now : this.#disturbedUntil;
  }

  /** The longest that a message to the leader takes when nothing is wrong, with the writes that it may wait for; ms. */
  get slowestMs(): number {
    return 10 * (this.#usualLatency[1] + this.#fsync[1] + this.#yieldMs[1]);
  }

  // ── who is there ─────────────────────────────────────────────────────────

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

  /** sids of the members that live and do not lead, ascending. */
  get followers(): Sid[] {
    const leader = this.leaderSid;
    return this.alive.map((server) => server.sid).filter((sid) => sid !== leader);
  }

  /** What the member's clock shows. */
  timeAt(sid: number): number {
    return this.member(sid).clock.at(this.now);
  }

  // ── clients ──────────────────────────────────────────────────────────────

  write(sid: number, request: WriteRequest, session: SessionId = NO_SESSION, xid = 0): Token {
    return this.writes(sid, [{ request, session, xid }])[0] as Token;
  }

  /** Several writes in one turn of the member. */
  writes(
    sid: number,
    requests: readonly { request: WriteRequest; session?: SessionId; xid?: number }[],
  ): Token[] {
    const life = must(this.member(sid).life, `member ${sid} is down`);
    const tokens = requests.map(({ session = NO_SESSION }) => this.#ask(life, session, false));
    this.turn(life, (server, now) => {
      for (const [i, { request, session = NO_SESSION, xid = 0 }] of requests.entries()) {
        if (request.type === "closeSession") this.invariants.sessions.closing(session);
        else if (session !== NO_SESSION) this.invariants.sessions.heard(life, session);
        server.submitWrite(now, tokens[i] as Token, { session, xid, ...encodeWrite(request) });
      }
    });
    return tokens;
  }

  read(
    sid: number,
    request: ReadRequest,
    linearizable = false,
    session: SessionId = NO_SESSION,
    stale = false,
  ): Token {
    const life = must(this.member(sid).life, `member ${sid} is down`);
    const token = this.#ask(life, session, linearizable);
    this.turn(life, (server, now) => {
      if (session !== NO_SESSION) this.invariants.sessions.heard(life, session);
      server.submitRead(now, token, { session, xid: 0, request, linearizable, stale });
    });
    return token;
  }

  #ask(life: Life, session: SessionId, linearizable: boolean): Token {
    const token = this.#token();
    this.#asked.set(token, this.invariants.requests.asked(life, session, token, linearizable));
    return token;
  }

  touch(sid: number, session: SessionId): void {
    const life = must(this.member(sid).life, `member ${sid} is down`);
    this.turn(life, (server, now) => {
      this.invariants.sessions.heard(life, session);
      server.touch(now, session);
    });
  }

  /** A client connects; its token stands for the connection. Undefined: the member is down. */
  connect(sid: number, connection: Connection): { readonly life: Life; readonly token: Token } | undefined {
    const { life } = this.member(sid);
    if (life === null) return undefined;
    life.connected += 1;
    const token = life.connected as Token;
    life.connections.set(token, connection);
    return { life, token };
  }

  /**
   * Something is asked of a member without a connection, as over HTTP.
   * @param isFresh a read that may not be stale
   * @param answered is told undefined when the member ends before it answers
   * @returns false: the member is down
   */
  request(
    sid: number,
    ask: (server: EnsembleServer, now: number, token: Token, life: Life) => void,
    answered: (answer: ServerAnswer | undefined) => void,
    isFresh = false,
  ): boolean {
    const { life } = this.member(sid);
    if (life === null) return false;
    const token = this.#token();
    life.requests.set(token, { answered, isFresh });
    this.turn(life, (server, now) => ask(server, now, token, life));
    return true;
  }

  disconnect(life: Life, token: Token): void {
    if (!life.connections.delete(token)) return;
    this.#onLife(life, () => life.server.forget(token));
  }

  /** One turn of a member in which clients ask for something; a member that stands still takes it when it goes on. */
  turn(life: Life, ask: (server: EnsembleServer, now: number) => void): void {
    this.#onLife(life, () => {
      this.#guard(life, () => {
        const now = this.timeAt(life.sid);
        ask(life.server, now);
        this.#run(life, life.server.flush(now));
      });
    });
  }

  /** For what comes without a connection: above the numbers of the connections. */
  #token(): Token {
    this.#tokens += 1;
    return (REQUEST_TOKENS + this.#tokens) as Token;
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Runs until the condition holds. @throws when it does not within `limitMs` of virtual time */
  runUntil(condition: () => boolean, limitMs = 60_000, what = "the condition"): void {
    const end = this.now + limitMs;
    while (!condition()) {
      if (this.now > end || this.#queue.length === 0) {
        throw new Error(`${what} does not hold after ${limitMs} ms; ${this.describe()}`);
      }
      this.#next();
    }
  }

  runFor(ms: number): void {
    const end = this.now + ms;
    while (this.#queue.nextAt <= end) this.#next();
    this.now = end;
  }

  /** Runs until every member that lives serves and has applied the same. */
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
    return this.members
      .map(({ sid, life }) => {
        if (life === null) return `${sid}:down`;
        const { zab, tree, ready } = life.server;
        const state = `${zab.role}/${zab.phase}→${zab.leader ?? "-"}${ready ? "" : " not ready"}`;
        const places = [zab.lastLogged.zxid, zab.lastCommittedZxid, tree.lastApplied].map(
          (z) => `${z.epoch}.${z.counter}`,
        );
        const paused = life.backlog === null ? "" : " paused";
        return `${sid}:${state} e${zab.currentEpoch}/${zab.acceptedEpoch} ${places.join("≥")}${paused}`;
      })
      .join(" | ");
  }

  /** Runs until these are answered. */
  answered(tokens: readonly Token[], limitMs = 60_000): ServerAnswer[] {
    this.runUntil(() => tokens.every((token) => this.answers.has(token)), limitMs, "an answer");
    return tokens.map((token) => must(this.answers.get(token), "it was waited for"));
  }

  /** Something of the world outside: a client, a fault. */
  after(ms: number, run: () => void): void {
    this.#after(ms, run);
  }

  #after(ms: number, run: () => void): void {
    this.#queue.push(this.now + ms, run);
  }

  #next(): void {
    const event = must(this.#queue.pop(), "an event is left");
    this.#stuck = event.at > this.now ? 0 : this.#stuck + 1;
    if (this.#stuck > 50_000) throw new Error(`time stands still; ${this.describe()} (seed ${this.seed})`);
    this.now = Math.max(this.now, event.at);
    this.events += 1;
    event.run();
  }

  /** Runs something that happens to a life: later, while it is paused; never, when it is over. */
  #onLife(life: Life, run: () => void): void {
    if (!life.alive) return;
    if (life.backlog !== null) life.backlog.push(run);
    else run();
  }

  #delay(): number {
    return this.#between(this.#latency);
  }

  #between([least, most]: readonly [number, number]): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  /** The shell sets its alarm. */
  #setAlarm(life: Life, ms: number): Promise<void> {
    life.alarmMs = ms;
    life.alarmAt = Number.POSITIVE_INFINITY;
    const { loseAlarm } = this.faults;
    const isLost = loseAlarm > 0 && this.#random() < loseAlarm;
    if (life.alive && Number.isFinite(ms) && !isLost) this.#schedule(life);
    return DONE;
  }

  #schedule(life: Life): void {
    const { clock } = this.member(life.sid);
    const due = Math.max(this.now + 1, clock.whenShows(life.alarmMs, this.now));
    const { alarmLateMs, spuriousTick } = this.faults;
    const at = alarmLateMs === 0 ? due : due + this.#between([0, alarmLateMs]);
    life.alarmAt = at;
    this.#queue.push(at, () => this.#alarm(life, at));
    if (spuriousTick > 0 && this.#random() < spuriousTick) {
      const needless = this.now + this.#between([0, 2 * (at - this.now)]);
      this.#queue.push(needless, () => this.#onLife(life, () => this.#step(life, { type: "tick" })));
    }
  }

  #alarm(life: Life, at: number): void {
    if (!life.alive || life.alarmAt !== at) return;
    life.alarmAt = Number.POSITIVE_INFINITY;
    this.#onLife(life, () => {
      life.alarm.rang();
      this.#step(life, { type: "tick" });
    });
  }

  /** The alarms that are set now never ring. */
  loseAlarms(): void {
    this.disturbed(2 * this.config.tickTimeMs);
    for (const { life } of this.members) if (life !== null) life.alarmAt = Number.POSITIVE_INFINITY;
  }

  /** Sets a member's clock; one that sleeps or is down cannot tell that from time that has passed. */
  jumpClock(sid: number, byMs: number): void {
    const member = this.member(sid);
    const isSeen = member.life?.server.zab.frozen === false;
    member.clock.jump(byMs, this.now, isSeen);
    this.skewMs += Math.max(0, isSeen ? Math.min(byMs, 2 * this.config.tickTimeMs) : byMs);
    this.clockChanged(sid);
  }

  /** A member's clock was changed: its alarm is where the new time has it. */
  clockChanged(sid: number): void {
    this.disturbed();
    for (const life of [this.member(sid).life, this.member(sid).twin]) {
      if (life !== null && Number.isFinite(life.alarmAt)) this.#schedule(life);
    }
  }

  // ── effects ──────────────────────────────────────────────────────────────

  #step(life: Life, input: ServerInput): PeerMessage[] {
    let replies: PeerMessage[] = [];
    this.#guard(life, () => {
      replies = this.#run(life, life.server.step(this.timeAt(life.sid), input));
    });
    return replies;
  }

  /** What a shell does with a throw: the instance ends. Whatever is not a fault of ours is a fault of the core. */
  #guard(life: Life, run: () => void): void {
    this.#running += 1;
    try {
      guarded(run, (error) => this.#endLife(life, error));
    } catch (error) {
      if (!isStorageError(error)) throw error;
    } finally {
      this.#running -= 1;
    }
    if (life.alive) life.alarm.ensure(life.server.deadline);
    while (this.#running === 0) {
      const tell = this.#untold.shift();
      if (tell === undefined) break;
      tell();
    }
  }

  #endLife(life: Life, error: unknown): void {
    if (!isStorageError(error)) return;
    const goesOn = !(error instanceof FencedError);
    const member = this.member(life.sid);
    this.onLine?.(`${life.sid} ends: ${error.message}`);
    this.onAbort?.(life.sid, error.message);
    if (goesOn && member.life === life) {
      // What was written before in this turn may be durable or not.
      this.crash(life.sid, this.#between([0, life.disk.pending]));
      if (error instanceof DamagedError) this.invariants.wiped(member);
      this.#after(this.#delay(), () => {
        if (member.life === null) this.start(life.sid);
      });
    } else if (member.twin === life) this.endTwin(member.sid);
    else if (member.life === life) this.crash(life.sid);
  }

  /** Runs the effects in order; what goes to one peer between two writes goes in one call. @returns the replies */
  #run(life: Life, effects: readonly ServerEffect[]): PeerMessage[] {
    const replies: PeerMessage[] = [];
    const outgoing: Outgoing[] = [];
    this.invariants.stepped(life);
    for (const effect of effects) {
      const order = this.onEffect?.(life.sid, effect);
      if (order?.when === "before") {
        this.#post(life, outgoing);
        this.crash(life.sid, order.keep);
      }
      if (!life.alive) return [];
      this.#runOne(life, effect, replies, outgoing);
      if (order?.when === "after" && life.alive) {
        this.#post(life, outgoing);
        this.crash(life.sid, order.keep);
      }
      if (!life.alive) return [];
    }
    this.#post(life, outgoing);
    if (life.storage.isQuarantined && life.server.zab.hasConfirmedTree) {
      life.storage.dropQuarantine();
      this.#syncSoon(life);
    }
    if (life.server.checkpointDue(life.storage.logBytes)) this.#checkpoint(life);
    return replies;
  }

  #checkpoint(life: Life): void {
    const { tree, logRetention, zab } = life.server;
    const base = life.storage.log.base.zxid;
    life.storage.checkpoint(tree.takeChanges(), logRetention, tree.digest, zab.treeConfirmed);
    this.invariants.checkpointed(life, base);
    this.#syncSoon(life);
  }

  #runOne(life: Life, effect: ServerEffect, replies: PeerMessage[], outgoing: Outgoing[]): void {
    switch (effect.type) {
      case "persist": {
        this.#post(life, outgoing);
        this.invariants.persisting(life, effect.writes);
        life.storage.persist(effect.writes);
        life.persists.push({ number: life.disk.commit(), seq: effect.seq });
        this.invariants.persisted(life);
        this.#syncSoon(life);
        break;
      }
      case "send": {
        const { to, generation, message } = effect;
        this.invariants.saying(life, to, message);
        const waiting = outgoing.find((each) => each.to === to && each.generation === generation);
        if (waiting !== undefined) waiting.messages.push(message);
        else outgoing.push({ to, generation, messages: [message] });
        break;
      }
      case "reply":
        this.invariants.saying(life, null, effect.message);
        replies.push(effect.message);
        break;
      case "refuse":
        life.refused = true;
        break;
      case "park": {
        const peer = this.member(effect.peer).life;
        const { generation } = effect;
        if (peer !== null) peer.parked.push({ caller: life, generation });
        else this.#after(this.#delay(), () => this.#broken(life, effect.peer, generation));
        break;
      }
      case "respond":
        this.#respond(life, effect);
        break;
      case "notify": {
        const { token, event, zxid } = effect;
        if (!life.connections.has(token)) this.notified.push({ token, path: event.path, type: event.type });
        else this.#toClient(life, token, (connection) => connection.notify(event, zxid));
        break;
      }
      case "hold":
        this.#after(effect.ms, () => this.#onLife(life, () => this.#step(life, { type: "released" })));
        break;
      case "yield":
        this.#after(this.#yieldMs[1] === 0 ? 0 : this.#between(this.#yieldMs), () =>
          this.#onLife(life, () => this.#step(life, { type: "yielded" })),
        );
        break;
      case "checkpoint":
        this.#checkpoint(life);
        replies.push(...this.#run(life, life.server.checkpointed(this.timeAt(life.sid))));
        break;
      case "reloadTree":
        replies.push(
          ...this.#run(life, life.server.loadTree(this.timeAt(life.sid), life.storage.loadTree())),
        );
        break;
      case "trace":
        this.trace.push({ at: this.now, sid: life.sid, event: effect.event });
        break;
      case "dropClients":
        this.#dropClients(life);
        break;
      case "disconnect": {
        const { token, code } = effect;
        this.#toClient(life, token, (connection) => {
          life.connections.delete(token);
          connection.closed(code);
        });
        break;
      }
      case "asleep":
        this.sleeps += 1;
        life.alarm.only(life.server.deadline);
        life.parked.length = 0; // what is let go is no break
        if (this.onAsleep !== null) this.#tell(() => this.onAsleep?.(life));
        break;
      case "wakeOwner":
        this.owners.push(effect.parked);
        if (this.onWake !== null) this.#tell(() => this.onWake?.(life, effect.parked));
        break;
      case "abort":
        this.#beginAnew(life);
    }
  }

  #respond(life: Life, { token, xid, answer }: Extract<ServerEffect, { type: "respond" }>): void {
    if (life.connections.has(token)) {
      this.#toClient(life, token, (connection) => connection.respond(xid, answer));
      return;
    }
    const request = life.requests.get(token);
    if (request !== undefined) {
      const { answered, isFresh } = request;
      if (isFresh && (answer.ok || answer.code === "NO_NODE")) this.invariants.readiness.reads(life);
      this.#gated(life, () =>
        this.#tell(() => {
          if (life.requests.delete(token)) answered(answer);
        }),
      );
      return;
    }
    const asked = this.#asked.get(token);
    if (asked === undefined) return;
    this.#asked.delete(token);
    this.#gated(life, () => {
      this.answers.set(token, answer);
      this.invariants.requests.responded(life, asked, answer);
    });
  }

  /** What a client does of it comes when the effects at hand are run. */
  #toClient(life: Life, token: Token, tell: (connection: Connection) => void): void {
    this.#gated(life, () =>
      this.#tell(() => {
        const connection = life.connections.get(token);
        if (connection !== undefined) tell(connection);
      }),
    );
  }

  #tell(tell: () => void): void {
    if (this.#running === 0) tell();
    else this.#untold.push(tell);
  }

  #dropClients(life: Life): void {
    const connections = [...life.connections];
    life.connections.clear();
    for (const [token, connection] of connections) {
      life.server.forget(token);
      this.#tell(() => connection.closed());
    }
  }

  /** Lets something out once everything written before it is durable. */
  #gated(life: Life, run: () => void): void {
    if (life.gate.length === 0 && life.disk.pending === 0) run();
    else life.gate.push({ number: life.disk.written, run });
  }

  /** One sync at a time: it covers what was written when it began. */
  #syncSoon(life: Life): void {
    if (life.syncing || life.disk.pending === 0 || life.disk.fenced) return;
    life.syncing = true;
    const number = life.disk.written;
    this.#after(this.#between(this.#fsync), () => {
      life.syncing = false;
      if (!life.alive || life.disk.fenced) return;
      life.disk.sync(number);
      life.durable = number;
      this.invariants.synced(life);
      this.#syncSoon(life);
      this.#onLife(life, () => this.#durable(life));
    });
  }

  #durable(life: Life): void {
    while ((life.gate[0]?.number ?? Number.POSITIVE_INFINITY) <= life.durable) life.gate.shift()?.run();
    let seq: number | undefined;
    while ((life.persists[0]?.number ?? Number.POSITIVE_INFINITY) <= life.durable) {
      seq = life.persists.shift()?.seq;
    }
    if (seq !== undefined && life.alive) this.#step(life, { type: "persisted", seq });
  }

  // ── calls ────────────────────────────────────────────────────────────────

  #post(life: Life, outgoing: Outgoing[]): void {
    for (const { to, generation, messages } of outgoing) {
      const channel = this.#channel(life, to, generation);
      const { boot, version } = life.server.zab;
      const origin = { from: life.sid, boot, generation, seq: channel.seq, version };
      channel.seq += 1;
      this.#gated(life, () => {
        for (const message of messages) this.invariants.leaving(life, to, message);
        this.#call(life, to, channel, origin, messages);
      });
    }
    outgoing.length = 0;
  }

  #channel(life: Life, to: Sid, generation: number): Channel {
    const key = generation * 16 + to;
    let channel = life.channels.get(key);
    if (channel === undefined) {
      channel = { seq: 0, dead: false, lastArrival: 0, lastReturn: 0, underWay: new Map() };
      life.channels.set(key, channel);
    }
    return channel;
  }

  #call(life: Life, to: Sid, channel: Channel, origin: CallOrigin, messages: readonly PeerMessage[]): void {
    const { faults } = this;
    let at = this.#arrival(life.sid, to, channel.lastArrival);
    if (this.#returns !== null && (this.#backChannel(to, life)?.lastReturn ?? 0) > at)
      this.crossed.behind += 1;
    if (faults.reorder > 0 && this.#random() < faults.reorder) at += this.#between([1, 200]);
    else channel.lastArrival = at;
    channel.underWay.set(origin.seq, at);
    this.#queue.push(at, () => this.#arrive(life, to, channel, origin, messages, true));
    if (faults.duplicate > 0 && this.#random() < faults.duplicate) {
      const again = at + this.#between([0, 2_000]);
      this.#queue.push(again, () => this.#arrive(life, to, channel, origin, messages, false));
    }
  }

  /** @param counts whether the caller waits for this delivery: not for a second one */
  #arrive(
    life: Life,
    to: Sid,
    channel: Channel,
    origin: CallOrigin,
    messages: readonly PeerMessage[],
    counts: boolean,
  ): void {
    if (counts) channel.underWay.delete(origin.seq);
    if (this.#cut.has(linkOf(life.sid, to))) return; // silence: neither delivered nor refused
    const disturbed = counts && this.onDelivery?.(life.sid, to, messages, false) === true;
    const callee = this.member(to).life;
    if (channel.dead && this.#random() < 0.5) return; // what was behind a break may be lost with it
    const fail = (): void => {
      channel.dead = true;
      this.#after(this.#delay(), () => this.#broken(life, to, origin.generation));
    };
    const failed = disturbed || (counts && this.faults.failCall > 0 && this.#random() < this.faults.failCall);
    if (callee === null || failed) {
      if (counts) fail();
      return;
    }
    if (counts) callee.answering.add(fail);
    const arrivedAt = this.now;
    this.#inOrder(life, callee, origin, () => {
      this.#mix(((this.now & 0xffff) << 8) ^ (life.sid << 4) ^ to);
      const { zab } = callee.server;
      const { inGeneration, inSeq } = must(zab.links.get(life.sid), "a peer has a link");
      const age = origin.boot - zab.incarnationOf(life.sid) || origin.generation - inGeneration;
      const taken = age > 0 || (age === 0 && origin.seq >= inSeq);
      if (this.#ordered && age === 0) this.#checkOrder(life, callee, channel, inSeq, origin.seq, arrivedAt);
      for (const message of messages) this.#seen(life, callee, message, false, taken);
      const replies = this.#step(callee, { type: "call", origin, messages });
      if (!callee.alive) return;
      if (callee.refused) {
        callee.refused = false;
        callee.answering.delete(fail);
        if (counts) fail();
        return;
      }
      this.#handled(life, callee, messages);
      if (!counts) return;
      this.#gated(callee, () => {
        callee.answering.delete(fail);
        for (const reply of replies) this.invariants.leaving(callee, life.sid, reply);
        this.#return(life, callee, channel, origin.generation, replies);
      });
    });
  }

  /** Runs `handle` when it is the turn of the call. */
  #inOrder(caller: Life, callee: Life, { boot, generation, seq }: CallOrigin, handle: () => void): void {
    this.#onLife(callee, () => {
      if (!this.#ordered) {
        handle();
        return;
      }
      let order = callee.orders.get(caller.sid);
      if (order === undefined) {
        order = new CallOrder(CALL_WAIT_MS, (ms, run) => this.#cancellable(callee, ms, run));
        callee.orders.set(caller.sid, order);
      }
      const take = (): void => {
        handle();
        order.done(boot, generation, seq);
      };
      if (order.isTurn(boot, generation, seq)) take();
      else order.wait(seq, () => this.#after(0, () => this.#onLife(callee, take)));
    });
  }

  /** Something that a life does later, unless it is cancelled before. @returns cancels it */
  #cancellable(life: Life, ms: number, run: () => void): () => void {
    let isCancelled = false;
    this.#after(ms, () => {
      if (!isCancelled) this.#onLife(life, run);
    });
    return () => {
      isCancelled = true;
    };
  }

  /** No call is handled before one of its link that was to arrive within the time that it may wait. */
  #checkOrder(
    caller: Life,
    callee: Life,
    channel: Channel,
    next: number,
    seq: number,
    arrivedAt: number,
  ): void {
    // What waits is let go when a call of a later link has come.
    if (this.#backChannel(caller.sid, callee) !== channel) return;
    let isEarly = false;
    for (let missing = next; missing < seq; missing++) {
      const at = channel.underWay.get(missing);
      if (at !== undefined && at - arrivedAt < CALL_WAIT_MS) isEarly = true;
    }
    this.invariants.must(
      "CallOrder",
      !isEarly,
      () => `call ${seq} of ${caller.sid} is handled by ${callee.sid} before call ${next}`,
    );
  }

  #return(
    life: Life,
    callee: Life,
    channel: Channel,
    generation: number,
    messages: readonly PeerMessage[],
  ): void {
    const { boot, version } = callee.server.zab;
    const lost = this.faults.loseReturn > 0 && this.#random() < this.faults.loseReturn;
    const delay = this.#returns === null ? this.#delay() : this.#crossingDelay(this.#returns);
    const at = this.#arrival(callee.sid, life.sid, channel.lastReturn, delay);
    channel.lastReturn = at;
    if (this.#returns !== null && (this.#backChannel(callee.sid, life)?.lastArrival ?? 0) > at)
      this.crossed.ahead += 1;
    this.#queue.push(at, () => {
      if (this.#cut.has(linkOf(callee.sid, life.sid))) return;
      const disturbed = this.onDelivery?.(callee.sid, life.sid, messages, true) === true;
      // What was under way when the peer ended may still arrive, or not.
      if (lost || disturbed || (!callee.alive && this.#random() < 0.5)) {
        channel.dead = true;
        this.#broken(life, callee.sid, generation);
        return;
      }
      this.#onLife(life, () => {
        const { zab } = life.server;
        const link = must(zab.links.get(callee.sid), "a peer has a link");
        const taken = link.generation === generation && boot >= zab.incarnationOf(callee.sid);
        for (const message of messages) this.#seen(callee, life, message, true, taken);
        this.#step(life, { type: "returned", peer: callee.sid, generation, boot, version, messages });
        if (life.alive) this.#handled(callee, life, messages);
      });
    });
  }

  /** @param taken whether the link's rules let the core have it */
  #seen(from: Life, to: Life, message: PeerMessage, isReturn: boolean, taken: boolean): void {
    assertReadable(message, to.server.zab.version);
    this.#mix(message.type.charCodeAt(0) * 31 + message.type.charCodeAt(message.type.length - 1));
    if (taken) this.invariants.arriving(from, to, message, isReturn);
    this.onMessage?.(from.sid, to.sid, message, isReturn);
  }

  #handled(from: Life, to: Life, messages: readonly PeerMessage[]): void {
    if (!to.server.zab.accepted) return;
    for (const message of messages) this.invariants.handled(from, to, message);
  }

  /** When something that leaves now arrives: behind what went before it on this channel. */
  #arrival(from: number, to: number, last: number, delay = this.#delay()): number {
    let at = this.now + delay;
    if (this.#slow.size > 0) at += (this.#slow.get(from) ?? 0) + (this.#slow.get(to) ?? 0);
    if (this.#clogged.size > 0) at = Math.max(at, this.#clogged.get(linkOf(from, to)) ?? 0);
    return Math.max(at, last);
  }

  /** How long a return takes that is on another way than calls: no time, or up to four times that of the slowest call; ms. */
  #crossingDelay(unit: () => number): number {
    return unit() < 0.5 ? 0 : Math.floor(unit() * 4 * this.#latency[1]);
  }

  /** The channel on which `caller` calls this life now; undefined: it has not called yet, or is down. */
  #backChannel(caller: Sid, { sid }: Life): Channel | undefined {
    const { life } = this.member(caller);
    const link = life?.server.zab.links.get(sid);
    return link === undefined ? undefined : life?.channels.get(link.generation * 16 + sid);
  }

  #broken(life: Life, peer: Sid, generation: number): void {
    this.#onLife(life, () => this.#step(life, { type: "linkBroken", peer, generation }));
  }
}

/** More connections than a life has. */
const REQUEST_TOKENS = 2 ** 32;

/** What goes to one peer in one call. */
interface Outgoing {
  readonly to: Sid;
  readonly generation: number;
  readonly messages: PeerMessage[];
}

/** What storage refuses, or what it holds is wrong: no fault of the core. */
const isStorageError = (error: unknown): error is Error =>
  error instanceof DamagedError || error instanceof DiskFullError || error instanceof FencedError;

/** Its alarm is set, and does not ring. */
const isAlarmLost = ({ alarmMs, alarmAt }: Life): boolean =>
  Number.isFinite(alarmMs) && !Number.isFinite(alarmAt);

/** Nobody waits for it: nothing else runs before the simulation's next event. */
const DONE = Promise.resolve();

/** One direction between two members, as one number. */
const linkOf = (from: number, to: number): number => from * 16 + to;

/** The first version that reads each format, by format. */
const SNAPCHUNK_VERSIONS = [0, 1, 2];
const RECORD_VERSIONS = [1, 2];

/** What a member is sent is of a format that its version reads. */
function assertReadable(message: PeerMessage, version: number): void {
  if (message.type === "SNAPCHUNK") {
    const format = message.bytes[0] ?? 0;
    assert(
      version >= (SNAPCHUNK_VERSIONS[format] ?? Infinity),
      `version ${version} gets a chunk of ${format}`,
    );
  }
  if (message.type !== "PROPOSAL") return;
  for (const cursor = new TxnCursor(message.batch); cursor.next(); ) {
    const format = message.batch[cursor.start] ?? 0;
    assert(version >= (RECORD_VERSIONS[format] ?? Infinity), `version ${version} gets a record of ${format}`);
  }
}
