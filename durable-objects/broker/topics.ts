/** What a broker does with topics on behalf of clients: it only asks, by znodes; the controller acts. */
import { type ClusterView, type TopicMetadata, topicMetadataOf } from "../../core/broker/cluster-view.ts";
import type { BrokerConfig } from "../../core/broker/config.ts";
import { assignReplicas } from "../../core/broker/controller.ts";
import { partitionCountProblem, topicNameProblem } from "../../core/broker/topic.ts";
import { topicConfigProblem } from "../../core/broker/topic-config.ts";
import {
  createRequest,
  deleteTopicPath,
  encodeTopic,
  encodeTopicConfig,
  topicConfigPath,
  topicPath,
} from "../../core/broker/znodes.ts";
import type { KafkaErrorCode } from "../../core/errors.ts";
import { pause, withTimeout } from "../shared/timeout.ts";
import type { TopicPartitionRpc } from "../topic-partition/rpc.ts";
import type { BrokerLoop } from "./broker-loop.ts";
import { EnsembleError, type EnsembleSession } from "./ensemble-session.ts";
import { randomId } from "./random-id.ts";
import type { BrokerAnswer, TopicRequest } from "./rpc.ts";

export interface TopicsPorts {
  readonly loop: BrokerLoop;
  /** brokers of the cluster, dead ones included */
  readonly brokerCount: number;
  readonly session: EnsembleSession;
  readonly config: BrokerConfig;
  readonly connectPartition: (topicId: string, partition: number) => TopicPartitionRpc;
}

const fail = (code: KafkaErrorCode, message: string): BrokerAnswer<never> => ({ ok: false, code, message });

export class Topics {
  readonly #ports: TopicsPorts;

  constructor(ports: TopicsPorts) {
    this.#ports = ports;
  }

  /** Creates a topic and waits until every partition takes records. */
  async create(request: TopicRequest): Promise<BrokerAnswer<TopicMetadata>> {
    const { loop, session, config } = this.#ports;
    const complete = (each: ClusterView) =>
      each.brokers.length >= this.#ports.brokerCount ? each : undefined;
    const view =
      (await loop.waitFor(complete, config.formationMs)) ??
      (await loop.waitFor((each) => each, config.readyDeadlineMs));
    if (view === undefined)
      return fail("BROKER_NOT_AVAILABLE", "the broker has no session; it opens one when a quorum answers");
    const refusal = refusalOf(request, view, config);
    if (refusal !== undefined) return refusal;
    const live = view.brokers.map((broker) => broker.id);
    const existing = view.topics.reduce((sum, topic) => sum + topic.partitions.size, 0);
    const partitions = assignReplicas(
      live,
      request.partitions,
      replicationFactorOf(request, live.length, config),
      existing,
    );
    const data = encodeTopic({ topicId: randomId(), partitions });
    const topic = createRequest(topicPath(request.name), data);
    const settings = encodeTopicConfig(request.config ?? {});
    const path = topicConfigPath(request.name);
    const setting = view.topics.some((each) => each.hasConfig && each.name === request.name);
    try {
      const second = setting
        ? ({ type: "setData", path, data: settings, version: -1 } as const)
        : createRequest(path, settings);
      await session.write({ type: "multi", ops: [topic, second] });
    } catch (error) {
      if (!(error instanceof EnsembleError)) throw error;
      if (error.code === "NODE_EXISTS") return fail("TOPIC_ALREADY_EXISTS", `topic ${request.name} exists`);
      return { ok: false, code: error.code, message: error.message };
    }
    return this.ready(request.name);
  }

  /** Waits until every partition of a topic has a leader and its object knows of it. */
  async ready(name: string): Promise<BrokerAnswer<TopicMetadata>> {
    const { loop, config } = this.#ports;
    const deadline = Date.now() + config.readyDeadlineMs;
    const topic = await loop.waitFor((view) => ledTopic(view, name), config.readyDeadlineMs);
    if (topic === undefined) return fail("LEADER_NOT_AVAILABLE", `topic ${name} has no leaders yet`);
    for (const { partition, leaderEpoch } of topic.partitions) {
      while (!(await this.#isTold(topic.topicId, partition, leaderEpoch))) {
        if (Date.now() > deadline)
          return fail("LEADER_NOT_AVAILABLE", `partition ${partition} has no leader yet`);
        await pause(5);
      }
    }
    return { ok: true, value: topic };
  }

  /** Has the controller told the partition's object of this epoch, or of a later one? */
  async #isTold(topicId: string, partition: number, leaderEpoch: number): Promise<boolean> {
    try {
      const bounds = this.#ports.connectPartition(topicId, partition).bounds(-1);
      const answer = await withTimeout(bounds, this.#ports.config.attemptTimeoutMs);
      return answer.ok && answer.leaderEpoch >= leaderEpoch;
    } catch {
      return false;
    }
  }

  /** Asks for a topic's deletion and waits until it is gone. */
  async delete(name: string): Promise<BrokerAnswer<null>> {
    const { loop, session, config } = this.#ports;
    const view = await loop.waitFor((each) => each, config.readyDeadlineMs);
    if (view === undefined)
      return fail("BROKER_NOT_AVAILABLE", "the broker has no session; it opens one when a quorum answers");
    if (!view.topics.some((topic) => topic.name === name))
      return fail("UNKNOWN_TOPIC_OR_PARTITION", `there is no topic ${name}`);
    try {
      await session.write(createRequest(deleteTopicPath(name), null));
    } catch (error) {
      if (!(error instanceof EnsembleError)) throw error;
      if (error.code !== "NODE_EXISTS") return { ok: false, code: error.code, message: error.message };
    }
    const gone = await loop.waitFor(
      (each) => (each.topics.some((topic) => topic.name === name) ? undefined : true),
      config.readyDeadlineMs,
    );
    return gone ? { ok: true, value: null } : fail("REQUEST_TIMED_OUT", `topic ${name} is being deleted`);
  }
}

/** The topic when each of its partitions has a live leader. */
function ledTopic(view: ClusterView, name: string): TopicMetadata | undefined {
  if (view.deleting.includes(name)) return undefined;
  const topic = view.topics.find((each) => each.name === name);
  if (topic === undefined) return undefined;
  const metadata = topicMetadataOf(topic);
  const live = view.brokers.map((broker) => broker.id);
  return metadata.partitions.every((each) => live.includes(each.leader)) ? metadata : undefined;
}

const replicationFactorOf = (request: TopicRequest, live: number, config: BrokerConfig): number =>
  request.replicationFactor ?? Math.min(config.replicationFactorDefault, live);

function refusalOf(
  request: TopicRequest,
  view: ClusterView,
  config: BrokerConfig,
): BrokerAnswer<never> | undefined {
  const name = topicNameProblem(request.name);
  if (name !== undefined) return fail("INVALID_TOPIC_EXCEPTION", name);
  if (view.topics.some((topic) => topic.name === request.name))
    return fail("TOPIC_ALREADY_EXISTS", `topic ${request.name} exists`);
  const configured = topicConfigProblem(request.config ?? {});
  if (configured !== undefined) return fail("INVALID_CONFIG", configured);
  const existing = view.topics.reduce((sum, topic) => sum + topic.partitions.size, 0);
  const count = partitionCountProblem(request.partitions, existing, config);
  if (count !== undefined) return fail("INVALID_PARTITIONS", count);
  const factor = replicationFactorOf(request, view.brokers.length, config);
  if (Number.isSafeInteger(factor) && factor >= 1 && factor <= view.brokers.length) return undefined;
  return fail("INVALID_REPLICATION_FACTOR", `${view.brokers.length} brokers are live`);
}
