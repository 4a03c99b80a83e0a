/** Three members of different versions in one runtime, their clients, and the answers. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Build } from "../../scripts/local/build.ts";
import { startWorkerd, type Workerd } from "../../scripts/local/workerd.ts";
import type { EnsembleJson } from "../../workers/api/schema/views.ts";
import type { Label } from "./versions.ts";

export const SIDS = [1, 2, 3] as const;

/** *map sid, `broker N` or `partitions` → version* */
export type Versions = Readonly<Record<string, Label>>;

export const all = (label: Label): Versions => Object.fromEntries(SIDS.map((sid) => [sid, label]));

/** What a member has cost since the runtime started. */
export interface Cost {
  readonly starts: number;
  readonly calls: number;
}

const REQUEST_MS = 10_000;
const PATIENCE_MS = 30_000;
const POLL_MS = 20;

export class MixedEnsemble {
  readonly #build: Build;
  readonly #stateDir = mkdtempSync(join(tmpdir(), "mixed-state-"));
  #runtime: Workerd | undefined;
  /** *map path → data* of every znode whose creation was acknowledged */
  readonly acknowledged = new Map<string, string>();
  #writing = false;
  #clients: Promise<void>[] = [];
  #paths = 0;

  readonly #brokers: number;

  constructor(build: Build, brokers = 0) {
    this.#build = build;
    this.#brokers = brokers;
  }

  /** Starts the runtime. */
  async start(versions: Versions): Promise<void> {
    mkdirSync(join(this.#stateDir, "objects"), { recursive: true });
    this.#runtime = await startWorkerd({
      build: this.#build,
      stateDir: this.#stateDir,
      vars: {
        ENSEMBLE_SIZE: "3",
        BROKER_COUNT: `${this.#brokers}`,
        FAULTS: "on",
        LOCAL: "on",
        // a member that comes back late gets a SNAP
        LOG_RETAIN_TXNS: "50",
        QUIET_AFTER_MS: "3000",
        START: JSON.stringify(versions),
      },
      controlPort: 1,
      pagePort: 1,
    });
    await this.whole();
  }

  /** `kill -9` of the runtime; the state stays. */
  async stop(): Promise<void> {
    await this.#runtime?.stop();
    this.#runtime = undefined;
  }

  async end(): Promise<void> {
    await this.rest();
    await this.stop();
    rmSync(this.#stateDir, { recursive: true, force: true });
  }

  /** Restarts a member as another version, and waits until all serve. */
  async change(sid: number, label: Label, how: "crash" | "evict" = "evict"): Promise<void> {
    await this.#ask("POST", "/mixed", JSON.stringify({ [sid]: label }));
    await this.fault(sid, how);
    await this.whole();
  }

  /** Restarts a broker as another version. */
  async changeBroker(id: number, label: Label): Promise<void> {
    await this.#ask("POST", "/mixed", JSON.stringify({ [`broker ${id}`]: label }));
    await this.#ask("POST", `/v1/faults/brokers/${id}/crash`, "{}");
    await this.brokersWhole();
  }

  /** Waits until every broker is registered. */
  async brokersWhole(): Promise<void> {
    const count = (): Promise<number> =>
      this.#ask("GET", "/brokers")
        .then(async (response) => ((await response.json()) as { brokers: unknown[] }).brokers.length)
        .catch(() => 0);
    const deadline = performance.now() + PATIENCE_MS;
    while ((await count()) < this.#brokers) {
      if (performance.now() > deadline) throw new Error("the brokers never registered");
      await wait(POLL_MS);
    }
  }

  /** Creates a topic with one partition. */
  async createTopic(name: string): Promise<void> {
    const body = JSON.stringify({ topic_name: name, partitions_count: 1 });
    const clusters = (await (await this.#ask("GET", "/v3/clusters")).json()) as {
      data: { cluster_id: string }[];
    };
    await this.#ask("POST", `/v3/clusters/${clusters.data[0]?.cluster_id}/topics`, body);
  }

  /** Produces a record under its own value as key, again until it is acknowledged. */
  async produce(topic: string, value: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const body = JSON.stringify({ records: [{ value }] });
      const response = await this.#send("POST", `/topics/${topic}`, body, { "idempotency-key": value }).catch(
        () => undefined,
      );
      await response?.arrayBuffer().catch(() => undefined);
      if (response?.ok === true) return;
      if (performance.now() > deadline) throw new Error(`${value} was never taken: ${response?.status}`);
      await wait(POLL_MS);
    }
  }

