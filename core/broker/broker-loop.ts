/**
 * The main loop of a broker: it keeps a session and its registration, takes part in the election of the controller, reads
 * the cluster's znodes, acts as the controller if elected, and waits for a change. Every round starts from the state in the
 * ensemble, so there is no state to repair after a failure.
 *
 * ```
 *  open session ─▶ read cluster ─▶ create base | register | elect | control ─▶ wait for change ─┐
 *       ▲  ▲                                                                        │            │
 *       │  └──────────────────────── a round failed: pause ◀── any failure ─────────┤            │
 *       └─────────────────────────────────────────────────────── sleep ◀────────────┴────────────┘
 * ```
 * @source Kafka 3.9 `KafkaZkClient`, `KafkaController`
 */
import { CreateMode, NO_SESSION, type SessionId } from "../znode/types.ts";
import { type ClusterView, controllerViewOf, ReadCache, readMissing } from "./cluster-view.ts";
import type { BrokerConfig } from "./config.ts";
import { announcements, type ControllerWrite, planController, type Removal } from "./controller.ts";
import type { EnsembleSession } from "./ensemble-session.ts";
import type { Leadership } from "./partition.ts";
import { PeerWatch } from "./peer-watch.ts";
import { failure, now, type Outcome, type Program, pause, perform } from "./program.ts";
import {
  type BrokerEndpoint,
  baseZnodes,
  brokerIdPath,
  createRequest,
  electionOps,
  encodeRegistration,
} from "./znodes.ts";

/** The interface of the loop to its environment. */
export interface BrokerLoopPorts {
  /** id of this broker, from 0 */
  readonly id: number;
  readonly config: BrokerConfig;
  /** endpoint of this broker for clients, part of its registration */
  readonly endpoint: BrokerEndpoint;
  /** znodes that an application on top needs, parents first */
  readonly applicationPaths: readonly string[];
  readonly session: EnsembleSession;
  /** Whether no client waits for an answer of this broker. */
  readonly isIdle: () => boolean;
}

/** Success; also if another broker had made the same change before. */
const DONE: Outcome<null> = { ok: true, value: null };

/**
 * Runs the loop of one broker. Its state is a cache of the state in the ensemble.
 * Invariant: only the broker whose session owns `/controller` acts as the controller, and each of its writes is conditional
 * on its controller epoch.
 */
export class BrokerLoop {
  readonly #ports: BrokerLoopPorts;
  readonly #peers: PeerWatch;
  readonly #known = new ReadCache();
  #view: ClusterView | undefined;
  /** *map partition → last leadership that its object acknowledged* */
  readonly #announced = new Map<string, string>();
  /** epoch of the ensemble in which it last slept; an answer that names this or an earlier epoch is outdated */
  #sleptIn = 0;

  constructor(ports: BrokerLoopPorts) {
    this.#ports = ports;
    this.#peers = new PeerWatch(ports.session, ports.config);
  }

  /** The cluster as last read; undefined until this broker is registered. */
  get view(): ClusterView | undefined {
    return this.#isRegistered(this.#view) ? this.#view : undefined;
  }

  get isController(): boolean {
    const { session } = this.#ports;
    return session.id !== NO_SESSION && this.#view?.controller?.session === session.id;
  }

  /** Records that the ensemble is awake in `epoch`: reports of a sleep in an earlier epoch are outdated. */
  woken(epoch: number): void {
    this.#sleptIn = Math.max(this.#sleptIn, epoch - 1);
  }

  /** Waits until `find` returns a result for the view, now or after a change; undefined after `ms`. */
  *waitFor<T>(find: (view: ClusterView) => T | undefined, ms: number): Program<T | undefined> {
    const deadline = (yield* now()) + ms;
    for (;;) {
      const { view } = this;
      const found = view && find(view);
      if (found !== undefined) return found;
      const timeoutMs = deadline - (yield* now());
      if (timeoutMs <= 0) return undefined;
      yield* perform({ type: "shown", timeoutMs });
    }
  }

