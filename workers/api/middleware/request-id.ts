/** Gives each request an id, the client's own if it sent one; the answer and the log contain it. */
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";

const HEADER = "x-request-id";
const ID = /^[\w-]{1,64}$/;

/** Sets `requestId` in the context, and `X-Request-Id` in the answer. */
export const requestId: MiddlewareHandler<AppEnv> = async (c, next) => {
  const given = c.req.header(HEADER);
  const id = given !== undefined && ID.test(given) ? given : crypto.randomUUID();
  c.set("requestId", id);
  await next();
  // set afterwards, because an error has an answer of its own; the answer of a WebSocket cannot be changed
  if (c.res.status === 101) return;
  c.res.headers.set(HEADER, id);
  // answers contain data of clients: a browser must not guess that they are pages
  c.res.headers.set("x-content-type-options", "nosniff");
};
