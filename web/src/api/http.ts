/** Requests to the API, and their errors. */
import type { ApiCall } from "./curl.ts";

/** An answer that is not a success, or no answer (`status` 0). */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "ApiProblem";
    this.status = status;
    this.code = code;
  }
}

/** The default ensemble at `/api`, another one at `/api/e/{name}`. */
export const apiBase = (ensemble: string | null): string =>
  ensemble === null ? "/api" : `/api/e/${encodeURIComponent(ensemble)}`;

const TOKEN_KEY = "zooweeper.token";

/** The bearer token for writes, kept for this tab only. */
export const readToken = (): string => sessionStorage.getItem(TOKEN_KEY) ?? "";
/** Keeps the bearer token for this tab; an empty one removes it. */
export const storeToken = (token: string): void => sessionStorage.setItem(TOKEN_KEY, token);

/** Adds the token to a call that writes, if there is a token. */
export function withToken(call: ApiCall): ApiCall {
  const token = readToken();
  if (!token || call.method === "GET") return call;
  return { ...call, headers: { ...call.headers, Authorization: `Bearer ${token}` } };
}

/** Sends a call; resolves for every answer, and rejects with {@link ApiProblem} if there is none. */
export async function send(base: string, call: ApiCall, signal?: AbortSignal): Promise<Response> {
  const headers = { Accept: "application/json", ...withToken(call).headers };
  try {
    return await fetch(base + call.path, {
      method: call.method,
      headers,
      cache: "no-store",
      ...(call.body === undefined ? {} : { body: call.body }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiProblem(0, "UNREACHABLE", "the API does not answer");
  }
}

/** Sends a call and returns the JSON of its success; throws an {@link ApiProblem} otherwise. */
export async function sendJson<T>(base: string, call: ApiCall, signal?: AbortSignal): Promise<T> {
  const response = await send(base, call, signal);
  if (!response.ok) throw await toProblem(response);
  const text = await response.text();
  try {
    return JSON.parse(text === "" ? "null" : text) as T;
  } catch {
    throw new ApiProblem(response.status, "NOT_JSON", "the API answered with something that is not JSON");
  }
}

/** Reads problem+json and the errors of the Kafka routes; of anything else only the status is known. */
export async function toProblem(response: Response): Promise<ApiProblem> {
  const fallback = `the API answered ${response.status}`;
  try {
    const body: unknown = JSON.parse(await response.text());
    if (typeof body !== "object" || body === null) return new ApiProblem(response.status, "HTTP", fallback);
    const { code, detail, title, error_code, message } = body as Record<string, unknown>;
    return new ApiProblem(
      response.status,
      typeof code === "string" ? code : String(error_code ?? "HTTP"),
      [detail, message, title].find((part) => typeof part === "string" && part !== "")?.toString() ??
        fallback,
    );
  } catch {
    return new ApiProblem(response.status, "HTTP", fallback);
  }
}
