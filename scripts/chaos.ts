/**
 * `npm run chaos -- scenario.json`: breaks a running ensemble as a file says, over the fault endpoints, and heals it.
 * With `--load` it writes meanwhile, and afterwards looks for everything that was acknowledged. Ends with 0 only if there is a leader afterwards and every node has applied the same. The first Ctrl-C heals and ends it,
 * whatever it does then; the second ends it at once.
 */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { random } from "../core/prng.ts";
import { main } from "./local/command.ts";
import { Load, type LoadReport } from "./local/load.ts";
import { httpUrl, readOptions, wholeNumber } from "./local/options.ts";
import { type Due, parseScenario, type Scenario, type Step, victimsOf } from "./local/scenario.ts";
import { UsageError } from "./local.ts";

const HELP = `usage: npm run chaos -- <scenario.json> [options]

  --url URL         where the API answers (http://localhost:8080; http://localhost:8788 under npm start)
  --load N          N writers write znodes and records meanwhile; what was acknowledged and is lost ends it with 1
  --ensemble NAME   the ensemble to break (default)
  --seed N          decides every random choice; printed, so that a run can be repeated
  --help            print this

Samples are in scripts/scenarios, the form of the file in docs/fault-injection.md.
`;

const OPTIONS = {
  url: { type: "string" },
  ensemble: { type: "string" },
  seed: { type: "string" },
  load: { type: "string" },
} as const;

const SEED_MAX = 2 ** 31 - 1;
const WRITERS_MAX = 1_000;
/** Longest wait of a step for a leader as its target, ms. */
const LEADER_MS_MAX = 10_000;
/** Time for the ensemble to recover after everything is healed, ms. */
const SETTLE_MS_MAX = 60_000;
const POLL_MS = 100;
/** Time limit of a request, ms: longer than the Worker waits for a node. */
const REQUEST_MS = 15_000;
/**
 * Signals within this time count as one, ms: npm forwards the Ctrl-C that the terminal has also sent to this process.
 */
const SAME_SIGNAL_MS = 250;
/** Lost writes that are printed. */
const FAULTS_SHOWN = 10;

interface View {
  readonly size: number;
  readonly leader: number | null;
  readonly reason: string | null;
  readonly nodes: readonly {
    readonly sid: number;
    readonly up: boolean;
    readonly serving?: boolean;
    readonly appliedZxid?: string;
    readonly digest?: string;
  }[];
}

