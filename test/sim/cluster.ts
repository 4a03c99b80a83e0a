/**
 * A whole ensemble in one deterministic process: the real core of every member, with virtual time, network and storage. One
 * event at a time; the same seed gives the same run. Members crash with a prefix of what they wrote, calls fail with unknown
 * outcome, links can be cut one way, members pause with their memory. What leaves a member waits for the writes before it,
 * as the platform's output gate has it. {@link Invariants} are checked after every event.
 */
import { assert, must } from "../../core/assert.ts";
import { makeServerConfig, type ServerConfig } from "../../core/server/config.ts";
import type { ServerAnswer, ServerEffect, ServerInput } from "../../core/server/effects.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Token } from "../../core/server/pending.ts";
import type { ParkedSession } from "../../core/server/quiet.ts";
import { EnsembleServer } from "../../core/server/server.ts";
import { MemberStorage } from "../../core/server/storage.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import type { TraceEvent } from "../../core/zab/effects.ts";
import { asSid, type Sid } from "../../core/zab/quorum.ts";
import { compareZxid } from "../../core/zab/zxid.ts";
import { NO_SESSION, type ReadRequest, type SessionId, type WriteRequest } from "../../core/znode/types.ts";
import { SimDisk } from "./disk.ts";
import { Invariants } from "./invariants.ts";

/** A random number generator that can be seeded. @source splitmix32 */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** One life of a member. */
export interface Life {
  readonly server: EnsembleServer;
  readonly storage: MemberStorage;
  readonly sequences: Map<string, number>;
  /** callers whose parked call ends with this life */
  readonly parked: { readonly caller: Sid; readonly life: Life; readonly generation: number }[];
  /** calls being answered: their callers see a break when this life ends */
  readonly answering: Set<() => void>;
  /** what waits for a write to be durable before it leaves */
  readonly gate: { readonly number: number; readonly run: () => void }[];
  /** *map number of a group of writes → persist effect* */
  readonly persists: Map<number, number>;
  /** group of writes up to which all is durable */
  durable: number;
  lastSyncAt: number;
  /** what happened to it while it was paused; null: it runs */
  backlog: (() => void)[] | null;
  alive: boolean;
}

export interface Member {
  readonly sid: Sid;
  disk: SimDisk;
  life: Life | null;
  lives: number;
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
}

/** Probabilities of what may go wrong with one call, and what alarms may do. */
export interface Faults {
  /** executed, but the caller sees a break */
  loseReturn: number;
  /** not executed, and the caller sees a break */
  failCall: number;
  /** an alarm comes later by up to this; ms */
  alarmLateMs: number;
  /** an alarm comes though nothing is due */
  spuriousTick: number;
}

export class Cluster {
  readonly members: readonly Member[];
  readonly config: ServerConfig;
  readonly seed: number;
  readonly trace: { at: number; sid: Sid; event: TraceEvent }[] = [];
  /** map token → answer */
  readonly answers = new Map<Token, ServerAnswer>();
  /** whom a leader would wake */
  readonly owners: ParkedSession[] = [];
  readonly notified: { token: Token; path: string; type: number }[] = [];
  readonly invariants = new Invariants(this);
  readonly faults: Faults = { loseReturn: 0, failCall: 0, alarmLateMs: 0, spuriousTick: 0 };
  /** Asked before every effect is run; may end the member there. */
  onEffect: ((sid: Sid, effect: ServerEffect) => CrashOrder | undefined) | null = null;
  /** Sees every message that arrives. */
  onMessage: ((from: Sid, to: Sid, message: PeerMessage, isReturn: boolean) => void) | null = null;
  readonly #random: () => number;
  readonly #latency: readonly [number, number];
  readonly #fsync: readonly [number, number];
  readonly #queue: Event[] = [];
  /** "from>to" links that lose every call */
  readonly #cut = new Set<string>();
  /** "from#boot>to#generation" channels that have broken */
  readonly #dead = new Set<string>();
  readonly #lastArrival = new Map<string, number>();
  #order = 0;
  /** events in a row that took no time */
  #stuck = 0;
  #tokens = 0;
  /** events run so far */
  events = 0;
  now = 1_000_000;

  constructor(options: ClusterOptions) {
    this.config = makeServerConfig({ quietAfterMs: 0, ...options.config });
    this.seed = options.seed ?? 1;
    this.#random = random(this.seed);
    this.#latency = options.latencyMs ?? [1, 3];
    this.#fsync = options.fsyncMs ?? [0, 2];
    this.members = Array.from({ length: options.size }, (_, i) => ({
      sid: asSid(i + 1),
      disk: new SimDisk(),
      life: null,
      lives: 0,
    }));
  }

  /** A number of [0, 1) of this run's own chance. */
  chance(): number {
    return this.#random();
  }

