/** Reads and validates a JSON body; an invalid one is 400 or 415 with a code. */

import type { Context, MiddlewareHandler } from "hono";
import * as v from "valibot";
import type { AppEnv } from "../app-env.ts";
import { bodyBytes } from "./body.ts";
import { ApiError, badArguments } from "./errors.ts";
import { issueText } from "./issue-text.ts";
import { isJsonType, isUtf8, mediaTypeOf } from "./media-type.ts";
import { JsonProblem, readJson } from "./strict-json.ts";

/** Refuses compressed bodies, which could expand far beyond the limit of bodies. */
export function refuseEncodedBody(c: Context): void {
  const encoding = c.req.header("content-encoding");
  if (encoding !== undefined && encoding.trim().toLowerCase() !== "identity") {
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "a Content-Encoding is not supported");
  }
}

/**
 * The JSON of the body. An empty body counts as `{}`, whatever its type: where all members are optional, the body is
 * optional too.
 * @param anyType JSON under any content type
 * @throws ApiError UNSUPPORTED_MEDIA_TYPE, MARSHALLING_ERROR, BAD_ARGUMENTS
 */
async function readBody(c: Context<AppEnv>, anyType: boolean): Promise<unknown> {
  refuseEncodedBody(c);
  const bytes = await bodyBytes(c);
  if (bytes.length === 0) return {};
  const type = mediaTypeOf(c.req.header("content-type"));
  if (!anyType && !isJsonType(type))
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json");
  if (!isUtf8(type))
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "JSON is UTF-8; the charset says otherwise");
  try {
    return readJson(bytes);
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error;
    throw error.kind === "syntax"
      ? new ApiError("MARSHALLING_ERROR", error.message)
      : badArguments(error.message);
  }
}

/** Reads and validates the body. @param anyType JSON under any content type @throws ApiError */
export async function bodyAs<S extends v.GenericSchema>(
  c: Context<AppEnv>,
  schema: S,
  anyType = false,
): Promise<v.InferOutput<S>> {
  const value = await readBody(c, anyType);
  // valibot accepts an array as an object without members
  if (Array.isArray(value)) throw badArguments("the body: an object was expected, got an array");
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  throw badArguments(issueText(parsed.issues[0]));
}

/** The validated body is `c.req.valid("json")`. */
export const jsonBody =
  <S extends v.GenericSchema>(
    schema: S,
  ): MiddlewareHandler<AppEnv, string, { in: { json: v.InferInput<S> }; out: { json: v.InferOutput<S> } }> =>
  async (c, next) => {
    c.req.addValidatedData("json", (await bodyAs(c, schema)) as object);
    await next();
  };
