/** Reads the body of a produce request in each of its content types. */
import type { Context } from "hono";
import * as v from "valibot";
import type { AppEnv } from "../app-env.ts";
import { ApiError } from "../http/errors.ts";
import { issueText } from "../http/issue-text.ts";
import { isUtf8, mediaTypeOf } from "../http/media-type.ts";
import { parseInteger } from "../http/params.ts";
import { JsonProblem, type Opaque, readJson } from "../http/strict-json.ts";
import { linesOf, type Placeable, type RecordTexts, recordOf } from "./record-formats.ts";
import { type ProduceRecord, produceBody } from "./schema.ts";

/** Format of a body: Confluent's records with JSON or base64 values, one raw value, one value per line, whole batches. */
export type BodyFormat = "json" | "binary" | "raw" | "lines" | "batches";

const FORMATS: Readonly<Record<string, BodyFormat>> = {
  "application/json": "json",
  "application/vnd.kafka.json.v1+json": "json",
  "application/vnd.kafka.json.v2+json": "json",
  "application/vnd.kafka.binary.v1+json": "binary",
  "application/vnd.kafka.binary.v2+json": "binary",
  "application/octet-stream": "raw",
  "application/x-ndjson": "lines",
  "application/vnd.kafka.recordbatch": "batches",
};

/** The format that the content type names. @throws ApiError UNSUPPORTED_MEDIA_TYPE */
export function bodyFormatOf(c: Context<AppEnv>): BodyFormat {
  const type = mediaTypeOf(c.req.header("content-type"));
  const format = Object.hasOwn(FORMATS, type.essence) ? FORMATS[type.essence] : undefined;
  if (format === undefined) {
    const given = type.essence === "" ? "there is no Content-Type" : `not ${type.essence.slice(0, 100)}`;
    throw new ApiError(
      "UNSUPPORTED_MEDIA_TYPE",
      `records come as ${Object.keys(FORMATS).join(", ")}; ${given}`,
    );
  }
  if ((format === "json" || format === "binary") && !isUtf8(type))
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", `JSON is UTF-8, not ${type.charset?.slice(0, 40)}`);
  return format;
}

/** The content of a request: records, or whole batches of the client. */
export type Produce =
  | {
      readonly type: "records";
      readonly records: readonly Placeable[];
      readonly matchOffset: number | undefined;
    }
  | { readonly type: "batches"; readonly batches: Uint8Array };

/** @throws ApiError INVALID_REQUEST, INVALID_RECORD */
export function parseProduce(c: Context<AppEnv>, format: BodyFormat, body: Uint8Array): Produce {
  const nowMs = Date.now();
  switch (format) {
    case "batches":
      return { type: "batches", batches: body };
    case "raw": {
      const record = { key: keyHeaderOf(c), value: body, headers: [], timestampMs: nowMs };
      return {
        type: "records",
        records: [{ ...record, stamped: true, partition: undefined }],
        matchOffset: expectedOffset(c),
      };
    }
    case "lines": {
      const records = linesOf(body, nowMs);
      if (records.length === 0) throw new ApiError("INVALID_REQUEST", "the body has no lines");
      return { type: "records", records, matchOffset: expectedOffset(c) };
    }
    case "json":
    case "binary":
      return parseRecords(c, format, body, nowMs);
  }
}

/** `X-Key` as UTF-8. Invalid bytes were replaced by the runtime, so such a key is refused instead of stored as another one. */
function keyHeaderOf(c: Context<AppEnv>): Uint8Array | null {
  const text = c.req.header("x-key");
  if (text === undefined) return null;
  if (text.includes("\ufffd") || !text.isWellFormed())
    throw new ApiError("INVALID_RECORD", "X-Key is UTF-8; send other keys as base64 in a JSON body", {
      confluent: 42206,
    });
  return new TextEncoder().encode(text);
}

function parseRecords(
  c: Context<AppEnv>,
  format: "json" | "binary",
  body: Uint8Array,
  nowMs: number,
): Produce {
  const texts: RecordTexts = { keys: [], values: [] };
  const parsed = v.safeParse(produceBody, parseJson(body, format === "json" ? keptIn(texts) : undefined));
  if (!parsed.success) {
    throw new ApiError("INVALID_REQUEST", issueText(parsed.issues[0]));
  }
  const records = parsed.output.records.map((record: ProduceRecord, i: number) =>
    recordOf(record, i, format, texts, nowMs),
  );
  return { type: "records", records, matchOffset: parsed.output.match_offset ?? expectedOffset(c) };
}

function expectedOffset(c: Context<AppEnv>): number | undefined {
  const text = c.req.header("x-expected-offset");
  return text === undefined ? undefined : parseInteger("X-Expected-Offset", text, 0, Number.MAX_SAFE_INTEGER);
}

/** Keys and values of the JSON format are opaque: their texts are stored in `texts`. */
const keptIn = ({ keys, values }: RecordTexts): Opaque => ({
  is: (path) => path.length === 3 && path[0] === "records" && (path[2] === "key" || path[2] === "value"),
  keep: (path, text) => {
    (path[2] === "key" ? keys : values)[Number(path[1])] = text;
  },
});

function parseJson(body: Uint8Array, opaque: Opaque | undefined): unknown {
  try {
    return readJson(body, opaque);
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error;
    if (error.kind === "syntax") throw new ApiError("INVALID_REQUEST", error.message);
    throw new ApiError("INVALID_RECORD", error.message, { confluent: 42206 });
  }
}
