/** `Idempotency-Key`: a retry gets the first answer and is not carried out again. */
import type { Context } from "hono";
import type { IdempotencyKey } from "../../../core/broker/partition.ts";
import type { AppEnv } from "../app-env.ts";
import { IDEMPOTENCY_KEY_CHARS_MAX } from "../config.ts";
import { ApiError } from "../http/errors.ts";

export type { IdempotencyKey } from "../../../core/broker/partition.ts";

const encoder = new TextEncoder();

/**
 * The request's key, if it has one.
 * @param body the body of the request
 * @param meaning all other values that a retry must repeat: route, format, headers; undefined for an absent one
 */
export async function keyOf(
  c: Context<AppEnv>,
  body: Uint8Array,
  meaning: Readonly<Record<string, string | number | undefined>>,
): Promise<IdempotencyKey | undefined> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return undefined;
  if (key === "" || key.length > IDEMPOTENCY_KEY_CHARS_MAX || !/^[\x21-\x7e][\x20-\x7e]*$/.test(key)) {
    throw new ApiError(
      "INVALID_REQUEST",
      `an Idempotency-Key has 1 to ${IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters`,
    );
  }
  const hash = await hashOf(body);
  // a hash has a fixed length, so no two requests have the same text
  return { key, hash, fingerprint: await hashOf(encoder.encode(JSON.stringify([hash, meaning]))) };
}

async function hashOf(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
