/** Topics: Confluent's REST proxy v2 at `/topics`, and the administration of v3. */
import { type Context, Hono } from "hono";
import type { PartitionMetadata, TopicMetadata } from "../../../core/broker/cluster-view.ts";
import { partitionFromText } from "../../../core/broker/topic.ts";
import { BrokerClient } from "../clients/broker-client.ts";
import { PartitionClient } from "../clients/partition-client.ts";
import type { AppEnv } from "../env.ts";
import { ApiError } from "../errors.ts";
import { baseUrlOf, intQueryOf } from "../params.ts";
import { jsonBody } from "../schema/json-body.ts";
import { createTopicBody } from "../schema/records.ts";

export const brokersOf = (c: Context<AppEnv>): BrokerClient => new BrokerClient(c.env, c.var.zoo);

/** The partition of the URL. @throws ApiError UNKNOWN_TOPIC_OR_PARTITION */
export function partitionParam(c: Context<AppEnv>): number {
  const partition = partitionFromText(c.req.param("partition") ?? "");
  if (partition !== undefined) return partition;
  throw new ApiError("UNKNOWN_TOPIC_OR_PARTITION", "a partition is a number from 0", { confluent: 40402 });
}

function partitionJson({ partition, leader, isr, replicas, leaderEpoch }: PartitionMetadata) {
  return {
    partition,
    leader,
    leader_epoch: leaderEpoch,
    replicas: replicas.map((broker) => ({
      broker,
      leader: broker === leader,
      in_sync: isr.includes(broker),
    })),
  };
}

const topicJson = (topic: TopicMetadata) => ({
  name: topic.name,
  topic_id: topic.topicId,
  configs: {},
  partitions: topic.partitions.map(partitionJson),
});

/** A topic as v3 shows it. */
function topicV3(c: Context<AppEnv>, clusterId: string, topic: TopicMetadata) {
  const self = `${baseUrlOf(c)}/v3/clusters/${clusterId}/topics/${topic.name}`;
  return {
    kind: "KafkaTopic",
    metadata: { self, resource_name: `crn:///kafka=${clusterId}/topic=${topic.name}` },
    cluster_id: clusterId,
    topic_name: topic.name,
    is_internal: false,
    replication_factor: topic.partitions[0]?.replicas.length ?? 0,
    partitions_count: topic.partitions.length,
    partitions: { related: `${self}/partitions` },
  };
}

/** The cluster of the URL must be this one. */
async function clusterIdOf(c: Context<AppEnv>): Promise<string> {
  const { clusterId } = await brokersOf(c).metadata();
  if (clusterId !== null && clusterId === c.req.param("cluster")) return clusterId;
  throw new ApiError("NOT_FOUND", "there is no such cluster", { confluent: 404 });
}

export const topicsApp = new Hono<AppEnv>()
  .get("/topics", async (c) => c.json((await brokersOf(c).metadata(true)).topics.map((topic) => topic.name)))
  .get("/topics/:topic", async (c) => c.json(topicJson(await brokersOf(c).topic(c.req.param("topic"), true))))
  .delete("/topics/:topic", async (c) => {
    const brokers = brokersOf(c);
    await brokers.topic(c.req.param("topic"), true);
    await brokers.deleteTopic(c.req.param("topic"));
    return c.body(null, 204);
  })
  .get("/topics/:topic/partitions", async (c) => {
    const topic = await brokersOf(c).topic(c.req.param("topic"), true);
    return c.json(topic.partitions.map(partitionJson));
  })
  .get("/topics/:topic/partitions/:partition", async (c) => {
    const client = new PartitionClient(brokersOf(c));
    return c.json(
      partitionJson((await client.find(c.req.param("topic"), partitionParam(c), true)).partition),
    );
  })
  .get("/topics/:topic/partitions/:partition/offsets", async (c) => {
    const client = new PartitionClient(brokersOf(c));
    const [topic, partition] = [c.req.param("topic"), partitionParam(c)];
    const timestampMs = intQueryOf(c, "timestamp", 0, Number.MAX_SAFE_INTEGER);
    const found =
      timestampMs === undefined
        ? { ...(await client.bounds(topic, partition)), offset: undefined }
        : await client.offsetOfTime(topic, partition, timestampMs);
    return c.json({
      beginning_offset: found.logStartOffset,
      end_offset: found.logEndOffset,
      high_watermark: found.highWatermark,
      leader_epoch: found.leaderEpoch,
      ...(found.offset === undefined ? {} : { offset: found.offset }),
    });
  })
  .get("/v3/clusters", async (c) => {
    const { clusterId, controller } = await brokersOf(c).metadata(true);
    const self = `${baseUrlOf(c)}/v3/clusters`;
    const cluster = {
      kind: "KafkaCluster",
      metadata: { self: `${self}/${clusterId}`, resource_name: `crn:///kafka=${clusterId}` },
      cluster_id: clusterId,
      controller: controller === null ? null : { related: `${self}/${clusterId}/brokers/${controller}` },
      topics: { related: `${self}/${clusterId}/topics` },
    };
    return c.json({ kind: "KafkaClusterList", metadata: { self, next: null }, data: [cluster] });
  })
  .get("/v3/clusters/:cluster/topics", async (c) => {
    const clusterId = await clusterIdOf(c);
    const { topics } = await brokersOf(c).metadata(true);
    const metadata = { self: `${baseUrlOf(c)}/v3/clusters/${clusterId}/topics`, next: null };
    return c.json({
      kind: "KafkaTopicList",
      metadata,
      data: topics.map((topic) => topicV3(c, clusterId, topic)),
    });
  })
  .post("/v3/clusters/:cluster/topics", jsonBody(createTopicBody), async (c) => {
    const clusterId = await clusterIdOf(c);
    const {
      topic_name: name,
      partitions_count: partitions,
      replication_factor: factor,
      configs,
    } = c.req.valid("json");
    const topic = await brokersOf(c).createTopic({
      name,
      partitions,
      // Kafka's −1 asks for the default
      ...(factor === undefined || factor === -1 ? {} : { replicationFactor: factor }),
      config: Object.fromEntries(configs.map((config) => [config.name, config.value])),
    });
    return c.json(topicV3(c, clusterId, topic), 201);
  })
  .get("/v3/clusters/:cluster/topics/:topic", async (c) => {
    const clusterId = await clusterIdOf(c);
    return c.json(topicV3(c, clusterId, await brokersOf(c).topic(c.req.param("topic"), true)));
  })
  .delete("/v3/clusters/:cluster/topics/:topic", async (c) => {
    await clusterIdOf(c);
    await brokersOf(c).topic(c.req.param("topic"), true);
    await brokersOf(c).deleteTopic(c.req.param("topic"));
    return c.body(null, 204);
  });