  /**
   * Runs until the object ends.
   * @param former session of this broker's previous life; undefined if there was none, or if it slept and continues
   */
  *run(former: SessionId | undefined): Program<never> {
    const { session, config } = this.#ports;
    // A new life has a new broker epoch, so the previous registration must not look alive. If this fails, the session is
    // closed later by the registration, or expires.
    if (former !== undefined && !(yield* session.close(former)).ok) yield* pause(config.retryMs);
    for (;;) {
      const round = yield* this.#round();
      if (round.ok) continue;
      // the next round reads the state in the ensemble again
      this.#known.clear();
      yield* pause(config.retryMs);
    }
  }

  /** Reads, acts, and waits for a change. Its own writes are changes too, which the next round reads. */
  *#round(): Program<Outcome<null>> {
    const { session, id } = this.#ports;
    if (session.id === NO_SESSION) {
      const opened = yield* session.open();
      if (!opened.ok) return opened;
      if (!(yield* perform({ type: "storeSession", session: opened.value })))
        return failure("SYSTEM_ERROR", "the session was not stored");
    }
    const read = yield* session.readAll(() => this.#known.read());
    if (!read.ok) return read;
    const view = read.value;
    this.#view = view;
    yield* perform({ type: "show" });
    const acted = yield* this.#act(view);
    if (!acted.ok) return acted;
    const change = yield* session.waitForChange(view.conditions, acted.value, id);
    if (!change.ok) return change;
    if ("asleep" in change.value) yield* this.#sleep(change.value.asleep);
    else for (const path of change.value.paths) this.#known.forget(path);
    return DONE;
  }

  /** Sleeps with the ensemble, until the ensemble or a client wakes this broker. */
  *#sleep(epoch: number): Program<void> {
    const { session, isIdle } = this.#ports;
    if (epoch <= this.#sleptIn || session.isWriting || !isIdle()) return;
    this.#sleptIn = epoch;
    this.#peers.watch([]);
    this.#known.clear();
    const { isController } = this;
    this.#view = undefined;
    yield* perform({ type: "sleep", isController });
  }

  /** Runs the actions that are due. @returns how long it may wait for a change, ms */
  *#act(view: ClusterView): Program<Outcome<number>> {
    const { session, id, config } = this.#ports;
    const parked = { ok: true, value: config.parkMs } as const;
    if (view.controllerEpochVersion === -1) return afterwards(yield* this.#createBase(), parked);
    if (!this.#isRegistered(view)) return afterwards(yield* this.#register(view), parked);
    if (view.controller === undefined) return afterwards(yield* this.#elect(view), parked);
    const isController = view.controller.session === session.id;
    const others = view.brokers.filter((broker) => broker.id !== id);
    const watched = isController
      ? others
      : others.filter((broker) => broker.session === view.controller?.session);
    for (const program of this.#peers.watch(watched)) yield* perform({ type: "start", program });
    if (isController) return yield* this.#control(view);
    this.#announced.clear();
    return parked;
  }

  #isRegistered(view: ClusterView | undefined): boolean {
    const { session, id } = this.#ports;
    const own = view?.brokers.find((broker) => broker.id === id);
    return own !== undefined && own.session === session.id && session.id !== NO_SESSION;
  }

  *#createBase(): Program<Outcome<null>> {
    const { session, applicationPaths } = this.#ports;
    const clusterId = yield* perform({ type: "newId" });
    const missing = yield* session.readAll(() => readMissing(baseZnodes(clusterId, applicationPaths)));
    if (!missing.ok) return missing;
    const ops = missing.value.map(({ path, data }) => createRequest(path, data));
    // if another broker was faster, the next round reads what it created
    return ops.length === 0 ? DONE : unless(["NODE_EXISTS"], yield* session.write({ type: "multi", ops }));
  }

  *#register(view: ClusterView): Program<Outcome<null>> {
    const { session, id, endpoint } = this.#ports;
    // only a previous life of this broker can have registered its id
    const former = view.brokers.find((broker) => broker.id === id);
    if (former !== undefined) {
      const closed = yield* session.close(former.session);
      if (!closed.ok) return closed;
    }
    const data = encodeRegistration({ ...endpoint, timestampMs: yield* now() });
    const path = brokerIdPath(id);
    const create = { type: "create", path, data, mode: CreateMode.EPHEMERAL, withStat: false } as const;
    const created = yield* session.write(create);
    if (!created.ok && created.code === "NO_NODE") return yield* this.#createBase();
    return unless(["NODE_EXISTS"], created);
  }

