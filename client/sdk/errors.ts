/** The one error class of the SDK. */
import { ZOO_ERRORS, type ZooErrorCode } from "../../core/errors.ts";
import { type Refused, refusalText } from "../../core/znode/refusal-text.ts";

/**
 * Codes of the server, and one of the SDK: the connection ended before the request was sent, or before a read was
 * answered.
 */
export type ZooClientCode = ZooErrorCode | "CONNECTION_LOSS";

/** ZooKeeper's number for a lost connection. */
const CONNECTION_LOSS_NUMBER = -4;

/** An operation that was not carried out, or whose outcome is unknown. The message begins with the code. */
export class ZooError extends Error {
  override readonly name = "ZooError";
  readonly code: ZooClientCode;
  /** ZooKeeper's number of the code */
  readonly number: number;
  /** Whether the same request may be sent again unchanged. */
  readonly retryable: boolean;
  /** index of the operation of a multi that failed */
  readonly index: number | undefined;
  /** the message without the code */
  readonly detail: string;

  constructor(code: ZooClientCode, detail: string, index?: number) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
    this.number = code === "CONNECTION_LOSS" ? CONNECTION_LOSS_NUMBER : ZOO_ERRORS[code].number;
    this.retryable = code === "CONNECTION_LOSS" || ZOO_ERRORS[code].retryable;
    this.index = index;
  }

  /** The error of a reply. */
  static ofReply(code: ZooErrorCode, request: Refused, index?: number): ZooError {
    return new ZooError(code, refusalText(code, request), index);
  }

  /** Whether it is a ZooError, with this code if one is given. */
  static is(error: unknown, code?: ZooClientCode): error is ZooError {
    return error instanceof ZooError && (code === undefined || error.code === code);
  }
}

/** Why a session without a connection ends. @param how the connection was lost */
export const lossOfConnection = (how: string): ZooError =>
  new ZooError("CONNECTION_LOSS", `the connection was lost: ${how}`);

/** The text of any error, without its code. */
export function detailOf(error: unknown): string {
  if (error instanceof ZooError) return error.detail;
  return error instanceof Error ? error.message : String(error);
}
