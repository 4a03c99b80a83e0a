/** What the growth benchmark asks of a local run: readiness, sleep, faults. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const SETTLING_MS_MAX = 600_000;
const SLEEPING_MS_MAX = 120_000;
const POLL_MS = 20;
const SLEEP_POLL_MS = 250;
/** Of the runtime's own databases with the alarms, which stay open. */
const ALARMS = "metadata.sqlite-wal";

/**
 * Sends a request over a connection of its own: a busy runtime closes kept ones too late, so that the next request fails.
 * @throws Error with the cause if there is no answer
 */
export async function ask(url: string, method = "GET"): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, { method, headers: { connection: "close" } });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    const { message, cause } = error as Error & { readonly cause?: Error };
    throw new Error(`${method} ${url}: ${cause?.message ?? message}`);
  }
}

/** @throws Error unless the answer is a success */
async function askJson<T>(url: string): Promise<T> {
  const { status, text } = await ask(url);
  if (status !== 200) throw new Error(`${url} answered ${status}: ${text.slice(0, 300)}`);
  return JSON.parse(text) as T;
}

interface Node {
  readonly sid: number;
  readonly up: boolean;
  readonly serving?: boolean;
  readonly boot?: number;
  readonly role?: string;
}

/** The part of `GET /v1/ensemble` that is used. */
interface Ensemble {
  readonly leader: number | null;
  readonly epoch: number;
  readonly nodes: readonly Node[];
}

/** The status of all nodes. */
const ensembleOf = async (api: string): Promise<Ensemble> => await askJson<Ensemble>(`${api}/v1/ensemble`);

/** Whether every node serves. */
const isSettled = ({ leader, nodes }: Ensemble): boolean =>
  leader !== null && nodes.every(({ up, serving }) => up && serving === true);

/** Waits until every node serves. @returns the ensemble then @throws Error after ten minutes */
export const settled = (api: string, signal: AbortSignal): Promise<Ensemble> =>
  until(() => ensembleOf(api), isSettled, SETTLING_MS_MAX, POLL_MS, signal);

/**
 * Deletes the storage of a member, and waits until all serve again.
 * @returns from the order until then, ms @throws Error if the order is refused, or after ten minutes
 */
export async function wipe(api: string, sid: number, signal: AbortSignal): Promise<number> {
  const bootOf = ({ nodes }: Ensemble): number | undefined => nodes.find((node) => node.sid === sid)?.boot;
  const boot = bootOf(await settled(api, signal));
  const start = performance.now();
  await order(api, `nodes/${sid}/wipe`);
  await until(
    () => ensembleOf(api),
    (ensemble) => isSettled(ensemble) && bootOf(ensemble) !== boot,
    SETTLING_MS_MAX,
    POLL_MS,
    signal,
  );
  return Math.round(performance.now() - start);
}

/** Sends a fault order. @throws Error if it is refused */
async function order(api: string, path: string): Promise<void> {
  const { status, text } = await ask(`${api}/v1/faults/${path}`, "POST");
  if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
}

interface Counted {
  /** 0: it was never started */
  readonly boot?: number;
  readonly quietSince?: number | null;
}

/** Waits until all objects sleep that have started. */
export async function asleep(api: string, signal: AbortSignal): Promise<void> {
  await until(
    () => askJson<{ nodes: Counted[]; brokers: Counted[] }>(`${api}/v1/counters`),
    ({ nodes, brokers }) =>
      [...nodes, ...brokers].every(({ boot, quietSince }) => boot === 0 || quietSince != null),
    SLEEPING_MS_MAX,
    SLEEP_POLL_MS,
    signal,
  );
}

/**
 * Waits until the runtime has taken all objects out of memory, some ten seconds after their last event: then SQLite has
 * closed each database and removed its write-ahead log. Nothing must be asked meanwhile.
 * @param stateDir of the local run
 */
export async function evicted(stateDir: string, signal: AbortSignal): Promise<void> {
  await until(
    async () => readdirSync(join(stateDir, "objects"), { recursive: true }).map(String),
    (files) => !files.some((file) => file.endsWith("-wal") && !file.endsWith(ALARMS)),
    SLEEPING_MS_MAX,
    SLEEP_POLL_MS,
    signal,
  );
}

async function until<T>(
  ask: () => Promise<T>,
  accept: (answer: T) => boolean,
  msMax: number,
  pollMs: number,
  signal: AbortSignal,
): Promise<T> {
  const deadline = performance.now() + msMax;
  for (;;) {
    signal.throwIfAborted();
    const answer = await ask();
    if (accept(answer)) return answer;
    if (performance.now() > deadline)
      throw new Error(`not within ${msMax / 1000} s: ${JSON.stringify(answer).slice(0, 300)}`);
    await wait(pollMs);
  }
}
