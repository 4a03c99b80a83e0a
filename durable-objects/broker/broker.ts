/**
 * `Broker`: one broker of a cluster. Its name is `{ensemble}/{brokerId}`.
 *
 * It has a session with the ensemble, is registered there, reads the cluster's state, and is the controller when elected.
 * Records do not pass through it: the Worker sends them to the partitions. Its single alarm is the heartbeat, which also
 * restarts it after a loss of memory. It sleeps with the ensemble: without alarm and open calls, and with its session
 * parked.
 */
import { DurableObject } from "cloudflare:workers";
import { BrokerLoop } from "../../core/broker/broker-loop.ts";
import {
  type BrokerIdentity,
  BrokerRecords,
  objectOf,
  type Sleeping,
} from "../../core/broker/broker-records.ts";
import {
  type ClusterMetadata,
  controllerViewOf,
  metadataOf,
  type TopicMetadata,
} from "../../core/broker/cluster-view.ts";
import { BROKER_CONFIG, type BrokerConfig, validateBrokerConfig } from "../../core/broker/config.ts";
import { announcements } from "../../core/broker/controller.ts";
import { EnsembleSession } from "../../core/broker/ensemble-session.ts";
import type { Leadership } from "../../core/broker/partition.ts";
import type { Parked } from "../../core/broker/program.ts";
import { NOT_READY, type TopicRequest, Topics } from "../../core/broker/topics.ts";
import { DemoGoals, type DemoMetadataAnswer, type DemoMetadataRequest } from "../../core/demo/goals.ts";
import { DEMO_PARENTS } from "../../core/demo/metadata.ts";
import { brokerPort } from "../../core/demo/ports.ts";
import { NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import { ALARM_DEPTH, CLIENT_DEPTH } from "../shared/config.ts";
import { CostCounter, type Counters, NO_COUNTERS } from "../shared/counters.ts";
import { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import { FaultGate } from "../shared/fault-gate.ts";
import type { FaultName, FaultView } from "../shared/faults.ts";
import { RootEvents } from "../shared/root-events.ts";
import { NO_RETRIES } from "../shared/stub-options.ts";
import { Waiters } from "../shared/timeout.ts";
import type { TopicPartitionRpc } from "../topic-partition/rpc.ts";
import type { ZooWeeperNodeRpc } from "../zooweeper-node/rpc.ts";
import { Programs } from "./programs.ts";
import type { BrokerAnswer, BrokerFault, BrokerRpc, BrokerStatus } from "./rpc.ts";
import { SqliteBroker } from "./sqlite-broker.ts";

/** The parts of a running broker. */
interface Running {
  readonly identity: BrokerIdentity;
  readonly session: EnsembleSession;
  readonly loop: BrokerLoop;
  readonly topics: Topics;
  readonly demo: DemoGoals;
  readonly programs: Programs;
  readonly boot: number;
}

/**
 * The object of one broker.
 * Invariant: the programs of `core/broker` make all decisions; the object only runs their steps.
 */
export class Broker extends DurableObject<Env> implements BrokerRpc {
  readonly #config: BrokerConfig = validateBrokerConfig(BROKER_CONFIG);
  readonly #backend: SqliteBroker;
  readonly #store: BrokerRecords<BrokerStatus>;
  /** why this version must not use the stored rows; undefined if it may */
  readonly #refusal: string | undefined;
  readonly #alarm: DeadlineAlarm;
  readonly #faults: FaultGate;
  readonly #roots = new RootEvents(() => this.#alarm.ensure(Date.now()), 0);
  #running: Running | undefined;
  /** number of client requests under way */
  #asked = 0;
  /** number of requests of partitions under way */
  #askedByPartitions = 0;
  /** parked calls of other brokers */
  readonly #parked = new Waiters();
  readonly #cost: CostCounter;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#backend = new SqliteBroker(ctx.storage);
    this.#store = new BrokerRecords(this.#backend, ctx.id.name);
    this.#alarm = new DeadlineAlarm(ctx.storage, this.#config.heartbeatMs);
    this.#cost = new CostCounter(objectOf(this.#store.text("counters")) as Partial<Counters> | undefined);
    this.#refusal = this.#store.refusal;
    this.#faults = new FaultGate({
      enabled: env.FAULTS === "on",
      read: () => this.#store.text("faults"),
      write: (text) => this.#store.setText("faults", text),
    });
    // A killed broker does nothing at its start, so possibly only its alarm starts it later.
    if (this.#killed) void this.#alarm.restore(this.#faults.nextEnd);
  }

  start(identity: BrokerIdentity): Promise<void> {
    return this.#roots.run(CLIENT_DEPTH, () => {
      this.#refuseIfDown();
      this.#store.identify(identity);
      this.#awake();
    });
  }

  status(depth?: number): Promise<BrokerStatus> {
    return this.#roots.answer(depth, () => this.#status());
  }

  async #status(): Promise<BrokerStatus> {
    await this.#faults.running();
    this.#alarm.check();
    this.#refuseIfDown();
    const sleeping = this.#sleeping;
    if (sleeping !== undefined) return sleeping.status;
    const running = this.#enter();
    return running === undefined ? NEVER_STARTED : this.#statusOf(running);
  }

  #statusOf({ identity, session, loop, boot }: Running): BrokerStatus {
    return {
      id: identity.id,
      session: session.id === NO_SESSION ? null : session.id,
      registered: loop.view !== undefined,
      isController: loop.isController,
      boot,
      quiet: false,
      quietSince: null,
      counters: this.#cost.total(this.#backend.rows),
      callDepth: this.#roots.depthMax,
    };
  }

  async metadata(): Promise<BrokerAnswer<ClusterMetadata>> {
    return this.#ask<ClusterMetadata>(async ({ loop, programs }) => {
      const view = await programs.run(loop.waitFor((each) => each, this.#config.readyDeadlineMs));
      return view === undefined ? NOT_READY : { ok: true, value: metadataOf(view) };
    });
  }

  async leadershipOf(
    topicId: string,
    partition: number,
    depth?: number,
  ): Promise<BrokerAnswer<Leadership | null>> {
    this.#askedByPartitions += 1;
    try {
      // called by a partition, so this is no root event
      return await this.#roots.answer(depth, () =>
        this.#answer<Leadership | null>(async ({ loop, programs }) => {
          const view = await programs.run(loop.waitFor((each) => each, this.#config.readyDeadlineMs));
          if (view === undefined) return NOT_READY;
          const found = announcements(controllerViewOf(view)).find(
            (each) => each.topicId === topicId && each.partition === partition,
          );
          return { ok: true, value: found ?? null };
        }),
      );
    } finally {
      this.#askedByPartitions -= 1;
    }
  }

  async createTopic(request: TopicRequest): Promise<BrokerAnswer<TopicMetadata>> {
    return this.#ask(({ topics, programs }) => programs.run(topics.create(request)));
  }

  async deleteTopic(name: string): Promise<BrokerAnswer<null>> {
    return this.#ask(({ topics, programs }) => programs.run(topics.delete(name)));
  }

  async demoMetadata(request: DemoMetadataRequest): Promise<BrokerAnswer<DemoMetadataAnswer>> {
    return this.#ask(({ demo, programs }) => programs.run(demo.metadata(request)));
  }

  park(from: number, depth?: number): Promise<Parked> {
    return this.#roots.answer(depth, () => this.#park(from));
  }

  async #park(from: number): Promise<Parked> {
    await this.#faults.running();
    return this.#faults.handle(from, async () => {
      this.#alarm.check();
      this.#refuseIfDown();
      this.#cost.requests += 1;
      if (this.#sleeping !== undefined) return "ASLEEP";
      this.#enter();
      await this.#parked.wait(this.#config.parkMs);
      return this.#sleeping === undefined ? "AWAKE" : "ASLEEP";
    });
  }

  wake(epoch: number, depth?: number): Promise<SessionId | null> {
    return this.#roots.answer(depth, () => this.#wake(epoch));
  }

  async #wake(epoch: number): Promise<SessionId | null> {
    await this.#faults.running();
    const running = this.#awake();
    running?.loop.woken(epoch);
    return running === undefined || running.session.id === NO_SESSION ? null : running.session.id;
  }

  /** Handles a request of a client, which is a root event. */
  #ask<T>(answer: (running: Running) => Promise<BrokerAnswer<T>>): Promise<BrokerAnswer<T>> {
    return this.#roots.run(CLIENT_DEPTH, () => this.#answer(answer));
  }

  /** Answers a request; the broker stays awake meanwhile. */
  async #answer<T>(answer: (running: Running) => Promise<BrokerAnswer<T>>): Promise<BrokerAnswer<T>> {
    await this.#faults.running();
    const running = this.#awake();
    if (running === undefined) return NOT_STARTED;
    this.#asked += 1;
    try {
      return await answer(running);
    } finally {
      this.#asked -= 1;
    }
  }

  // ── sleep ────────────────────────────────────────────────────────────────

  /** The state stored when it fell asleep; undefined while it is awake. */
  get #sleeping(): Sleeping<BrokerStatus> | undefined {
    const asleep = this.#running === undefined || this.#running.programs.isAsleep;
    return asleep ? this.#store.sleeping : undefined;
  }

  #fallAsleep(running: Running, isController: boolean): void {
    const { session } = running;
    const status = { ...this.#statusOf(running), registered: true, isController };
    const counters = this.#cost.total(this.#backend.rows);
    this.#store.setText("counters", JSON.stringify(counters));
    const since = { quiet: true, quietSince: Date.now(), counters };
    this.#store.sleeping = { session: session.id, xid: session.xid, status: { ...status, ...since } };
    this.#alarm.only(Number.POSITIVE_INFINITY);
    // callers that wait for a stub must continue, and end
    this.#roots.ring();
    this.#parked.wake();
  }

  /** Enters the broker, and wakes it if it sleeps. */
  #awake(): Running | undefined {
    this.#cost.requests += 1;
    const running = this.#enter();
    running?.programs.wake();
    return running;
  }

  // ── faults ───────────────────────────────────────────────────────────────

  async fault(order: "kill" | "revive" | "crash" | BrokerFault): Promise<void> {
    if (order === "revive") {
      await this.heal("kill");
      return;
    }
    if (this.env.FAULTS !== "on") throw new Error("faults are off");
    const fault: BrokerFault =
      order === "kill" ? { fault: "kill", ttlMs: null } : order === "crash" ? { fault: "crash" } : order;
    if (fault.fault !== "crash") {
      const { ttlMs, seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0, ...lasting } = fault;
      this.#faults.inflict(lasting, ttlMs, seed);
      if (fault.fault !== "kill") return;
      await this.ctx.storage.sync();
    } else this.#refuseIfDown();
    this.ctx.abort(fault.fault === "kill" ? "BROKER_DOWN: the broker was killed" : "the broker crashed");
  }

  async heal(fault?: FaultName): Promise<readonly FaultName[]> {
    if (this.env.FAULTS !== "on") throw new Error("faults are off");
    const healed = this.#faults.heal(fault);
    if (healed.length > 0 && !this.#killed) this.#enter();
    return healed;
  }

  async faults(): Promise<readonly FaultView[]> {
    return this.#faults.list();
  }

  get #killed(): boolean {
    return this.#faults.killed;
  }

  /** The heartbeat. It never throws, and sets the next alarm before anything else. */
  override alarm(): Promise<void> {
    this.#alarm.rang();
    this.#cost.alarms += 1;
    return this.#roots.run(ALARM_DEPTH, () => this.#heartbeat());
  }

  #heartbeat(): void {
    const isStarted = this.#refusal === undefined && this.#store.identity !== undefined;
    if (this.#killed || !isStarted || this.#sleeping !== undefined) {
      // this alarm starts the broker when a kill with a time limit ends
      if (this.#killed) this.#alarm.ensure(this.#faults.nextEnd);
      return;
    }
    this.#setAlarm();
    // not awaited: a slow ensemble must not delay the next alarm
    const running = this.#enter();
    running?.programs.start(running.session.touch());
  }

  /** Called by every entry: refuses while the broker is killed, and starts it after a loss of memory. */
  #enter(): Running | undefined {
    this.#alarm.check();
    this.#refuseIfDown();
    this.#running ??= this.#run();
    return this.#running;
  }

  /** @throws Error while it is killed, or if a later version has written its rows */
  #refuseIfDown(): void {
    if (this.#refusal !== undefined) throw new Error(`BROKER_DOWN: ${this.#refusal}`);
    if (this.#killed) throw new Error(`BROKER_DOWN: the broker is killed ${this.#faults.killedFor}`);
  }

  #run(): Running | undefined {
    const identity = this.#store.identity;
    if (identity === undefined) return undefined;
    // rewrites a copy that is damaged or of an earlier version
    this.#store.identify(identity);
    const { env } = this;
    const { ensemble, id, ensembleSize, brokerCount } = identity;
    // the runtime's stub types drop brands and unions; only plain data is sent
    const gate = this.#faults;
    const connectNode = (sid: number) =>
      gate.stub(
        sid,
        env.ZOOWEEPER_NODE.get(
          env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`),
          NO_RETRIES,
        ) as unknown as ZooWeeperNodeRpc,
      );
    const connectBroker = (other: number) =>
      gate.stub(
        other,
        env.BROKER.get(env.BROKER.idFromName(`${ensemble}/${other}`), NO_RETRIES) as unknown as BrokerRpc,
      );
    const connectPartition = (topicId: string, partition: number) =>
      gate.stub(
        partition,
        env.TOPIC_PARTITION.get(
          env.TOPIC_PARTITION.idFromName(`${ensemble}/${topicId}/${partition}`),
        ) as unknown as TopicPartitionRpc,
      );
    const config = this.#config;
    const session = new EnsembleSession(ensembleSize, (id % ensembleSize) + 1, config);
    const { sleeping, session: former } = this.#store;
    if (sleeping !== undefined) {
      session.resume(sleeping.session, sleeping.xid);
      // from now on it writes again, and a crash ends the session
      this.#store.sleeping = undefined;
    }
    const loop = new BrokerLoop({
      id,
      config,
      // only the demo accepts clients of a broker
      endpoint: { host: "localhost", port: brokerPort(id) },
      applicationPaths: DEMO_PARENTS,
      session,
      isIdle: () => this.#asked === 0 && !this.#killed,
    });
    const programs = new Programs({
      id,
      config,
      session,
      opener: this.#roots,
      connectNode,
      connectBroker,
      connectPartition,
      isAskedByPartition: () => this.#askedByPartitions > 0,
      storeSession: (opened) => {
        this.#store.session = opened;
      },
      onSleep: (isController) => this.#fallAsleep(running, isController),
      onWake: () => {
        this.#store.sleeping = undefined;
        this.#setAlarm();
      },
      onStep: () => this.#alarm.check(),
      onFailure: (error) => this.ctx.abort(error instanceof Error ? error.message : String(error)),
    });
    const topics = new Topics({ loop, brokerCount, session, config });
    const demo = new DemoGoals({ id, brokerCount, config, session, loop, topics });
    const boot = this.#store.nextBoot();
    const running: Running = { identity, session, loop, topics, demo, programs, boot };
    programs.start(loop.run(sleeping === undefined ? former : undefined));
    this.#setAlarm();
    return running;
  }

  #setAlarm(): void {
    this.#alarm.ensure(Date.now() + this.#config.heartbeatMs);
  }
}

const NEVER_STARTED: BrokerStatus = {
  id: -1,
  session: null,
  registered: false,
  isController: false,
  boot: 0,
  quiet: false,
  quietSince: null,
  counters: NO_COUNTERS,
};

const NOT_STARTED: BrokerAnswer<never> = {
  ok: false,
  code: "BROKER_NOT_AVAILABLE",
  message: "the broker was not started, or its stored identity is damaged",
};
