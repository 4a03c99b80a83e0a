/** Requests to the whole app, with the bindings of the test runtime. */
import { createExecutionContext, listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { app } from "../../../workers/api/app.ts";
import type { ApiEnv } from "../../../workers/api/env.ts";
import type { EnsembleJson } from "../../../workers/api/schema/views.ts";

export type Vars = Partial<
  Pick<ApiEnv, "LOCAL" | "LOCAL_HOSTS" | "FAULTS" | "ZOOWEEPER_TOKEN" | "ENSEMBLE_SIZE" | "GATEWAY">
>;

/** A local run's settings: faults are on, writes need no token. */
const LOCAL_RUN: Vars = { LOCAL: "on", FAULTS: "on" };

/** Sends one request to the API. */
export async function call(path: string, init: RequestInit = {}, vars: Vars = LOCAL_RUN): Promise<Response> {
  return await app.fetch(
    new Request(`http://zoo.test${path}`, init),
    { ...env, ...vars },
    createExecutionContext(),
  );
}

/** Sends a JSON body. */
export function send(
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const init = {
    method,
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  };
  return call(path, init);
}

/** Members of a problem document that tests look at. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: string;
  readonly number: number;
  readonly retryable: boolean;
  readonly requestId: string;
  readonly zxid?: string;
  readonly at?: number;
  readonly results?: readonly unknown[];
}

/** Reads an answer that must be a problem with this status and code. */
export async function problemOf(response: Response, status: number, code: string): Promise<Problem> {
  const problem = await response.json<Problem>();
  expect({ status: response.status, code: problem.code }, JSON.stringify(problem)).toEqual({ status, code });
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  return problem;
}

/** Creates a znode with text. */
export async function make(path: string, text = "", prefix = ""): Promise<Response> {
  const response = await call(`${prefix}/v1/znodes${path}`, { method: "POST", body: text });
  expect(response.status, await response.clone().text()).toBe(201);
  return response;
}

/** Body as text, whatever type it says it has. */
export async function textOf(response: Response): Promise<string> {
  return new TextDecoder().decode(await response.arrayBuffer());
}

/** Asks until `accept` likes the answer. */
export async function until<T>(ask: () => Promise<T>, accept: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (accept(answer)) return answer;
    await scheduler.wait(20);
  }
}

export const ensembleOf = async (prefix = ""): Promise<EnsembleJson> =>
  (await call(`${prefix}/v1/ensemble`)).json<EnsembleJson>();

/** Brings everything back, and waits until it is. */
export async function heal(): Promise<EnsembleJson> {
  const response = await call("/v1/faults/heal", { method: "POST" });
  expect(response.status, await response.text()).toBe(200);
  return until(ensembleOf, isWhole);
}

/** Do all nodes serve under one leader? */
export const isWhole = ({ hasQuorum, nodes }: EnsembleJson): boolean =>
  hasQuorum && nodes.every((node) => node.up && node.serving);

/** Ids of all objects that exist, of every class. */
export async function objects(): Promise<string[]> {
  const lists = await Promise.all([
    listDurableObjectIds(env.ZOOWEEPER_NODE),
    listDurableObjectIds(env.BROKER),
    listDurableObjectIds(env.TOPIC_PARTITION),
  ]);
  return lists.flat().map(String).sort();
}

/** One event of a stream of server-sent events. */
export interface StreamEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string | undefined;
}

/** Reads a stream of server-sent events, event by event. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(response: Response) {
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    if (response.body === null) throw new Error("the stream has no body");
    this.#reader = response.body.getReader();
  }

  /** The next event that is more than a comment or `retry`. */
  async next(): Promise<StreamEvent> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end < 0) {
        const { value, done } = await this.#reader.read();
        if (done) throw new Error("the stream ended");
        this.#text += this.#decoder.decode(value, { stream: true });
        continue;
      }
      const lines = this.#text.slice(0, end).split("\n");
      this.#text = this.#text.slice(end + 2);
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const event = { id: field("id"), event: field("event"), data: field("data") };
      if (event.id !== undefined || event.data !== undefined) return event;
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
