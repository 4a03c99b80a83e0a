/**
 * Records: produce (P1, P2), read by offset, time or tail with long poll (R1), and live as server-sent events (R2).
 * They go straight between the Worker and the partition's object.
 */
import { type Context, Hono } from "hono";
import * as v from "valibot";
import { PARTITION_CONFIG } from "../../../core/broker/config.ts";
import type { AppendResult, ReadFrom } from "../../../core/broker/partition.ts";
import { partitionOfKey } from "../../../core/broker/topic.ts";
import { KAFKA_ERRORS } from "../../../core/errors.ts";
import { decodeBatches, encodeRecordBatch } from "../../../core/wire/record-batch-codec.ts";
import { type IdempotencyKey, keyOf } from "../clients/idempotency.ts";
import { type Append, PartitionClient } from "../clients/partition-client.ts";
import type { AppEnv } from "../env.ts";
import { ApiError, badArguments } from "../errors.ts";
import { intQueryOf, parseInteger, queryOf, wordQueryOf } from "../params.ts";
import { refuseEncodedBody } from "../schema/json-body.ts";
import { type ProduceRecord, produceBody } from "../schema/records.ts";
import { recordStream } from "../streams/record-stream.ts";
import { type Format, formatOf, linesOf, type Placeable, recordJson, recordOf } from "./record-formats.ts";
import { brokersOf, partitionParam } from "./topics.ts";

/** Records of one answer of R1. */
const COUNT_MAX = 10_000;
const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;|$)/i;
const MAX = Number.MAX_SAFE_INTEGER;

/** What a request asks to append. */
interface Produce {
  readonly records: readonly Placeable[];
  /** whole batches as the client made them, instead of records */
  readonly batches?: Uint8Array;
  readonly matchOffset?: number;
}

export const recordsApp = new Hono<AppEnv>()
  .post("/topics/:topic", async (c) => produce(c, undefined))
  .post("/topics/:topic/partitions/:partition", async (c) => produce(c, partitionParam(c)))
  .get("/topics/:topic/partitions/:partition/records", async (c) => {
    const client = new PartitionClient(brokersOf(c));
    const [topic, partition] = [c.req.param("topic"), partitionParam(c)];
    const format: Format = wordQueryOf(c, "format", ["json", "binary"]) ?? formatOf(c.req.header("accept"));
    if ((c.req.header("accept") ?? "").includes("text/event-stream"))
      return recordStream(c, client, { topic, partition, format, from: streamFrom(c) });
    return readOnce(c, client, topic, partition, format);
  });

async function produce(c: Context<AppEnv>, only: number | undefined): Promise<Response> {
  refuseEncodedBody(c);
  const body = new Uint8Array(await c.req.arrayBuffer());
  const topic = await brokersOf(c).topic(c.req.param("topic") ?? "");
  const client = new PartitionClient(brokersOf(c));
  const key = await keyOf(c, body);
  const request = parseProduce(c, body);
  const partitions = topic.partitions.length;
  if (only !== undefined) await client.find(topic.name, only);
  if (request.batches !== undefined) {
    if (only === undefined)
      throw new ApiError("INVALID_REQUEST", "whole batches go to a partition of the URL");
    const appended = await client.append(topic.name, only, { batches: request.batches, ...withKey(key) });
    const timestamp = appended.timestampMs;
    const offsets = offsetsOf(appended, only, timestamp);
    return answer(c, offsets, appended.replayed);
  }
  const places = placesOf(request.records, only, partitions, key);
  const groups = [...new Set(places)];
  if (groups.length > 1 && request.matchOffset !== undefined)
    throw new ApiError("INVALID_REQUEST", "match_offset needs all records in one partition");
  const append = async (partition: number): Promise<AppendResult | ApiError> => {
    const records = request.records.filter((_, i) => places[i] === partition);
    const matchOffset = request.matchOffset === undefined ? {} : { matchOffset: request.matchOffset };
    const one: Append = { batches: encodeRecordBatch(records), ...withKey(key), ...matchOffset };
    try {
      return await client.append(topic.name, partition, one);
    } catch (error) {
      if (error instanceof ApiError && groups.length > 1) return error;
      throw error;
    }
  };
  const results = new Map<number, AppendResult | ApiError>();
  // a Worker has six connections; a few at a time keep one for others
  for (let at = 0; at < groups.length; at += 4) {
    const slice = groups.slice(at, at + 4);
    const answers = await Promise.all(slice.map(append));
    slice.forEach((partition, i) => {
      const result = answers[i];
      if (result !== undefined) results.set(partition, result);
    });
  }
  const failures = [...results.values()].filter((result) => result instanceof ApiError);
  if (failures.length === results.size && failures[0] !== undefined) throw failures[0];
  const next = new Map<number, number>();
  const offsets = places.map((partition, i) => {
    const nth = next.get(partition) ?? 0;
    next.set(partition, nth + 1);
    return offsetJson(partition, results.get(partition), nth, request.records[i]?.timestampMs ?? 0);
  });
  const replayed = [...results.values()].every(
    (result) => !(result instanceof ApiError) && result.ok && result.replayed,
  );
  return answer(c, offsets, replayed);
}

