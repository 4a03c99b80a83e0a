/**
 * Runs the programs of brokers on a tree in memory, one step at a time: virtual time, calls that break, sessions that
 * expire, brokers that crash. What a step does happens at once; what waits is resumed when its time comes.
 */
import { assert, assertNever, must } from "../../../core/assert.ts";
import { BrokerLoop } from "../../../core/broker/broker-loop.ts";
import type { ClusterCondition } from "../../../core/broker/cluster-view.ts";
import { BROKER_CONFIG } from "../../../core/broker/config.ts";
import { EnsembleSession } from "../../../core/broker/ensemble-session.ts";
import type {
  BrokerStep,
  NodeAnswer,
  NodeCall,
  Parked,
  PartitionCall,
  Program,
  Resumed,
  StepResults,
} from "../../../core/broker/program.ts";
import { Topics } from "../../../core/broker/topics.ts";
import type { ZooErrorCode } from "../../../core/errors.ts";
import { zxid, zxidToText } from "../../../core/zab/zxid.ts";
import { Prep } from "../../../core/znode/prep.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import {
  makeSessionId,
  NO_SESSION,
  type SessionId,
  type WriteRequest,
  type WriteResult,
} from "../../../core/znode/types.ts";

/** A tree and its sessions, as a committed state that all nodes have. */
export class Ensemble {
  readonly tree = new ZnodeTree();
  readonly #prep = new Prep(this.tree);
  readonly #results = new Map<string, WriteResult>();
  #counter = 0;
  #sessions = 0;

