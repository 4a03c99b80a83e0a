/** Operating errors as HTTP answers, in two shapes: problem documents, and Confluent's errors. */
import {
  type ErrorInfo,
  errorInfo,
  KAFKA_ERRORS,
  type KafkaErrorCode,
  ZOO_ERRORS,
  type ZooErrorCode,
} from "../../../core/errors.ts";
import { DETAIL_CHARS_MAX } from "../config.ts";

/** Base of the `type` of a problem document, which identifies the code. */
const ERRORS_URL = "https://zooweeper.dev/errors/";

/** A code of the error table. */
export type ApiErrorCode = ZooErrorCode | KafkaErrorCode;

/** What an answer may contain besides its code. */
export interface ApiErrorExtras {
  /** sid of the leader as far as known */
  readonly leader?: number | undefined;
  /** zxid that the answering node had applied */
  readonly zxid?: string | undefined;
  /** an earlier attempt of the same request may have been carried out; not part of the answer */
  readonly repeated?: boolean | undefined;
  /** overrides the flag of the code, for a node that stays dead until it is revived */
  readonly retryable?: boolean | undefined;
  /** overrides the status of the code, for a batch that is damaged in storage, not by the client */
  readonly status?: number | undefined;
  /** Confluent's five-digit code, on the routes that have its shape */
  readonly confluent?: number | undefined;
  /** response headers */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** further members of the problem document */
  readonly members?: Readonly<Record<string, unknown>> | undefined;
}

/** Ends a request with the answer of `code`. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ApiErrorCode;
  readonly extras: ApiErrorExtras;

  constructor(code: ApiErrorCode, detail: string, extras: ApiErrorExtras = {}) {
    super(detail);
    this.code = code;
    this.extras = extras;
  }
}

/** An invalid request: 400 BAD_ARGUMENTS. */
export const badArguments = (detail: string): ApiError => new ApiError("BAD_ARGUMENTS", detail);

/** A request without `Upgrade` for a resource that is a WebSocket. @source RFC 9110 §15.5.22 */
export const upgradeRequired = (): ApiError =>
  new ApiError("UPGRADE_REQUIRED", "this is a WebSocket: send Upgrade: websocket", {
    headers: { upgrade: "websocket" },
  });

/** The entry of the error table, with the overrides of the error. */
export function infoOf({ code, extras: { retryable, status } }: ApiError): ErrorInfo {
  return {
    // the code may be of a later version, which some object already runs
    ...(errorInfo(code) ?? ZOO_ERRORS.SYSTEM_ERROR),
    ...(retryable !== undefined && { retryable }),
    ...(status !== undefined && { status }),
  };
}

/** An RFC 9457 problem document. */
export function problem(error: ApiError, instance: string, requestId: string): Response {
  const info = infoOf(error);
  const { leader, zxid, members, headers } = error.extras;
  const body = {
    type: `${ERRORS_URL}${error.code}`,
    title: info.title,
    status: info.status,
    detail: shorten(error.message),
    instance,
    code: error.code,
    number: info.number,
    retryable: info.retryable,
    requestId,
    ...(zxid === undefined ? {} : { zxid }),
    ...(leader === undefined ? {} : { leader }),
    ...members,
  };
  return Response.json(body, {
    status: info.status,
    headers: {
      ...retryAfter(info),
      ...(zxid === undefined ? {} : { "zoo-zxid": zxid }),
      ...headers,
      "content-type": "application/problem+json",
    },
  });
}

/**
 * The error body of the routes that have Confluent's shape. `error_code` is Confluent's own number where the
 * route gives one, else the HTTP status, as its REST proxy does for errors of HTTP itself.
 */
export function confluentError(error: ApiError): Response {
  const info = infoOf(error);
  const body = {
    error_code: error.extras.confluent ?? info.status,
    message: shorten(error.message),
    kafka_code: error.code in KAFKA_ERRORS ? info.number : -1,
    retriable: info.retryable,
    code: error.code,
    ...error.extras.members,
  };
  return Response.json(body, {
    status: info.status,
    headers: { ...retryAfter(info), ...error.extras.headers },
  });
}

/** Retries may follow soon, because an election takes less than a second. */
function retryAfter({ retryable, status }: ErrorInfo): Record<string, string> {
  return retryable && (status === 503 || status === 429) ? { "retry-after": "1" } : {};
}

function shorten(text: string): string {
  return text.length <= DETAIL_CHARS_MAX ? text : `${text.slice(0, DETAIL_CHARS_MAX)}…`;
}
