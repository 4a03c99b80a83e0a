/**
 * What a broker does as long as it lives, in one loop: hold a session, stay registered, take part in the election of the
 * controller, read the cluster's znodes, act as the controller when it is one, wait for a change, and again. Every round
 * starts from what the ensemble says, so there is no state to repair after a failure.
 */
import {
  type ClusterView,
  controllerViewOf,
  ReadCache,
  readMissing,
} from "../../core/broker/cluster-view.ts";
import type { BrokerConfig } from "../../core/broker/config.ts";
import {
  announcements,
  type ControllerWrite,
  planController,
  type Removal,
} from "../../core/broker/controller.ts";
import type { Leadership } from "../../core/broker/partition.ts";
import {
  baseZnodes,
  brokerIdPath,
  createRequest,
  electionOps,
  encodeRegistration,
} from "../../core/broker/znodes.ts";
import { CreateMode, NO_SESSION } from "../../core/znode/types.ts";
import { pause, Waiters, withTimeout } from "../shared/timeout.ts";
import type { TopicPartitionRpc } from "../topic-partition/rpc.ts";
import type { BrokerStore } from "./broker-store.ts";
import { EnsembleError, type EnsembleSession } from "./ensemble-session.ts";
import { PeerWatch } from "./peer-watch.ts";
import { randomId } from "./random-id.ts";
import type { BrokerIdentity, BrokerRpc } from "./rpc.ts";

export interface BrokerLoopPorts {
  readonly identity: BrokerIdentity;
  readonly config: BrokerConfig;
  /** where clients reach this broker, as its registration says */
  readonly endpoint: { readonly host: string; readonly port: number };
  /** znodes that an application on top needs, parents first */
  readonly applicationPaths: readonly string[];
  readonly store: BrokerStore;
  readonly session: EnsembleSession;
  /** fresh stubs */
  readonly connectBroker: (id: number) => BrokerRpc;
  readonly connectPartition: (topicId: string, partition: number) => TopicPartitionRpc;
  /** Is nobody asking anything of this broker? */
  readonly isIdle: () => boolean;
  /** the loop has stopped, as the ensemble has */
  readonly onSleep: (isController: boolean) => void;
  /** it goes on */
  readonly onWake: () => void;
  /** a round begins: the loop runs without its heartbeat too */
  readonly onRound: () => void;
}

/** Calls to partitions under way at a time; an object may have six. */
const CALLS_AT_ONCE = 4;

export class BrokerLoop {
  readonly #ports: BrokerLoopPorts;
  readonly #peers: PeerWatch;
  readonly #changed = new Waiters();
  readonly #known = new ReadCache();
  #view: ClusterView | undefined;
  /** map partition → what its object was told last */
  #told = new Map<string, string>();
  /** epoch of the ensemble in which it slept last; a word of an earlier one is late */
  #sleptIn = 0;
  #wake: (() => void) | undefined;

