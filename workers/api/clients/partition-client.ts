/**
 * Client of partitions: sends records directly to the object that stores them. The leader epoch comes from the
 * metadata; if the partition reports that it is outdated, the metadata is read again. A failover takes less time than
 * the deadline, so a request survives the failure of a leader.
 */

import type { PartitionMetadata, TopicMetadata } from "../../../core/broker/cluster-view.ts";
import type { AppendResult, IdempotencyKey, PartitionFailure } from "../../../core/broker/partition.ts";
import { batchBytesMaxOf } from "../../../core/broker/topic-config.ts";
import { errorInfo, type KafkaErrorCode } from "../../../core/errors.ts";
import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import type {
  PartitionAnswer,
  ReadAnswer,
  ReadRequest,
  TopicPartitionRpc,
} from "../../../durable-objects/topic-partition/rpc.ts";
import { LEADER_PAUSE_MS, PARTITION_CALL_MS } from "../config.ts";
import { timeoutsOf } from "../env.ts";
import { ApiError } from "../http/errors.ts";
import { noteEnd } from "../records/known-ends.ts";
import type { BrokerClient } from "./broker-client.ts";

/** Confluent's numbers of a partition's errors. */
const CONFLUENT: Partial<Record<KafkaErrorCode, number>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 40402,
  OFFSET_OUT_OF_RANGE: 41601,
  OFFSET_MISMATCH: 41201,
  IDEMPOTENCY_KEY_REUSED: 42209,
  LEADER_NOT_AVAILABLE: 50003,
  NOT_LEADER_OR_FOLLOWER: 50003,
  FENCED_LEADER_EPOCH: 50003,
  UNKNOWN_LEADER_EPOCH: 50003,
  INCONSISTENT_TOPIC_ID: 41003,
  KAFKA_STORAGE_ERROR: 50003,
};

function failureOf(failure: PartitionFailure & { readonly expectedOffset?: number }): ApiError {
  const { code, message, expectedOffset, damage } = failure;
  if (damage !== undefined)
    return new ApiError(code, message, {
      status: 500,
      confluent: 50002,
      headers: { "x-next-offset": `${damage.next}` },
      members: { offset: damage.from, next_offset: damage.next },
    });
  const headers = expectedOffset === undefined ? undefined : { "x-expected-offset": `${expectedOffset}` };
  return new ApiError(code, message, { confluent: CONFLUENT[code], headers });
}

const otherTopic = (name: string, { topic }: Placed): ApiError =>
  new ApiError(
    "INCONSISTENT_TOPIC_ID",
    `the topic ${name} was deleted and created again with the id ${topic.topicId}: begin at an offset of the new one`,
    { confluent: CONFLUENT.INCONSISTENT_TOPIC_ID },
  );

/** One partition of a topic, as found in the metadata. */
export interface Placed {
  readonly topic: TopicMetadata;
  readonly partition: PartitionMetadata;
}

/** Arguments of an append; the client adds the leader epoch. */
export type Append = Omit<Parameters<TopicPartitionRpc["append"]>[0], "leaderEpoch">;

/** One call of a partition's object, under the leader epoch of the metadata. */
type Call<A> = (
  stub: TopicPartitionRpc & Pick<Fetcher, "fetch">,
  leaderEpoch: number,
  placed: Placed,
) => Promise<A>;

/**
 * Client of the partitions of one ensemble.
 * Invariant: an append without an idempotency key is sent at most once to a partition that may have carried it out.
 */
export class PartitionClient {
  readonly #brokers: BrokerClient;
  /** how long a request looks for the leader; longer than a failover */
  readonly #leaderMs: number;

  constructor(brokers: BrokerClient) {
    this.#brokers = brokers;
    this.#leaderMs = timeoutsOf(brokers.env).retryMs;
  }

  /** ms within which a partition answers a beat on a tail */
  get tickTimeMs(): number {
    return Number(this.#brokers.env.TICK_TIME_MS);
  }

  /** Finds a partition. @throws ApiError UNKNOWN_TOPIC_OR_PARTITION */
  async find(name: string, partition: number, fresh = false): Promise<Placed> {
    const topic = await this.#brokers.topic(name, fresh);
    const found = topic.partitions.find((each) => each.partition === partition);
    if (found !== undefined) return { topic, partition: found };
    throw new ApiError("UNKNOWN_TOPIC_OR_PARTITION", `topic ${name} has no partition ${partition}`, {
      confluent: 40402,
    });
  }

  /** A new stub of the object of a partition; only for partitions that exist. */
  stub({ topic, partition }: Placed): TopicPartitionRpc & Pick<Fetcher, "fetch"> {
    const { env, ensemble } = this.#brokers;
    const id = env.TOPIC_PARTITION.idFromName(`${ensemble}/${topic.topicId}/${partition.partition}`);
    return env.TOPIC_PARTITION.get(id) as unknown as TopicPartitionRpc & Pick<Fetcher, "fetch">;
  }

  /**
   * Appends. With an idempotency key a failed call is repeated; without one its outcome is unknown.
   * @param first the partition, if the caller has found it already
   */
  append(
    name: string,
    partition: number,
    append: Append,
    first?: Placed,
  ): Promise<Extract<AppendResult, { ok: true }>> {
    const again = append.key !== undefined;
    return this.#call(
      name,
      partition,
      again,
      PARTITION_CALL_MS,
      async (stub, leaderEpoch, { topic: { config, topicId } }) => {
        const answer = await stub.append({
          ...append,
          leaderEpoch,
          ...(config !== undefined && { batchBytesMax: batchBytesMaxOf(config) }),
        });
        if (answer.ok) noteEnd(topicId, partition, answer.lastOffset + 1);
        return answer;
      },
      first,
    );
  }

