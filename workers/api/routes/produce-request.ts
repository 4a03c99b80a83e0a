/** Reads the body of a produce request in each of its content types. */
import type { Context } from "hono";
import * as v from "valibot";
import type { AppEnv } from "../env.ts";
import { ApiError } from "../errors.ts";
import { parseInteger } from "../params.ts";
import { type ProduceRecord, produceBody } from "../schema/records.ts";
import { formatOf, linesOf, type Placeable, recordOf } from "./record-formats.ts";

const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;|$)/i;

/** What a request asks to append: records, or whole batches as the client made them. */
export type Produce =
  | {
      readonly type: "records";
      readonly records: readonly Placeable[];
      readonly matchOffset: number | undefined;
    }
  | { readonly type: "batches"; readonly batches: Uint8Array };

/** @throws ApiError INVALID_REQUEST, INVALID_RECORD, UNSUPPORTED_MEDIA_TYPE */
export function parseProduce(c: Context<AppEnv>, body: Uint8Array): Produce {
  const type = c.req.header("content-type") ?? "";
  const nowMs = Date.now();
  if (/^application\/vnd\.kafka\.recordbatch/i.test(type)) return { type: "batches", batches: body };
  if (/^application\/octet-stream/i.test(type)) {
    const text = c.req.header("x-key");
    const key = text === undefined ? null : new TextEncoder().encode(text);
    const record = { key, value: body, headers: [], timestampMs: nowMs, partition: undefined };
    return { type: "records", records: [record], matchOffset: expectedOffset(c) };
  }
  if (/^application\/x-ndjson/i.test(type)) {
    const records = linesOf(body, nowMs);
    if (records.length === 0) throw new ApiError("INVALID_REQUEST", "there is no line");
    return { type: "records", records, matchOffset: expectedOffset(c) };
  }
  if (JSON_TYPE.test(type)) return parseRecords(c, body, type, nowMs);
  const types = "JSON, application/octet-stream, application/x-ndjson or whole batches";
  throw new ApiError("UNSUPPORTED_MEDIA_TYPE", `records are ${types}`);
}

function parseRecords(c: Context<AppEnv>, body: Uint8Array, type: string, nowMs: number): Produce {
  const parsed = v.safeParse(produceBody, parseJson(body));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new ApiError("INVALID_REQUEST", `${v.getDotPath(issue) ?? "body"}: ${issue.message}`);
  }
  const format = formatOf(type);
  const records = parsed.output.records.map((record: ProduceRecord, i: number) =>
    recordOf(record, i, format, nowMs),
  );
  return { type: "records", records, matchOffset: parsed.output.match_offset ?? expectedOffset(c) };
}

function expectedOffset(c: Context<AppEnv>): number | undefined {
  const text = c.req.header("x-expected-offset");
  return text === undefined ? undefined : parseInteger("X-Expected-Offset", text, 0, Number.MAX_SAFE_INTEGER);
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body)) as unknown;
  } catch {
    throw new ApiError("INVALID_REQUEST", "the body is not JSON");
  }
}
