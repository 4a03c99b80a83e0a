/** Names each request, by the client's own id where it gave one; the answer and our log carry the name. */
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";

const HEADER = "x-request-id";
const ID = /^[\w-]{1,64}$/;

export const requestId: MiddlewareHandler<AppEnv> = async (c, next) => {
  const given = c.req.header(HEADER);
  const id = given !== undefined && ID.test(given) ? given : crypto.randomUUID();
  c.set("requestId", id);
  await next();
  // set afterwards, because an error's answer is a new one; that of a WebSocket cannot be changed
  if (c.res.status === 101) return;
  c.res.headers.set(HEADER, id);
  // answers are data of strangers; a browser must not guess that they are pages
  c.res.headers.set("x-content-type-options", "nosniff");
};
