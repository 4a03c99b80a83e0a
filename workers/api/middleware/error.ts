/** Turns errors into answers, in the shape of the route. */
import type { Context, ErrorHandler, NotFoundHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { AppEnv } from "../app-env.ts";
import { ApiError, type ApiErrorCode, confluentError, problem } from "../http/errors.ts";

/** Routes with Confluent's error body. */
const CONFLUENT = /^\/(topics|brokers|consumers|v3)(\/|$)/;

const CODE_OF_STATUS: Readonly<Record<number, ApiErrorCode>> = {
  400: "MARSHALLING_ERROR",
  401: "UNAUTHORIZED",
  404: "NOT_FOUND",
  405: "METHOD_NOT_ALLOWED",
  413: "TOO_LARGE",
  415: "UNSUPPORTED_MEDIA_TYPE",
};

/** The answer to `error` in the shape of the requested route. */
export function errorResponse(c: Context<AppEnv>, error: ApiError): Response {
  if (CONFLUENT.test(c.req.path)) return confluentError(error);
  return problem(error, c.req.path, c.get("requestId") ?? "");
}

/** Answer to an error of a handler; one that is not an ApiError is logged, and its text is not shown. */
export const onError: ErrorHandler<AppEnv> = (error, c) => {
  if (error instanceof ApiError) return errorResponse(c, error);
  if (error instanceof HTTPException) {
    return errorResponse(c, new ApiError(CODE_OF_STATUS[error.status] ?? "BAD_ARGUMENTS", error.message));
  }
  const requestId = c.get("requestId");
  console.error(
    JSON.stringify({ level: "error", requestId, path: c.req.path, error: String(error), stack: error.stack }),
  );
  return errorResponse(c, new ApiError("SYSTEM_ERROR", `the request failed; its id is ${requestId}`));
};

/** Answer to an unknown route. */
export const onNotFound: NotFoundHandler<AppEnv> = (c) =>
  errorResponse(c, new ApiError("NOT_FOUND", `there is no route ${c.req.method} ${c.req.path}`));

/** Answer to a method that the path does not have. */
export function onMethodNotAllowed(c: Context, methods: string[]): Response {
  const allow = methods.join(", ");
  const detail = `${c.req.method} is not possible here, only ${allow}`;
  return errorResponse(c, new ApiError("METHOD_NOT_ALLOWED", detail, { headers: { allow } }));
}
