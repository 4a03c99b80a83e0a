/**
 * A whole ensemble in one deterministic process: the real core of every member, with virtual time, network and storage. One
 * event at a time; the same seed gives the same run. Members crash with what they have stored, calls fail with unknown
 * outcome, links can be cut one way.
 */
import { assert, must } from "../../core/assert.ts";
import { makeServerConfig, type ServerConfig } from "../../core/server/config.ts";
import type { ServerAnswer, ServerEffect, ServerInput } from "../../core/server/effects.ts";
import { MemoryBackend } from "../../core/server/memory-backend.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Token } from "../../core/server/pending.ts";
import { EnsembleServer } from "../../core/server/server.ts";
import { MemberStorage } from "../../core/server/storage.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import type { TraceEvent } from "../../core/zab/effects.ts";
import { asSid, type Sid } from "../../core/zab/quorum.ts";
import { compareZxid } from "../../core/zab/zxid.ts";
import { NO_SESSION, type ReadRequest, type SessionId, type WriteRequest } from "../../core/znode/types.ts";

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
interface Life {
  readonly server: EnsembleServer;
  readonly storage: MemberStorage;
  readonly sequences: Map<string, number>;
  /** callers whose parked call ends with this life */
  readonly parked: { readonly caller: Sid; readonly life: Life; readonly generation: number }[];
  alive: boolean;
}

export interface Member {
  readonly sid: Sid;
  backend: MemoryBackend;
  life: Life | null;
}

export interface ClusterOptions {
  readonly size: number;
  readonly seed?: number;
  readonly config?: Partial<ServerConfig>;
  /** one way, ms: [least, most] */
  readonly latencyMs?: readonly [number, number];
  readonly fsyncMs?: readonly [number, number];
}

export class Cluster {
  readonly members: readonly Member[];
  readonly config: ServerConfig;
  readonly trace: { at: number; sid: Sid; event: TraceEvent }[] = [];
  /** map token → answer */
  readonly answers = new Map<Token, ServerAnswer>();
  readonly notified: { token: Token; path: string; type: number }[] = [];
  readonly #random: () => number;
  readonly #latency: readonly [number, number];
  readonly #fsync: readonly [number, number];
  readonly #queue: Event[] = [];
  /** "from>to" links that lose every call */
  readonly #cut = new Set<string>();
  readonly #lastArrival = new Map<string, number>();
  #order = 0;
  #tokens = 0;
  now = 1_000_000;

  constructor(options: ClusterOptions) {
    this.config = makeServerConfig(options.config);
    this.#random = random(options.seed ?? 1);
    this.#latency = options.latencyMs ?? [1, 3];
    this.#fsync = options.fsyncMs ?? [0, 2];
    this.members = Array.from({ length: options.size }, (_, i) => ({
      sid: asSid(i + 1),
      backend: new MemoryBackend(),
      life: null,
    }));
  }

  // ── life and death ───────────────────────────────────────────────────────

  startAll(): void {
    for (const member of this.members) this.start(member.sid);
  }

  start(sid: number): void {
    const member = this.member(sid);
    assert(member.life === null, "a member starts once");
    const storage = new MemberStorage(member.backend);
    const { recovered, tree } = storage.recover();
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
    const life: Life = { server, storage, sequences: new Map(), parked: [], alive: true };
    member.life = life;
    this.#step(member, life, { type: "start" });
    this.#watchClock(member, life);
  }

