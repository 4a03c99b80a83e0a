/** `Idempotency-Key`: a retry gets the first answer and nothing is done twice. */
import type { Context } from "hono";
import type { AppEnv } from "../env.ts";
import { ApiError } from "../errors.ts";

/** A key with the hash of what it was sent for. */
export interface IdempotencyKey {
  readonly key: string;
  readonly hash: string;
}

const KEY_LENGTH_MAX = 255;

/** The request's key, if it has one. `about` is what a retry must repeat. */
export async function keyOf(
  c: Context<AppEnv>,
  about: Uint8Array | string,
): Promise<IdempotencyKey | undefined> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return undefined;
  if (key === "" || key.length > KEY_LENGTH_MAX || !/^[\x21-\x7e][\x20-\x7e]*$/.test(key)) {
    throw new ApiError(
      "INVALID_REQUEST",
      `an Idempotency-Key has 1 to ${KEY_LENGTH_MAX} printable ASCII characters`,
    );
  }
  const bytes = typeof about === "string" ? new TextEncoder().encode(about) : about;
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return { key, hash: new Uint8Array(digest).toHex() };
}
