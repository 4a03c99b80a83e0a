/** Readiness of a local run, and faults that an earlier run has left. */
import { setTimeout as wait } from "node:timers/promises";
import type { LocalUrls } from "./urls.ts";

const READY_MS_MAX = 30_000;
/** Time limit of the list of faults, which normally answers at once, ms. */
const FAULTS_MS_MAX = 10_000;

/**
 * Waits until there is a quorum and every port answers with success. Objects that were killed in an earlier run stay
 * down, so nothing waits for them, nor for what needs a quorum if too few nodes are left.
 * @returns what does not answer as expected, a sentence each
 */
export async function untilReady(urls: LocalUrls): Promise<string[]> {
  const deadline = Date.now() + READY_MS_MAX;
  const quorumLost = (await lostQuorum(urls)) ?? (await lostStorage(urls));
  const needQuorum = [
    `${urls.api}/readyz`,
    ...urls.brokers.map((url) => `${url}/`),
    ...(urls.nodes.length === 0 ? [] : [`${urls.api}/cluster`]),
  ];
  const probes = [
    ...(quorumLost === undefined ? needQuorum : []),
    ...urls.nodes.map((url) => `${url}/`),
    ...[urls.console, ...urls.clients].flatMap((url) => (url === undefined ? [] : [`${url}/`])),
  ];
  const results = await Promise.all(probes.map((url) => untilOk(url, deadline)));
  const failed = results.flatMap((why, i) => (why === undefined ? [] : [`${probes[i]}: ${inWords(why)}`]));
  return quorumLost === undefined ? failed : [quorumLost, ...failed];
}

/** The nodes in `GET /v1/faults`. */
interface Faults {
  readonly nodes: readonly { readonly sid: number; readonly faults: readonly { readonly fault: string }[] }[];
}

/** Which killed or paused nodes prevent a quorum, and how to get one; undefined if a quorum is possible. */
async function lostQuorum(urls: LocalUrls): Promise<string | undefined> {
  const { nodes } = await faultsOf(urls.api);
  const down = nodes.filter(({ faults }) =>
    faults.some(({ fault }) => fault === "kill" || fault === "pause"),
  );
  const needed = Math.floor(nodes.length / 2) + 1;
  if (nodes.length === 0 || nodes.length - down.length >= needed) return undefined;
  const sids = down.map(({ sid }) => sid);
  const last = sids.pop();
  const who = sids.length === 0 ? `node ${last} is` : `nodes ${sids.join(", ")} and ${last} are`;
  const page = urls.console ?? urls.clients[0];
  const heal = `${page === undefined ? urls.api : `${page}/api`}/v1/faults/heal`;
  return (
    `${who} still killed or paused from an earlier run: ${nodes.length - down.length} of ${nodes.length} nodes are up, ` +
    `${needed} are needed, so nothing can be written. "Heal all" on the page revives them, ` +
    `or: curl -X POST ${heal}; --fresh begins without them`
  );
}

/** Which nodes have lost their storage, if too few are left; undefined otherwise. */
async function lostStorage({ api }: LocalUrls): Promise<string | undefined> {
  const response = await fetch(`${api}/v1/ensemble`, { signal: AbortSignal.timeout(FAULTS_MS_MAX) }).catch(
    () => undefined,
  );
  if (response?.ok !== true) return undefined;
  const { nodes, quorum, reason } = (await response.json()) as {
    readonly nodes: readonly { readonly damage?: string }[];
    readonly quorum: number;
    readonly reason: string | null;
  };
  const whole = nodes.filter(({ damage }) => damage === undefined).length;
  return whole < quorum && reason !== null ? reason : undefined;
}

async function faultsOf(api: string): Promise<Faults> {
  const deadline = Date.now() + FAULTS_MS_MAX;
  for (;;) {
    try {
      const response = await fetch(`${api}/v1/faults`, { signal: AbortSignal.timeout(FAULTS_MS_MAX) });
      if (response.ok) return (await response.json()) as Faults;
      await response.body?.cancel();
    } catch {
      // not up yet
    }
    if (Date.now() > deadline) return { nodes: [] };
    await wait(25);
  }
}

/** Codes of an object that was killed: it does not come up by itself. */
const DEAD = /"(NODE_DOWN|BROKER_NOT_AVAILABLE)"|broker is down/;

/** The text of a problem document, as one line. */
function inWords(why: string): string {
  const detail = /"(?:detail|message)":"((?:[^"\\]|\\.)*)"/.exec(why)?.[1];
  const text = (detail ?? why).replaceAll(/\s+/g, " ");
  return DEAD.test(why) ? `${text}: it was killed in an earlier run, POST /v1/faults/heal revives it` : text;
}

async function untilOk(url: string, deadline: number): Promise<string | undefined> {
  for (;;) {
    const why = await probe(url, deadline);
    if (why === undefined || DEAD.test(why) || Date.now() > deadline) return why;
    await wait(25);
  }
}

async function probe(url: string, deadline: number): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(Math.max(1, deadline - Date.now())) });
    const text = await response.text();
    return response.ok ? undefined : `${response.status} ${text.slice(0, 300)}`;
  } catch (error) {
    return (error as Error).message;
  }
}