  /** The member loses its memory; what it has stored stays. */
  crash(sid: number): void {
    const member = this.member(sid);
    const life = must(member.life, "only a member that lives crashes");
    life.alive = false;
    member.life = null;
    for (const { caller, life: callerLife, generation } of life.parked) {
      this.#after(this.#delay(), () => this.#broken(caller, callerLife, member.sid, generation));
    }
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

  // ── clients ──────────────────────────────────────────────────────────────

  write(sid: number, request: WriteRequest, session: SessionId = NO_SESSION, xid = 0): Token {
    const token = this.#token();
    const member = this.member(sid);
    const life = must(member.life, `member ${sid} is down`);
    life.server.submitWrite(this.now, token, { session, xid, ...encodeWrite(request) });
    this.#run(member, life, life.server.flush(this.now));
    return token;
  }

  read(sid: number, request: ReadRequest, linearizable = false, session: SessionId = NO_SESSION): Token {
    const token = this.#token();
    const member = this.member(sid);
    const life = must(member.life, `member ${sid} is down`);
    life.server.submitRead(this.now, token, { session, xid: 0, request, linearizable, stale: false });
    this.#run(member, life, life.server.flush(this.now));
    return token;
  }

  touch(sid: number, session: SessionId): void {
    this.server(sid).touch(this.now, session);
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
      assert(this.now <= end && this.#queue.length > 0, `${what} does not hold after ${limitMs} ms`);
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
    this.runUntil(
      () => {
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
      },
      limitMs,
      "agreement",
    );
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
    this.now = Math.max(this.now, event.at);
    event.run();
  }

  #delay(): number {
    return this.#between(this.#latency);
  }

  #between([least, most]: readonly [number, number]): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  #watchClock(member: Member, life: Life): void {
    const wait = Math.max(1, Math.min(life.server.deadline - this.now, 50));
    this.#after(wait, () => {
      if (!life.alive) return;
      if (this.now >= life.server.deadline) this.#step(member, life, { type: "tick" });
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
    for (const effect of effects) {
      switch (effect.type) {
        case "persist":
          life.storage.persist(effect.writes);
          this.#after(this.#between(this.#fsync), () => {
            if (life.alive) this.#step(member, life, { type: "persisted", seq: effect.seq });
          });
          break;
        case "send":
          this.#call(member, life, effect.to, effect.generation, effect.message);
          break;
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
          this.answers.set(effect.token, effect.answer);
          break;
        case "notify":
          this.notified.push({ token: effect.token, path: effect.event.path, type: effect.event.type });
          break;
        case "yield":
          this.#after(0, () => {
            if (life.alive) this.#step(member, life, { type: "yielded" });
          });
          break;
        case "reloadTree":
          replies.push(...this.#run(member, life, life.server.loadTree(this.now, life.storage.loadTree())));
          break;
        case "trace":
          this.trace.push({ at: this.now, sid: member.sid, event: effect.event });
          break;
        case "dropClients":
          break;
        case "abort":
          throw new Error(`member ${member.sid} aborts: ${effect.reason}`);
      }
    }
    if (life.server.checkpointDue(life.storage.logBytes)) {
      life.storage.checkpoint(life.server.tree.takeChanges(), this.config.logRetainTxns);
    }
    return replies;
  }

  #call(member: Member, life: Life, to: Sid, generation: number, message: PeerMessage): void {
    const channel = `${to}#${generation}`;
    const seq = life.sequences.get(channel) ?? 0;
    life.sequences.set(channel, seq + 1);
    const origin = { from: member.sid, boot: life.storage.meta.boot, generation, seq };
    const link = `${member.sid}>${to}`;
    const fail = (): void => this.#after(this.#delay(), () => this.#broken(member.sid, life, to, generation));
    this.#inOrder(`${link}#${origin.boot}#${generation}`, () => {
      const callee = this.member(to);
      const calleeLife = callee.life;
      if (this.#cut.has(link)) return; // silence: neither delivered nor refused
      if (calleeLife === null) {
        fail();
        return;
      }
      const held = this.#between(this.#fsync);
      const messages = this.#step(callee, calleeLife, { type: "call", origin, messages: [message] });
      const boot = calleeLife.storage.meta.boot;
      this.#inOrder(
        `${link}#${origin.boot}#${generation}#return`,
        () => {
          if (this.#cut.has(`${to}>${member.sid}`) || !life.alive) return;
          if (!calleeLife.alive) this.#broken(member.sid, life, to, generation);
          else this.#step(member, life, { type: "returned", peer: to, generation, boot, messages });
        },
        held,
      );
    });
  }

  /** A channel delivers in the order in which it was given. */
  #inOrder(channel: string, run: () => void, extraMs = 0): void {
    const at = Math.max(this.now + this.#delay() + extraMs, this.#lastArrival.get(channel) ?? 0);
    this.#lastArrival.set(channel, at);
    this.#after(at - this.now, run);
  }

  #broken(caller: Sid, life: Life, peer: Sid, generation: number): void {
    if (life.alive) this.#step(this.member(caller), life, { type: "linkBroken", peer, generation });
  }
}