const withKey = (key: IdempotencyKey | undefined): Pick<Append, "key"> => (key === undefined ? {} : { key });

function offsetJson(
  partition: number,
  result: AppendResult | ApiError | undefined,
  nth: number,
  timestamp: number,
) {
  if (result !== undefined && !(result instanceof ApiError) && result.ok)
    return { partition, offset: result.baseOffset + nth, timestamp, error_code: null, error: null };
  const error = result instanceof ApiError ? result : undefined;
  const retriable =
    error === undefined || (error.code in KAFKA_ERRORS && KAFKA_ERRORS[error.code as "NONE"].retryable);
  // Confluent's numbers: 1 = final, 2 = may be sent again
  return {
    partition,
    offset: null,
    timestamp: null,
    error_code: retriable ? 2 : 1,
    error: error?.message ?? "not appended",
  };
}

function offsetsOf(appended: Extract<AppendResult, { ok: true }>, partition: number, timestamp: number) {
  const count = appended.lastOffset - appended.baseOffset + 1;
  return Array.from({ length: count }, (_, nth) => offsetJson(partition, appended, nth, timestamp));
}

function answer(c: Context<AppEnv>, offsets: readonly unknown[], replayed: boolean): Response {
  if (replayed) c.header("idempotency-replayed", "true");
  return c.json({ offsets, key_schema_id: null, value_schema_id: null });
}

/** Where each record goes: as asked, by its key, by the request's idempotency key, or together to any partition. */
function placesOf(
  records: readonly Placeable[],
  only: number | undefined,
  partitions: number,
  key: IdempotencyKey | undefined,
): readonly number[] {
  const seed =
    key === undefined ? crypto.getRandomValues(new Uint8Array(4)) : new TextEncoder().encode(key.key);
  const rest = partitionOfKey(seed, partitions);
  return records.map((record, i) => {
    const wanted = only ?? record.partition;
    if (only !== undefined && record.partition !== undefined && record.partition !== only)
      throw badArguments(`records.${i}.partition differs from the URL's`);
    if (wanted === undefined) return record.key === null ? rest : partitionOfKey(record.key, partitions);
    if (wanted < partitions) return wanted;
    throw new ApiError("UNKNOWN_TOPIC_OR_PARTITION", `there is no partition ${wanted}`, { confluent: 40402 });
  });
}

