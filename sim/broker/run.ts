/**
 * One seed of the broker profile: brokers, their controller, partitions, producers and readers on a simulated ensemble
 * under faults. Then everything heals, progress is required, and the logs are compared with the records acknowledged and
 * read.
 */
import { BROKER_CONFIG, type BrokerConfig, PARTITION_CONFIG } from "../../core/broker/config.ts";
import type { PartitionCall, StepResults } from "../../core/broker/program.ts";
import type { ReplicaAnswer, ReplicaCall } from "../../core/broker/replica-messages.ts";
import type { ParkedSession } from "../../core/server/ids.ts";
import { type PartitionName, RecordChecker, type RecordRule } from "../checkers/records.ts";
import { Cluster } from "../cluster.ts";
import type { Life } from "../member/life.ts";
import { Chance } from "../random.ts";
import { type BrokerWorld, SimBroker } from "./broker.ts";
import { type ClientWorld, Producer, Reader, recordsOf } from "./clients.ts";
import { BrokerNemesis } from "./nemesis.ts";
import { isOutdated, NodeCalls } from "./node-calls.ts";
import type { BrokerOptions } from "./options.ts";
import { SimPartition } from "./partition.ts";

/** What happened in a run: *map name → how often*. */
export type BrokerTally = Record<string, number>;

/** Outcome of a seed. */
export interface BrokerRunResult {
  readonly seed: number;
  /** the violated rule; null if none was */
  readonly failure: string | null;
  readonly hash: number;
  readonly tally: BrokerTally;
}

/** Time within which everything must recover after healing, ms. */
const HEALED_WITHIN_MS = 60_000;
const TOPIC = "t";
/** The topic that is created once all is healed, and its partitions. */
const LAST = "last";
const LAST_PARTITIONS = 12;

