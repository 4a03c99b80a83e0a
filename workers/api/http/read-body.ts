/**
 * The body of a request. It has to arrive in time, because a connection that sends half a body would hold its request for
 * ever, and to be at most {@link BODY_BYTES_MAX} long, with or without a `Content-Length`.
 */

import { BODY_BYTES_MAX, BODY_MS_MAX } from "../config.ts";
import { ApiError } from "./errors.ts";

/** The error for a body that is too long. */
export const tooLarge = (): ApiError =>
  new ApiError("TOO_LARGE", `the body is larger than ${BODY_BYTES_MAX} bytes`);

/** @throws ApiError REQUEST_TIMEOUT if the body does not arrive within `limitMs`, TOO_LARGE */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  limitMs: number = BODY_MS_MAX,
): Promise<Uint8Array<ArrayBuffer>> {
  if (body === null) return new Uint8Array(0);
  const reader = body.getReader();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new ApiError("REQUEST_TIMEOUT", `the body did not arrive within ${limitMs / 1000} s`)),
    limitMs,
  );
  try {
    return await Promise.race([readAll(reader), late]);
  } catch (error) {
    // the client may have left
    reader.cancel(error).catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (bytes > BODY_BYTES_MAX) throw tooLarge();
    chunks.push(value);
  }
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