  *#elect(view: ClusterView): Program<Outcome<null>> {
    const { session, id } = this.#ports;
    const epoch = { controllerEpoch: view.controllerEpoch, version: view.controllerEpochVersion };
    const ops = electionOps(id, epoch, yield* now());
    return unless(["NODE_EXISTS", "BAD_VERSION"], yield* session.write({ type: "multi", ops }));
  }

  // ── the controller ───────────────────────────────────────────────────────

  /** One round as the controller. @returns how long it may wait, ms: less if a partition must be notified again */
  *#control(view: ClusterView): Program<Outcome<number>> {
    const { config } = this.#ports;
    const controllerView = controllerViewOf(view);
    const plan = planController(controllerView, config.partitionsPerMultiMax);
    for (const write of plan) {
      const written = yield* this.#carryOut(write, view.controllerEpoch);
      if (!written.ok) return written;
    }
    // the round that reads these writes announces them
    const isDone = plan.length > 0 || (yield* this.#announce(announcements(controllerView)));
    return { ok: true, value: isDone ? config.parkMs : config.retryMs };
  }

  *#carryOut({ ops, removal }: ControllerWrite, controllerEpoch: number): Program<Outcome<null>> {
    if (removal !== undefined) {
      const emptied = yield* this.#empty(removal, controllerEpoch);
      if (!emptied.ok) return emptied;
    }
    return unless([], yield* this.#ports.session.write({ type: "multi", ops }));
  }

  /** Deletes the logs in a topic's partition objects, before its znodes are deleted. Stops at the first failure. */
  *#empty({ topicId, partitions }: Removal, controllerEpoch: number): Program<Outcome<null>> {
    const { attemptTimeoutMs: timeoutMs, callsAtOnce, callsPerTurn } = this.#ports.config;
    for (let at = 0; at < partitions.length; at += callsAtOnce) {
      const slice = partitions.slice(at, at + callsAtOnce);
      const calls = slice.map(
        (partition) => ({ topicId, partition, name: "remove", controllerEpoch }) as const,
      );
      const answers = yield* perform({ type: "partitions", calls, timeoutMs });
      for (const [i, answer] of answers.entries())
        if (answer !== undefined) this.#announced.delete(`${topicId}/${slice[i]}`);
      if (answers.includes(undefined)) return failure("SYSTEM_ERROR", "a partition was not emptied");
      if (at % callsPerTurn === 0 && at > 0) yield* pause(0);
    }
    return DONE;
  }

  /**
   * Sends the leaderships to the partitions' objects, except those already acknowledged.
   * @returns false if one could not be reached
   */
  *#announce(leaderships: readonly Leadership[]): Program<boolean> {
    const news = leaderships.filter((each) => this.#announced.get(keyOf(each)) !== contentOf(each));
    if (news.length === 0) return true;
    const calls = news.map((leadership) => {
      const { topicId, partition } = leadership;
      return { topicId, partition, name: "leaderAndIsr", leadership } as const;
    });
    const { attemptTimeoutMs: timeoutMs } = this.#ports.config;
    const answers = yield* perform({ type: "partitions", calls, timeoutMs });
    // a refusal also counts as acknowledged: the partition knows a newer epoch, which is in the ensemble too
    for (const [i, leadership] of news.entries())
      if (answers[i] !== undefined) this.#announced.set(keyOf(leadership), contentOf(leadership));
    return !answers.includes(undefined);
  }
}

const keyOf = ({ topicId, partition }: Leadership): string => `${topicId}/${partition}`;
const contentOf = ({ controllerEpoch, leaderEpoch, isr }: Leadership): string =>
  `${controllerEpoch} ${leaderEpoch} ${isr.join()}`;

/** Counts refusals with these codes as success: another broker did the same first. */
const unless = (codes: readonly string[], outcome: Outcome<unknown>): Outcome<null> =>
  outcome.ok || codes.includes(outcome.code) ? DONE : outcome;

/** `next`, if the outcome is a success. */
const afterwards = <T>(outcome: Outcome<null>, next: Outcome<T>): Outcome<T> => (outcome.ok ? next : outcome);
