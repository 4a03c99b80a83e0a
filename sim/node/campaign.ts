/** Runs many seeds on all cores of the processor, and sums up their figures. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { ZOO_ERRORS, type ZooErrorCode } from "../../core/errors.ts";
import { RULES } from "../checkers/rules.ts";
import { LOSSES } from "../clients/silence.ts";
import { type RunResult, runSeed, type Tally } from "../run.ts";
import { drawOptions, FAULT_KINDS, OFF, type Overrides } from "../swarm.ts";

/** One seed in this many runs twice, and both runs must be equal. */
const TWICE_EVERY = 100;

/** A seed that failed. */
export interface Failure {
  readonly seed: number;
  readonly what: string;
}

/** Outcome of many runs. */
export interface CampaignResult {
  readonly seeds: number;
  readonly failures: readonly Failure[];
  readonly tally: Tally;
  /** processor time of all runs; ms */
  readonly cpuMs: number;
  readonly seconds: number;
}

/** Outcome of one run. */
export interface SeedResult extends RunResult {
  readonly cpuMs: number;
}

/** Runs one seed, every {@link TWICE_EVERY}th one twice. */
export function runOne(seed: number, overrides: Overrides): SeedResult {
  const began = process.threadCpuUsage();
  const options = drawOptions(seed, overrides);
  let result = runSeed(options);
  const { user, system } = process.threadCpuUsage(began);
  if (seed % TWICE_EVERY === 0 && result.failure === null) {
    const again = runSeed(options);
    const same = again.hash === result.hash && JSON.stringify(again.tally) === JSON.stringify(result.tally);
    const tally = { ...result.tally, "seeds run twice": 1 };
    result = { ...result, tally, failure: same ? null : "[Determinism] two runs of this seed differ" };
  }
  return { ...result, cpuMs: (user + system) / 1000 };
}

/**
 * Runs seeds from `first` on, until `count` of them were run or the deadline has passed.
 */
export async function runSeeds(options: {
  readonly first: number;
  readonly count: number;
  /** Date.now() of the end; infinity for none */
  readonly deadline?: number;
  readonly threads?: number;
  /** whether to use another thread even for a single one, because the caller has other work */
  readonly apart?: boolean;
  readonly overrides?: Overrides;
  /** called after every seed; true ends the campaign */
  readonly stop?: () => boolean;
  readonly progress?: (done: number, failures: number) => void;
}): Promise<CampaignResult> {
  const { first, count, deadline = Number.POSITIVE_INFINITY, overrides = {}, progress } = options;
  const threads = Math.min(count, options.threads ?? availableParallelism());
  const began = Date.now();
  const tally: Tally = {};
  const failures: Failure[] = [];
  let cpuMs = 0;
  let given = 0;
  let done = 0;
  const next = (): number | undefined => {
    if (given >= count || Date.now() >= deadline || failures.length >= FAILURES_MAX) return undefined;
    if (options.stop?.() === true) return undefined;
    given += 1;
    return first + given - 1;
  };
  const take = (result: SeedResult): void => {
    done += 1;
    cpuMs += result.cpuMs;
    addTo(tally, result.tally);
    if (result.failure !== null) failures.push({ seed: result.seed, what: result.failure });
    progress?.(done, failures.length);
  };
  // A single one runs in this thread, where it can be debugged.
  if (threads <= 1 && options.apart !== true) {
    for (let seed = next(); seed !== undefined; seed = next()) take(runOne(seed, overrides));
  } else await Promise.all(Array.from({ length: threads }, () => drive(next, take, overrides)));
  failures.sort((a, b) => a.seed - b.seed);
  return { seeds: done, failures, tally, cpuMs, seconds: (Date.now() - began) / 1000 };
}

/** Maximum of failures: a bug fails many seeds, and a few suffice. */
const FAILURES_MAX = 10;

function drive(
  next: () => number | undefined,
  take: (result: SeedResult) => void,
  overrides: Overrides,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: overrides });
    const give = (): void => {
      const seed = next();
      if (seed === undefined) worker.terminate().then(() => resolve(), reject);
      else worker.postMessage(seed);
    };
    worker.on("message", (result: SeedResult) => {
      take(result);
      give();
    });
    worker.on("error", reject);
    give();
  });
}

/** Adds the figures of one run to a sum; names that begin with "max" are maxima. */
export function addTo(sum: Tally, more: Tally): void {
  for (const [name, count] of Object.entries(more)) {
    sum[name] = name.startsWith("max ") ? Math.max(sum[name] ?? 0, count) : (sum[name] ?? 0) + count;
  }
}

// ── required coverage ──────────────────────────────────────────────────────

/** All messages between members. A type that is missing here does not compile; see MESSAGE_TYPES. */
const MESSAGES = [
  "NOTIFICATION",
  "PING",
  "PONG",
  "FOLLOWERINFO",
  "LEADERINFO",
  "ACKEPOCH",
  "DIFF",
  "TRUNC",
  "POSITION",
  "SNAP",
  "SNAPCHUNK",
  "STAGED",
  "PROPOSAL",
  "NEWLEADER",
  "ACK",
  "UPTODATE",
  "COMMIT",
  "LEADERACK",
  "CHECK",
  "CONFIRM",
  "REQUEST",
  "REJECT",
  "TOUCH",
  "QUIET",
  "QUIETED",
  "SLEEP",
  "SLEPT",
] as const;

/**
 * Codes that a member of the simulated ensemble can answer with; the others belong to HTTP, the objects, or unsupported
 * features.
 */
const CODES: readonly ZooErrorCode[] = (
  [
    "OK",
    "RUNTIME_INCONSISTENCY",
    "NO_NODE",
    "BAD_VERSION",
    "NO_CHILDREN_FOR_EPHEMERALS",
    "NODE_EXISTS",
    "NOT_EMPTY",
    "BAD_ARGUMENTS",
    "SESSION_EXPIRED",
    "SESSION_MOVED",
    "NO_QUORUM",
    "UNKNOWN_OUTCOME",
    "XID_TOO_OLD",
    "THROTTLED",
    "MARSHALLING_ERROR",
    "ANSWER_TOO_LARGE",
  ] as const
).filter((code) => code in ZOO_ERRORS);

/** Events that a campaign must produce at least once. */
export const PROBES: readonly string[] = [
  ...FAULT_KINDS.filter((kind) => !OFF.includes(kind)).map((kind) => `fault ${kind}`),
  ...MESSAGES.map((type) => `message ${type}`),
  ...["DIFF", "TRUNC", "SNAP", "none"].map((mode) => `sync ${mode}`),
  ...CODES.map((code) => `client ${code}`),
  "client list in pages",
  "client race on waking",
  ...LOSSES.map((loss) => `client heartbeat lost ${loss}`),
  ...["stream opened", "stream ended", "stream told"].map((what) => `client ${what}`),
  "founding without a member",
  "return ahead of a call",
  "call ahead of a return",
  ...["streamEvents", "streamStates"].map((what) => `history ${what}`),
  ...RULES.map((rule) => `rule ${rule}`),
];

/** The required events that never happened. */
export const missedProbes = (tally: Tally): string[] => PROBES.filter((probe) => (tally[probe] ?? 0) === 0);