  /** The values of a topic's records, in order. */
  async values(topic: string): Promise<unknown[]> {
    const response = await this.#ask("GET", `/topics/${topic}/partitions/0/records?offset=0`);
    return ((await response.json()) as { value: unknown }[]).map(({ value }) => value);
  }

  async fault(sid: number, name: string): Promise<void> {
    await this.#ask("POST", `/v1/faults/nodes/${sid}/${name}`, "{}");
  }

  async costs(): Promise<Readonly<Record<string, Cost>>> {
    return (await (await this.#ask("GET", "/mixed")).json()) as Record<string, Cost>;
  }

  async view(): Promise<EnsembleJson> {
    return (await (await this.#ask("GET", "/v1/ensemble")).json()) as EnsembleJson;
  }

  /** Waits until the ensemble is as it should be. @throws Error with the last view when it never is */
  async until(what: string, holds: (view: EnsembleJson) => boolean): Promise<EnsembleJson> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const view = await this.view().catch(() => undefined);
      if (view !== undefined && holds(view)) return view;
      if (performance.now() > deadline) throw new Error(`never ${what}: ${JSON.stringify(view)}`);
      await wait(POLL_MS);
    }
  }

  /** Waits until all serve. */
  whole(): Promise<EnsembleJson> {
    return this.until(
      "whole",
      ({ leader, nodes }) => leader !== null && nodes.every((node) => node.up && node.serving),
    );
  }

  /** Creates a znode once. @returns false: it was not acknowledged */
  async create(path: string, data: string, query = ""): Promise<boolean> {
    const response = await this.#send("POST", `/v1/znodes${path}${query}`, data).catch(() => undefined);
    await response?.arrayBuffer().catch(() => undefined);
    if (response?.ok !== true) return false;
    this.acknowledged.set(path, data);
    return true;
  }

  /** Lets clients write, one after the other each, until {@link rest}. */
  load(clients: number): void {
    this.#writing = true;
    const write = async (): Promise<void> => {
      while (this.#writing) {
        const path = `/z${this.#paths++}`;
        if (!(await this.create(path, `data of ${path}`))) await wait(POLL_MS);
      }
    };
    for (let i = 0; i < clients; i++) this.#clients.push(write());
  }

  /** Waits until so many more writes are acknowledged. */
  async progress(writes: number): Promise<void> {
    const goal = this.acknowledged.size + writes;
    const deadline = performance.now() + PATIENCE_MS;
    while (this.acknowledged.size < goal) {
      if (performance.now() > deadline)
        throw new Error(`${goal - this.acknowledged.size} of ${writes} writes are missing`);
      await wait(POLL_MS);
    }
  }

  async rest(): Promise<void> {
    this.#writing = false;
    await Promise.all(this.#clients.splice(0));
  }

  /** What is wrong with the members, once nobody writes: trees that differ, acknowledged writes that a member lacks. */
  async faults(): Promise<string[]> {
    await this.until("settled", ({ nodes }) => {
      const states = nodes.map((node) => (node.up ? `${node.appliedZxid} ${node.digest}` : ""));
      return states[0] !== "" && new Set(states).size === 1;
    });
    const faults: string[] = [];
    for (const sid of SIDS) {
      for (const [path, data] of this.acknowledged) {
        const response = await this.#send("GET", `/v1/znodes${path}?node=${sid}`);
        const found = await response.text();
        if (!response.ok || found !== data)
          faults.push(`node ${sid} has not ${path}: ${found.slice(0, 100)}`);
      }
    }
    return faults;
  }

  #send(
    method: string,
    path: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#runtime?.apiPort}${path}`, {
      method,
      headers: {
        ...headers,
        ...(body !== undefined && !path.startsWith("/v1/znodes") && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(REQUEST_MS),
    });
  }

  async #ask(method: string, path: string, body?: string): Promise<Response> {
    const response = await this.#send(method, path, body);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}