  // ── life and death ───────────────────────────────────────────────────────

  startAll(): void {
    for (const member of this.members) if (member.life === null) this.start(member.sid);
  }

  start(sid: number): void {
    const member = this.member(sid);
    assert(member.life === null, "a member starts once");
    const storage = new MemberStorage(member.disk);
    const { recovered, tree } = storage.recover(member.lives + 1);
    const server = new EnsembleServer({
      sid: member.sid,
      size: this.members.length,
      config: this.config,
      log: storage.log,
      snapshot: storage,
      recovered,
      tree,
    });
    server.zab.tracing = true;
    const life: Life = {
      server,
      storage,
      sequences: new Map(),
      parked: [],
      answering: new Set(),
      gate: [],
      persists: new Map(),
      durable: 0,
      lastSyncAt: this.now,
      backlog: null,
      alive: true,
    };
    member.life = life;
    member.lives += 1;
    this.invariants.started(member);
    this.#syncLater(member, life, member.disk.written);
    this.#step(member, life, { type: "start" });
    this.#watchClock(member, life);
    this.invariants.check();
  }

  /**
   * The member loses its memory, and what it wrote is kept as far as it was durable.
   * @param keep groups of writes beyond that which survive all the same
   */
  crash(sid: number, keep = 0): void {
    const member = this.member(sid);
    const life = must(member.life, "only a member that lives crashes");
    life.alive = false;
    life.gate.length = 0;
    member.life = null;
    member.disk.crash(keep);
    this.invariants.crashed(member);
    for (const fail of life.answering) fail();
    for (const { caller, life: callerLife, generation } of life.parked) {
      this.#after(this.#delay(), () => this.#broken(caller, callerLife, member.sid, generation));
    }
  }

  /** Crashes every member that lives. */
  crashAll(keep = 0): void {
    for (const { sid, life } of this.members) if (life !== null) this.crash(sid, keep);
  }

  /** A member that is down loses its storage too. */
  wipe(sid: number): void {
    const member = this.member(sid);
    assert(member.life === null, "only a member that is down is wiped");
    member.disk = new SimDisk();
    this.invariants.wiped(member);
  }

  /** The member stands still with its memory; what happens to it happens when it goes on. */
  pause(sid: number): void {
    const life = must(this.member(sid).life, "only a member that lives pauses");
    life.backlog ??= [];
  }

  resume(sid: number): void {
    const life = must(this.member(sid).life, "only a member that lives goes on");
    const backlog = life.backlog ?? [];
    life.backlog = null;
    for (const run of backlog) if (life.alive) run();
    this.invariants.check();
  }

  /** Feeds a tick though nobody asked for one. */
  tick(sid: number): void {
    const member = this.member(sid);
    this.#step(member, must(member.life, `member ${sid} is down`), { type: "tick" });
    this.invariants.check();
  }

