/** Authorization. Reads are open; every write needs the bearer token, except in local runs. */
import type { Context, MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";
import { ApiError } from "../http/errors.ts";

const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
/** The WebSocket that cannot write. */
const READ_SOCKET = "/v1/live";
/** The WebSocket that can. A plain request for it gets the same refusal, because a browser does not show why an upgrade failed. */
const WRITE_SOCKET = "/v1/ws";
const CHALLENGE = { "www-authenticate": 'Bearer realm="zooweeper"' };

/** Whether the request cannot change anything. A WebSocket can carry writes, so its method is not enough. */
export const isRead = (c: Context): boolean =>
  READS.has(c.req.method) && c.req.header("upgrade") === undefined && c.req.path !== WRITE_SOCKET;

/** Refuses writes without a valid token. @throws ApiError NOT_CONFIGURED, UNAUTHORIZED, NO_AUTH */
export const auth: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (isRead(c)) return next();
  // a page of another site must not write through its visitor's browser, above all not to a local run without tokens
  if (c.req.header("sec-fetch-site") === "cross-site")
    throw new ApiError("NO_AUTH", "writes of other sites are refused");
  if (c.env.LOCAL === "on" || c.req.path === READ_SOCKET) return next();
  const secret = c.env.ZOOWEEPER_TOKEN;
  if (!secret)
    throw new ApiError("NOT_CONFIGURED", "the secret ZOOWEEPER_TOKEN is not set, so writes are refused");
  const token = /^Bearer +([^\s]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (token === undefined || !(await equalSecrets(token, secret))) {
    throw new ApiError("UNAUTHORIZED", "writes need Authorization: Bearer with the token", {
      headers: CHALLENGE,
    });
  }
  return next();
};

/** Compares digests, so that the time reveals neither length nor prefix. */
async function equalSecrets(a: string, b: string): Promise<boolean> {
  const [digestA, digestB] = await Promise.all([digest(a), digest(b)]);
  return crypto.subtle.timingSafeEqual(digestA, digestB);
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