  constructor(ports: BrokerLoopPorts) {
    this.#ports = ports;
    const { config, identity } = ports;
    this.#peers = new PeerWatch({
      id: identity.id,
      connect: ports.connectBroker,
      closeSession: (session) => ports.session.close(session),
      probeTimeoutMs: config.probeTimeoutMs,
      retryMs: config.retryMs,
      parkTimeoutMs: config.parkMs * 2,
    });
  }

  /** The cluster as last read; undefined until this broker is registered. */
  get view(): ClusterView | undefined {
    return this.#isRegistered(this.#view) ? this.#view : undefined;
  }

  get isController(): boolean {
    const { session } = this.#ports;
    return session.id !== NO_SESSION && this.#view?.controller?.session === session.id;
  }

  /** Resolves with what `find` finds in the view, now or after a change; undefined after `ms`. */
  async waitFor<T>(find: (view: ClusterView) => T | undefined, ms: number): Promise<T | undefined> {
    const deadline = Date.now() + ms;
    for (;;) {
      const { view } = this;
      const found = view && find(view);
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0) return undefined;
      await this.#changed.wait(left);
    }
  }

  /** Stopped with the ensemble, until {@link wake}. */
  get isAsleep(): boolean {
    return this.#wake !== undefined;
  }

  /** Goes on, if it slept. @param epoch of the ensemble that wakes it, where it does */
  wake(epoch = 0): void {
    this.#sleptIn = Math.max(this.#sleptIn, epoch - 1);
    const wake = this.#wake;
    if (wake === undefined) return;
    this.#wake = undefined;
    this.#ports.onWake();
    wake();
  }

  /** Runs until the object ends. @param resumes the session slept and goes on */
  async run(resumes: boolean): Promise<never> {
    if (!resumes) await this.#buryLastLife();
    for (;;) {
      try {
        await this.#round();
      } catch {
        // the next round begins from what the ensemble says by then
        this.#known.clear();
        await pause(this.#ports.config.retryMs);
      }
    }
  }

  /** A new life is a new broker epoch: what the last one had registered must not look alive. */
  async #buryLastLife(): Promise<void> {
    const { store, session, config } = this.#ports;
    const old = store.session;
    if (old === undefined) return;
    try {
      await session.close(old);
    } catch {
      // it is still found in the registration, or expires
      await pause(config.retryMs);
    }
  }

  /** Reads, acts, and waits for a change; what it did itself is a change too, which it reads in the next round. */
  async #round(): Promise<void> {
    const { session, store, onRound } = this.#ports;
    onRound();
    if (session.id === NO_SESSION) store.session = await session.open();
    const view = await session.readAll(() => this.#known.read());
    this.#show(view);
    const waitMs = await this.#act(view);
    const changed = await session.waitForChange(view.conditions, waitMs, this.#ports.identity.id);
    if (typeof changed === "number") await this.#sleep(changed);
    else for (const path of changed) this.#known.forget(path);
  }

  /** The ensemble sleeps: so do we, until it wakes us or somebody needs us. */
  async #sleep(epoch: number): Promise<void> {
    const { session, isIdle, onSleep } = this.#ports;
    if (epoch <= this.#sleptIn || session.writing || !isIdle()) return;
    this.#sleptIn = epoch;
    this.#peers.watch([]);
    this.#known.clear();
    const { isController } = this;
    this.#view = undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      onSleep(isController);
    });
  }

  /** Does what this broker has to do now; returns how long it may wait for a change. */
  async #act(view: ClusterView): Promise<number> {
    const { session, identity, config } = this.#ports;
    if (view.controllerEpochVersion === -1) await this.#makeBase();
    else if (!this.#isRegistered(view)) await this.#register(view);
    else if (view.controller === undefined) await this.#elect(view);
    else {
      const isController = view.controller.session === session.id;
      const others = view.brokers.filter((broker) => broker.id !== identity.id);
      this.#peers.watch(
        isController ? others : others.filter((broker) => broker.session === view.controller?.session),
      );
      if (isController) return (await this.#control(view)) ? config.parkMs : config.retryMs;
      this.#told.clear();
    }
    return config.parkMs;
  }

  #show(view: ClusterView): void {
    this.#view = view;
    this.#changed.wake();
  }

  #isRegistered(view: ClusterView | undefined): boolean {
    const { session, identity } = this.#ports;
    const own = view?.brokers.find((broker) => broker.id === identity.id);
    return own !== undefined && own.session === session.id && session.id !== NO_SESSION;
  }

  async #makeBase(): Promise<void> {
    const { session, applicationPaths } = this.#ports;
    const missing = await session.readAll(() => readMissing(baseZnodes(randomId(), applicationPaths)));
    const ops = missing.map(({ path, data }) => createRequest(path, data));
    // when another broker was faster, the next round sees what it made
    if (ops.length > 0) await unless("NODE_EXISTS", session.write({ type: "multi", ops }));
  }

  async #register(view: ClusterView): Promise<void> {
    const { session, identity, endpoint } = this.#ports;
    // only a former life of this broker can hold its id
    const former = view.brokers.find((broker) => broker.id === identity.id);
    if (former !== undefined) await session.close(former.session);
    const data = encodeRegistration({ ...endpoint, timestampMs: Date.now() });
    const path = brokerIdPath(identity.id);
    const create = { type: "create", path, data, mode: CreateMode.EPHEMERAL, withStat: false } as const;
    try {
      await unless("NODE_EXISTS", session.write(create));
    } catch (error) {
      if (!(error instanceof EnsembleError && error.code === "NO_NODE")) throw error;
      await this.#makeBase();
    }
  }

  async #elect(view: ClusterView): Promise<void> {
    const { session, identity } = this.#ports;
    const epoch = { controllerEpoch: view.controllerEpoch, version: view.controllerEpochVersion };
    const ops = electionOps(identity.id, epoch, Date.now());
    await unless(["NODE_EXISTS", "BAD_VERSION"], session.write({ type: "multi", ops }));
  }

  /** One round as the controller. False: a partition was not reached and must be told again. */
  async #control(view: ClusterView): Promise<boolean> {
    const controllerView = controllerViewOf(view);
    const plan = planController(controllerView, this.#ports.config.partitionsPerMultiMax);
    for (const write of plan) await this.#carryOut(write, view.controllerEpoch);
    // what was written now is announced in the round that reads it
    return plan.length > 0 || this.#announce(announcements(controllerView));
  }

  async #carryOut({ ops, removal }: ControllerWrite, controllerEpoch: number): Promise<void> {
    if (removal !== undefined) await this.#empty(removal, controllerEpoch);
    await this.#ports.session.write({ type: "multi", ops });
  }

  async #empty({ topicId, partitions }: Removal, controllerEpoch: number): Promise<void> {
    const { connectPartition, config } = this.#ports;
    await inSlices(partitions, async (partition) => {
      const removing = connectPartition(topicId, partition).remove({ topicId, controllerEpoch });
      await withTimeout(removing, config.attemptTimeoutMs);
      this.#told.delete(`${topicId}/${partition}`);
    });
  }

  /** Tells the partitions' objects who leads them, unless they know. False: one could not be reached. */
  async #announce(leaderships: readonly Leadership[]): Promise<boolean> {
    const { connectPartition, config } = this.#ports;
    const news = leaderships.filter((each) => this.#told.get(keyOf(each)) !== wordOf(each));
    let reached = true;
    await inSlices(news, async (leadership) => {
      const { topicId, partition } = leadership;
      try {
        // a refusal is an answer too: who refuses knows a newer epoch, and so does the ensemble
        await withTimeout(
          connectPartition(topicId, partition).leaderAndIsr(leadership),
          config.attemptTimeoutMs,
        );
        this.#told.set(keyOf(leadership), wordOf(leadership));
      } catch {
        reached = false;
      }
    });
    return reached;
  }
}

const keyOf = ({ topicId, partition }: Leadership): string => `${topicId}/${partition}`;
const wordOf = ({ controllerEpoch, leaderEpoch, isr }: Leadership): string =>
  `${controllerEpoch} ${leaderEpoch} ${isr.join()}`;

async function inSlices<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += CALLS_AT_ONCE) {
    await Promise.all(items.slice(at, at + CALLS_AT_ONCE).map(run));
    // a chain of calls within one process never lets timers and sockets in
    if (at % 64 === 0 && at > 0) await pause(0);
  }
}

/** Takes refusals with these codes for success. */
async function unless(codes: string | readonly string[], call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof EnsembleError && codes.includes(error.code))) throw error;
  }
}
