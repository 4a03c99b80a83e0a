/** `/v1/ensembles/{name}`: creates an ensemble, or returns its size. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { sizeOfDefault } from "../clients/founding.ts";
import { createEnsemble, isEnsembleName, sizeOfNamed } from "../clients/registry.ts";
import { DEFAULT_ENSEMBLE } from "../env.ts";
import { ApiError, badArguments } from "../http/errors.ts";
import { jsonBody } from "../http/json-body.ts";
import type { EnsembleNameJson } from "../znodes/answers.ts";
import { ensembleBody } from "./schema.ts";

/** Routes of named ensembles. */
export const ensemblesApp = new Hono<AppEnv>()
  .put("/:name", jsonBody(ensembleBody), async (c) => {
    const name = c.req.param("name");
    if (!isEnsembleName(name)) throw badArguments("a name has 1 to 40 of the characters a-z, 0-9 and -");
    const { size, created } = await createEnsemble(c.env, name, c.req.valid("json").size);
    return c.json<EnsembleNameJson>({ name, size }, created ? 201 : 200);
  })
  .get("/:name", async (c) => {
    const name = c.req.param("name");
    const size = name === DEFAULT_ENSEMBLE ? await sizeOfDefault(c.env) : await sizeOfNamed(c.env, name);
    if (size === undefined)
      throw new ApiError("UNKNOWN_ENSEMBLE", `there is no ensemble "${name.slice(0, 60)}"`);
    return c.json<EnsembleNameJson>({ name, size });
  });
