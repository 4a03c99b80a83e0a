/**
 * Kafka's znodes: the only place that contains their paths and payloads. Names and JSON are those of Kafka 3.9, so that
 * tools which read Kafka's ZooKeeper recognise them. Decoders return undefined for an invalid payload, because any client
 * may write znodes.
 *
 * @source Kafka 3.9 `ZkData.scala`
 */
import { CreateMode, type MultiRequestOp, type SessionId, type Stat } from "../znode/types.ts";
import { decodeFields, decodeText, encodeJson, encodeText } from "./json-text.ts";
import { partitionFromText } from "./topic.ts";

/** Paths of Kafka's znodes. */
export const PATHS = {
  clusterId: "/cluster/id",
  controller: "/controller",
  controllerEpoch: "/controller_epoch",
  brokerIds: "/brokers/ids",
  topics: "/brokers/topics",
  topicConfigs: "/config/topics",
  deleteTopics: "/admin/delete_topics",
} as const;

/** Ephemeral registration of a broker. */
export const brokerIdPath = (id: number): string => `${PATHS.brokerIds}/${id}`;
/** Partitions and replicas of a topic. */
export const topicPath = (topic: string): string => `${PATHS.topics}/${topic}`;
/** Configuration of a topic. */
export const topicConfigPath = (topic: string): string => `${PATHS.topicConfigs}/${topic}`;
/** Mark of a topic that is being deleted. */
export const deleteTopicPath = (topic: string): string => `${PATHS.deleteTopics}/${topic}`;
/** Parent of a topic's partitions. */
export const partitionsPath = (topic: string): string => `${topicPath(topic)}/partitions`;
/** Parent of a partition's state. */
export const partitionPath = (topic: string, partition: number): string =>
  `${partitionsPath(topic)}/${partition}`;
/** Leader, ISR and epochs of a partition. */
export const statePath = (topic: string, partition: number): string =>
  `${partitionPath(topic, partition)}/state`;

/**
 * Persistent znodes that a broker creates when it starts, parents first, each with its first data.
 * @param more paths of an application on top of the brokers, parents first, created without data
 */
export function baseZnodes(
  clusterId: string,
  more: readonly string[] = [],
): readonly { readonly path: string; readonly data: Uint8Array | null }[] {
  const empty = (path: string) => ({ path, data: null });
  return [
    empty("/cluster"),
    { path: PATHS.clusterId, data: encodeJson({ version: "1", id: clusterId }) },
    { path: PATHS.controllerEpoch, data: encodeText("0") },
    ...["/brokers", PATHS.brokerIds, PATHS.topics, "/brokers/seqid", "/config", PATHS.topicConfigs].map(
      empty,
    ),
    ...["/admin", PATHS.deleteTopics, "/isr_change_notification", ...more].map(empty),
  ];
}

/** Request that creates a persistent znode. */
export const createRequest = (path: string, data: Uint8Array | null) =>
  ({ type: "create", path, data, mode: CreateMode.PERSISTENT, withStat: false }) as const;

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;

const idsOf = (value: unknown): number[] | undefined => {
  if (!Array.isArray(value)) return undefined;
  const ids = value.filter((id): id is number => numberOf(id) !== undefined && id >= 0);
  return ids.length === value.length ? ids : undefined;
};

/** `/cluster/id`. */
export const decodeClusterId = (data: Uint8Array | null): string | undefined => {
  const { id } = decodeFields(data);
  return typeof id === "string" ? id : undefined;
};

/** Endpoint of a broker for clients. */
export interface BrokerEndpoint {
  readonly host: string;
  readonly port: number;
}

/** A broker's registration in its ephemeral znode. */
export interface BrokerRegistration extends BrokerEndpoint {
  /** ms since 1970 */
  readonly timestampMs: number;
}

/** Payload of a broker's registration. */
export function encodeRegistration({ host, port, timestampMs }: BrokerRegistration): Uint8Array {
  return encodeJson({
    listener_security_protocol_map: { PLAINTEXT: "PLAINTEXT" },
    endpoints: [`PLAINTEXT://${host}:${port}`],
    jmx_port: -1,
    features: {},
    host,
    timestamp: `${timestampMs}`,
    port,
    version: 5,
  });
}

/** Decodes a registration; undefined if it is invalid, as for all payloads below. */
export function decodeRegistration(data: Uint8Array | null): BrokerRegistration | undefined {
  const { host, port, timestamp } = decodeFields(data);
  const number = numberOf(port);
  if (typeof host !== "string" || number === undefined) return undefined;
  return { host, port: number, timestampMs: Number(timestamp) || 0 };
}

/** Payload of `/controller`. */
export const encodeController = (brokerId: number, timestampMs: number): Uint8Array =>
  encodeJson({ version: 2, brokerid: brokerId, timestamp: `${timestampMs}`, kraftControllerEpoch: -1 });

