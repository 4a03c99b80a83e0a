/**
 * Takes records straight to the partition that holds them. The leader epoch comes from the metadata; when the partition
 * says that it is out of date, the metadata is read again. A failover takes less than the deadline, so a request
 * outlives the death of a leader.
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
import { ApiError } from "../http/errors.ts";
import { noteEnd } from "../records/known-ends.ts";
import type { BrokerClient } from "./broker-client.ts";

/** How long a request looks for the leader. */
const DEADLINE_MS = 5_000;
/** Wait between two tries: doubles from the first to the second. */
const BACKOFF_MS = { first: 10, max: 100 } as const;
/** Wait for one answer, beyond what a long poll asks for. */
const CALL_MS = 5_000;

/** Confluent's numbers for what a partition answers. */
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

/** What is appended; the client adds the leader epoch. */
export type Append = Omit<Parameters<TopicPartitionRpc["append"]>[0], "leaderEpoch">;

/** One call of a partition's object, under the leader epoch that the metadata says. */
type Call<A> = (
  stub: TopicPartitionRpc & Pick<Fetcher, "fetch">,
  leaderEpoch: number,
  placed: Placed,
) => Promise<A>;

/**
 * Client of the partitions of one ensemble. Invariant: an append without an idempotency key is sent at most once to a
 * partition that may have carried it out.
 */
export class PartitionClient {
  readonly #brokers: BrokerClient;

  constructor(brokers: BrokerClient) {
    this.#brokers = brokers;
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

  /** A fresh stub of the object that holds a partition; only for partitions that were found. */
  stub({ topic, partition }: Placed): TopicPartitionRpc & Pick<Fetcher, "fetch"> {
    const { env, ensemble } = this.#brokers;
    const id = env.TOPIC_PARTITION.idFromName(`${ensemble}/${topic.topicId}/${partition.partition}`);
    return env.TOPIC_PARTITION.get(id) as unknown as TopicPartitionRpc & Pick<Fetcher, "fetch">;
  }

  /**
   * Appends. With an idempotency key a broken call is made again; without one its outcome is unknown.
   * @param first what the caller knows already of the partition
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
      CALL_MS,
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

  /** Notes a key at the partition where all requests with it meet; the records go to other partitions. */
  claim(name: string, partition: number, key: IdempotencyKey): Promise<{ readonly ok: true }> {
    return this.#call(name, partition, true, CALL_MS, async (stub, leaderEpoch) => {
      try {
        return await stub.claim({ key, leaderEpoch });
      } catch (error) {
        // an object that still runs the version before knows no claims
        if (/does not implement/.test(String(error))) return { ok: true } as const;
        throw error;
      }
    });
  }

  /**
   * @param topicId the topic must be this one; undefined: any of that name
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
      CALL_MS + read.waitMs,
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
    return this.#call(name, partition, true, CALL_MS, (stub, leaderEpoch) => stub.bounds(leaderEpoch));
  }

  offsetOfTime(name: string, partition: number, timestampMs: number) {
    return this.#call(name, partition, true, CALL_MS, (stub, leaderEpoch) =>
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
    return (await this.#call(name, partition, true, CALL_MS, open, undefined, topicId)).socket;
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
    let deadline = Date.now() + DEADLINE_MS;
    let placed = first ?? (await this.find(name, partition));
    let wait: number = BACKOFF_MS.first;
    // what is remembered of a topic that was created again may be old
    if (topicId !== undefined && placed.topic.topicId !== topicId)
      placed = await this.find(name, partition, true);
    for (;;) {
      if (topicId !== undefined && placed.topic.topicId !== topicId) throw otherTopic(name, placed);
      const calledMs = Date.now();
      const answer = await this.#attempt(placed, again, timeoutMs, call);
      if (answer.ok) return answer as Extract<A, { readonly ok: true }>;
      // a long poll may break long after it began
      if (calledMs + DEADLINE_MS < Date.now()) deadline = Date.now() + DEADLINE_MS;
      // another broker leads, or will: the metadata tell
      if (!errorInfo(answer.code)?.retryElsewhere || Date.now() >= deadline) throw failureOf(answer);
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, BACKOFF_MS.max);
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
          "the partition did not answer; the records may be there or not",
        );
      const message = error instanceof Error ? error.message : "the partition did not answer";
      return { ok: false, code: "LEADER_NOT_AVAILABLE", message };
    }
  }
}
