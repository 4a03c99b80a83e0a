/**
 * A load for a fault run: each writer sets a znode of its own to rising numbers, appends the same numbers to a topic,
 * and notes what was acknowledged. Afterwards every acknowledged write must exist, and every record once.
 */
import { setTimeout as wait } from "node:timers/promises";

/** What the writers did, and what the check found. */
export interface LoadReport {
  readonly writes: number;
  readonly records: number;
  /** writes and records of unknown outcome */
  readonly unknown: number;
  /** the longest time without an acknowledged write, ms */
  readonly longestPauseMs: number;
  /** acknowledged writes that are missing or doubled; a sentence each */
  readonly faults: readonly string[];
}

interface Writer {
  readonly znode: string;
  /** the last number that was sent, and the last that was acknowledged */
  sent: number;
  acknowledged: number;
  readonly records: Set<string>;
}

const PAUSE_MS = 20;
const REQUEST_MS = 15_000;
/** Time for the checks until the ensemble answers, ms. */
const CHECK_MS_MAX = 30_000;
const READ_COUNT = 1_000;

/** Runs `count` writers against an API until they are stopped. */
export class Load {
  readonly #api: string;
  readonly #name = `chaos-${Date.now().toString(36)}`;
  readonly #writers: readonly Writer[];
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #unknown = 0;
  #lastAt = performance.now();
  #longestPauseMs = 0;

  constructor(api: string, count: number) {
    this.#api = api;
    this.#writers = Array.from({ length: count }, (_, i) => ({
      znode: `/v1/znodes/${this.#name}-${i}`,
      sent: 0,
      acknowledged: 0,
      records: new Set<string>(),
    }));
  }

  /** @throws Error if the znodes or the topic cannot be created */
  async start(): Promise<void> {
    const { data } = await this.#json<{ data: readonly { cluster_id: string }[] }>("/v3/clusters");
    const topic = JSON.stringify({ topic_name: this.#name, partitions_count: 1 });
    await this.#require(`/v3/clusters/${data[0]?.cluster_id}/topics`, "POST", topic);
    for (const { znode } of this.#writers) await this.#require(znode, "POST", "0");
    this.#lastAt = performance.now();
    this.#running = Promise.all(this.#writers.map((writer, i) => this.#write(writer, i)));
  }

  /** Ends the writers and checks what was acknowledged. Call it after everything is healed. */
  async stop(): Promise<LoadReport> {
    this.#stop.abort();
    await this.#running;
    const faults = [...(await this.#lostWrites()), ...(await this.#lostRecords())];
    const report: LoadReport = {
      writes: this.#writers.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      records: this.#writers.reduce((sum, { records }) => sum + records.size, 0),
      unknown: this.#unknown,
      longestPauseMs: this.#longestPauseMs,
      faults,
    };
    if (faults.length === 0) await this.#remove();
    return report;
  }

  async #write(writer: Writer, index: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      writer.sent += 1;
      const status = await this.#send(writer.znode, "PUT", String(writer.sent));
      if (status === 200) {
        writer.acknowledged = writer.sent;
        this.#acknowledged();
      } else if (status === 504 || status === 0) this.#unknown += 1;
      await this.#append(writer, `${index}-${writer.sent}`);
      await wait(PAUSE_MS);
    }
  }

  /** A record keeps its key until its outcome is known: it is stored once, however often it is sent. */
  async #append(writer: Writer, value: string): Promise<void> {
    const path = `/topics/${this.#name}/partitions/0`;
    const headers = {
      "content-type": "application/octet-stream",
      "idempotency-key": `${this.#name}-${value}`,
    };
    do {
      const status = await this.#send(path, "POST", value, headers);
      if (status === 200) {
        writer.records.add(value);
        return;
      }
      await wait(PAUSE_MS);
    } while (!this.#stop.signal.aborted);
    this.#unknown += 1;
  }

  #acknowledged(): void {
    const now = performance.now();
    this.#longestPauseMs = Math.max(this.#longestPauseMs, now - this.#lastAt);
    this.#lastAt = now;
  }

  async #lostWrites(): Promise<string[]> {
    const faults: string[] = [];
    for (const { znode, sent, acknowledged } of this.#writers) {
      const value = Number(await this.#read(`${znode}?consistency=linearizable`));
      if (value < acknowledged)
        faults.push(`${znode.slice("/v1/znodes".length)} is ${value}, ${acknowledged} was acknowledged`);
      if (value > sent)
        faults.push(`${znode.slice("/v1/znodes".length)} is ${value}, which was never written`);
    }
    return faults;
  }

  async #lostRecords(): Promise<string[]> {
    const counts = new Map<string, number>();
    for (let offset = 0; ; ) {
      const path = `/topics/${this.#name}/partitions/0/records?offset=${offset}&count=${READ_COUNT}&format=binary`;
      const records = JSON.parse(await this.#read(path)) as { offset: number; value: string }[];
      for (const { value } of records) {
        const text = Buffer.from(value, "base64").toString();
        counts.set(text, (counts.get(text) ?? 0) + 1);
      }
      const last = records.at(-1);
      if (last === undefined) break;
      offset = last.offset + 1;
    }
    const faults = [...counts]
      .filter(([, count]) => count > 1)
      .map(([value]) => `record ${value} is there twice`);
    for (const { records } of this.#writers) {
      for (const value of records) if (!counts.has(value)) faults.push(`record ${value} is lost`);
    }
    return faults;
  }

  /** The data are kept only if something is wrong, for inspection. */
  async #remove(): Promise<void> {
    for (const { znode } of this.#writers) await this.#send(znode, "DELETE");
    const { data } = await this.#json<{ data: readonly { cluster_id: string }[] }>("/v3/clusters");
    await this.#send(`/v3/clusters/${data[0]?.cluster_id}/topics/${this.#name}`, "DELETE");
  }

  /** @returns the status of the answer; 0 if there was none */
  async #send(
    path: string,
    method: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<number> {
    try {
      const response = await this.#fetch(path, method, body, headers);
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0;
    }
  }

  async #require(path: string, method: string, body: string): Promise<void> {
    const headers = path.startsWith("/v3") ? { "content-type": "application/json" } : {};
    const response = await this.#fetch(path, method, body, headers);
    const text = await response.text();
    if (!response.ok)
      throw new Error(`the load cannot begin: ${method} ${path} answered ${response.status} ${text}`);
  }

  /** Reads until there is an answer. @throws Error after a while */
  async #read(path: string): Promise<string> {
    const deadline = performance.now() + CHECK_MS_MAX;
    for (;;) {
      try {
        const response = await this.#fetch(path, "GET");
        const text = await response.text();
        if (response.ok) return text;
        if (performance.now() > deadline) throw new Error(`GET ${path} answered ${response.status} ${text}`);
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      await wait(PAUSE_MS);
    }
  }

  async #json<T>(path: string): Promise<T> {
    return JSON.parse(await this.#read(path)) as T;
  }

  #fetch(
    path: string,
    method: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const token = process.env.ZOOWEEPER_TOKEN;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return fetch(`${this.#api}${path}`, {
      method,
      headers: { ...authorization, ...headers },
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(REQUEST_MS),
    });
  }
}
