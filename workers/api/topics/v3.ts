/** The administration of Confluent's REST proxy v3: cluster, brokers, topics, partitions and configurations. */
import { type Context, Hono } from "hono";
import type { ClusterMetadata, PartitionMetadata, TopicMetadata } from "../../../core/broker/cluster-view.ts";
import { effectiveConfig, isDefault, type TopicConfig } from "../../../core/broker/topic-config.ts";
import type { AppEnv } from "../app-env.ts";
import { PartitionClient } from "../clients/partition-client.ts";
import { ApiError } from "../http/errors.ts";
import { jsonBody } from "../http/json-body.ts";
import { baseUrlOf } from "../http/params.ts";
import { createTopicBody } from "../records/schema.ts";
import { brokersOf, partitionParam } from "./routes.ts";

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
    configs: { related: `${self}/configs` },
  };
}

/** A page of v3, which is always the only one. */
const listV3 = (kind: string, self: string, data: readonly unknown[]) => ({
  kind,
  metadata: { self, next: null },
  data,
});

/** The cluster as v3 shows it. */
function clusterV3(c: Context<AppEnv>, clusterId: string, controller: number | null) {
  const self = `${baseUrlOf(c)}/v3/clusters/${clusterId}`;
  return {
    kind: "KafkaCluster",
    metadata: { self, resource_name: `crn:///kafka=${clusterId}` },
    cluster_id: clusterId,
    controller: controller === null ? null : { related: `${self}/brokers/${controller}` },
    brokers: { related: `${self}/brokers` },
    topics: { related: `${self}/topics` },
  };
}

/** A broker as v3 shows it. */
function brokerV3(
  c: Context<AppEnv>,
  clusterId: string,
  { id, host, port }: ClusterMetadata["brokers"][number],
) {
  return {
    kind: "KafkaBroker",
    metadata: {
      self: `${baseUrlOf(c)}/v3/clusters/${clusterId}/brokers/${id}`,
      resource_name: `crn:///kafka=${clusterId}/broker=${id}`,
    },
    cluster_id: clusterId,
    broker_id: id,
    host,
    port,
  };
}

/** A partition as v3 shows it. */
function partitionV3(
  c: Context<AppEnv>,
  clusterId: string,
  topic: string,
  { partition, leader }: PartitionMetadata,
) {
  const cluster = `${baseUrlOf(c)}/v3/clusters/${clusterId}`;
  return {
    kind: "KafkaPartition",
    metadata: {
      self: `${cluster}/topics/${topic}/partitions/${partition}`,
      resource_name: `crn:///kafka=${clusterId}/topic=${topic}/partition=${partition}`,
    },
    cluster_id: clusterId,
    topic_name: topic,
    partition_id: partition,
    leader: leader < 0 ? null : { related: `${cluster}/brokers/${leader}` },
  };
}

/** A setting of a topic as v3 shows it. */
function configV3(c: Context<AppEnv>, clusterId: string, topic: string, name: string, value: string) {
  return {
    kind: "KafkaTopicConfig",
    metadata: {
      self: `${baseUrlOf(c)}/v3/clusters/${clusterId}/topics/${topic}/configs/${encodeURIComponent(name)}`,
      resource_name: `crn:///kafka=${clusterId}/topic=${topic}/config=${name}`,
    },
    cluster_id: clusterId,
    topic_name: topic,
    name,
    value,
    is_default: isDefault(name, value),
    is_read_only: true,
    is_sensitive: false,
  };
}

/** The configuration of a topic from a request. @throws ApiError INVALID_CONFIG */
function configOf(configs: readonly { readonly name: string; readonly value: string | null }[]): TopicConfig {
  const names = configs.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new ApiError("INVALID_CONFIG", `"${twice}" is given twice`);
  return Object.fromEntries(
    configs.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const])),
  );
}

/** The cluster of the URL must be this one. */
async function clusterIdOf(c: Context<AppEnv>): Promise<string> {
  const { clusterId } = await brokersOf(c).metadata();
  if (clusterId !== null && clusterId === c.req.param("cluster")) return clusterId;
  throw new ApiError("NOT_FOUND", "there is no such cluster", { confluent: 404 });
}

