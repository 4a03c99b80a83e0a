/** Finds the ensemble of a request. An unknown one is refused before any object is created. */
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";
import { EnsembleClient } from "../clients/ensemble-client.ts";
import { sizeOfNamed } from "../clients/registry.ts";
import { DEFAULT_ENSEMBLE } from "../env.ts";
import { ApiError } from "../http/errors.ts";
import { routedPathOf } from "../http/raw-path.ts";

/** @throws ApiError UNKNOWN_ENSEMBLE */
export const ensemble: MiddlewareHandler<AppEnv> = async (c, next) => {
  const name = routedPathOf(c.req.url).ensemble ?? DEFAULT_ENSEMBLE;
  c.set("ensemble", name);
  if (name === DEFAULT_ENSEMBLE) {
    c.set("zoo", new EnsembleClient(c.env, name));
  } else {
    const size = await sizeOfNamed(c.env, name);
    if (size === undefined)
      throw new ApiError("UNKNOWN_ENSEMBLE", `there is no ensemble "${name.slice(0, 60)}"`);
    c.set("zoo", new EnsembleClient(c.env, name, size));
  }
  return next();
};
