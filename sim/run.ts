/**
 * The run of one seed: faults while the invariants are checked, then repair and a check of progress, then a check of the
 * clients' histories. Events are counted, because an idle run proves nothing.
 */
import { encodeWrite } from "../core/wire/jute/requests.ts";
import { TxnCursor } from "../core/wire/txn-codec.ts";
import { compareZxid } from "../core/zab/zxid.ts";
import { NO_SESSION } from "../core/znode/types.ts";
import { Violation } from "./checkers/checks.ts";
import { Indistinguishable } from "./checkers/digests.ts";
import { checkHistory } from "./checkers/history/check.ts";
import { SimClient } from "./clients/client.ts";
import type { ClientWorld } from "./clients/client-world.ts";
import { HttpClient } from "./clients/http-client.ts";
import { askOddly } from "./clients/odd-requests.ts";
import { SimOwner } from "./clients/owner.ts";
import { Silence } from "./clients/silence.ts";
import { StreamReader } from "./clients/stream-client.ts";
import { WakeRace } from "./clients/wake-race.ts";
import { Cluster } from "./cluster.ts";
import { Founding } from "./founding.ts";
import { type Crowd, Healing } from "./healing.ts";
import { coreRequest } from "./history/core-request.ts";
import { type LogEntry, outcomeOf, plain, Recorder, type WriteRequest } from "./history/history.ts";
import { Workload } from "./history/workload.ts";
import { Nemesis } from "./nemesis/nemesis.ts";
import { Chance } from "./random.ts";
import type { SwarmOptions } from "./swarm.ts";
import { textOf } from "./text.ts";

/** Events of one or several runs: *map name → count*. A name begins with its kind: `fault crash`, `message PING`. */
export type Tally = Record<string, number>;

/** Result of the run of one seed. */
export interface RunResult {
  readonly seed: number;
  /** null: no failure */
  readonly failure: string | null;
  readonly hash: number;
  readonly tally: Tally;
}

/** Limit of steps for the search of an order in one partition of a history. */
const SEARCH_STEPS_MAX = 4_000_000;

/** @param onLine called with a readable line for each event */
export function runSeed(options: SwarmOptions, onLine: ((line: string) => void) | null = null): RunResult {
  const run = new Run(options, onLine);
  let failure: string | null = null;
  try {
    run.run();
  } catch (error) {
    failure = error instanceof Violation ? error.message : String((error as Error)?.stack ?? error);
    onLine?.(`FAILED: ${failure}`);
  }
  return { seed: options.seed, failure, hash: run.cluster.engine.hash, tally: run.result() };
}

/** The run of one seed. Invariant: all random choices come from the options' seed. */
class Run {
  readonly cluster: Cluster;
  readonly #options: SwarmOptions;
  readonly #chance: Chance;
  readonly #recorder: Recorder;
  readonly #nemesis: Nemesis;
  readonly #crowd: Crowd = { clients: [], httpClients: [], owners: [], streamReaders: [] };
  readonly #founding: Founding;
  readonly #healing: Healing;
  readonly #world: ClientWorld;
  /** null: none in this run */
  readonly #race: WakeRace | null;
  /** null: none in this run */
  readonly #silence: Silence | null;
  /** end of the pause of all requests, ms of the cluster's time */
  #calmUntil = 0;
  readonly #tally: Tally = {};
  readonly #startedAt: number;