  open(): SessionId {
    this.#sessions += 1;
    const session = makeSessionId(1, this.#sessions);
    this.write(session, 0, { type: "createSession", timeoutMs: 5_000 });
    return session;
  }

  /** Writes; a repeat of the same number gets the first result. */
  write(session: SessionId, xid: number, request: WriteRequest): WriteResult {
    const key = `${session} ${xid}`;
    const known = xid === 0 ? undefined : this.#results.get(key);
    if (known !== undefined) return known;
    this.#counter += 1;
    const header = { session, xid: this.#counter, zxid: zxid(1, this.#counter), timeMs: this.#counter };
    const result = this.tree.apply(header, this.#prep.prepare(header, request));
    this.#prep.committed(header.zxid);
    this.#results.set(key, result);
    return result;
  }

  has(session: SessionId): boolean {
    return this.tree.sessions.has(session);
  }

  close(session: SessionId): void {
    if (this.has(session)) this.write(session, 0, { type: "closeSession" });
  }

  isOutdated({ path, kind, since }: ClusterCondition): boolean {
    const node = this.tree.get(path);
    if (node === undefined) return since !== "0x0";
    const { mzxid, pzxid } = this.tree.stat(node);
    return zxidToText(kind === "data" ? mzxid : pzxid) !== since;
  }
}

const refused = (code: ZooErrorCode): NodeAnswer => ({ ok: false, code, message: code });

/** A program and what it waits for. */
interface Waiting {
  readonly program: Program<unknown>;
  /** the result, once there is one; undefined: not yet */
  readonly look: () => { readonly result: StepResults[keyof StepResults] } | undefined;
  readonly onEnd: (value: unknown) => void;
}

/** A broker: its programs, and what it keeps. */
export class TestBroker {
  readonly id: number;
  readonly world: World;
  session: EnsembleSession;
  loop: BrokerLoop;
  topics: Topics;
  stored: SessionId | undefined;
  /** the loop has slept so often; it sleeps now */
  asleep: (() => void) | undefined;
  isIdle = true;
  isUp = true;
  #programs: Waiting[] = [];
  readonly #turns: Program<unknown>[] = [];
  #shown = 0;

  constructor(id: number, world: World) {
    this.id = id;
    this.world = world;
    ({ session: this.session, loop: this.loop, topics: this.topics } = this.#parts());
    this.start(this.loop.run(undefined));
  }

  #parts(): { session: EnsembleSession; loop: BrokerLoop; topics: Topics } {
    const config = BROKER_CONFIG;
    const session = new EnsembleSession(3, (this.id % 3) + 1, config);
    const endpoint = { host: "localhost", port: 9090 + this.id };
    const isIdle = (): boolean => this.isIdle;
    const loop = new BrokerLoop({
      id: this.id,
      config,
      endpoint,
      applicationPaths: ["/app"],
      session,
      isIdle,
    });
    return { session, loop, topics: new Topics({ loop, brokerCount: this.world.count, session, config }) };
  }

  /** Its memory is lost; it begins again with what it has stored. */
  crash(): void {
    this.#programs = [];
    this.#turns.length = 0;
    this.asleep = undefined;
    ({ session: this.session, loop: this.loop, topics: this.topics } = this.#parts());
    this.start(this.loop.run(this.stored));
  }

  wake(epoch = 0): void {
    this.loop.woken(epoch);
    this.asleep?.();
  }

  start<T>(program: Program<T>, onEnd: (value: T) => void = () => {}): void {
    this.#resume(program as Program<unknown>, undefined, onEnd as (value: unknown) => void);
  }

  /** Lets each program that can continue do so. @returns whether one did */
  turn(): boolean {
    if (!this.isUp) return false;
    let acted = false;
    for (const waiting of [...this.#programs]) {
      if (!this.#programs.includes(waiting)) continue;
      const found = waiting.look();
      if (found === undefined) continue;
      acted = true;
      this.#programs.splice(this.#programs.indexOf(waiting), 1);
      this.#resume(waiting.program, found.result, waiting.onEnd);
    }
    return acted;
  }

  #resume(
    program: Program<unknown>,
    first: StepResults[keyof StepResults],
    onEnd: (value: unknown) => void,
  ): void {
    const next = program.next({ nowMs: this.world.nowMs, result: first } satisfies Resumed);
    if (next.done) onEnd(next.value);
    else this.#programs.push({ program, look: this.#perform(program, next.value), onEnd });
  }

  /** What resumes a program after a step. */
  #perform(program: Program<unknown>, step: BrokerStep): Waiting["look"] {
    const { world } = this;
    const at = world.nowMs;
    const done = (result: StepResults[keyof StepResults]) => () => ({ result });
    const after = (ms: number) => () => (world.nowMs >= at + ms ? { result: null } : undefined);
    switch (step.type) {
      case "now":
      case "endTurn":
        if (step.type === "endTurn") this.#turns.shift();
        return done(null);
      case "pause":
        return after(step.ms);
      case "node":
        return done(world.callNode(step.sid, step.call));
      case "reads":
        return done(step.calls.map((call) => world.callNode(step.sid, call)) as StepResults["reads"]);
      case "wait":
        return this.#wait(step.sid, step.call, step.timeoutMs);
      case "turn":
        this.#turns.push(program);
        return () => (this.#turns[0] === program ? { result: null } : undefined);
      case "partitions":
        return done(step.calls.map((call) => world.callPartition(call)));
      case "park":
        return () => world.parked(step.broker, at + step.timeoutMs);
      case "probe":
        return done(world.sessionOf(step.broker));
      case "newId":
        return done(`id-${world.newId()}`);
      case "storeSession":
        this.stored = step.session;
        return done(true);
      case "start":
        this.start(step.program);
        return done(null);
      case "show":
        this.#shown += 1;
        return done(null);
      case "shown": {
        const seen = this.#shown;
        const over = after(step.timeoutMs);
        return () => (this.#shown > seen ? { result: null } : over());
      }
      case "sleep": {
        let isAwake = false;
        this.asleep = () => {
          isAwake = true;
          this.asleep = undefined;
        };
        return () => (isAwake ? { result: null } : undefined);
      }
      default:
        return assertNever(step);
    }
  }

  #wait(sid: number, call: NodeCall<"waitForChange">, timeoutMs: number): Waiting["look"] {
    const { world, session } = this;
    const { moves } = session;
    const end = world.nowMs + timeoutMs;
    return () => {
      if (session.moves !== moves || world.nowMs >= end) return { result: null };
      if (world.down.has(sid)) return { result: undefined };
      if (world.asleepIn !== undefined)
        return { result: { ok: true, value: { changed: [], asleep: world.asleepIn } } };
      const changed = call.conditions.flatMap((each, i) => (world.ensemble.isOutdated(each) ? [i] : []));
      return changed.length === 0 ? undefined : { result: { ok: true, value: { changed } } };
    };
  }
}

/** Brokers, nodes and partitions that a test steers. */
export class World {
  readonly ensemble = new Ensemble();
  readonly brokers: TestBroker[] = [];
  readonly count: number;
  /** nodes whose calls break */
  readonly down = new Set<number>();
  /** nodes that carry a write out, and whose answers are lost */
  readonly mute = new Set<number>();
  /** what happens just before a write is carried out */
  beforeWrite = (_session: SessionId, _request: WriteRequest): void => {};
  /** epoch in which the ensemble fell asleep; undefined: it is awake */
  asleepIn: number | undefined;
  /** calls that partitions got, in order */
  readonly told: PartitionCall[] = [];
  /** calls of partitions that are not answered */
  unreachable = (_call: PartitionCall): boolean => false;
  nowMs = 1_000_000;
  #ids = 0;

  constructor(count: number) {
    this.count = count;
    for (let id = 0; id < count; id++) this.brokers.push(new TestBroker(id, this));
  }

  broker(id: number): TestBroker {
    return must(this.brokers[id], "the broker exists");
  }

  newId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** Lets everything happen until it holds, with time passing when nothing else does. */
  until(holds: () => boolean): void {
    for (let steps = 0; !holds(); steps++) {
      assert(steps < 20_000, `it never held; ${this.nowMs - 1_000_000} ms have passed`);
      // every broker gets its turn
      const acted = this.brokers.map((broker) => broker.turn()).includes(true);
      if (!acted) this.nowMs += 10;
    }
  }

  /** The broker that every view of a live broker calls the controller. */
  get controller(): number | undefined {
    const controllers = this.brokers.flatMap(({ loop, id, isUp }) => (isUp && loop.isController ? [id] : []));
    return controllers.length === 1 ? controllers[0] : undefined;
  }

  /** All brokers that are up are registered, and one is the controller. */
  get isWhole(): boolean {
    const up = this.brokers.filter(({ isUp }) => isUp);
    return (
      this.controller !== undefined &&
      up.every(({ loop }) => loop.view?.brokers.length === up.length && loop.view.controller !== undefined)
    );
  }

  /** A broker that is killed: calls to it break, and it does nothing. */
  kill(id: number): void {
    this.broker(id).isUp = false;
  }

  revive(id: number): void {
    this.broker(id).isUp = true;
    this.broker(id).crash();
  }

  sessionOf(id: number): SessionId | null | undefined {
    const broker = this.broker(id);
    if (!broker.isUp) return undefined;
    return broker.session.id === NO_SESSION ? null : broker.session.id;
  }

  parked(id: number, untilMs: number): { readonly result: Parked | undefined } | undefined {
    const broker = this.broker(id);
    if (!broker.isUp || this.nowMs >= untilMs) return { result: undefined };
    return broker.asleep === undefined ? undefined : { result: "ASLEEP" };
  }

  callPartition(call: PartitionCall): StepResults["partitions"][number] {
    if (this.unreachable(call)) return undefined;
    this.told.push(call);
    const told = this.told.findLast(
      (each) =>
        each.name === "leaderAndIsr" && each.topicId === call.topicId && each.partition === call.partition,
    );
    const leaderEpoch = told?.name === "leaderAndIsr" ? told.leadership.leaderEpoch : -1;
    return { ok: true, logStartOffset: 0, highWatermark: 0, logEndOffset: 0, leaderEpoch, leader: 0 };
  }

  callNode(sid: number, call: NodeCall): NodeAnswer {
    if (this.down.has(sid)) return undefined;
    const answer = this.#answer(call);
    return this.mute.has(sid) && call.name === "write" ? undefined : answer;
  }

  #answer(call: NodeCall): NodeAnswer {
    const { ensemble } = this;
    switch (call.name) {
      case "openSession":
        return { ok: true, value: { session: ensemble.open() } };
      case "touchSession":
        return ensemble.has(call.session) ? { ok: true, value: {} } : refused("SESSION_EXPIRED");
      case "closeSession":
        if (!ensemble.has(call.session)) return refused("SESSION_EXPIRED");
        ensemble.close(call.session);
        return { ok: true, value: null };
      case "write": {
        this.beforeWrite(call.session, call.request);
        if (!ensemble.has(call.session)) return refused("SESSION_EXPIRED");
        const value = ensemble.write(call.session, call.xid, call.request);
        return value.type === "error" ? refused(value.code) : { ok: true, value };
      }
      case "read": {
        const { path, type } = call.request;
        const node = ensemble.tree.get(path);
        if (node === undefined) return refused("NO_NODE");
        const stat = ensemble.tree.stat(node);
        if (type === "getData") return { ok: true, value: { type, data: node.data, stat } };
        if (type === "getChildren")
          return { ok: true, value: { type, children: ensemble.tree.children(path) ?? [], stat } };
        return { ok: true, value: { type: "exists", stat } };
      }
      case "waitForChange":
        throw new Error("a wait is not a call of a node here");
      default:
        return assertNever(call);
    }
  }
}
