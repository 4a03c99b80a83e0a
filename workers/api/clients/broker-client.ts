/**
 * Client of the brokers of one ensemble: starts them on first use, reads the cluster's metadata from any of them, and
 * caches it for a moment. Brokers that are down are skipped.
 */

import type { ClusterMetadata, TopicMetadata } from "../../../core/broker/cluster-view.ts";
import { topicNameProblem } from "../../../core/broker/topic.ts";
import type { TopicRequest } from "../../../core/broker/topics.ts";
import type { BrokerAnswer, BrokerRpc, BrokerStatus } from "../../../durable-objects/broker/rpc.ts";
import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import {
  BROKER_COUNT_MAX,
  BROKER_RESTART_MS,
  BROKER_START_MS,
  MEMOS_MAX,
  METADATA_MS,
  STATUS_MS,
} from "../config.ts";
import { type ApiEnv, timeoutsOf } from "../env.ts";
import { ApiError } from "../http/errors.ts";
import type { EnsembleClient } from "./ensemble-client.ts";
import { brokerDown, isRefusal } from "./node-stub.ts";

/** What this isolate caches about the brokers of an ensemble. */
interface Memo {
  readonly started: Set<number>;
  readonly refusedAt: Map<number, number>;
  /** the broker that answered last */
  preferred: number;
  metadata: { readonly value: ClusterMetadata; readonly atMs: number } | undefined;
}

const memos = new Map<string, Memo>();

function memoOf(ensemble: string): Memo {
  const known = memos.get(ensemble);
  if (known !== undefined) return known;
  if (memos.size >= MEMOS_MAX) memos.clear();
  const memo: Memo = { started: new Set(), refusedAt: new Map(), preferred: 0, metadata: undefined };
  memos.set(ensemble, memo);
  return memo;
}

/**
 * Client of the brokers of one ensemble.
 * Invariant: cached metadata are at most METADATA_MS old; `fresh` bypasses the cache.
 */
export class BrokerClient {
  readonly ensemble: string;
  readonly #env: ApiEnv;
  readonly #zoo: EnsembleClient;
  readonly #memo: Memo;
  /** wait for one broker, which may wait for an election and then for a write */
  readonly #callMs: number;

  constructor(env: ApiEnv, zoo: EnsembleClient) {
    this.#env = env;
    this.#zoo = zoo;
    this.ensemble = zoo.name;
    this.#memo = memoOf(zoo.name);
    this.#callMs = 2 * timeoutsOf(env).retryMs;
  }

  /** Number of brokers, from the variable BROKER_COUNT. */
  get count(): number {
    const count = Number(this.#env.BROKER_COUNT);
    if (Number.isSafeInteger(count) && count >= 1 && count <= BROKER_COUNT_MAX) return count;
    throw new ApiError(
      "NOT_CONFIGURED",
      `the variable BROKER_COUNT must be an integer from 1 to ${BROKER_COUNT_MAX}`,
    );
  }

  get env(): ApiEnv {
    return this.#env;
  }

  /** A new stub. @throws ApiError NOT_FOUND if there is no such broker, so that no object is created */
  broker(id: number): BrokerRpc {
    if (!Number.isSafeInteger(id) || id < 0 || id >= this.count) {
      throw new ApiError("NOT_FOUND", `the cluster has the brokers 0 to ${this.count - 1}`);
    }
    // the runtime's stub type drops unions; only plain data are sent
    return this.#env.BROKER.get(
      this.#env.BROKER.idFromName(`${this.ensemble}/${id}`),
    ) as unknown as BrokerRpc;
  }

  /** Starts every broker that this isolate has not started yet. Idempotent; a killed one stays down. */
  async wake(): Promise<void> {
    const { started, refusedAt } = this.#memo;
    const { count } = this;
    const since = Date.now() - BROKER_RESTART_MS;
    const asleep = Array.from({ length: count }, (_, id) => id).filter(
      (id) => !started.has(id) && (refusedAt.get(id) ?? 0) <= since,
    );
    if (asleep.length === 0) return;
    const ensembleSize = await this.#zoo.size();
    const start = async (id: number): Promise<void> => {
      try {
        await withTimeout(
          this.broker(id).start({ ensemble: this.ensemble, id, ensembleSize, brokerCount: count }),
          BROKER_START_MS,
        );
        started.add(id);
      } catch {
        refusedAt.set(id, Date.now());
      }
    };
    await Promise.all(asleep.map(start));
  }

