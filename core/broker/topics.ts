/** Requests of clients about topics: a broker writes the request into znodes, and the controller carries it out. */
import type { KafkaErrorCode, ZooErrorCode } from "../errors.ts";
import type { BrokerLoop } from "./broker-loop.ts";
import { type ClusterView, type TopicMetadata, topicMetadataOf } from "./cluster-view.ts";
import type { BrokerConfig } from "./config.ts";
import { assignReplicas } from "./controller.ts";
import type { EnsembleSession } from "./ensemble-session.ts";
import { failure, now, type Outcome, type Program, pause, perform } from "./program.ts";
import { partitionCountProblem, topicNameProblem } from "./topic.ts";
import { topicConfigProblem } from "./topic-config.ts";
import {
  createRequest,
  deleteTopicPath,
  encodeTopic,
  encodeTopicConfig,
  topicConfigPath,
  topicPath,
} from "./znodes.ts";

/** A broker's answer to a client. */
export type BrokerOutcome<T> = Outcome<T, KafkaErrorCode | ZooErrorCode>;

/** A client's request for a topic. */
export interface TopicRequest {
  readonly name: string;
  readonly partitions: number;
  /** undefined for the default */
  readonly replicationFactor?: number;
  readonly config?: Readonly<Record<string, string>>;
}

/** The interface of {@link Topics} to its environment. */
export interface TopicsPorts {
  readonly loop: BrokerLoop;
  /** brokers of the cluster, dead ones included */
  readonly brokerCount: number;
  readonly session: EnsembleSession;
  readonly config: BrokerConfig;
}

const refuse = (code: KafkaErrorCode, message: string): BrokerOutcome<never> => failure(code, message);

/** The answer of a broker that is not registered. */
export const NOT_READY: BrokerOutcome<never> = refuse(
  "BROKER_NOT_AVAILABLE",
  "the broker has no session; it opens one when a quorum answers",
);

/** Creates and deletes topics. It has no state; it waits for changes of the state in the ensemble. */
export class Topics {
  readonly #ports: TopicsPorts;

  constructor(ports: TopicsPorts) {
    this.#ports = ports;
  }

  /** Creates a topic and waits until every partition accepts records. */
  *create(request: TopicRequest): Program<BrokerOutcome<TopicMetadata>> {
    const { loop, session, config, brokerCount } = this.#ports;
    const complete = (each: ClusterView) => (each.brokers.length >= brokerCount ? each : undefined);
    const view =
      (yield* loop.waitFor(complete, config.formationMs)) ??
      (yield* loop.waitFor((each) => each, config.readyDeadlineMs));
    if (view === undefined) return NOT_READY;
    const refusal = refusalOf(request, view, config);
    if (refusal !== undefined) return refusal;
    const live = view.brokers.map((broker) => broker.id);
    const existing = view.topics.reduce((sum, topic) => sum + topic.partitions.size, 0);
    const factor = replicationFactorOf(request, live.length, config);
    const partitions = assignReplicas(live, request.partitions, factor, existing);
    const topicId = yield* perform({ type: "newId" });
    const topic = createRequest(topicPath(request.name), encodeTopic({ topicId, partitions }));
    const data = encodeTopicConfig(request.config ?? {});
    const path = topicConfigPath(request.name);
    const hasConfig = view.topics.some((each) => each.hasConfig && each.name === request.name);
    const setting = hasConfig
      ? ({ type: "setData", path, data, version: -1 } as const)
      : createRequest(path, data);
    const written = yield* session.write({ type: "multi", ops: [topic, setting] });
    if (written.ok) return yield* this.ready(request.name);
    return written.code === "NODE_EXISTS"
      ? refuse("TOPIC_ALREADY_EXISTS", `topic ${request.name} exists`)
      : written;
  }

  /** Waits until every partition of a topic has a leader that its object knows. */
  *ready(name: string): Program<BrokerOutcome<TopicMetadata>> {
    const { loop, config } = this.#ports;
    const deadline = (yield* now()) + config.readyDeadlineMs;
    const topic = yield* loop.waitFor((view) => ledTopic(view, name), config.readyDeadlineMs);
    if (topic === undefined) return refuse("LEADER_NOT_AVAILABLE", `topic ${name} has no leaders yet`);
    for (const { partition, leaderEpoch } of topic.partitions) {
      while (!(yield* this.#isTold(topic.topicId, partition, leaderEpoch))) {
        if ((yield* now()) > deadline)
          return refuse("LEADER_NOT_AVAILABLE", `partition ${partition} has no leader yet`);
        yield* pause(config.tellPollMs);
      }
    }
    return { ok: true, value: topic };
  }

  /** Whether the partition's object has received this leader epoch, or a later one, from the controller. */
  *#isTold(topicId: string, partition: number, leaderEpoch: number): Program<boolean> {
    const { attemptTimeoutMs: timeoutMs } = this.#ports.config;
    const calls = [{ topicId, partition, name: "bounds" }] as const;
    const [answer] = yield* perform({ type: "partitions", calls, timeoutMs });
    return answer?.ok === true && "leaderEpoch" in answer && answer.leaderEpoch >= leaderEpoch;
  }

  /** Requests the deletion of a topic and waits until it is deleted. */
  *delete(name: string): Program<BrokerOutcome<null>> {
    const { loop, session, config } = this.#ports;
    const view = yield* loop.waitFor((each) => each, config.readyDeadlineMs);
    if (view === undefined) return NOT_READY;
    if (!view.topics.some((topic) => topic.name === name))
      return refuse("UNKNOWN_TOPIC_OR_PARTITION", `there is no topic ${name}`);
    const asked = yield* session.write(createRequest(deleteTopicPath(name), null));
    if (!asked.ok && asked.code !== "NODE_EXISTS") return asked;
    const isGone = (each: ClusterView) =>
      each.topics.some((topic) => topic.name === name) ? undefined : true;
    return (yield* loop.waitFor(isGone, config.readyDeadlineMs))
      ? { ok: true, value: null }
      : refuse("REQUEST_TIMED_OUT", `topic ${name} is being deleted`);
  }
}

/** The topic, if each of its partitions has a live leader. */
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
): BrokerOutcome<never> | undefined {
  const name = topicNameProblem(request.name);
  if (name !== undefined) return refuse("INVALID_TOPIC_EXCEPTION", name);
  if (view.topics.some((topic) => topic.name === request.name))
    return refuse("TOPIC_ALREADY_EXISTS", `topic ${request.name} exists`);
  const configured = topicConfigProblem(request.config ?? {});
  if (configured !== undefined) return refuse("INVALID_CONFIG", configured);
  const existing = view.topics.reduce((sum, topic) => sum + topic.partitions.size, 0);
  const count = partitionCountProblem(request.partitions, existing, config);
  if (count !== undefined) return refuse("INVALID_PARTITIONS", count);
  const factor = replicationFactorOf(request, view.brokers.length, config);
  if (Number.isSafeInteger(factor) && factor >= 1 && factor <= view.brokers.length) return undefined;
  return refuse("INVALID_REPLICATION_FACTOR", `${view.brokers.length} brokers are live`);
}