function readScenario(file: string): Scenario {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  try {
    return parseScenario(text);
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${file}: ${error.message}`) : error;
  }
}

class Run {
  readonly #api: string;
  readonly #seed: number;
  readonly #random: () => number;
  readonly #start = performance.now();
  readonly #stop = new AbortController();
  /** exit code of the signal that ended the run */
  #exitCode = 0;
  #healed = false;

  constructor(api: string, seed: number) {
    this.#api = api;
    this.#seed = seed;
    this.#random = random(seed);
  }

  /** @returns the exit code */
  async carryOut({ name, plan, endMs }: Scenario, writers: number): Promise<number> {
    const { size } = await this.#view();
    await this.#ask("GET", "/v1/faults");
    this.#listen();
    const load = writers === 0 ? undefined : new Load(this.#api, writers);
    await load?.start();
    this.#say(`${name}: ${plan.length} steps on ${size} nodes at ${this.#api}, seed ${this.#seed}`);
    try {
      for (const due of plan) {
        if (!(await this.#until(due.atMs))) break;
        await this.#step(due, size);
      }
      await this.#until(endMs);
    } finally {
      await this.#heal();
    }
    const settled = !this.#stop.signal.aborted && (await this.#settled());
    const isWhole = load === undefined || !this.#healed || this.#check(await load.stop());
    if (!this.#stop.signal.aborted) return settled && isWhole ? 0 : 1;
    this.#say("interrupted");
    return this.#healed ? this.#exitCode : 1;
  }

  /** @returns whether everything that was acknowledged exists, once */
  #check({ writes, records, unknown, longestPauseMs, faults }: LoadReport): boolean {
    for (const fault of faults.slice(0, FAULTS_SHOWN)) this.#say(`LOST: ${fault}`);
    const lost = faults.length === 0 ? "none lost, none doubled" : `${faults.length} lost or doubled`;
    this.#say(
      `load: ${writes} writes and ${records} records acknowledged, ${lost}; ${unknown} of unknown outcome; ` +
        `longest time without an acknowledged write ${(longestPauseMs / 1000).toFixed(2)} s`,
    );
    return faults.length === 0;
  }

  #listen(): void {
    let endsFrom = Number.POSITIVE_INFINITY;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => {
        if (performance.now() >= endsFrom) {
          if (!this.#healed) this.#say("ended before everything was healed");
          process.exit(128 + constants.signals[signal]);
        }
        if (this.#stop.signal.aborted) return;
        endsFrom = performance.now() + SAME_SIGNAL_MS;
        this.#exitCode = 128 + constants.signals[signal];
        this.#stop.abort();
      });
  }

  async #step({ step }: Due, size: number): Promise<void> {
    const { fault, target, params } = step;
    const label = `${fault}${target === undefined ? "" : ` ${target}`}`;
    const victims =
      typeof target === "string" && target.startsWith("broker") ? [] : await this.#victims(step, size);
    if (victims === undefined) {
      this.#say(`${label}: there is no leader, step skipped`);
      return;
    }
    const body = { ...params, ...(step.for === undefined ? {} : { ttlMs: step.for }) };
    const lasts = step.for === undefined ? "" : ` for ${step.for} ms`;
    const details = Object.keys(params).length === 0 ? "" : ` ${JSON.stringify(params)}`;
    const whom = victims.length === 0 ? "" : ` → ${victims.join(", ")}`;
    const outcome = await this.#inflict(fault, target, victims, body);
    this.#say(`${label}${whom}${details}${lasts}${outcome}`);
  }

  async #victims(step: Step, size: number): Promise<readonly number[] | undefined> {
    if (step.fault === "ring") return [];
    if (step.target !== "leader" && step.target !== "follower")
      return victimsOf(step.target, size, null, this.#random);
    const deadline = performance.now() + LEADER_MS_MAX;
    for (;;) {
      const { leader } = await this.#view().catch(() => ({ leader: null }));
      if (leader === null) await this.#wake();
      const victims = victimsOf(step.target, size, leader, this.#random);
      if (victims !== undefined || performance.now() > deadline || this.#stop.signal.aborted) return victims;
      await this.#pause(POLL_MS);
    }
  }

  /** @returns what to append to the line: nothing, or why the step was refused */
  async #inflict(
    fault: string,
    target: Step["target"],
    victims: readonly number[],
    body: object,
  ): Promise<string> {
    const node = (sid: number | string): string => `/v1/faults/nodes/${sid}/${fault}`;
    const broker = typeof target === "string" && target.startsWith("broker") ? target.slice(7) : undefined;
    const requests: readonly (readonly [string, object])[] =
      broker !== undefined
        ? [[`/v1/faults/brokers/${broker}/${fault}`, body]]
        : fault === "ring"
          ? [["/v1/faults/partition", { ...body, ring: true }]]
          : fault === "partition"
            ? [["/v1/faults/partition", { ...body, groups: [victims] }]]
            : target === "all"
              ? [[node("all"), body]]
              : victims.map((sid) => [node(sid), body] as const);
    const answers = await Promise.allSettled(requests.map(([path, json]) => this.#ask("POST", path, json)));
    const refused = answers.filter((answer) => answer.status === "rejected");
    return refused.map(({ reason }) => `: ${(reason as Error).message}`).join("");
  }

  async #heal(): Promise<void> {
    try {
      await this.#ask("POST", "/v1/faults/heal");
      this.#healed = true;
      this.#say("healed");
    } catch (error) {
      this.#say(`healing failed: ${(error as Error).message}`);
    }
  }

  /** Waits until every node serves under one leader, at the same zxid with the same digest. */
  async #settled(): Promise<boolean> {
    const deadline = performance.now() + SETTLE_MS_MAX;
    await this.#wake();
    for (let why = ""; !this.#stop.signal.aborted; await this.#pause(POLL_MS)) {
      try {
        const { leader, nodes, reason } = await this.#view();
        const states = new Set(nodes.map(({ appliedZxid, digest }) => `${appliedZxid} ${digest}`));
        const late = nodes.filter(({ up, serving }) => !up || serving !== true).map(({ sid }) => sid);
        if (leader === null) {
          why = reason ?? "there is no leader";
          await this.#wake();
        } else if (late.length > 0) why = `nodes ${late.join(", ")} do not serve`;
        else if (states.size > 1) why = "the nodes differ";
        else {
          this.#say(`whole: node ${leader} leads, all ${nodes.length} at ${nodes[0]?.appliedZxid}`);
          return true;
        }
      } catch (error) {
        why = (error as Error).message;
      }
      if (performance.now() > deadline) {
        this.#say(`not whole after ${SETTLE_MS_MAX / 1000} s: ${why}`);
        return false;
      }
    }
    return false;
  }

  /** @returns false if the run is interrupted */
  async #until(atMs: number): Promise<boolean> {
    const leftMs = this.#start + atMs - performance.now();
    if (leftMs > 0) await this.#pause(leftMs);
    return !this.#stop.signal.aborted;
  }

  /** Ends early when the run is interrupted. */
  async #pause(ms: number): Promise<void> {
    await wait(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  /** an ensemble without requests falls asleep, and then has no leader */
  async #wake(): Promise<void> {
    await this.#ask("GET", "/v1/znodes/?view=stat&consistency=linearizable").catch(() => undefined);
  }

  #view(): Promise<View> {
    return this.#ask("GET", "/v1/ensemble") as Promise<View>;
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const token = process.env.ZOOWEEPER_TOKEN;
    const timeout = AbortSignal.timeout(REQUEST_MS);
    const response = await fetch(`${this.#api}${path}`, {
      method,
      headers: {
        accept: "application/json",
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // waits for steps that inject faults, so that none is done after the healing
      signal: method === "GET" ? AbortSignal.any([timeout, this.#stop.signal]) : timeout,
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    throw new Error(`${method} ${path} answered ${response.status}: ${detailOf(text)}`);
  }

  #say(line: string): void {
    process.stdout.write(`${((performance.now() - this.#start) / 1000).toFixed(3).padStart(8)} s  ${line}\n`);
  }
}

/** The text of a problem document; else the beginning of the answer. */
const detailOf = (text: string): string => detailIn(text) ?? text.slice(0, 100);

/** The text of a problem document; undefined for anything else. */
function detailIn(text: string): string | undefined {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === "string" ? detail : undefined;
  } catch {
    return undefined;
  }
}

const chaos = async (): Promise<void> => {
  const { values, positionals } = readOptions({ options: OPTIONS, allowPositionals: true });
  const [file, more] = positionals;
  if (file === undefined || more !== undefined)
    throw new UsageError(
      `give one scenario file, for example npm run chaos -- scripts/scenarios/everything.json${more === undefined ? "" : `; "${more}" is one too many`}`,
    );
  const scenario = readScenario(file);
  const url = httpUrl(values.url ?? "http://localhost:8080", "--url");
  if (values.ensemble !== undefined && !/^[a-z0-9-]{1,40}$/.test(values.ensemble))
    throw new UsageError(`--ensemble must be a name of a-z, 0-9 and -, not "${values.ensemble}"`);
  const prefix = values.ensemble === undefined ? "" : `/e/${values.ensemble}`;
  const seed =
    values.seed === undefined
      ? (scenario.seed ?? Math.floor(Math.random() * SEED_MAX))
      : wholeNumber(values.seed, "--seed", SEED_MAX);
  const writers = wholeNumber(values.load ?? "0", "--load", WRITERS_MAX);
  const run = new Run(await findApi(url, prefix), seed);
  process.exitCode = await run.carryOut(scenario, writers);
};

/**
 * The API at a URL, or at `/api` below it, where the page's host serves it. @throws Error if there is no API at
 * either
 */
async function findApi(url: string, prefix: string): Promise<string> {
  let why = "";
  for (const api of [`${url}${prefix}`, `${url}/api${prefix}`]) {
    try {
      const response = await fetch(`${api}/v1/ensemble`, { signal: AbortSignal.timeout(REQUEST_MS) });
      const text = await response.text();
      if (response.ok && typeof sizeIn(text) === "number") return api;
      const problem = detailIn(text);
      if (problem !== undefined) why = `${response.status} ${problem}`;
      else why ||= `the answer is ${response.status} and no JSON`;
    } catch (error) {
      const { message, cause } = error as Error & { cause?: Error };
      why ||= cause?.message ?? message;
    }
  }
  throw new Error(`no ensemble answers at ${url}: ${why}; npm start serves one at http://localhost:8788/api`);
}

function sizeIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { readonly size?: unknown } | null)?.size;
  } catch {
    return undefined;
  }
}

// last: the class has to be defined
await main("chaos", chaos, HELP.trimEnd());