  /**
   * Calls one broker.
   * @throws ApiError BROKER_NOT_AVAILABLE if it is down; UNKNOWN_OUTCOME if the call failed and may have been carried
   * out
   */
  async at<T>(id: number, call: (broker: BrokerRpc) => Promise<BrokerAnswer<T>>): Promise<T> {
    this.broker(id);
    await this.wake();
    const answer = await this.#attempt(id, call);
    if (answer instanceof ApiError) throw answer;
    if (answer === "broken") throw new ApiError("UNKNOWN_OUTCOME", `broker ${id} did not answer`);
    if (!answer.ok) throw new ApiError(answer.code, answer.message);
    return answer.value;
  }

  /** Calls any broker that answers, beginning with the one that answered last. */
  async any<T>(call: (broker: BrokerRpc) => Promise<BrokerAnswer<T>>): Promise<T> {
    await this.wake();
    const { count } = this;
    let refusal = new ApiError("BROKER_NOT_AVAILABLE", "no broker is up");
    for (let tries = 0; tries < count; tries++) {
      const id = (this.#memo.preferred + tries) % count;
      const answer = await this.#attempt(id, call);
      if (answer === "broken" || answer instanceof ApiError) continue;
      if (answer.ok) {
        this.#memo.preferred = id;
        return answer.value;
      }
      refusal = new ApiError(answer.code, answer.message);
      if (answer.code !== "BROKER_NOT_AVAILABLE") throw refusal;
    }
    throw refusal;
  }

  async #attempt<T>(
    id: number,
    call: (broker: BrokerRpc) => Promise<BrokerAnswer<T>>,
  ): Promise<BrokerAnswer<T> | ApiError | "broken"> {
    try {
      const answer = await withTimeout(call(this.broker(id)), this.#callMs);
      // the next request starts a broker again that has lost its identity
      if (!answer.ok && answer.code === "BROKER_NOT_AVAILABLE") this.#memo.started.delete(id);
      return answer;
    } catch (error) {
      // a killed broker refuses before it does anything; a reset may happen after the work is done
      return isRefusal(error) ? brokerDown(id, error) : "broken";
    }
  }

  /** The metadata of the cluster, at most {@link METADATA_MS} old; `fresh` reads it again. */
  async metadata(fresh = false): Promise<ClusterMetadata> {
    const known = this.#memo.metadata;
    if (!fresh && known !== undefined && Date.now() - known.atMs < METADATA_MS) return known.value;
    const value = await this.any((broker) => broker.metadata());
    this.#memo.metadata = { value, atMs: Date.now() };
    // a broker that is not registered may have lost its identity: the next request starts it again
    for (const id of this.#memo.started)
      if (value.brokers.every((broker) => broker.id !== id)) this.#memo.started.delete(id);
    return value;
  }

  /** A topic by name. @throws ApiError UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION */
  async topic(name: string, fresh = false): Promise<TopicMetadata> {
    const problem = topicNameProblem(name);
    if (problem !== undefined) throw new ApiError("INVALID_TOPIC_EXCEPTION", problem, { confluent: 40002 });
    const find = (metadata: ClusterMetadata) => metadata.topics.find((topic) => topic.name === name);
    // an unknown topic may be new: reads the metadata once more
    const topic = find(await this.metadata(fresh)) ?? (fresh ? undefined : find(await this.metadata(true)));
    if (topic !== undefined) return topic;
    throw new ApiError("UNKNOWN_TOPIC_OR_PARTITION", `there is no topic ${name}`, { confluent: 40401 });
  }

  async createTopic(request: TopicRequest): Promise<TopicMetadata> {
    const topic = await this.any((broker) => broker.createTopic(request));
    this.#memo.metadata = undefined;
    return topic;
  }

  async deleteTopic(name: string): Promise<void> {
    await this.any((broker) => broker.deleteTopic(name));
    this.#memo.metadata = undefined;
  }

  /** The status of every broker, read in parallel; undefined for a broker that is down. */
  async statuses(): Promise<readonly (BrokerStatus | undefined)[]> {
    await this.wake();
    return Promise.all(
      Array.from({ length: this.count }, (_, id) =>
        withTimeout(this.broker(id).status(), STATUS_MS).catch(() => undefined),
      ),
    );
  }
}
