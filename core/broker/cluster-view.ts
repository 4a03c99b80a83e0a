/**
 * Reads the cluster from its znodes, as a coroutine: it yields reads and receives their results, so the same code reads a
 * tree in memory and an ensemble over RPC. Everything is read from one node, and the order of the steps matters:
 * `/controller_epoch` comes before `/controller`, so a broker that finds itself there knows that the epoch is its own. It
 * also returns the conditions under which the view is outdated.
 */
import { zxidToText } from "../zab/zxid.ts";
import type { SessionId } from "../znode/types.ts";
import type { ClusterRead, ClusterReadResult } from "./cluster-read.ts";
import type { ControllerView, TopicView, VersionedState } from "./controller.ts";
import { topicNameProblem } from "./topic.ts";
import type { TopicConfig } from "./topic-config.ts";
import {
  decodeClusterId,
  decodeController,
  decodeControllerEpoch,
  decodeState,
  decodeTopic,
  decodeTopicConfig,
  type LiveBroker,
  liveBrokerOf,
  PATHS,
  partitionsPath,
  statePath,
  topicConfigPath,
  topicPath,
} from "./znodes.ts";

/** A znode whose change outdates the view, with its last zxid as text; `0x0` if it does not exist. */
export interface ClusterCondition {
  readonly path: string;
  readonly kind: "data" | "children";
  readonly since: string;
}

/** A topic with its configuration as it is stored. */
export interface ConfiguredTopic extends TopicView {
  readonly config: TopicConfig;
}

/** The brokers' znodes as one broker has read them. */
export interface ClusterView {
  readonly clusterId: string | undefined;
  readonly controllerEpoch: number;
  /** version of `/controller_epoch`; −1 while it does not exist */
  readonly controllerEpochVersion: number;
  /** id of the controller, and the session that owns `/controller` */
  readonly controller: { readonly id: number; readonly session: SessionId } | undefined;
  /** registered brokers by ascending id */
  readonly brokers: readonly LiveBroker[];
  /** by name */
  readonly topics: readonly ConfiguredTopic[];
  readonly deleting: readonly string[];
  readonly conditions: readonly ClusterCondition[];
}

type Steps = Generator<readonly ClusterRead[], ClusterView, readonly ClusterReadResult[]>;

const dataOf = (path: string): ClusterRead => ({ type: "getData", path });
const childrenOf = (path: string): ClusterRead => ({ type: "getChildren", path });

function condition(read: ClusterRead, result: ClusterReadResult): ClusterCondition {
  const kind = read.type === "getData" ? "data" : "children";
  if (result === undefined) return { path: read.path, kind: "data", since: "0x0" };
  return {
    path: read.path,
    kind,
    since: zxidToText(kind === "data" ? result.stat.mzxid : result.stat.pzxid),
  };
}

/** Reads the cluster in three steps. */
export function* readCluster(): Steps {
  const roots = [PATHS.brokerIds, PATHS.topics, PATHS.deleteTopics].map(childrenOf);
  const epochRead = { ...dataOf(PATHS.controllerEpoch), fresh: true };
  const [epoch, clusterId, ids, topicNames, deleting] = yield [
    epochRead,
    { ...dataOf(PATHS.clusterId), fresh: true },
    ...roots,
  ];
  const conditions = [epoch, ids, topicNames, deleting].map((result, i) =>
    condition([epochRead, ...roots][i] ?? epochRead, result),
  );

  const brokerNames = ids?.children ?? [];
  const names = (topicNames?.children ?? []).filter((name) => topicNameProblem(name) === undefined);
  const reads = [
    { ...dataOf(PATHS.controller), fresh: true },
    ...brokerNames.map((name) => dataOf(`${PATHS.brokerIds}/${name}`)),
    ...names.map((name) => dataOf(topicPath(name))),
    ...names.map((name) => childrenOf(partitionsPath(name))),
    ...names.map((name) => dataOf(topicConfigPath(name))),
  ];
  const results = yield reads;
  const controller = results[0];
  conditions.push(condition(reads[0] ?? dataOf(""), controller));
  const brokers = brokerNames.flatMap((name, i) => {
    const result = results[1 + i];
    conditions.push(condition(dataOf(`${PATHS.brokerIds}/${name}`), result));
    const broker = result && liveBrokerOf(name, result.data, result.stat, zxidToText(result.stat.czxid));
    return broker === undefined || broker.session === 0 ? [] : [broker];
  });

  const topicsFrom = 1 + brokerNames.length;
  const topics = names.flatMap((name, i) => {
    const result = results[topicsFrom + i];
    conditions.push(condition(dataOf(topicPath(name)), result));
    const assignment = decodeTopic(result?.data ?? null);
    const partitions = results[topicsFrom + names.length + i];
    conditions.push(condition(childrenOf(partitionsPath(name)), partitions));
    const config = results[topicsFrom + 2 * names.length + i];
    conditions.push(condition(dataOf(topicConfigPath(name)), config));
    return assignment === undefined ? [] : [{ name, assignment, partitions, config }];
  });
  const stateReads = topics.flatMap(({ name, assignment }) =>
    [...assignment.partitions.keys()].map((partition) => dataOf(statePath(name, partition))),
  );
  const states = yield stateReads;
  let at = 0;
  const views = topics.map(({ name, assignment, partitions, config }): ConfiguredTopic => {
    const known = new Map<number, VersionedState>();
    for (const partition of assignment.partitions.keys()) {
      const result = states[at++];
      conditions.push(condition(dataOf(statePath(name, partition)), result));
      const state = decodeState(result?.data ?? null);
      // an invalid state is overwritten, for which its version is needed
      if (result !== undefined)
        known.set(partition, { ...(state ?? NO_STATE), version: result.stat.version });
    }
    return {
      name,
      ...assignment,
      states: known,
      partitionsExist: partitions !== undefined,
      partitionZnodes: (partitions?.children ?? []).map(Number).filter(Number.isSafeInteger),
      hasConfig: config !== undefined,
      config: decodeTopicConfig(config?.data ?? null),
    };
  });

  const controllerId = decodeController(controller?.data ?? null);
  return {
    clusterId: decodeClusterId(clusterId?.data ?? null),
    controllerEpoch: decodeControllerEpoch(epoch?.data ?? null) ?? 0,
    controllerEpochVersion: epoch?.stat.version ?? -1,
    controller:
      controller === undefined || controllerId === undefined
        ? undefined
        : { id: controllerId, session: controller.stat.ephemeralOwner },
    brokers: brokers.sort((a, b) => a.id - b.id),
    topics: views,
    deleting: (deleting?.children ?? []).filter((name) => topicNameProblem(name) === undefined),
    conditions,
  };
}

