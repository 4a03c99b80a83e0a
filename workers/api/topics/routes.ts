/** `/topics`: topics in the shape of Confluent's REST proxy v2. */
import { type Context, Hono } from "hono";
import type { PartitionMetadata, TopicMetadata } from "../../../core/broker/cluster-view.ts";
import { partitionFromText } from "../../../core/broker/topic.ts";
import { effectiveConfig } from "../../../core/broker/topic-config.ts";
import type { AppEnv } from "../app-env.ts";
import { BrokerClient } from "../clients/broker-client.ts";
import { PartitionClient } from "../clients/partition-client.ts";
import { ApiError } from "../http/errors.ts";
import { intQueryOf } from "../http/params.ts";

/** Client of the brokers of the request's ensemble. */
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
  configs: effectiveConfig(topic.config ?? {}),
  partitions: topic.partitions.map(partitionJson),
});

/** Routes of topics. */
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
  });
