/** One run: an ensemble, clients, a nemesis, and the verdict of the checkers on the clients' histories. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Counts, checkHistory } from "../../sim/checkers/history/check.ts";
import { formatHistory, type LogEntry, Recorder, type WriteRequest } from "../../sim/history/history.ts";
import { Workload } from "../../sim/history/workload.ts";
import { Chance } from "../../sim/random.ts";
import { type Calm, type ClientOptions, ConnectionIds, RecordingClient } from "./client.ts";
import { RealEnsemble } from "./ensemble.ts";
import { HttpClient } from "./http-client.ts";
import { committedOf, type MemberLog, readLogs } from "./logs.ts";
import { Attack } from "./nemeses.ts";
import { Progress } from "./progress.ts";

export interface BattleOptions {
  /** what is written above the history */
  readonly name: string;
  readonly nodes: number;
  readonly seed: number;
  readonly seconds: number;
  /** state of the members, and histories that are worth a look */
  readonly dir: string;
  readonly clients?: number;
  /** so much is written first that a member without storage gets a snapshot, and that there are checkpoints */
  readonly ballast?: boolean;
  /** variables of the Worker */
  readonly vars?: Readonly<Record<string, string>>;
  /** keep the history also of a run without a fault */
  readonly keep?: boolean;
}

export interface BattleReport {
  readonly name: string;
  readonly seed: number;
  readonly seconds: number;
  /** readable; none: nothing was lost, reordered or wrong */
  readonly faults: readonly string[];
  readonly counts: Counts;
  /** epochs in which something was committed */
  readonly epochs: number;
  /** longest time without an acknowledged write, ms */
  readonly longestMs: number;
  /** members whose tree came as a snapshot */
  readonly snapshots: number;
  /** *fault → how often it was inflicted* */
  readonly inflicted: Readonly<Record<string, number>>;
  /** of the checkers, ms */
  readonly checkMs: number;
  /** the history, if it was written */
  readonly file: string | null;
}

const CLIENTS = 10;
/** So many of them write over HTTP; the last of these without a session. */
const HTTP_CLIENTS = 3;
const KEYS = 8;
/** So that the search for an order stays short. */
const OPS_PER_KEY = 100;
/** Together more than a DIFF may have, `diffBytesMax`. */
const BALLAST = { multis: 36, znodes: 50, bytes: 10_000 };
/** A client that has not come to its end so long after everything was healed never will. */
const FINISH_MS_MAX = 30_000;
const SETTLE_MS_MAX = 20_000;

/** Fights it out. @param fight the nemesis; what it leaves broken is healed afterwards */
export async function battle(
  options: BattleOptions,
  fight: (attack: Attack, progress: Progress) => Promise<void>,
): Promise<BattleReport> {
  const { name, nodes, seed, seconds, dir } = options;
  const chance = new Chance(seed);
  const recorder = new Recorder(`nemesis ${name}, seed ${seed}, ${seconds} s, ${nodes} members`);
  const faults: string[] = [];
  const ensemble = new RealEnsemble(nodes, join(dir, `state-${name}-${seed}`));
  const earlier: MemberLog[] = [];
  let progress: Progress;
  try {
    await ensemble.start(true, options.vars);
    await ensemble.whole(SETTLE_MS_MAX);
    progress = await fightIt(options, ensemble, earlier, recorder, chance, faults, fight);
  } finally {
    await ensemble.stop();
  }
  const logs = readLogs(ensemble.objectsDir);
  const committed: LogEntry[] = committedOf(logs, earlier, nodes, faults);
  recorder.committed(committed);
  const { history } = recorder;
  const started = performance.now();
  const verdict = checkHistory(history);
  faults.push(...verdict.faults);
  if (ensemble.inflicted.size === 0) faults.push("[nemesis] it did nothing");
  if (verdict.counts.writes === 0) faults.push("[nemesis] nobody wrote anything");
  const checkMs = performance.now() - started;
  let file: string | null = null;
  if (faults.length > 0 || options.keep === true) {
    mkdirSync(dir, { recursive: true });
    file = join(dir, `${name}-${seed}.ndjson`);
    writeFileSync(file, formatHistory(history));
  }
  // The databases of a run with a fault stay, for a search for its reason.
  if (faults.length === 0) rmSync(join(dir, `state-${name}-${seed}`), { recursive: true, force: true });
  const epochs = new Set(committed.map(({ zxid }) => Math.floor(zxid / 2 ** 32))).size;
  const snapshots = logs.filter(({ snapshot }) => snapshot).length;
  const inflicted = Object.fromEntries(ensemble.inflicted);
  return {
    name,
    seed,
    seconds,
    faults,
    counts: verdict.counts,
    epochs,
    longestMs: progress.longestMs,
    snapshots,
    inflicted,
    checkMs,
    file,
  };
}

