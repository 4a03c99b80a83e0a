/**
 * A simulated broker: the programs of the core, run on the simulation's time. It calls nodes, partitions and other brokers
 * over the simulated network, and keeps its session in rows that survive its crashes.
 */
import { assertNever } from "../../core/assert.ts";
import { BrokerLoop } from "../../core/broker/broker-loop.ts";
import { BrokerRecords } from "../../core/broker/broker-records.ts";
import type { BrokerConfig } from "../../core/broker/config.ts";
import { EnsembleSession } from "../../core/broker/ensemble-session.ts";
import type {
  BrokerStep,
  NodeAnswer,
  NodeCall,
  Parked,
  PartitionCall,
  Program,
  StepResults,
  Waited,
} from "../../core/broker/program.ts";
import { Topics } from "../../core/broker/topics.ts";
import { NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import { MemoryBroker } from "./memory-broker.ts";

type Result = StepResults[keyof StepResults];

/** The environment of a broker. A lost call is never answered. */
export interface BrokerWorld {
  readonly config: BrokerConfig;
  /** members of the ensemble */
  readonly size: number;
  readonly brokerCount: number;
  readonly now: () => number;
  readonly after: (ms: number, run: () => void) => void;
  readonly newId: () => string;
  readonly count: (what: string) => void;
  readonly callNode: (
    from: number,
    sid: number,
    call: NodeCall,
    answered: (answer: NodeAnswer) => void,
  ) => void;
  /** The answer that a wait at a member would get now; undefined if the member is down. */
  readonly changedAt: (sid: number, call: NodeCall<"waitForChange">) => Waited | undefined;
  /** Begins a wait at a member; the ensemble may sleep while only waits need it. @returns a function that ends the wait */
  readonly waitAt: (sid: number, call: NodeCall<"waitForChange">) => () => void;
  /** Reports that a broker sleeps with the ensemble, and its session with it. */
  readonly sleeps: (session: SessionId) => void;
  readonly callPartition: (
    from: number,
    call: PartitionCall,
    answered: (answer: StepResults["partitions"][number]) => void,
  ) => void;
  readonly park: (from: number, to: number, returned: (parked: Parked | undefined) => void) => void;
  readonly probe: (
    from: number,
    to: number,
    returned: (session: SessionId | null | undefined) => void,
  ) => void;
}

/** From a start to a crash. */
interface Life {
  readonly session: EnsembleSession;
  readonly loop: BrokerLoop;
  readonly topics: Topics;
  /** ends waits when the session moves */
  readonly moved: Set<() => void>;
  moves: number;
  /** programs that wait for the next `show` */
  readonly shown: Set<() => void>;
  /** writers in order; the first has its turn */
  readonly turns: (() => void)[];
  /** parked calls of others, which break when this life ends */
  readonly parked: Set<(parked: Parked | undefined) => void>;
  /** continues the sleeping loop; undefined if it does not sleep */
  wake: (() => void) | undefined;
  isAlive: boolean;
}

/** Interval at which level-triggered waits check their condition, ms. */
const LOOK_MS = 20;

/** Invariant: a program runs only in the life that started it; a crash ends all of them. */
export class SimBroker {
  readonly id: number;
  readonly #world: BrokerWorld;
  readonly #rows: BrokerRecords<object>;
  /** null if it is down */
  #life: Life | null = null;

  constructor(id: number, world: BrokerWorld) {
    this.id = id;
    this.#world = world;
    this.#rows = new BrokerRecords(new MemoryBroker(), `sim/${id}`);
    this.start();
  }

  get isUp(): boolean {
    return this.#life !== null;
  }

  /** Its view of the cluster; undefined if it is down or not registered. */
  get view(): BrokerLoop["view"] {
    return this.#life?.loop.view;
  }

  get isController(): boolean {
    return this.#life?.loop.isController === true;
  }

  /** Its session; null if it has none, undefined if it is down. */
  get session(): SessionId | null | undefined {
    const id = this.#life?.session.id;
    return id === NO_SESSION ? null : id;
  }

  start(): void {
    if (this.#life !== null) return;
    const { config, size, brokerCount } = this.#world;
    const session = new EnsembleSession(size, (this.id % size) + 1, config);
    const endpoint = { host: "localhost", port: 9090 + this.id };
    const loop = new BrokerLoop({
      id: this.id,
      config,
      endpoint,
      applicationPaths: [],
      session,
      isIdle: () => true,
    });
    const topics = new Topics({ loop, brokerCount, session, config });
    const life: Life = {
      session,
      loop,
      topics,
      moved: new Set(),
      moves: 0,
      shown: new Set(),
      turns: [],
      parked: new Set(),
      wake: undefined,
      isAlive: true,
    };
    this.#life = life;
    const { sleeping, session: former } = this.#rows;
    if (sleeping !== undefined) {
      session.resume(sleeping.session, sleeping.xid);
      this.#rows.sleeping = undefined;
    }
    this.#run(life, loop.run(sleeping === undefined ? former : undefined));
    this.#beat(life);
  }

  /** Crashes the broker, which loses its memory and is down until it is started again. */
  crash(): void {
    const life = this.#life;
    if (life === null) return;
    this.#life = null;
    life.isAlive = false;
    this.#world.count("broker crash");
    for (const returned of life.parked) returned(undefined);
  }

  /** Runs a program on behalf of a client. @param ended not called if the broker crashes meanwhile */
  ask<T>(program: (topics: Topics) => Program<T>, ended: (value: T) => void): void {
    this.wake(0);
    const life = this.#life;
    if (life !== null) this.#run(life, program(life.topics), ended as (value: unknown) => void);
  }

  // ── sleep ────────────────────────────────────────────────────────────────

  #fallAsleep(life: Life, wake: () => void): void {
    const { id: session, xid } = life.session;
    this.#world.count("broker asleep");
    this.#rows.sleeping = { session, xid, status: {} };
    this.#world.sleeps(session);
    life.wake = wake;
    for (const returned of life.parked) returned("ASLEEP");
    life.parked.clear();
  }

  /** Wakes the broker for a client, or because the ensemble is awake in this epoch. */
  wake(epoch: number): void {
    const life = this.#life;
    life?.loop.woken(epoch);
    const wake = life?.wake;
    if (life === null || wake === undefined) return;
    life.wake = undefined;
    this.#world.count("broker woken");
    this.#rows.sleeping = undefined;
    wake();
    this.#beat(life);
  }

  /** Handles a parked call of another broker. */
  park(returned: (parked: Parked | undefined) => void): void {
    const life = this.#life;
    if (life === null || life.wake !== undefined) {
      returned(life === null ? undefined : "ASLEEP");
      return;
    }
    life.parked.add(returned);
    this.#world.after(this.#world.config.parkMs, () => {
      if (life.isAlive && life.parked.delete(returned)) returned("AWAKE");
    });
  }

  #beat(life: Life): void {
    this.#world.after(this.#world.config.heartbeatMs, () => {
      // a sleeping broker has no alarm
      if (!life.isAlive || life.wake !== undefined) return;
      this.#run(life, life.session.touch());
      this.#beat(life);
    });
  }

  // ── programs ─────────────────────────────────────────────────────────────

  #run(life: Life, program: Program<unknown>, ended: (value: unknown) => void = () => {}): void {
    this.#resume(life, program, null, ended);
  }

  /** Runs a program up to the next step that takes time. */
  #resume(life: Life, program: Program<unknown>, first: Result, ended: (value: unknown) => void): void {
    let result: Result = first;
    for (;;) {
      if (!life.isAlive) return;
      const step = program.next({ nowMs: this.#world.now(), result });
      this.#noteMoves(life);
      if (step.done) {
        ended(step.value);
        return;
      }
      let isAtOnce = true;
      let found: { readonly result: Result } | undefined;
      let isOver = false;
      this.#perform(life, step.value, (value) => {
        if (isOver) return;
        isOver = true;
        if (isAtOnce) found = { result: value };
        else this.#resume(life, program, value, ended);
      });
      isAtOnce = false;
      if (found === undefined) return;
      result = (found as { readonly result: Result }).result;
    }
  }

  #noteMoves(life: Life): void {
    if (life.moves === life.session.moves) return;
    life.moves = life.session.moves;
    for (const end of [...life.moved]) end();
  }

  #perform(life: Life, step: BrokerStep, done: (result: Result) => void): void {
    const world = this.#world;
    const within = (ms: number): void => world.after(ms, () => done(undefined));
    switch (step.type) {
      case "now":
        done(null);
        return;
      case "pause":
        world.after(step.ms, () => done(null));
        return;
      case "node":
        world.callNode(this.id, step.sid, step.call, done);
        within(step.timeoutMs);
        return;
      case "reads":
        this.#all(
          step.calls.map((call) => (one: (answer: NodeAnswer) => void) => {
            world.callNode(this.id, step.sid, call, one);
            world.after(step.timeoutMs, () => one(undefined));
          }),
          done as (results: readonly NodeAnswer[]) => void,
        );
        return;
      case "wait":
        this.#wait(life, step.sid, step.call, step.timeoutMs, done);
        return;
      case "turn": {
        const begin = (): void => done(null);
        life.turns.push(begin);
        if (life.turns[0] === begin) begin();
        return;
      }
      case "endTurn":
        life.turns.shift();
        // the next writer begins when this one has returned
        world.after(0, () => life.turns[0]?.());
        done(null);
        return;
      case "partitions":
        this.#all(
          step.calls.map((call) => (one: (answer: StepResults["partitions"][number]) => void) => {
            world.callPartition(this.id, call, one);
            world.after(step.timeoutMs, () => one(undefined));
          }),
          done as (results: StepResults["partitions"]) => void,
        );
        return;
      case "park":
        world.park(this.id, step.broker, done);
        within(step.timeoutMs);
        return;
      case "probe":
        world.probe(this.id, step.broker, done);
        within(step.timeoutMs);
        return;
      case "newId":
        done(world.newId());
        return;
      case "storeSession":
        this.#rows.session = step.session;
        done(true);
        return;
      case "start":
        this.#run(life, step.program);
        done(null);
        return;
      case "show": {
        const waiting = [...life.shown];
        life.shown.clear();
        for (const look of waiting) look();
        done(null);
        return;
      }
      case "shown": {
        const look = (): void => done(null);
        life.shown.add(look);
        world.after(step.timeoutMs, () => {
          life.shown.delete(look);
          look();
        });
        return;
      }
      case "sleep":
        this.#fallAsleep(life, () => done(null));
        return;
      default:
        assertNever(step);
    }
  }

  /** Runs calls together; each answers once, and the results have the order of the calls. */
  #all<T>(
    calls: readonly ((answered: (answer: T) => void) => void)[],
    done: (results: readonly T[]) => void,
  ): void {
    const results = new Map<number, T>();
    if (calls.length === 0) done([]);
    for (const [i, call] of calls.entries())
      call((answer) => {
        if (results.has(i)) return;
        results.set(i, answer);
        if (results.size === calls.length) done(calls.map((_, at) => results.get(at) as T));
      });
  }

  #wait(
    life: Life,
    sid: number,
    call: NodeCall<"waitForChange">,
    timeoutMs: number,
    done: (result: Result) => void,
  ): void {
    const end = this.#world.now() + timeoutMs;
    let isOver = false;
    const leave = this.#world.waitAt(sid, call);
    const finish = (result: Result): void => {
      if (isOver) return;
      isOver = true;
      leave();
      life.moved.delete(move);
      done(result);
    };
    const move = (): void => finish(null);
    life.moved.add(move);
    const look = (): void => {
      if (isOver) return;
      if (!life.isAlive) {
        leave();
        return;
      }
      const waited = this.#world.changedAt(sid, call);
      if (waited === undefined) finish(undefined);
      else if (waited.asleep !== undefined || waited.changed.length > 0) finish({ ok: true, value: waited });
      else if (this.#world.now() >= end) finish(null);
      else this.#world.after(LOOK_MS, look);
    };
    this.#world.after(1, look);
  }
}
