/** Refuses pages of other sites in a local run. A deployed Worker has its token instead. */
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";
import { ApiError } from "../http/errors.ts";
import { isRead } from "./auth.ts";
import { hasForeignHost, hasForeignOrigin } from "./local-hosts.ts";

/** @throws ApiError NO_AUTH */
export const localOnly: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.env.LOCAL !== "on") return next();
  const caller = { host: c.req.header("host"), origin: c.req.header("origin") };
  const hosts = (c.env.LOCAL_HOSTS ?? "").split(",");
  if (hasForeignHost(caller, hosts))
    throw new ApiError("NO_AUTH", `a local run does not answer to the host "${caller.host?.slice(0, 100)}"`);
  if (!isRead(c) && hasForeignOrigin(caller, hosts))
    throw new ApiError("NO_AUTH", "writes and WebSockets of pages of other sites are refused");
  return next();
};
