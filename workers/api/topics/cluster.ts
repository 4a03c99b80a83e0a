/** The cluster: `/cluster` for the page, `/brokers` as in Confluent's REST proxy. */

import { Hono } from "hono";
import type { PartitionMetadata, TopicMetadata } from "../../../core/broker/cluster-view.ts";
import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import type { AppEnv } from "../app-env.ts";
import type { BrokerClient } from "../clients/broker-client.ts";
import { PartitionClient } from "../clients/partition-client.ts";
import { CALLS_AT_ONCE, LOG_ENDS_MAX, STATUS_MS } from "../config.ts";
import { ApiError } from "../http/errors.ts";
import type { ClusterJson } from "../schema/views.ts";
import { brokersOf } from "./routes.ts";

/** Routes of the cluster. */
export const clusterApp = new Hono<AppEnv>()
  .get("/brokers", async (c) => {
    const { brokers } = await brokersOf(c).metadata(true);
    return c.json({ brokers: brokers.map((broker) => broker.id) });
  })
  .get("/cluster", async (c) => {
    const brokers = brokersOf(c);
    const [statuses, metadata] = await Promise.all([brokers.statuses(), metadataOf(brokers)]);
    const partitions = (metadata?.topics ?? []).flatMap((topic) =>
      topic.partitions.map((partition) => ({ topic, partition })),
    );
    const ends = await logEndsOf(brokers, partitions.slice(0, LOG_ENDS_MAX));
    const body: ClusterJson = {
      clusterId: metadata?.clusterId ?? null,
      controller: metadata?.controller ?? null,
      controllerEpoch: metadata?.controllerEpoch ?? null,
      brokers: statuses.map((status, id) => {
        const registered = metadata?.brokers.find((broker) => broker.id === id);
        return {
          id,
          up: status !== undefined,
          epoch: registered === undefined ? null : Number(registered.epoch),
          host: registered?.host ?? null,
          port: registered?.port ?? null,
        };
      }),
      topics: (metadata?.topics ?? []).map((topic) => ({
        name: topic.name,
        topicId: topic.topicId,
        partitions: topic.partitions.map((partition) => ({
          ...partition,
          leader: partition.leader < 0 ? null : partition.leader,
          logEndOffset: ends.get(`${topic.topicId}/${partition.partition}`) ?? null,
        })),
      })),
    };
    return c.json(body, 200, { "cache-control": "no-store" });
  });

/** Undefined while no broker is up: the page shows the brokers anyway. */
async function metadataOf(brokers: BrokerClient) {
  try {
    return await brokers.metadata(true);
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

async function logEndsOf(
  brokers: BrokerClient,
  placed: readonly { readonly topic: TopicMetadata; readonly partition: PartitionMetadata }[],
): Promise<ReadonlyMap<string, number>> {
  const client = new PartitionClient(brokers);
  const ends = new Map<string, number>();
  const ask = async (each: (typeof placed)[number]): Promise<void> => {
    try {
      const answer = await withTimeout(client.stub(each).bounds(-1), STATUS_MS);
      if (answer.ok) ends.set(`${each.topic.topicId}/${each.partition.partition}`, answer.logEndOffset);
    } catch {
      // unknown for now
    }
  };
  for (let at = 0; at < placed.length; at += CALLS_AT_ONCE)
    await Promise.all(placed.slice(at, at + CALLS_AT_ONCE).map(ask));
  return ends;
}
