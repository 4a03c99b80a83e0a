/**
 * Records: produce (P1, P2), read by offset, time or tail with long poll (R1), and live as server-sent events (R2).
 * The Worker exchanges them directly with the partition's object.
 */
import { type Context, Hono } from "hono";
import { PARTITION_CONFIG } from "../../../core/broker/config.ts";
import type { ReadFrom } from "../../../core/broker/partition.ts";
import { decodeBatches } from "../../../core/wire/record-batch-codec.ts";
import type { AppEnv } from "../app-env.ts";
import { PartitionClient } from "../clients/partition-client.ts";
import { RECORDS_MAX } from "../config.ts";
import { badArguments } from "../http/errors.ts";
import { prefersExactly } from "../http/media-type.ts";
import { intQueryOf, parseInteger, queryOf, resumeIdOf, wordQueryOf } from "../http/params.ts";
import { brokersOf, partitionParam } from "../topics/routes.ts";
import { produce } from "./produce.ts";
import { acceptedFormat, type Format, recordText } from "./record-formats.ts";
import { positionFromText, type RecordStream, recordStream } from "./record-stream.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** Routes of records. */
export const recordsApp = new Hono<AppEnv>()
  .post("/topics/:topic", async (c) => produce(c, undefined))
  .post("/topics/:topic/partitions/:partition", async (c) => produce(c, partitionParam(c)))
  .get("/topics/:topic/partitions/:partition/records", async (c) => {
    const client = new PartitionClient(brokersOf(c));
    const [topic, partition] = [c.req.param("topic"), partitionParam(c)];
    const accept = c.req.header("accept");
    const format: Format = wordQueryOf(c, "format", ["json", "binary"]) ?? acceptedFormat(accept);
    if (prefersExactly(accept, "text/event-stream"))
      return recordStream(c, client, { topic, partition, format, ...streamFrom(c) });
    return readOnce(c, client, topic, partition, format);
  });

/** Start of a read: `offset`, `timestamp` or `tail`, else the beginning of the log. */
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

/** Start of a stream: the id of the last event, else the start of a read. */
function streamFrom(c: Context<AppEnv>): Pick<RecordStream, "from" | "topicId"> {
  const last = resumeIdOf(c);
  if (last === undefined) return { from: readFrom(c), topicId: undefined };
  const seen = positionFromText(last);
  if (seen === undefined) throw badArguments("Last-Event-ID is an id of this stream: offset:topicId");
  return { from: { type: "offset", offset: seen.offset }, topicId: seen.topicId };
}

async function readOnce(
  c: Context<AppEnv>,
  client: PartitionClient,
  topic: string,
  partition: number,
  format: Format,
): Promise<Response> {
  const count = intQueryOf(c, "count", 1, MAX) ?? RECORDS_MAX;
  const bytesMax = intQueryOf(c, "max_bytes", 1, MAX) ?? PARTITION_CONFIG.readBytesDefault;
  const waitMs = intQueryOf(c, "wait_ms", 0, PARTITION_CONFIG.waitMsMax) ?? 0;
  const until = intQueryOf(c, "until_offset", 0, MAX) ?? MAX;
  const read = await client.read(topic, partition, { from: readFrom(c), bytesMax, waitMs });
  const decoded = decodeBatches(read.batches, read.offset, Math.min(count, RECORDS_MAX));
  const records = decoded.filter((record) => record.offset < until);
  const last = records.at(-1);
  const texts = records.map((record) => recordText(topic, partition, record, format));
  return c.body(`[${texts.join(",")}]`, 200, {
    "content-type": "application/json",
    "x-next-offset": `${last === undefined ? read.offset : last.offset + 1}`,
    "x-high-watermark": `${read.highWatermark}`,
    "x-log-start-offset": `${read.logStartOffset}`,
    "x-leader-epoch": `${read.leaderEpoch}`,
    "cache-control": "no-store",
  });
}