/** Routes of v3. */
export const v3App = new Hono<AppEnv>()
  .get("/v3/clusters", async (c) => {
    const { clusterId, controller } = await brokersOf(c).metadata(true);
    const clusters = clusterId === null ? [] : [clusterV3(c, clusterId, controller)];
    return c.json(listV3("KafkaClusterList", `${baseUrlOf(c)}/v3/clusters`, clusters));
  })
  .get("/v3/clusters/:cluster", async (c) => {
    const clusterId = await clusterIdOf(c);
    return c.json(clusterV3(c, clusterId, (await brokersOf(c).metadata(true)).controller));
  })
  .get("/v3/clusters/:cluster/brokers", async (c) => {
    const clusterId = await clusterIdOf(c);
    const { brokers } = await brokersOf(c).metadata(true);
    const self = `${baseUrlOf(c)}/v3/clusters/${clusterId}/brokers`;
    return c.json(
      listV3(
        "KafkaBrokerList",
        self,
        brokers.map((broker) => brokerV3(c, clusterId, broker)),
      ),
    );
  })
  .get("/v3/clusters/:cluster/brokers/:broker", async (c) => {
    const clusterId = await clusterIdOf(c);
    const { brokers } = await brokersOf(c).metadata(true);
    const broker = brokers.find(({ id }) => `${id}` === c.req.param("broker"));
    if (broker === undefined)
      throw new ApiError("NOT_FOUND", "no such broker is registered", { confluent: 404 });
    return c.json(brokerV3(c, clusterId, broker));
  })
  .get("/v3/clusters/:cluster/topics", async (c) => {
    const clusterId = await clusterIdOf(c);
    const { topics } = await brokersOf(c).metadata(true);
    const self = `${baseUrlOf(c)}/v3/clusters/${clusterId}/topics`;
    return c.json(
      listV3(
        "KafkaTopicList",
        self,
        topics.map((topic) => topicV3(c, clusterId, topic)),
      ),
    );
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
      // −1 is Kafka's value for the default
      ...(factor === undefined || factor === -1 ? {} : { replicationFactor: factor }),
      config: configOf(configs),
    });
    return c.json(topicV3(c, clusterId, topic), 201);
  })
  .get("/v3/clusters/:cluster/topics/:topic", async (c) => {
    const clusterId = await clusterIdOf(c);
    return c.json(topicV3(c, clusterId, await brokersOf(c).topic(c.req.param("topic"), true)));
  })
  .get("/v3/clusters/:cluster/topics/:topic/partitions", async (c) => {
    const clusterId = await clusterIdOf(c);
    const { name, partitions } = await brokersOf(c).topic(c.req.param("topic"), true);
    const self = `${baseUrlOf(c)}/v3/clusters/${clusterId}/topics/${name}/partitions`;
    return c.json(
      listV3(
        "KafkaPartitionList",
        self,
        partitions.map((partition) => partitionV3(c, clusterId, name, partition)),
      ),
    );
  })
  .get("/v3/clusters/:cluster/topics/:topic/partitions/:partition", async (c) => {
    const clusterId = await clusterIdOf(c);
    const client = new PartitionClient(brokersOf(c));
    const { topic, partition } = await client.find(c.req.param("topic"), partitionParam(c), true);
    return c.json(partitionV3(c, clusterId, topic.name, partition));
  })
  .get("/v3/clusters/:cluster/topics/:topic/configs", async (c) => {
    const clusterId = await clusterIdOf(c);
    const { name: topic, config } = await brokersOf(c).topic(c.req.param("topic"), true);
    const self = `${baseUrlOf(c)}/v3/clusters/${clusterId}/topics/${topic}/configs`;
    return c.json(
      listV3(
        "KafkaTopicConfigList",
        self,
        Object.entries(effectiveConfig(config ?? {})).map(([name, value]) =>
          configV3(c, clusterId, topic, name, value),
        ),
      ),
    );
  })
  .get("/v3/clusters/:cluster/topics/:topic/configs/:name", async (c) => {
    const clusterId = await clusterIdOf(c);
    const { name: topic, config } = await brokersOf(c).topic(c.req.param("topic"), true);
    const name = c.req.param("name");
    const all = effectiveConfig(config ?? {});
    const value = Object.hasOwn(all, name) ? all[name] : undefined;
    if (value === undefined)
      throw new ApiError("NOT_FOUND", `the topic has no configuration "${name.slice(0, 100)}"`, {
        confluent: 404,
      });
    return c.json(configV3(c, clusterId, topic, name, value));
  })
  .delete("/v3/clusters/:cluster/topics/:topic", async (c) => {
    await clusterIdOf(c);
    await brokersOf(c).topic(c.req.param("topic"), true);
    await brokersOf(c).deleteTopic(c.req.param("topic"));
    return c.body(null, 204);
  });