  /** Stores a key at the partition that the key selects; the records go to other partitions. */
  claim(name: string, partition: number, key: IdempotencyKey): Promise<{ readonly ok: true }> {
    return this.#call(name, partition, true, PARTITION_CALL_MS, async (stub, leaderEpoch) => {
      try {
        return await stub.claim({ key, leaderEpoch });
      } catch (error) {
        // an object of the previous version has no claims
        if (/does not implement/.test(String(error))) return { ok: true } as const;
        throw error;
      }
    });
  }

  /**
   * @param topicId required id of the topic; undefined for any topic of that name
   * @throws ApiError INCONSISTENT_TOPIC_ID and others
   */
  async read(
    name: string,
    partition: number,
    read: Omit<ReadRequest, "leaderEpoch">,
    topicId?: string,
  ): Promise<Extract<PartitionAnswer<ReadAnswer>, { ok: true }> & { readonly topicId: string }> {
    return this.#call(
      name,
      partition,
      true,
      PARTITION_CALL_MS + read.waitMs,
      async (stub, leaderEpoch, { topic }) => {
        const answer = await stub.read({ ...read, leaderEpoch });
        if (!answer.ok) return answer;
        noteEnd(topic.topicId, partition, answer.highWatermark);
        return { ...answer, topicId: topic.topicId };
      },
      undefined,
      topicId,
    );
  }

  bounds(name: string, partition: number) {
    return this.#call(name, partition, true, PARTITION_CALL_MS, (stub, leaderEpoch) =>
      stub.bounds(leaderEpoch),
    );
  }

  offsetOfTime(name: string, partition: number, timestampMs: number) {
    return this.#call(name, partition, true, PARTITION_CALL_MS, (stub, leaderEpoch) =>
      stub.offsetOfTime({ timestampMs, leaderEpoch }),
    );
  }

  /** Opens a tail at `offset` of the topic with this id. @throws ApiError INCONSISTENT_TOPIC_ID and others */
  async tail(name: string, partition: number, offset: number, topicId: string): Promise<WebSocket> {
    const open = async (stub: TopicPartitionRpc & Pick<Fetcher, "fetch">, epoch: number) => {
      const url = `http://partition/tail?offset=${offset}&epoch=${epoch}`;
      const response = await stub.fetch(url, { headers: { Upgrade: "websocket" } });
      if (response.webSocket === null) return response.json<PartitionFailure>();
      return { ok: true, socket: response.webSocket } as const;
    };
    return (await this.#call(name, partition, true, PARTITION_CALL_MS, open, undefined, topicId)).socket;
  }

  async #call<A extends { readonly ok: true } | PartitionFailure>(
    name: string,
    partition: number,
    again: boolean,
    timeoutMs: number,
    call: Call<A>,
    first?: Placed,
    topicId?: string,
  ): Promise<Extract<A, { readonly ok: true }>> {
    let deadline = Date.now() + this.#leaderMs;
    let placed = first ?? (await this.find(name, partition));
    let wait: number = LEADER_PAUSE_MS.first;
    // cached metadata of a topic that was created again may be old
    if (topicId !== undefined && placed.topic.topicId !== topicId)
      placed = await this.find(name, partition, true);
    for (;;) {
      if (topicId !== undefined && placed.topic.topicId !== topicId) throw otherTopic(name, placed);
      const calledMs = Date.now();
      const answer = await this.#attempt(placed, again, timeoutMs, call);
      if (answer.ok) return answer as Extract<A, { readonly ok: true }>;
      // a long poll may fail long after it began
      if (calledMs + this.#leaderMs < Date.now()) deadline = Date.now() + this.#leaderMs;
      // another broker leads or will lead: reads the metadata again
      if (!errorInfo(answer.code)?.retryElsewhere || Date.now() >= deadline) throw failureOf(answer);
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, LEADER_PAUSE_MS.max);
      placed = await this.find(name, partition, true);
    }
  }

  async #attempt<A extends { readonly ok: true } | PartitionFailure>(
    placed: Placed,
    again: boolean,
    timeoutMs: number,
    call: Call<A>,
  ): Promise<A | PartitionFailure> {
    if (placed.partition.leader < 0)
      return { ok: false, code: "LEADER_NOT_AVAILABLE", message: "the partition has no leader now" };
    try {
      return await withTimeout(call(this.stub(placed), placed.partition.leaderEpoch, placed), timeoutMs);
    } catch (error) {
      if (!again)
        throw new ApiError(
          "UNKNOWN_OUTCOME",
          "the partition did not answer; the records may or may not have been stored",
        );
      const message = error instanceof Error ? error.message : "the partition did not answer";
      return { ok: false, code: "LEADER_NOT_AVAILABLE", message };
    }
  }
}