  constructor(options: SwarmOptions, onLine: ((line: string) => void) | null) {
    const {
      seed,
      size,
      latencyMs,
      fsyncMs,
      yieldMs,
      startAt,
      bootBase,
      crossing,
      ordered,
      evictions,
      config,
    } = options;
    this.#options = options;
    this.#chance = new Chance(seed * 31 + 5);
    const times = { latencyMs, fsyncMs, yieldMs, startAt };
    this.cluster = new Cluster({
      size,
      seed,
      ...times,
      bootBase,
      crossing,
      ordered,
      evictions,
      config,
      tracing: false,
    });
    const { versions } = options;
    // Most lives run the later version, so that at times all members run it.
    this.cluster.versionOf = (sid, life) =>
      versions[new Chance(seed * 64_661 + life * 10 + sid).oneIn(4) ? 0 : 1];
    this.#startedAt = this.cluster.now;
    this.#watch(onLine);
    const count = (what: string): void => this.#count(what);
    const nemesis = new Nemesis(this.cluster, options, this.#chance, (kind) => count(`fault ${kind}`));
    this.#nemesis = nemesis;
    this.#recorder = new Recorder(`simulator, seed ${seed}`);
    const chance = this.#chance;
    const workload = new Workload({ random: () => chance.unit(), keys: 8, opsPerKey: 160 });
    this.#world = {
      cluster: this.cluster,
      recorder: this.#recorder,
      workload,
      chance,
      options: options.client,
      opsLeft: 0,
      conns: 0,
      orders: 0,
      sessions: 0,
      calm: false,
      get rush() {
        return nemesis.isOverWrites;
      },
      writeAnonymously: (sid, request) => this.#writeAnonymously(sid, request),
      count: (what) => count(`client ${what}`),
    };
    this.#race = options.wakeRaces > 0 ? new WakeRace(this.#world) : null;
    this.#silence = options.silences > 0 ? new Silence(this.#world, new Chance(seed * 4_813 + 47)) : null;
    this.#founding = new Founding(this.#world, seed, () => count("founding without a member"));
    this.#healing = new Healing(
      this.#world,
      this.#crowd,
      options,
      () => {
        this.#race?.stop();
        this.#silence?.stop();
        this.#founding.end();
        this.#nemesis.heal();
      },
      (what, by) => this.#count(what, by),
    );
  }

  #count(what: string, by = 1): void {
    this.#tally[what] = (this.#tally[what] ?? 0) + by;
  }

  #watch(onLine: ((line: string) => void) | null): void {
    const { cluster } = this;
    const at = (): string => `${String(cluster.now - this.#startedAt).padStart(7)}`;
    if (onLine !== null) cluster.onLine = (line) => onLine(`${at()}  ${line}`);
    cluster.onMessage = (from, to, message, isReturn) => {
      this.#race?.saw(from, to, message);
      this.#count(`message ${message.type}`);
      if (message.type === "TRUNC" || message.type === "SNAP") this.#count(`sync ${message.type}`);
      else if (message.type === "DIFF") {
        const tail = cluster.member(from).life?.server.zab.lastLogged.zxid;
        const none = tail !== undefined && compareZxid(tail, message.from) === 0;
        this.#count(none ? "sync none" : "sync DIFF");
      }
      onLine?.(`${at()}  ${isReturn ? `${to} ⇠ ${from}` : `${from} → ${to}`}  ${textOf(message)}`);
    };
  }

  run(): void {
    const { cluster } = this;
    const healing = this.#healing;
    const { chaosMs, clients, httpClients, streamReaders } = this.#options;
    if (this.#options.oneByOne) this.#founding.begin();
    else {
      cluster.startAll();
      if (!this.#chance.oneIn(4)) cluster.runFor(500);
      for (const request of this.#world.workload.setup) this.#writeAnonymously(1, request);
    }
    for (let id = 1; id <= clients; id++) this.#crowd.clients.push(new SimClient(id, this.#world));
    for (let i = 1; i <= httpClients; i++) {
      this.#crowd.httpClients.push(new HttpClient(clients + i, this.#world));
    }
    for (let i = 1; i <= this.#options.owners; i++) this.#crowd.owners.push(new SimOwner(i, this.#world));
    cluster.onSleep = (life) => {
      for (const owner of this.#crowd.owners) owner.fellAsleep(life);
    };
    cluster.onWake = (life, parked) => {
      for (const owner of this.#crowd.owners) owner.woken(life, parked);
    };
    for (let i = 1; i <= streamReaders; i++) this.#crowd.streamReaders.push(new StreamReader(i, this.#world));
    this.#refill(cluster.now + chaosMs);
    this.#nemesis.begin();
    this.#keepQuiet(this.#options.wakeRaces, () => this.#race?.begin() ?? 0);
    this.#keepQuiet(this.#options.silences, () => this.#silence?.begin() ?? 0);
    const end = (): void => {
      healing.finish();
      healing.endStreams();
    };
    const decided = this.#unlessIndistinguishable(() => {
      cluster.runFor(chaosMs);
      return healing.begin() && healing.unlessUndecidable(end);
    });
    this.#check();
    // After the check of the histories, which do not record these requests.
    if (decided) healing.unlessUndecidable(() => healing.reuseNumbers());
  }

  /** @returns false if a damaged tree was copied that no member could recognize as damaged, which ends the run */
  #unlessIndistinguishable(run: () => boolean): boolean {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof Indistinguishable)) throw error;
      this.#count("trees indistinguishable");
      return false;
    }
  }

  /** Sends requests during the whole chaos, except in pauses. */
  #refill(end: number): void {
    const { cluster } = this;
    const { ops, chaosMs } = this.#options;
    const everyMs = 500;
    const perTurn = Math.ceil((ops * everyMs * 1.3) / chaosMs);
    const { tickTimeMs, quietAfterMs } = cluster.config;
    const calmEvery = quietAfterMs > 0 ? 30 : 80;
    let left = ops;
    const refill = (): void => {
      if (cluster.now >= end) return;
      if (this.#calmUntil <= cluster.now && this.#chance.oneIn(calmEvery)) {
        this.#calmUntil = cluster.now + this.#chance.between(5, 30) * tickTimeMs;
        // An ensemble that is woken at once does not show how it hibernates.
        if (this.#chance.oneIn(2)) this.#nemesis.rest(this.#calmUntil - cluster.now);
        cluster.after(this.#calmUntil - cluster.now, () => this.#nemesis.strikeOnWaking());
      }
      this.#world.calm = cluster.now < this.#calmUntil;
      if (!this.#world.calm && this.#chance.oneIn(20)) askOddly(this.#world);
      if (!this.#world.calm) {
        const some = Math.min(left, perTurn);
        left -= some;
        this.#world.opsLeft += some;
      }
      cluster.after(everyMs, refill);
    };
    refill();
  }

  /**
   * Makes pauses during the chaos, evenly spread, in which no client sends a request and no other fault begins.
   * @param begin starts the events of a pause, and returns its duration; ms
   */
  #keepQuiet(times: number, begin: () => number): void {
    const { cluster } = this;
    for (let i = 1; i <= times; i++) {
      cluster.after(Math.floor((i * this.#options.chaosMs) / (times + 1)), () => {
        if (this.#calmUntil > cluster.now) return;
        const ms = begin();
        if (ms === 0) return;
        this.#calmUntil = cluster.now + ms;
        this.#world.calm = true;
        this.#nemesis.rest(ms);
      });
    }
  }

  /** @returns a function that says whether the request was answered well, to call after some time */
  #writeAnonymously(sid: number, request: WriteRequest): () => boolean {
    const { cluster } = this;
    if (cluster.member(sid).life === null) return () => false;
    const op = this.#recorder.invoke({ client: 0, request, member: sid });
    let done = false;
    const write = { session: NO_SESSION, xid: 0, ...encodeWrite(coreRequest(request)) };
    cluster.request(
      sid,
      (server, now, token) => server.submitWrite(now, token, write),
      (answer) => {
        if (answer === undefined) return;
        if (answer.ok) cluster.invariants.requests.tells(answer.zxid);
        this.#recorder.returned(op, outcomeOf(answer));
        done = answer.ok && answer.result.type !== "error";
      },
    );
    return () => done;
  }

  // ── results ────────────────────────────────────────────────────────

  #check(): void {
    const log: LogEntry[] = this.cluster.invariants.history.map(({ batch, start }) => {
      const cursor = new TxnCursor(batch, start);
      cursor.next();
      return plain({ ...cursor.header(), txn: cursor.txn() });
    });
    this.#recorder.committed(log);
    const { faults, counts } = checkHistory(this.#recorder.history, { stepsMax: SEARCH_STEPS_MAX });
    for (const [name, count] of Object.entries(counts)) this.#count(`history ${name}`, count);
    if (counts.linearizableOps >= 1 && counts.ops >= 2_000) this.#count("history large");
    if (faults.length > 0) throw new Error(`the history is not right:\n${faults.slice(0, 5).join("\n")}`);
  }

  result(): Tally {
    const { cluster } = this;
    const { invariants } = cluster;
    this.#count("commits", invariants.history.length);
    this.#count("leader changes", invariants.election.leaderChanges);
    this.#count("return ahead of a call", cluster.calls.crossed.ahead);
    this.#count("call ahead of a return", cluster.calls.crossed.behind);
    this.#count("znodes that left memory", cluster.pressure.evicted);
    this.#count("simulated ms", cluster.now - this.#startedAt);
    this.#count("events", cluster.events);
    for (const [rule, count] of invariants.checks) this.#count(`rule ${rule}`, count);
    return this.#tally;
  }
}
