/** Reading the body of a request in a route. */
import type { Context, MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";
import { BODY_BYTES_MAX } from "../config.ts";
import { readBody, tooLarge } from "./read-body.ts";

/** Refuses a body by its `Content-Length`. @throws ApiError TOO_LARGE */
export const bodyLength: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (Number(c.req.header("content-length") ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  return next();
};

/** @throws ApiError REQUEST_TIMEOUT, TOO_LARGE */
export const bodyBytes = (c: Context): Promise<Uint8Array<ArrayBuffer>> => readBody(c.req.raw.body);