async function fightIt(
  { seconds, clients: count = CLIENTS, ballast: isHeavy = false, vars }: BattleOptions,
  ensemble: RealEnsemble,
  earlier: MemberLog[],
  recorder: Recorder,
  chance: Chance,
  faults: string[],
  fight: (attack: Attack, progress: Progress) => Promise<void>,
): Promise<Progress> {
  const workload = new Workload({ random: () => chance.unit(), keys: KEYS, opsPerKey: OPS_PER_KEY });
  const ids = new ConnectionIds();
  const calm: Calm = { isOn: false };
  const optionsOf = (id: number, progress: Progress): ClientOptions => ({
    id,
    members: ensemble,
    recorder,
    workload,
    chance,
    faults,
    progress,
    calm,
  });
  const client = (id: number, progress: Progress): RecordingClient =>
    new RecordingClient(optionsOf(id, progress), ids);
  await client(0, new Progress()).run(() => true, workload.setup);
  for (const half of isHeavy ? ballast(workload.root) : []) {
    await client(0, new Progress()).run(() => true, half);
    await ensemble.settled(SETTLE_MS_MAX);
    await ensemble.stop();
    earlier.push(...readLogs(ensemble.objectsDir));
    await ensemble.start(false, vars);
  }
  const progress = new Progress();
  const clients = Array.from({ length: count }, (_, i) =>
    i < HTTP_CLIENTS
      ? new HttpClient(optionsOf(i + 1, progress), i + 1 < HTTP_CLIENTS)
      : client(i + 1, progress),
  );
  let over = false;
  const runs = Promise.all(clients.map((each) => each.run(() => over)));
  try {
    await fight(new Attack(ensemble, chance, seconds, faults, calm), progress);
    progress.note();
    await ensemble.heal();
  } finally {
    calm.isOn = false;
    over = true;
  }
  const late = wait(FINISH_MS_MAX, "late", { ref: false });
  if ((await Promise.race([runs, late])) === "late") {
    faults.push(`[nemesis] clients still wait for answers ${FINISH_MS_MAX} ms after everything was healed`);
  }
  for (const each of clients) each.end();
  await runs;
  const why = await ensemble.settled(SETTLE_MS_MAX);
  if (why !== undefined)
    faults.push(`[nemesis] not settled ${SETTLE_MS_MAX} ms after everything was healed: ${why}`);
  return progress;
}

/** In halves, of which the log holds one for certain: it is cut at `diffBytesMax`. */
function ballast(root: string): WriteRequest[][] {
  const { multis, znodes, bytes } = BALLAST;
  return [0, 1].map((half) =>
    Array.from({ length: multis / 2 }, (_, i) => ({
      type: "multi",
      ops: Array.from({ length: znodes }, (_, j) => ({
        type: "create",
        path: `${root}/ballast-${half}-${i}-${j}`,
        data: `${half}.${i}.${j} `.padEnd(bytes, "x"),
        mode: 0,
        withStat: false,
      })),
    })),
  );
}