/** Cache of the reads of unchanged znodes. A change outdates a condition of the view and is reported to {@link forget}. */
export class ReadCache {
  #results = new Map<string, ClusterReadResult>();

  /** Removes what an outdated condition invalidates. */
  forget(path: string): void {
    this.#results.delete(keyOf({ type: "getData", path }));
    this.#results.delete(keyOf({ type: "getChildren", path }));
  }

  clear(): void {
    this.#results.clear();
  }

  /**
   * Reads the cluster as {@link readCluster} does, but reads only what is not cached. With thousands of partitions that is
   * three reads per change instead of thousands.
   */
  *read(): Steps {
    const steps = readCluster();
    const results = new Map<string, ClusterReadResult>();
    let step = steps.next();
    while (!step.done) {
      const wanted = step.value;
      const unknown = wanted.filter((read) => read.fresh === true || !this.#results.has(keyOf(read)));
      const found = unknown.length === 0 ? [] : yield unknown;
      for (const read of wanted) results.set(keyOf(read), this.#results.get(keyOf(read)));
      for (const [i, read] of unknown.entries()) results.set(keyOf(read), found[i]);
      step = steps.next(wanted.map((read) => results.get(keyOf(read))));
    }
    this.#results = results;
    return step.value;
  }
}

const keyOf = ({ type, path }: ClusterRead): string => `${type} ${path}`;

/** Returns those of the znodes that do not exist. */
export function* readMissing<T extends { readonly path: string }>(
  wanted: readonly T[],
): Generator<readonly ClusterRead[], readonly T[], readonly ClusterReadResult[]> {
  const found = yield wanted.map(({ path }) => dataOf(path));
  return wanted.filter((_, i) => found[i] === undefined);
}

const NO_STATE = { leader: -1, leaderEpoch: -1, controllerEpoch: 0, isr: [] };

/** The view as the controller's reducer takes it. */
export const controllerViewOf = (view: ClusterView): ControllerView => ({
  controllerEpoch: view.controllerEpoch,
  controllerEpochVersion: view.controllerEpochVersion,
  live: view.brokers.map((broker) => broker.id),
  topics: view.topics,
  deleting: view.deleting,
});

/** A partition as clients and the page see it. */
export interface PartitionMetadata {
  readonly partition: number;
  /** −1: none now */
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly isr: readonly number[];
  readonly replicas: readonly number[];
}

/** A topic, as clients see it. */
export interface TopicMetadata {
  readonly name: string;
  readonly topicId: string;
  /** as it is stored; absent: the broker is of an earlier version */
  readonly config?: TopicConfig;
  readonly partitions: readonly PartitionMetadata[];
}

/** The cluster, as clients see it. */
export interface ClusterMetadata {
  readonly clusterId: string | null;
  readonly controller: number | null;
  readonly controllerEpoch: number;
  readonly brokers: readonly {
    readonly id: number;
    readonly epoch: string;
    readonly host: string;
    readonly port: number;
  }[];
  readonly topics: readonly TopicMetadata[];
}

/** The metadata of a topic; a partition without a state has no leader. */
export function topicMetadataOf(topic: ConfiguredTopic): TopicMetadata {
  const partitions = [...topic.partitions].map(([partition, replicas]) => {
    const { leader, leaderEpoch, isr } = topic.states.get(partition) ?? NO_STATE;
    return { partition, leader, leaderEpoch, isr, replicas };
  });
  return { name: topic.name, topicId: topic.topicId, config: topic.config, partitions };
}

/** The view as brokers answer it. Topics that are being deleted are gone. */
export const metadataOf = (view: ClusterView): ClusterMetadata => ({
  clusterId: view.clusterId ?? null,
  controller: view.controller?.id ?? null,
  controllerEpoch: view.controllerEpoch,
  brokers: view.brokers.map(({ id, brokerEpoch, host, port }) => ({ id, epoch: brokerEpoch, host, port })),
  topics: view.topics.filter((topic) => !view.deleting.includes(topic.name)).map(topicMetadataOf),
});