/** @param onLine called with every event, as a readable line */
export function runBrokerSeed(
  options: BrokerOptions,
  onLine: ((line: string) => void) | null = null,
): BrokerRunResult {
  const run = new BrokerRun(options, onLine);
  let failure: string | null = null;
  try {
    run.run();
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (/^Error: \[/.test(failure)) failure = failure.slice("Error: ".length);
    onLine?.(`FAILED: ${failure}`);
  }
  return { seed: options.seed, failure, hash: run.hash, tally: run.result() };
}

/** Invariant: every action is an event of the cluster's queue, so the seed alone determines the run. */
class BrokerRun {
  readonly #options: BrokerOptions;
  readonly #chance: Chance;
  readonly #cluster: Cluster;
  readonly #checker = new RecordChecker();
  readonly #config: BrokerConfig = BROKER_CONFIG;
  readonly #nodes: NodeCalls;
  readonly #brokers: SimBroker[] = [];
  readonly #partitions = new Map<PartitionName, SimPartition>();
  readonly #producers: Producer[] = [];
  readonly #readers: Reader[] = [];
  readonly #nemesis: BrokerNemesis;
  readonly #tally: BrokerTally = {};
  readonly #onLine: ((line: string) => void) | null;
  readonly #startedAt: number;
  #ids = 0;
  hash = 0;

  constructor(options: BrokerOptions, onLine: ((line: string) => void) | null) {
    const { seed, size, latencyMs, fsyncMs, config } = options;
    this.#options = options;
    this.#onLine = onLine;
    this.#chance = new Chance(seed * 37 + 11);
    this.#cluster = new Cluster({
      size,
      seed,
      latencyMs,
      fsyncMs,
      yieldMs: [0, 2],
      startAt: 1_000_000,
      config,
    });
    this.#startedAt = this.#cluster.now;
    this.#nodes = new NodeCalls(this.#cluster);
    this.#nemesis = new BrokerNemesis({
      options,
      chance: new Chance(seed * 53 + 7),
      cluster: this.#cluster,
      brokers: this.#brokers,
      partitions: this.#partitions,
      count: (what) => this.#count(what),
    });
  }

  #count(what: string, by = 1): void {
    this.#tally[what] = (this.#tally[what] ?? 0) + by;
    for (const char of what) this.hash = (Math.imul(this.hash, 31) + char.charCodeAt(0)) | 0;
    this.hash = (Math.imul(this.hash, 31) + this.#cluster.now) | 0;
    this.#onLine?.(`${String(this.#cluster.now - this.#startedAt).padStart(7)}  ${what}`);
  }

  run(): void {
    const { brokers, producers, readers, tails, records, partitions, chaosMs } = this.#options;
    const cluster = this.#cluster;
    cluster.startAll();
    cluster.runFor(this.#chance.oneOf([0, 500, 2_000]));
    const world = this.#brokerWorld();
    for (let id = 0; id < brokers; id++) this.#brokers.push(new SimBroker(id, world));
    cluster.onWake = (life, parked) => this.#wakeOwner(life, parked);
    this.#createTopic();
    this.#churnTopics();
    const clients = this.#clientWorld();
    for (let id = 1; id <= producers; id++)
      this.#producers.push(new Producer(id, records, partitions, clients));
    for (let i = 0; i < readers + tails; i++)
      this.#readers.push(new Reader(i % partitions, i >= readers, clients));
    this.#nemesis.begin();
    cluster.runFor(chaosMs);
    this.#heal();
    this.#check();
  }

  /** Creates the topic, at one broker after the other, until one reports that it exists. */
  #createTopic(): void {
    const { partitions } = this.#options;
    const broker = this.#chance.oneOf(this.#brokers);
    const isThere = (): boolean =>
      this.#brokers.some(({ view }) => view?.topics.some(({ name }) => name === TOPIC));
    if (isThere()) return;
    broker.ask(
      (topics) => topics.create({ name: TOPIC, partitions }),
      (value) => this.#count(`create ${value.ok ? "ok" : value.code}`),
    );
    this.#cluster.after(3_000, () => this.#createTopic());
  }

  /** Keeps creating and deleting topics that no client uses. */
  #churnTopics(): void {
    const name = this.#chance.oneOf(["gone", "gone too"].map((each) => each.replace(" ", "-")));
    const broker = this.#chance.oneOf(this.#brokers);
    if (this.#chance.oneIn(2))
      broker.ask(
        (topics) => topics.create({ name, partitions: 2 }),
        (value) => this.#count(`churn create ${value.ok ? "ok" : value.code}`),
      );
    else
      broker.ask(
        (topics) => topics.delete(name),
        (value) => this.#count(`churn delete ${value.ok ? "ok" : value.code}`),
      );
    const [least, most] = this.#options.quiet ? [1_000, 12_000] : [500, 5_000];
    this.#cluster.after(this.#chance.between(least, most), () => this.#churnTopics());
  }

  /** Wakes a broker that slept with the ensemble. A session that the broker no longer has is closed. */
  #wakeOwner(life: Life, { session, owner }: ParkedSession): void {
    const broker = this.#brokers[owner];
    if (broker === undefined || this.#nemesis.isCut(owner) || !broker.isUp) return;
    broker.wake(life.server.zab.currentEpoch);
    if (broker.session === session)
      life.turn((server, now) => {
        this.#cluster.invariants.sessions.heard(life, session);
        server.touch(now, session, true);
      });
    else
      this.#nodes.serve(life.sid, { name: "closeSession", session }, (answer) =>
        this.#count(`close of a former session ${answer?.ok ?? "broke"}`),
      );
  }

  // ── the network ──────────────────────────────────────────────────────────

  #delay(): number {
    return this.#chance.between(...this.#options.latencyMs);
  }

  #partition(name: PartitionName): SimPartition {
    const known = this.#partitions.get(name);
    if (known !== undefined) return known;
    const [topicId = "", number = "0"] = name.split("/");
    const cluster = this.#cluster;
    const { chunkBytesMax, cacheBytesMax, fsyncMs, brokers: brokerCount } = this.#options;
    const world = {
      chance: this.#chance,
      fsyncMs,
      brokerCount,
      now: () => cluster.now,
      after: (ms: number, run: () => void) => cluster.after(ms, run),
      count: (what: string) => this.#count(what),
    };
    const config = { ...PARTITION_CONFIG, chunkBytesMax, cacheBytesMax };
    const partition = new SimPartition(topicId, Number(number), world, config);
    this.#partitions.set(name, partition);
    return partition;
  }

  #brokerWorld(): BrokerWorld {
    const cluster = this.#cluster;
    const nemesis = this.#nemesis;
    const after = (ms: number, run: () => void): void => cluster.after(ms, run);
    /** Delivers a message from or to a broker; it is lost while the broker is cut off. */
    const travel = (broker: number, run: () => void, extraMs = 0): void => {
      if (nemesis.isCut(broker)) return;
      after(this.#delay() + extraMs, () => {
        if (!nemesis.isCut(broker)) run();
      });
    };
    return {
      config: this.#config,
      size: this.#options.size,
      brokerCount: this.#options.brokers,
      now: () => cluster.now,
      after,
      newId: () => {
        this.#ids += 1;
        return `id-${this.#ids}`;
      },
      count: (what) => this.#count(what),
      callNode: (from, sid, call, answered) =>
        travel(from, () => this.#nodes.serve(sid, call, (answer) => travel(from, () => answered(answer)))),
      changedAt: (sid, call) => {
        const { life } = cluster.member(sid);
        if (life === null) return undefined;
        // the answer of a wait is lost as any other
        if (nemesis.isCut(call.owner)) return { changed: [] };
        const { tree, asleepSince, zab } = life.server;
        if (asleepSince !== null) return { changed: [], asleep: zab.currentEpoch };
        return { changed: call.conditions.flatMap((each, i) => (isOutdated(tree, each) ? [i] : [])) };
      },
      waitAt: (sid, { session, owner }) => {
        const { life } = cluster.member(sid);
        if (life === null) return () => {};
        life.server.parked.set(session, owner);
        return () => {
          if (life.alive) life.server.parked.delete(session);
        };
      },
      // The clocks of sessions that sleep are checked by the members' own profile: there every owner answers when it is woken.
      sleeps: (session) => cluster.invariants.sessions.closing(session),
      callPartition: (from, call, answered) => {
        const name = `${call.topicId}/${call.partition}`;
        if (call.name === "leaderAndIsr")
          this.#checker.names(name, call.leadership.leaderEpoch, call.leadership.leader);
        // lost silently, with or without a fault that lasts
        if (this.#chance.oneIn(25)) return;
        const lateMs = nemesis.lateMs(from);
        travel(
          from,
          () => this.#callFromBroker(name, call, (answer) => travel(from, () => answered(answer))),
          lateMs,
        );
      },
      park: (from, to, returned) =>
        travel(from, () => {
          if (nemesis.isCut(to)) return;
          this.#brokers[to]?.park((parked) => travel(from, () => returned(parked)));
        }),
      probe: (from, to, returned) =>
        travel(from, () => {
          if (nemesis.isCut(to)) return;
          const session = this.#brokers[to]?.session;
          travel(from, () => returned(session));
        }),
    };
  }

  #callFromBroker(
    name: PartitionName,
    call: PartitionCall,
    answered: (answer: StepResults["partitions"][number]) => void,
  ): void {
    const { topicId } = call;
    const request: ReplicaCall =
      call.name === "leaderAndIsr"
        ? { type: "leaderAndIsr", leadership: call.leadership }
        : call.name === "remove"
          ? { type: "remove", topicId, controllerEpoch: call.controllerEpoch }
          : { type: "bounds", leaderEpoch: -1 };
    this.#partition(name).call(request, (answer) => {
      if (call.name === "leaderAndIsr" && answer?.ok === true && "leaderEpoch" in answer)
        this.#checker.led(name, answer.leaderEpoch);
      answered(answer as StepResults["partitions"][number]);
    });
  }

  #clientWorld(): ClientWorld {
    const cluster = this.#cluster;
    const chance = this.#chance;
    const after = (ms: number, run: () => void): void => cluster.after(ms, run);
    return {
      chance,
      checker: this.#checker,
      now: () => cluster.now,
      after,
      count: (what) => this.#count(what),
      lookUp: (partition) => {
        const broker = chance.oneOf(this.#brokers);
        broker.wake(0);
        const { view } = broker;
        const topic = view?.topics.find(({ name }) => name === TOPIC);
        const state = topic?.states.get(partition);
        if (topic === undefined || state === undefined) return undefined;
        return { name: `${topic.topicId}/${partition}`, leaderEpoch: state.leaderEpoch };
      },
      call: (name, call, answered) => {
        // some calls are lost, some arrive late, after their retry
        if (chance.oneIn(60)) return;
        const lateMs = chance.oneIn(30) ? chance.between(100, 3_000) : 0;
        after(this.#delay() + lateMs, () =>
          this.#partition(name).call(call, (answer) => {
            if (!chance.oneIn(40)) after(this.#delay(), () => answered(answer));
          }),
        );
      },
      openTail: (name, offset, reader) =>
        after(this.#delay(), () => this.#partition(name).openTail(offset, reader)),
    };
  }

  // ── the end ──────────────────────────────────────────────────────────────

  #within(rule: RecordRule, holds: () => boolean, what: string): void {
    const cluster = this.#cluster;
    const end = cluster.now + HEALED_WITHIN_MS;
    while (!holds() && cluster.now < end) {
      for (const broker of this.#brokers) broker.wake(0);
      cluster.runFor(50);
    }
    this.#checker.must(rule, holds(), () => `${what} ${HEALED_WITHIN_MS} ms after healing`);
  }

  #heal(): void {
    this.#nemesis.heal();
    this.#onLine?.("everything heals");
    for (const producer of this.#producers) producer.finish();
    const isWhole = (): boolean =>
      this.#brokers.every(
        ({ view }) => view?.brokers.length === this.#brokers.length && view.controller !== undefined,
      );
    this.#within("Liveness", isWhole, "not all brokers are registered");
    this.#within(
      "Liveness",
      () => this.#producers.every(({ isDone }) => isDone),
      "a producer waits for an answer",
    );
    this.#createLast();
    const ends = new Map<PartitionName, number>();
    for (const { name } of this.#readers) if (name !== undefined) ends.set(name, this.#read(name).length);
    const areAtEnd = (): boolean =>
      this.#readers.every(({ name, next }) => name === undefined || next === ends.get(name));
    this.#within("Liveness", areAtEnd, "a reader has not reached the end");
  }

  /** Creates a topic after all faults but lost calls have ended: each partition must get its leader. */
  #createLast(): void {
    let isReady = false;
    const ask = (): void => {
      const broker = this.#chance.oneOf(this.#brokers);
      const ended = (value: { readonly ok: boolean; readonly code?: string }): void => {
        this.#count(`last create ${value.code ?? "ok"}`);
        isReady = value.ok;
        if (!isReady) ask();
      };
      const isThere = broker.view?.topics.some(({ name }) => name === LAST) === true;
      if (isThere) broker.ask((topics) => topics.ready(LAST), ended);
      else broker.ask((topics) => topics.create({ name: LAST, partitions: LAST_PARTITIONS }), ended);
    };
    ask();
    this.#within("Liveness", () => isReady, `a partition of ${LAST} does not know its leader`);
  }

  #check(): void {
    const { partitions } = this.#options;
    const find = () =>
      this.#brokers.flatMap(({ view }) => view?.topics.filter(({ name }) => name === TOPIC) ?? [])[0];
    this.#within("Liveness", () => find() !== undefined, "no broker knows the topic");
    const topicId = find()?.topicId;
    for (let partition = 0; partition < partitions; partition++) {
      const name = `${topicId}/${partition}`;
      // only what is stored counts
      this.#partition(name).crash(0);
      const bounds = this.#ask(name, { type: "bounds", leaderEpoch: -1 });
      this.#checker.knows(name, bounds?.ok === true && "leaderEpoch" in bounds ? bounds.leaderEpoch : -1);
      const log = this.#read(name);
      this.#checker.ends(name, log);
      this.#count("records at the end", log.length);
    }
  }

  /** The whole log of a partition. */
  #read(name: PartitionName): { readonly offset: number; readonly value: string }[] {
    const records: { readonly offset: number; readonly value: string }[] = [];
    for (let next = 0; ; ) {
      const answer = this.#ask(name, {
        type: "read",
        request: { from: { type: "offset", offset: next }, bytesMax: 100_000, waitMs: 0, leaderEpoch: -1 },
      });
      this.#checker.must("Gap", answer?.ok === true, () => `${name} from ${next}: ${JSON.stringify(answer)}`);
      if (answer?.ok !== true || !("batches" in answer)) return records;
      const some = recordsOf(answer.batches, next);
      if (some.length === 0) return records;
      records.push(...some);
      next = (some.at(-1)?.offset ?? 0) + 1;
    }
  }

  #ask(name: PartitionName, call: ReplicaCall): ReplicaAnswer | undefined {
    let found: { readonly answer: ReplicaAnswer | undefined } | undefined;
    this.#partition(name).call(call, (answer) => {
      found = { answer };
    });
    while (found === undefined) this.#cluster.runFor(1);
    return (found as { readonly answer: ReplicaAnswer | undefined }).answer;
  }

  result(): BrokerTally {
    this.#tally.commits = this.#cluster.invariants.history.length;
    this.#tally["simulated ms"] = this.#cluster.now - this.#startedAt;
    for (const [rule, count] of this.#checker.checks) this.#tally[`rule ${rule}`] = count;
    return this.#tally;
  }
}
