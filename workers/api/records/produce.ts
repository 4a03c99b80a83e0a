/** Appends the records of a request: chooses their partitions, appends to each, and reports record by record. */

import type { Context } from "hono";
import type { Appended } from "../../../core/broker/partition.ts";
import { partitionOfKey } from "../../../core/broker/topic.ts";
import { decodeBatches, encodeRecordBatch } from "../../../core/wire/record-batch-codec.ts";
import type { AppEnv } from "../app-env.ts";
import { type Append, PartitionClient } from "../clients/partition-client.ts";
import { CALLS_AT_ONCE } from "../config.ts";
import { bodyBytes } from "../http/body.ts";
import { ApiError, badArguments, infoOf } from "../http/errors.ts";
import { refuseEncodedBody } from "../http/json-body.ts";
import { brokersOf } from "../topics/routes.ts";
import { type IdempotencyKey, keyOf } from "./idempotency.ts";
import { bodyFormatOf, parseProduce } from "./produce-request.ts";
import type { Placeable } from "./record-formats.ts";

type Outcome = Appended | ApiError;

/** @param only the partition of the URL */
export async function produce(c: Context<AppEnv>, only: number | undefined): Promise<Response> {
  refuseEncodedBody(c);
  const format = bodyFormatOf(c);
  const body = await bodyBytes(c);
  const brokers = brokersOf(c);
  const client = new PartitionClient(brokers);
  const topic = await brokers.topic(c.req.param("topic") ?? "");
  if (only !== undefined) await client.find(topic.name, only);
  const key = await keyOf(c, body, {
    ...{ route: "produce", partition: only, format },
    ...{ recordKey: c.req.header("x-key"), expectedOffset: c.req.header("x-expected-offset") },
  });
  const withKey = key === undefined ? {} : { key };
  const request = parseProduce(c, format, body);
  const home = key && homeOf(key, topic.partitions.length);
  if (request.type === "batches") {
    if (only === undefined)
      throw new ApiError("INVALID_REQUEST", "whole batches go to a partition of the URL");
    if (key !== undefined && home !== undefined && home !== only) await client.claim(topic.name, home, key);
    const appended = await client.append(topic.name, only, { batches: request.batches, ...withKey });
    return answer(c, reportAll(only, appended), appended.replayed);
  }
  const { records, matchOffset } = request;
  const places = placesOf(records, only, topic.partitions.length, home);
  const partitions = [...new Set(places)];
  if (partitions.length > 1 && matchOffset !== undefined)
    throw new ApiError("INVALID_REQUEST", "match_offset needs all records in one partition");
  const more = matchOffset === undefined ? withKey : { ...withKey, matchOffset };
  const append = (partition: number): Promise<Appended> => {
    const batches = encodeRecordBatch(records.filter((_, i) => places[i] === partition));
    return client.append(topic.name, partition, { batches, ...more } satisfies Append);
  };
  const outcomes = new Map<number, Outcome>();
  if (key !== undefined && home !== undefined) {
    // first at the partition that the key selects: another request under this key fails here, before it stores anything
    if (partitions.includes(home)) outcomes.set(home, await append(home));
    else await client.claim(topic.name, home, key);
  }
  const others = partitions.filter((partition) => partition !== home);
  await appendAll(others, append, outcomes);
  const times = await firstTimes(client, topic.name, { records, places, outcomes });
  return answer(c, report(records, places, outcomes, times), replayed(outcomes));
}

/** The partition that an idempotency key selects, whatever the partitions of its records. */
const homeOf = ({ key }: IdempotencyKey, partitions: number): number =>
  partitionOfKey(new TextEncoder().encode(key), partitions);

/** Outcome of each record of a request. */
interface Placement {
  readonly records: readonly Placeable[];
  /** the partition of each record */
  readonly places: readonly number[];
  readonly outcomes: ReadonlyMap<number, Outcome>;
}

