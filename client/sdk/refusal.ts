/** Answers of servers to requests for a socket that they did not open. */
import { ZOO_ERRORS, type ZooErrorCode } from "../../core/errors.ts";
import { ZooError } from "./errors.ts";

/** The HTTP answer of a server that did not open a socket. */
export interface Refusal {
  /** 0: a redirect that the platform does not show */
  readonly status: number;
  /** the body if it is a problem document, as text */
  readonly problem: string | undefined;
}

/** Content type of a problem document. @source RFC 9457 */
const PROBLEM = /^application\/problem\+json\b/i;

/** Whether the body of an answer is a problem document. @param contentType its header */
export const isProblem = (contentType: string | null | undefined): boolean => PROBLEM.test(contentType ?? "");

const UPGRADE_REQUIRED = 426;

/**
 * Requests the address of a socket over HTTP, without opening one.
 * @returns undefined if there is no answer, or if a socket could be opened there
 */
export async function askForRefusal(socketUrl: string, signal: AbortSignal): Promise<Refusal | undefined> {
  const url = socketUrl.replace(/^ws/, "http");
  try {
    const response = await fetch(url, { signal, redirect: "manual", cache: "no-store" });
    const problem = isProblem(response.headers.get("content-type")) ? await response.text() : undefined;
    if (problem === undefined) await response.body?.cancel();
    return response.status === UPGRADE_REQUIRED ? undefined : { status: response.status, problem };
  } catch {
    // nobody answers, or a page may not read the answers of this server
    return undefined;
  }
}

/** Statuses below 500 after which the same request may succeed. */
const TRANSIENT: ReadonlySet<number> = new Set([408, 425, UPGRADE_REQUIRED, 429]);

/** Codes of answers without a problem document: those of a proxy, or of a server of another kind. */
const CODE_OF_STATUS: Readonly<Record<number, ZooErrorCode>> = { 401: "UNAUTHORIZED", 403: "NO_AUTH" };

/** The error of a refusal: CONNECTION_LOSS if another attempt may succeed, else another code. */
export function errorOf({ status, problem }: Refusal): ZooError {
  const { code, detail } = problemOf(problem);
  const isFinal = status < 500 ? !TRANSIENT.has(status) : code === "NOT_CONFIGURED";
  if (!isFinal)
    return new ZooError(
      "CONNECTION_LOSS",
      `the server answers ${status}${detail === "" ? "" : ` ${detail}`}`,
    );
  if (code !== undefined) return new ZooError(code, detail);
  const what = status === 0 ? "a redirect" : `${status}`;
  return new ZooError(
    CODE_OF_STATUS[status] ?? "NOT_FOUND",
    `there is no ZooWeeper at this address: it answers ${what}`,
  );
}

/** Code and detail of a problem document of a ZooWeeper. */
function problemOf(text: string | undefined): {
  readonly code: ZooErrorCode | undefined;
  readonly detail: string;
} {
  try {
    const { code, detail } = JSON.parse(text ?? "{}") as {
      readonly code?: unknown;
      readonly detail?: unknown;
    };
    const known = typeof code === "string" && Object.hasOwn(ZOO_ERRORS, code);
    return {
      code: known ? (code as ZooErrorCode) : undefined,
      detail: typeof detail === "string" ? detail : "",
    };
  } catch {
    return { code: undefined, detail: "" };
  }
}
