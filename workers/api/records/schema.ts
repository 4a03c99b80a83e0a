/** Bodies of the record routes: Confluent's REST proxy v2, with optional additions. */
import * as v from "valibot";

const header = v.object({ name: v.pipe(v.string(), v.maxLength(1024)), value: v.nullable(v.string()) });

/** Differences of two timestamps must stay safe integers when they are zigzag-encoded. */
const TIMESTAMP_MAX = 2 ** 52 - 1;

const offset = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** `key` and `value` are JSON, or base64 text where the content type says binary. Absent and null are Kafka's null. */
const record = v.object({
  key: v.optional(v.unknown()),
  value: v.optional(v.unknown()),
  partition: v.optional(v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0)))),
  /** value is base64 */
  headers: v.optional(v.pipe(v.array(header), v.maxLength(100))),
  /** ms since 1970 */
  timestamp: v.optional(
    v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(TIMESTAMP_MAX))),
  ),
});

/** Body of a produce request in JSON. */
export const produceBody = v.object({
  records: v.pipe(v.array(record), v.minLength(1, "records holds at least one"), v.maxLength(10_000)),
  /** append only if the first record gets this offset; one partition only */
  match_offset: v.optional(offset),
});

/** One record of it. */
export type ProduceRecord = v.InferOutput<typeof record>;

const count = v.pipe(v.number(), v.integer());

/** `POST /v3/clusters/{id}/topics` */
export const createTopicBody = v.object({
  topic_name: v.string(),
  partitions_count: v.optional(count, 1),
  replication_factor: v.optional(count),
  configs: v.optional(
    v.array(
      v.object({
        name: v.pipe(v.string(), v.maxLength(200)),
        /** null: the default */
        value: v.nullable(v.pipe(v.string(), v.maxLength(1000))),
      }),
    ),
    [],
  ),
});
