/** Records between HTTP and Kafka's batches: Confluent's embedded formats, raw bytes, lines, whole batches. */
import type { BrokerRecord, OffsetRecord } from "../../../core/wire/record-batch-codec.ts";
import { ApiError } from "../errors.ts";
import { acceptedRanges, preferredType } from "../media-type.ts";
import type { ProduceRecord } from "../schema/records.ts";

export type Format = "json" | "binary";

/** A record with the partition that the client wants, if it does. */
export interface Placeable extends BrokerRecord {
  readonly partition: number | undefined;
  /** the timestamp is when the request came, since the client gave none */
  readonly stamped: boolean;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const invalid = (detail: string): ApiError => new ApiError("INVALID_RECORD", detail, { confluent: 42206 });

function base64(value: unknown, what: string): Uint8Array {
  if (typeof value === "string") {
    try {
      return Uint8Array.fromBase64(value);
    } catch {
      // refused below
    }
  }
  throw invalid(`${what} is base64 text`);
}

function bytesOf(value: unknown, format: Format, what: string): Uint8Array | null {
  if (value === undefined || value === null) return null;
  return format === "binary" ? base64(value, what) : encoder.encode(JSON.stringify(value));
}

/** A record of a v2 body. @throws ApiError INVALID_RECORD */
export function recordOf(record: ProduceRecord, index: number, format: Format, nowMs: number): Placeable {
  const where = `records.${index}`;
  return {
    key: bytesOf(record.key, format, `${where}.key`),
    value: bytesOf(record.value, format, `${where}.value`),
    headers: (record.headers ?? []).map(({ name, value }) => ({
      key: name,
      value: value === null ? null : base64(value, `${where}.headers`),
    })),
    timestampMs: record.timestamp ?? nowMs,
    stamped: record.timestamp == null,
    partition: record.partition ?? undefined,
  };
}

const OFFERS = [
  "application/json",
  "application/vnd.kafka.json.v2+json",
  "application/vnd.kafka.binary.v2+json",
  "application/vnd.kafka.json.v1+json",
  "application/vnd.kafka.binary.v1+json",
] as const;

/**
 * The format that an Accept header names; JSON where it names none of Kafka's.
 * @throws ApiError NOT_ACCEPTABLE for formats of Kafka that are not built, such as Avro
 */
export function acceptedFormat(accept: string | undefined): Format {
  const type = preferredType(accept, OFFERS);
  if (type !== undefined) return type.includes("binary") ? "binary" : "json";
  if (acceptedRanges(accept).every(({ essence }) => !essence.startsWith("application/vnd.kafka.")))
    return "json";
  throw new ApiError("NOT_ACCEPTABLE", `records are read as ${OFFERS.join(", ")} or text/event-stream`, {
    confluent: 406,
  });
}

/** What is not UTF-8 or not JSON comes back as base64 in an object, so that one odd record spoils no answer. */
function jsonOf(bytes: Uint8Array | null): unknown {
  if (bytes === null) return null;
  try {
    return JSON.parse(decoder.decode(bytes)) as unknown;
  } catch {
    return { $base64: bytes.toBase64() };
  }
}

/** A record as v2 answers it, with timestamp and headers. */
export function recordJson(topic: string, partition: number, record: OffsetRecord, format: Format) {
  const text = (bytes: Uint8Array | null): unknown =>
    format === "json" ? jsonOf(bytes) : (bytes?.toBase64() ?? null);
  return {
    topic,
    partition,
    offset: record.offset,
    key: text(record.key),
    value: text(record.value),
    timestamp: record.timestampMs,
    headers: record.headers.map(({ key, value }) => ({ name: key, value: value?.toBase64() ?? null })),
  };
}

/** One value per line; empty lines do not count. */
export function linesOf(body: Uint8Array, nowMs: number): Placeable[] {
  const records: Placeable[] = [];
  let start = 0;
  while (start < body.length) {
    const newline = body.indexOf(10, start);
    const end = newline === -1 ? body.length : newline;
    const value = body.subarray(start, body[end - 1] === 13 && end > start ? end - 1 : end);
    if (value.length > 0)
      records.push({
        ...{ key: null, value, headers: [], timestampMs: nowMs },
        ...{ stamped: true, partition: undefined },
      });
    start = end + 1;
  }
  return records;
}
