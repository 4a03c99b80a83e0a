/** Records between HTTP and Kafka's batches: Confluent's embedded formats, raw bytes, lines, whole batches. */
import type { BrokerRecord, OffsetRecord } from "../../../core/wire/record-batch-codec.ts";
import { ApiError } from "../http/errors.ts";
import { acceptedRanges, preferredType } from "../http/media-type.ts";
import { canonicalText, jsonTextOf } from "../http/strict-json.ts";
import type { ProduceRecord } from "./schema.ts";

/** How keys and values are shown: as JSON, or as base64. */
export type Format = "json" | "binary";

/** A record, with the partition that the client requests, if any. */
export interface Placeable extends BrokerRecord {
  readonly partition: number | undefined;
  /** the timestamp is the time of the request, because the client gave none */
  readonly stamped: boolean;
}

const encoder = new TextEncoder();

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

/** Texts of the JSON keys and values of a body, by index of the record. */
export interface RecordTexts {
  readonly keys: string[];
  readonly values: string[];
}

/**
 * A record of a v2 body. The text of a JSON value is kept unchanged, with numbers beyond 2^53, their spelling and the order
 * of members; keys are stored in canonical form.
 * @throws ApiError INVALID_RECORD
 */
export function recordOf(
  record: ProduceRecord,
  index: number,
  format: Format,
  texts: RecordTexts,
  nowMs: number,
): Placeable {
  const { key, value } = record;
  const isJson = format === "json";
  return {
    key: isJson ? jsonBytes(key, canonicalText(texts.keys[index] ?? "")) : binaryBytes(key, index, "key"),
    value: isJson ? jsonBytes(value, texts.values[index] ?? "") : binaryBytes(value, index, "value"),
    headers: record.headers == null ? NO_HEADERS : headersOf(record.headers, index),
    timestampMs: record.timestamp ?? nowMs,
    stamped: record.timestamp == null,
    partition: record.partition ?? undefined,
  };
}

const NO_HEADERS: BrokerRecord["headers"] = [];

const isAbsent = (value: unknown): value is undefined | null => value === undefined || value === null;

const jsonBytes = (value: unknown, text: string): Uint8Array | null =>
  isAbsent(value) ? null : encoder.encode(text);

const binaryBytes = (value: unknown, index: number, member: string): Uint8Array | null =>
  isAbsent(value) ? null : base64(value, `records.${index}.${member}`);

const headersOf = (headers: NonNullable<ProduceRecord["headers"]>, index: number): BrokerRecord["headers"] =>
  headers.map(({ name, value }, i) => {
    const where = `records.${index}.headers.${i}`;
    if (!name.isWellFormed()) throw invalid(`${where}.name has a lone surrogate`);
    return { key: name, value: value === null ? null : base64(value, `${where}.value`) };
  });

const OFFERS = [
  "application/json",
  "application/vnd.kafka.json.v2+json",
  "application/vnd.kafka.binary.v2+json",
  "application/vnd.kafka.json.v1+json",
  "application/vnd.kafka.binary.v1+json",
] as const;

/**
 * The format that an Accept header names; JSON where it names none of Kafka's.
 * @throws ApiError NOT_ACCEPTABLE for formats of Kafka that are not implemented, such as Avro
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

/**
 * The text of a value in an answer, as it is stored. A value that is not UTF-8 or not JSON is shown as base64 in an object,
 * so that one such record does not make the answer invalid.
 */
function valueText(bytes: Uint8Array | null, format: Format): string {
  if (bytes === null) return "null";
  if (format === "binary") return `"${bytes.toBase64()}"`;
  const text = jsonTextOf(bytes);
  if (text === undefined) return `{"$base64":"${bytes.toBase64()}"}`;
  // line breaks between tokens would end a line of a server-sent event
  return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+/g, " ") : text;
}

/** A record as v2 answers it, with timestamp and headers, as JSON text on one line. */
export function recordText(topic: string, partition: number, record: OffsetRecord, format: Format): string {
  const headers = record.headers.map(({ key, value }) => ({ name: key, value: value?.toBase64() ?? null }));
  return (
    `{"topic":${JSON.stringify(topic)},"partition":${partition},"offset":${record.offset},` +
    `"key":${valueText(record.key, format)},"value":${valueText(record.value, format)},` +
    `"timestamp":${record.timestampMs},"headers":${JSON.stringify(headers)}}`
  );
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
