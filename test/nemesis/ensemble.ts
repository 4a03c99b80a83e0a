/** Real members in one workerd, their faults and their state. */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Local, startLocal } from "../../scripts/local.ts";

export interface View {
  readonly leader: number | null;
  readonly hasQuorum: boolean;
  readonly quiet?: boolean;
  readonly epoch: number;
  readonly reason: string | null;
  readonly nodes: readonly {
    readonly sid: number;
    readonly up: boolean;
    readonly serving?: boolean;
    readonly appliedZxid?: string;
    readonly digest?: string;
    readonly reason?: string;
    readonly damage?: string;
    readonly quarantined?: true;
  }[];
}

/** Longer than the Worker waits for a node. */
const REQUEST_MS = 8_000;
/** More than any test writes: the members keep all of their log, so that it can be read at the end. */
const LOG_RETAIN_TXNS = "1000000";
const POLL_MS = 10;

export class RealEnsemble {
  readonly sids: readonly number[];
  readonly #stateDir: string;
  #local: Local | null = null;
  #api = "";
  /** *map fault → how often it was inflicted* */
  readonly inflicted = new Map<string, number>();

  constructor(nodes: number, stateDir: string) {
    this.sids = Array.from({ length: nodes }, (_, i) => i + 1);
    this.#stateDir = stateDir;
  }

  /** The members' databases are under it. */
  get objectsDir(): string {
    return this.databasesOf("ZooWeeperNode");
  }

  /** Where the API answers, or did before the runtime was stopped: each start has another place. */
  get api(): string {
    return this.#api;
  }

  /** Where the databases of the objects of a class are. */
  databasesOf(className: string): string {
    return join(this.#stateDir, `objects/zooweeper-${className}`);
  }

  async start(fresh: boolean, vars: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#local = await startLocal({
      nodes: this.sids.length,
      brokers: 1,
      stateDir: this.#stateDir,
      fresh,
      // without brokers nobody writes whose requests are not in the history
      vars: { LOG_RETAIN_TXNS, BROKER_COUNT: "0", ...vars },
    });
    this.#api = this.#local.urls.api;
  }

  /** `kill -9` of the process that all members live in. */
  async stop(): Promise<void> {
    await this.#local?.stop();
    this.#local = null;
  }

  async view(): Promise<View> {
    return (await this.#ask("GET", "/v1/ensemble")) as View;
  }

  // ── faults ───────────────────────────────────────────────────────────────

  /** @returns false: it was refused, since the node is dead already or a majority would be lost */
  async fault(target: number | "all", name: string, body: object = {}): Promise<boolean> {
    return this.#inflict(name, `/v1/faults/nodes/${target}/${name}`, body);
  }

  partition(groups: readonly (readonly number[])[], ttlMs: number): Promise<boolean> {
    return this.#inflict("partition", "/v1/faults/partition", { groups, ttlMs });
  }

  ring(ttlMs: number): Promise<boolean> {
    return this.#inflict("ring", "/v1/faults/partition", { ring: true, ttlMs });
  }

  async #inflict(name: string, path: string, body: object): Promise<boolean> {
    const done = await this.#ask("POST", path, body).catch((error: Error) => {
      if (/NODE_DOWN|WOULD_LOSE_MAJORITY|UNKNOWN_OUTCOME/.test(error.message)) return null;
      throw error;
    });
    if (done === null) return false;
    this.inflicted.set(name, (this.inflicted.get(name) ?? 0) + 1);
    return true;
  }

  /** Ends one fault, or all. */
  async heal(target: number | "all" = "all", fault?: string): Promise<void> {
    if (fault === undefined) await this.#ask("POST", `/v1/faults/nodes/${target}/heal`, {});
    else await this.#ask("DELETE", `/v1/faults/nodes/${target}/${fault}`);
  }

  // ── how it is ────────────────────────────────────────────────────────────

  /** Who leads; null: nobody, for as long as that. */
  async leader(patienceMs = 2_000): Promise<number | null> {
    const view = await this.#until(({ leader, hasQuorum }) => leader !== null && hasQuorum, patienceMs);
    return view?.leader ?? null;
  }

  /** Do all fall asleep within that time? Looking wakes nobody. */
  async asleep(patienceMs: number): Promise<boolean> {
    const view = await this.#until(({ quiet }) => quiet === true, patienceMs);
    if (view !== undefined) this.inflicted.set("sleep", (this.inflicted.get("sleep") ?? 0) + 1);
    return view !== undefined;
  }

  /** Does everybody serve within that time? */
  async whole(patienceMs: number): Promise<boolean> {
    return (await this.#until(isWhole, patienceMs)) !== undefined;
  }

  /** Has everybody applied the same, with the same digest, within that time? @returns why not; undefined: so it is */
  async settled(patienceMs: number): Promise<string | undefined> {
    const same = ({ nodes }: View): boolean =>
      new Set(nodes.map(({ appliedZxid, digest }) => `${appliedZxid} ${digest}`)).size === 1;
    const view = await this.#until((each) => isWhole(each) && same(each), patienceMs);
    return view === undefined ? JSON.stringify(await this.view().catch(String)) : undefined;
  }

  async #until(holds: (view: View) => boolean, patienceMs: number): Promise<View | undefined> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const view = await this.view().catch(() => undefined);
      if (view !== undefined && holds(view)) return view;
      if (performance.now() > deadline) return undefined;
      await wait(POLL_MS);
    }
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.api}${path}`, {
      method,
      headers: { accept: "application/json", ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(REQUEST_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text);
  }
}

const isWhole = ({ leader, nodes }: View): boolean =>
  leader !== null && nodes.every(({ up, serving }) => up && serving === true);
