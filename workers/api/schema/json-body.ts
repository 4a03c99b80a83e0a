/** Reads a JSON body through a schema; whatever does not fit is answered 400 or 415 with a code. */
import { sValidator } from "@hono/standard-validator";
import type { Context, MiddlewareHandler } from "hono";
import type { GenericSchema } from "valibot";
import { ApiError, badArguments } from "../errors.ts";

const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;|$)/i;

/** Does the request carry a body? A body of zero bytes is none. */
export function hasBody(c: Context): boolean {
  return c.req.raw.body !== null && c.req.header("content-length") !== "0";
}

/** Refuses bodies that do not say that they are JSON, and compressed ones. No body at all passes. */
export const requireJson: MiddlewareHandler = async (c, next) => {
  refuseEncodedBody(c);
  if (hasBody(c) && !JSON_TYPE.test(c.req.header("content-type") ?? "")) {
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json");
  }
  return next();
};

/** A compressed body could unfold to far more than the limit of bodies. */
export function refuseEncodedBody(c: Context): void {
  const encoding = c.req.header("content-encoding");
  if (encoding !== undefined && encoding !== "identity") {
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "a Content-Encoding is not supported");
  }
}

/** The validated body is `c.req.valid("json")`. Use it behind {@link requireJson}. */
export const jsonBody = <S extends GenericSchema>(schema: S) =>
  sValidator("json", schema, (result) => {
    if (result.success) return;
    const issue = result.error[0];
    if (issue === undefined) throw badArguments("the body does not fit");
    const where = pathOf(issue.path);
    throw badArguments(where === "" ? issue.message : `${where}: ${issue.message}`);
  });

/** Where in the body an issue is, as `ops.3.path`. */
function pathOf(path: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined): string {
  return (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
}
