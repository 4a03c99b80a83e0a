/** Helpers for tests of the brokers: requests to the Worker, and a reader of server-sent events. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { app } from "../../workers/api/app.ts";

/** A local run: faults are on, writes need no token. */
export const call = async (path: string, init: RequestInit = {}): Promise<Response> =>
  app.fetch(
    new Request(`http://zooweeper.test${path}`, init),
    { ...env, LOCAL: "on", FAULTS: "on" },
    createExecutionContext(),
  );

export const json = async <T = unknown>(response: Response): Promise<T> => (await response.json()) as T;

export interface SeenRecord {
  readonly offset: number;
  readonly value: unknown;
}

/** Reads a stream event by event; asks for as many records as it wants and remembers the last id. */
export class SseReader {
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #end: AbortController;
  #text = "";
  lastEventId = "";

  private constructor(reader: ReadableStreamDefaultReader<string>, end: AbortController) {
    this.#reader = reader;
    this.#end = end;
  }

  static async open(path: string, headers: Record<string, string> = {}): Promise<SseReader> {
    const end = new AbortController();
    const response = await call(path, {
      headers: { accept: "text/event-stream", ...headers },
      signal: end.signal,
    });
    if (response.status !== 200 || response.body === null)
      throw new Error(`${response.status} ${await response.text()}`);
    return new SseReader(response.body.pipeThrough(new TextDecoderStream()).getReader(), end);
  }

  /** The next event that has data. */
  async next(): Promise<{ readonly event: string; readonly data: string }> {
    for (;;) {
      const split = this.#text.indexOf("\n\n");
      if (split === -1) {
        const { done, value } = await this.#reader.read();
        if (done) throw new Error("the stream ended");
        this.#text += value;
        continue;
      }
      const lines = this.#text.slice(0, split).split("\n");
      this.#text = this.#text.slice(split + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const id = field("id");
      if (id !== undefined) this.lastEventId = id;
      const data = field("data");
      if (data !== undefined) return { event: field("event") ?? "message", data };
    }
  }

  /** At least `count` records; whole events. */
  async records(count: number): Promise<SeenRecord[]> {
    const seen: SeenRecord[] = [];
    while (seen.length < count) {
      const { event, data } = await this.next();
      if (event === "error") throw new Error(data);
      if (event === "records") seen.push(...(JSON.parse(data) as { records: SeenRecord[] }).records);
    }
    return seen;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#reader.cancel().catch(() => undefined);
  }
}