/** *map partition → time of the first attempt*, ms, for records of a repeated request. */
async function firstTimes(
  client: PartitionClient,
  topic: string,
  { records, places, outcomes }: Placement,
): Promise<ReadonlyMap<number, number>> {
  const times = new Map<number, number>();
  for (const [partition, outcome] of outcomes) {
    if (outcome instanceof ApiError || !outcome.replayed) continue;
    const placed = records.filter((_, i) => places[i] === partition);
    const nth = placed.findIndex(({ stamped }) => stamped);
    if (nth === -1) continue;
    const offset = outcome.baseOffset + nth;
    const read = await client.read(topic, partition, {
      ...{ from: { type: "offset", offset }, bytesMax: 1, waitMs: 0 },
    });
    const [record] = decodeBatches(read.batches, offset, 1);
    if (record !== undefined) times.set(partition, record.timestampMs);
  }
  return times;
}

/** Partition of each record: the requested one, by its key, by the idempotency key, or one random partition for all. */
function placesOf(
  records: readonly Placeable[],
  only: number | undefined,
  partitions: number,
  home: number | undefined,
): readonly number[] {
  const rest = home ?? partitionOfKey(crypto.getRandomValues(new Uint8Array(4)), partitions);
  return records.map((record, i) => {
    if (only !== undefined && record.partition !== undefined && record.partition !== only)
      throw badArguments(`records.${i}.partition differs from the URL's`);
    const wanted = only ?? record.partition;
    if (wanted === undefined) return record.key === null ? rest : partitionOfKey(record.key, partitions);
    if (wanted < partitions) return wanted;
    throw new ApiError("UNKNOWN_TOPIC_OR_PARTITION", `there is no partition ${wanted}`, { confluent: 40402 });
  });
}

/** Appends to each partition and notes the outcomes. If all fail, the first failure is the answer. */
async function appendAll(
  partitions: readonly number[],
  append: (partition: number) => Promise<Appended>,
  outcomes: Map<number, Outcome>,
): Promise<void> {
  const attempt = async (partition: number): Promise<void> => {
    try {
      outcomes.set(partition, await append(partition));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      outcomes.set(partition, error);
    }
  };
  for (let at = 0; at < partitions.length; at += CALLS_AT_ONCE)
    await Promise.all(partitions.slice(at, at + CALLS_AT_ONCE).map(attempt));
  const all = [...outcomes.values()];
  const [first] = all;
  if (first instanceof ApiError && all.every((outcome) => outcome instanceof ApiError)) throw first;
}

/** Entry of one record in the answer. Confluent's numbers: 1 is final, 2 may be sent again. */
function line(partition: number, outcome: Outcome | undefined, nth: number, timestamp: number) {
  if (outcome !== undefined && !(outcome instanceof ApiError))
    return { partition, offset: outcome.baseOffset + nth, timestamp, error_code: null, error: null };
  const final = outcome !== undefined && !infoOf(outcome).retryable;
  return {
    partition,
    offset: null,
    timestamp: null,
    error_code: final ? 1 : 2,
    error: outcome?.message ?? "not appended",
  };
}

function report(
  records: readonly Placeable[],
  places: readonly number[],
  outcomes: ReadonlyMap<number, Outcome>,
  times: ReadonlyMap<number, number>,
) {
  const next = new Map<number, number>();
  return records.map((record, i) => {
    const partition = places[i] ?? 0;
    const nth = next.get(partition) ?? 0;
    next.set(partition, nth + 1);
    const timestampMs = record.stamped ? (times.get(partition) ?? record.timestampMs) : record.timestampMs;
    return line(partition, outcomes.get(partition), nth, timestampMs);
  });
}

const reportAll = (partition: number, appended: Appended) =>
  Array.from({ length: appended.lastOffset - appended.baseOffset + 1 }, (_, nth) =>
    line(partition, appended, nth, appended.timestampMs),
  );

const replayed = (outcomes: ReadonlyMap<number, Outcome>): boolean =>
  [...outcomes.values()].every((outcome) => !(outcome instanceof ApiError) && outcome.replayed);

function answer(c: Context<AppEnv>, offsets: readonly unknown[], replayed: boolean): Response {
  if (replayed) c.header("idempotency-replayed", "true");
  return c.json({ offsets, key_schema_id: null, value_schema_id: null });
}