  /** Loses every call from one member to the other, and the returns of the calls the other way. */
  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`);
  }

  isolate(sid: number): void {
    for (const { sid: other } of this.members) {
      if (other === sid) continue;
      this.cut(sid, other);
      this.cut(other, sid);
    }
  }

  heal(): void {
    this.#cut.clear();
  }

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

  // ── clients ──────────────────────────────────────────────────────────────

  write(sid: number, request: WriteRequest, session: SessionId = NO_SESSION, xid = 0): Token {
    return this.writes(sid, [{ request, session, xid }])[0] as Token;
  }

  /** Several writes in one turn of the member. */
  writes(
    sid: number,
    requests: readonly { request: WriteRequest; session?: SessionId; xid?: number }[],
  ): Token[] {
    const member = this.member(sid);
    const life = must(member.life, `member ${sid} is down`);
    const tokens = requests.map(({ request, session = NO_SESSION, xid = 0 }) => {
      const token = this.#token();
      this.invariants.submitted(member, token, session, false);
      life.server.submitWrite(this.now, token, { session, xid, ...encodeWrite(request) });
      return token;
    });
    this.#run(member, life, life.server.flush(this.now));
    this.invariants.check();
    return tokens;
  }

  read(
    sid: number,
    request: ReadRequest,
    linearizable = false,
    session: SessionId = NO_SESSION,
    stale = false,
  ): Token {
    const token = this.#token();
    const member = this.member(sid);
    const life = must(member.life, `member ${sid} is down`);
    this.invariants.submitted(member, token, session, linearizable);
    life.server.submitRead(this.now, token, { session, xid: 0, request, linearizable, stale });
    this.#run(member, life, life.server.flush(this.now));
    this.invariants.check();
    return token;
  }

  touch(sid: number, session: SessionId): void {
    const member = this.member(sid);
    const life = must(member.life, `member ${sid} is down`);
    life.server.touch(this.now, session);
    this.#run(member, life, life.server.flush(this.now));
  }

  #token(): Token {
    this.#tokens += 1;
    return this.#tokens as Token;
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Runs until the condition holds. @throws when it does not within `limitMs` of virtual time */
  runUntil(condition: () => boolean, limitMs = 60_000, what = "the condition"): void {
    const end = this.now + limitMs;
    while (!condition()) {
      assert(
        this.now <= end && this.#queue.length > 0,
        `${what} does not hold after ${limitMs} ms; ${this.describe()}`,
      );
      this.#next();
    }
  }

  runFor(ms: number): void {
    const end = this.now + ms;
    while ((this.#queue[0]?.at ?? Number.POSITIVE_INFINITY) <= end) this.#next();
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
          compareZxid(server.tree.lastApplied, leader.zab.tail.zxid) === 0,
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
        const places = [zab.tail.zxid, zab.committed, tree.lastApplied].map((z) => `${z.epoch}.${z.counter}`);
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

  #after(ms: number, run: () => void): void {
    const event = { at: this.now + ms, order: this.#order++, run };
    let at = this.#queue.length;
    while (at > 0) {
      const before = must(this.#queue[at - 1], "an index within the queue");
      if (before.at < event.at || (before.at === event.at && before.order < event.order)) break;
      at -= 1;
    }
    this.#queue.splice(at, 0, event);
  }

  #next(): void {
    const event = must(this.#queue.shift(), "an event is left");
    this.#stuck = event.at > this.now ? 0 : this.#stuck + 1;
    assert(this.#stuck < 20_000, `time goes on; ${this.describe()} (seed ${this.seed})`);
    this.now = Math.max(this.now, event.at);
    this.events += 1;
    event.run();
    this.invariants.check();
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

  #watchClock(member: Member, life: Life): void {
    const late = this.faults.alarmLateMs === 0 ? 0 : this.#between([0, this.faults.alarmLateMs]);
    const wait = Math.max(1, Math.min(life.server.deadline - this.now, 50)) + late;
    this.#after(wait, () => {
      if (!life.alive) return;
      this.#onLife(life, () => {
        const spurious = this.faults.spuriousTick > 0 && this.#random() < this.faults.spuriousTick;
        if (spurious || this.now >= life.server.deadline) this.#step(member, life, { type: "tick" });
      });
      this.#watchClock(member, life);
    });
  }

  // ── effects ──────────────────────────────────────────────────────────────

  #step(member: Member, life: Life, input: ServerInput): PeerMessage[] {
    return this.#run(member, life, life.server.step(this.now, input));
  }

  /** Runs the effects in order. @returns the replies */
  #run(member: Member, life: Life, effects: readonly ServerEffect[]): PeerMessage[] {
    const replies: PeerMessage[] = [];
    this.invariants.applied(member, life);
    for (const effect of effects) {
      const order = this.onEffect?.(member.sid, effect);
      if (order?.when === "before") this.crash(member.sid, order.keep);
      if (!life.alive) return [];
      this.#runOne(member, life, effect, replies);
      if (order?.when === "after" && life.alive) this.crash(member.sid, order.keep);
      if (!life.alive) return [];
    }
    if (life.server.checkpointDue(life.storage.logBytes)) {
      life.storage.checkpoint(life.server.tree.takeChanges(), this.config);
      this.#syncLater(member, life, member.disk.written);
    }
    return replies;
  }

  #runOne(member: Member, life: Life, effect: ServerEffect, replies: PeerMessage[]): void {
    switch (effect.type) {
      case "persist": {
        this.invariants.persisting(member, life, effect.writes);
        life.storage.persist(effect.writes);
        this.invariants.persisted(member, life);
        const number = member.disk.commit();
        life.persists.set(number, effect.seq);
        this.#syncLater(member, life, number);
        break;
      }
      case "send": {
        const { to, generation, message } = effect;
        const channel = `${to}#${generation}`;
        const seq = life.sequences.get(channel) ?? 0;
        life.sequences.set(channel, seq + 1);
        this.#gated(member, life, () => {
          this.invariants.leaving(member, message);
          this.#call(member, life, to, generation, seq, message);
        });
        break;
      }
      case "reply":
        replies.push(effect.message);
        break;
      case "park": {
        const peer = this.member(effect.peer).life;
        const { generation } = effect;
        if (peer !== null) peer.parked.push({ caller: member.sid, life, generation });
        else this.#after(this.#delay(), () => this.#broken(member.sid, life, effect.peer, generation));
        break;
      }
      case "respond":
        this.#gated(member, life, () => {
          this.answers.set(effect.token, effect.answer);
          this.invariants.responded(member, effect.token, effect.answer);
        });
        break;
      case "notify":
        this.notified.push({ token: effect.token, path: effect.event.path, type: effect.event.type });
        break;
      case "hold":
        this.#after(effect.ms, () =>
          this.#onLife(life, () => this.#step(member, life, { type: "released" })),
        );
        break;
      case "yield":
        this.#after(0, () => this.#onLife(life, () => this.#step(member, life, { type: "yielded" })));
        break;
      case "reloadTree":
        replies.push(...this.#run(member, life, life.server.loadTree(this.now, life.storage.loadTree())));
        break;
      case "trace":
        this.trace.push({ at: this.now, sid: member.sid, event: effect.event });
        break;
      case "dropClients":
        break;
      case "asleep":
        life.parked.length = 0; // what is let go is no break
        break;
      case "wakeOwner":
        this.owners.push(effect.parked);
        break;
      case "abort":
        throw new Error(`member ${member.sid} aborts: ${effect.reason}`);
    }
  }

  /** Lets something out once everything written before it is durable. */
  #gated(member: Member, life: Life, run: () => void): void {
    if (life.gate.length === 0 && member.disk.pending === 0) run();
    else life.gate.push({ number: member.disk.written, run });
  }

  #syncLater(member: Member, life: Life, number: number): void {
    const at = Math.max(this.now + this.#between(this.#fsync), life.lastSyncAt);
    life.lastSyncAt = at;
    this.#after(at - this.now, () => {
      if (!life.alive || number <= life.durable) return;
      member.disk.sync(number);
      life.durable = number;
      this.invariants.synced(member, life);
      this.#onLife(life, () => {
        while ((life.gate[0]?.number ?? Number.POSITIVE_INFINITY) <= life.durable) life.gate.shift()?.run();
        const seq = life.persists.get(number);
        if (seq !== undefined) this.#step(member, life, { type: "persisted", seq });
      });
    });
  }

  #call(member: Member, life: Life, to: Sid, generation: number, seq: number, message: PeerMessage): void {
    const origin = { from: member.sid, boot: life.storage.meta.boot, generation, seq };
    const link = `${member.sid}>${to}`;
    const channel = `${member.sid}#${origin.boot}>${to}#${generation}`;
    const fail = (): void => {
      this.#dead.add(channel);
      this.#after(this.#delay(), () => this.#broken(member.sid, life, to, generation));
    };
    this.#inOrder(channel, () => {
      const callee = this.member(to);
      const calleeLife = callee.life;
      if (this.#cut.has(link)) return; // silence: neither delivered nor refused
      if (this.#dead.has(channel) && this.#random() < 0.5) return; // what was behind a break may be lost with it
      const failed = this.faults.failCall > 0 && this.#random() < this.faults.failCall;
      if (calleeLife === null || failed) {
        fail();
        return;
      }
      calleeLife.answering.add(fail);
      this.#onLife(calleeLife, () => {
        this.onMessage?.(member.sid, to, message, false);
        const messages = this.#step(callee, calleeLife, { type: "call", origin, messages: [message] });
        if (!calleeLife.alive) return;
        this.#gated(callee, calleeLife, () => {
          calleeLife.answering.delete(fail);
          for (const reply of messages) this.invariants.leaving(callee, reply);
          this.#return(member, life, to, generation, calleeLife, channel, messages);
        });
      });
    });
  }

  #return(
    member: Member,
    life: Life,
    peer: Sid,
    generation: number,
    peerLife: Life,
    channel: string,
    messages: readonly PeerMessage[],
  ): void {
    const { boot } = peerLife.storage.meta;
    const lost = this.faults.loseReturn > 0 && this.#random() < this.faults.loseReturn;
    this.#inOrder(`${channel}#return`, () => {
      if (this.#cut.has(`${peer}>${member.sid}`)) return;
      // What was under way when the peer ended may still arrive, or not.
      if (lost || (!peerLife.alive && this.#random() < 0.5)) {
        this.#dead.add(channel);
        this.#broken(member.sid, life, peer, generation);
        return;
      }
      this.#onLife(life, () => {
        for (const message of messages) this.onMessage?.(peer, member.sid, message, true);
        this.#step(member, life, { type: "returned", peer, generation, boot, messages });
      });
    });
  }

  /** A channel delivers in the order in which it was given. */
  #inOrder(channel: string, run: () => void): void {
    const at = Math.max(this.now + this.#delay(), this.#lastArrival.get(channel) ?? 0);
    this.#lastArrival.set(channel, at);
    this.#after(at - this.now, run);
  }

  #broken(caller: Sid, life: Life, peer: Sid, generation: number): void {
    this.#onLife(life, () => this.#step(this.member(caller), life, { type: "linkBroken", peer, generation }));
  }
}