/** Id of the broker that is the controller. */
export const decodeController = (data: Uint8Array | null): number | undefined =>
  numberOf(decodeFields(data).brokerid);

/** Payload of `/controller_epoch`: decimal digits. */
export const encodeControllerEpoch = (controllerEpoch: number): Uint8Array =>
  encodeText(`${controllerEpoch}`);

/** The controller epoch. */
export function decodeControllerEpoch(data: Uint8Array | null): number | undefined {
  const text = decodeText(data) ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A topic's partitions: map partition → assigned replicas, the preferred one first. */
export interface TopicAssignment {
  readonly topicId: string;
  readonly partitions: ReadonlyMap<number, readonly number[]>;
}

/** Payload of a topic. */
export function encodeTopic({ topicId, partitions }: TopicAssignment): Uint8Array {
  return encodeJson({
    partitions: Object.fromEntries(
      [...partitions].map(([partition, replicas]) => [`${partition}`, replicas]),
    ),
    topic_id: topicId,
    adding_replicas: {},
    removing_replicas: {},
    version: 3,
  });
}

/** The assignment of a topic. */
export function decodeTopic(data: Uint8Array | null): TopicAssignment | undefined {
  const fields = decodeFields(data);
  const { topic_id: topicId, partitions } = fields;
  if (typeof topicId !== "string" || !/^[\w-]{1,64}$/.test(topicId)) return undefined;
  if (typeof partitions !== "object" || partitions === null) return undefined;
  const assignment = new Map<number, readonly number[]>();
  for (const [text, value] of Object.entries(partitions)) {
    const partition = partitionFromText(text);
    const replicas = idsOf(value);
    if (partition === undefined || replicas === undefined) return undefined;
    assignment.set(partition, replicas);
  }
  return { topicId, partitions: new Map([...assignment].sort(([a], [b]) => a - b)) };
}

/** A partition's state. `leader` is −1 if there is none. The znode's version is the partition epoch. */
export interface PartitionStateData {
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly controllerEpoch: number;
  readonly isr: readonly number[];
}

/** Payload of a partition's state. */
export const encodeState = (state: PartitionStateData): Uint8Array =>
  encodeJson({
    controller_epoch: state.controllerEpoch,
    leader: state.leader,
    version: 1,
    leader_epoch: state.leaderEpoch,
    isr: state.isr,
  });

/** The state of a partition. */
export function decodeState(data: Uint8Array | null): PartitionStateData | undefined {
  const fields = decodeFields(data);
  const leader = numberOf(fields.leader);
  const leaderEpoch = numberOf(fields.leader_epoch);
  const controllerEpoch = numberOf(fields.controller_epoch);
  const isr = idsOf(fields.isr);
  if (leader === undefined || leaderEpoch === undefined || controllerEpoch === undefined || isr === undefined)
    return undefined;
  return { leader, leaderEpoch, controllerEpoch, isr };
}

/** Payload of a topic's configuration. */
export const encodeTopicConfig = (config: Readonly<Record<string, string>>): Uint8Array =>
  encodeJson({ version: 1, config });

/** The stored configuration, unvalidated, without values that are no text. */
export function decodeTopicConfig(data: Uint8Array | null): Readonly<Record<string, string>> {
  const { config } = decodeFields(data);
  if (typeof config !== "object" || config === null || Array.isArray(config)) return {};
  return Object.fromEntries(
    Object.entries(config).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** The multi that makes this broker the controller, or fails if another broker was faster. */
export function electionOps(
  brokerId: number,
  epoch: { readonly controllerEpoch: number; readonly version: number },
  timestampMs: number,
): readonly MultiRequestOp[] {
  const data = encodeController(brokerId, timestampMs);
  return [
    { type: "create", path: PATHS.controller, data, mode: CreateMode.EPHEMERAL, withStat: false },
    {
      type: "setData",
      path: PATHS.controllerEpoch,
      data: encodeControllerEpoch(epoch.controllerEpoch + 1),
      version: epoch.version,
    },
  ];
}

/** A broker's registration, with data of its znode. */
export interface LiveBroker extends BrokerRegistration {
  readonly id: number;
  /** the session that owns the znode */
  readonly session: SessionId;
  /** Kafka's broker epoch: czxid of the znode, as text */
  readonly brokerEpoch: string;
}

/** Reads a child of `/brokers/ids`. */
export function liveBrokerOf(
  name: string,
  data: Uint8Array | null,
  stat: Stat,
  brokerEpoch: string,
): LiveBroker | undefined {
  const id = partitionFromText(name);
  const registration = decodeRegistration(data);
  if (id === undefined || registration === undefined) return undefined;
  return { id, ...registration, session: stat.ephemeralOwner, brokerEpoch };
}