function parseProduce(c: Context<AppEnv>, body: Uint8Array): Produce {
  const type = c.req.header("content-type") ?? "";
  const nowMs = Date.now();
  if (/^application\/octet-stream/i.test(type)) {
    const key = c.req.header("x-key");
    return {
      records: [
        {
          key: key === undefined ? null : new TextEncoder().encode(key),
          value: body,
          headers: [],
          timestampMs: nowMs,
          partition: undefined,
        },
      ],
      ...matchHeader(c),
    };
  }
  if (/^application\/vnd\.kafka\.recordbatch/i.test(type)) return { records: [], batches: body };
  if (/^application\/x-ndjson/i.test(type)) {
    const records = linesOf(body, nowMs);
    if (records.length === 0) throw new ApiError("INVALID_REQUEST", "there is no line");
    return { records, ...matchHeader(c) };
  }
  if (!JSON_TYPE.test(type))
    throw new ApiError(
      "UNSUPPORTED_MEDIA_TYPE",
      "records are JSON, application/octet-stream, application/x-ndjson or whole batches",
    );
  const parsed = v.safeParse(produceBody, parseJson(body));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new ApiError("INVALID_REQUEST", `${v.getDotPath(issue) ?? "body"}: ${issue.message}`);
  }
  const format = formatOf(type);
  const records = parsed.output.records.map((record: ProduceRecord, i: number) =>
    recordOf(record, i, format, nowMs),
  );
  const { match_offset: matchOffset } = parsed.output;
  return { records, ...(matchOffset === undefined ? matchHeader(c) : { matchOffset }) };
}

function matchHeader(c: Context<AppEnv>): Pick<Produce, "matchOffset"> {
  const text = c.req.header("x-expected-offset");
  return text === undefined ? {} : { matchOffset: parseInteger("X-Expected-Offset", text, 0, MAX) };
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body)) as unknown;
  } catch {
    throw new ApiError("INVALID_REQUEST", "the body is not JSON");
  }
}

/** Where a plain read begins: `offset`, `timestamp` or `tail`, else the beginning. */
function readFrom(c: Context<AppEnv>): ReadFrom {
  const timestampMs = intQueryOf(c, "timestamp", 0, MAX);
  const records = intQueryOf(c, "tail", 0, MAX);
  const offset = queryOf(c, "offset");
  if ([timestampMs, records, offset].filter((each) => each !== undefined).length > 1)
    throw badArguments("give one of offset, timestamp and tail");
  if (timestampMs !== undefined) return { type: "timestamp", timestampMs };
  if (records !== undefined) return { type: "tail", records };
  if (offset === "latest") return { type: "tail", records: 0 };
  if (offset === undefined || offset === "earliest") return { type: "tail", records: MAX };
  return { type: "offset", offset: parseInteger("offset", offset, 0, MAX) };
}

/** A stream resumes at its last event's id, which is the offset behind it. */
function streamFrom(c: Context<AppEnv>): ReadFrom {
  const last = c.req.header("last-event-id");
  if (last === undefined || last === "") return readFrom(c);
  return { type: "offset", offset: parseInteger("Last-Event-ID", last, 0, MAX) };
}

async function readOnce(
  c: Context<AppEnv>,
  client: PartitionClient,
  topic: string,
  partition: number,
  format: Format,
): Promise<Response> {
  const count = intQueryOf(c, "count", 1, MAX) ?? COUNT_MAX;
  const bytesMax = intQueryOf(c, "max_bytes", 1, MAX) ?? PARTITION_CONFIG.readBytesDefault;
  const waitMs = intQueryOf(c, "wait_ms", 0, PARTITION_CONFIG.waitMsMax) ?? 0;
  const until = intQueryOf(c, "until_offset", 0, MAX) ?? MAX;
  const read = await client.read(topic, partition, { from: readFrom(c), bytesMax, waitMs });
  const decoded = decodeBatches(read.batches, read.offset, Math.min(count, COUNT_MAX));
  const records = decoded.filter((record) => record.offset < until);
  const last = records.at(-1);
  return c.json(
    records.map((record) => recordJson(topic, partition, record, format)),
    200,
    {
      "x-next-offset": `${last === undefined ? read.offset : last.offset + 1}`,
      "x-high-watermark": `${read.highWatermark}`,
      "x-log-start-offset": `${read.logStartOffset}`,
      "x-leader-epoch": `${read.leaderEpoch}`,
      "cache-control": "no-store",
    },
  );
}
