/**
 * One seed: chaos under the eyes of the invariants, then everything heals and progress is demanded, then the clients'
 * histories are checked. What a run did is counted: an idle run proves nothing.
 */
import type { ZooErrorCode } from "../core/errors.ts";
import type { RequestResult } from "../core/server/answers.ts";
import { encodeWrite } from "../core/wire/jute/requests.ts";
import { TxnCursor } from "../core/wire/txn-codec.ts";
import { asSid } from "../core/zab/membership.ts";
import { compareZxid } from "../core/zab/zxid.ts";
import {
  type WriteRequest as CoreWrite,
  makeSessionId,
  NO_SESSION,
  type SessionId,
} from "../core/znode/types.ts";
import { Violation } from "./checkers/checks.ts";
import { Indistinguishable } from "./checkers/digests.ts";
import { checkHistory } from "./checkers/history/check.ts";
import { type ClientWorld, SimClient } from "./client.ts";
import { Cluster } from "./cluster.ts";
import { coreRequest } from "./history/core-request.ts";
import { type LogEntry, outcomeOf, plain, Recorder, type WriteRequest } from "./history/history.ts";
import { Workload } from "./history/workload.ts";
import { HttpClient } from "./http-client.ts";
import type { Member } from "./member.ts";
import { Nemesis } from "./nemesis.ts";
import { SimOwner } from "./owner.ts";
import { Chance } from "./random.ts";
import { StreamReader } from "./stream-client.ts";
import type { SwarmOptions } from "./swarm.ts";
import { textOf } from "./text.ts";
import { isUndecidable } from "./tree-damage.ts";
import { WakeRace } from "./wake-race.ts";

/** What happened in a run, or in many: *map name → how often*. Names begin with their kind: `fault crash`, `message PING`. */
export type Tally = Record<string, number>;

export interface RunResult {
  readonly seed: number;
  /** null: all was as it must be */
  readonly failure: string | null;
  readonly hash: number;
  readonly tally: Tally;
}

/** How long the ensemble has after healing, in election timeouts; and what catching up takes as well. */
const LEADER_WITHIN = 2;
const AGREEMENT_WITHIN = 10;

/** How long a session may outlive its client once all is healed, in timeouts: a clock may have jumped just before. */
const EXPIRED_WITHIN = 3;

/** How long readers have to resume their streams once all is healed, beside two timeouts of a request; ms. */
const STREAMS_WITHIN_MS = 10_000;

/** Steps that the search for an order may take in one partition of a history. */
const SEARCH_STEPS_MAX = 4_000_000;

/** @param onLine is told everything that happens, in readable lines */
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

const DATA = new Uint8Array(1);

/** Requests that every tree refuses. /w has children, and e1 is a client's ephemeral wherever it is. */
const ODD_REQUESTS: readonly (readonly [name: string, request: ReturnType<typeof encodeWrite>])[] = [
  ["a path without a slash", encodeWrite({ type: "setData", path: "w", data: DATA, version: -1 })],
  ["no request", { opcode: 1, body: new Uint8Array([0, 0, 0, 99, 1]) }],
  [
    "a delete of a znode with a child",
    encodeWrite({
      type: "multi",
      ops: [
        { type: "create", path: "/w/odd", data: DATA, mode: 0, withStat: false },
        { type: "delete", path: "/w", version: -1 },
      ],
    }),
  ],
  [
    "a child of an ephemeral",
    encodeWrite({ type: "create", path: "/w/k1/e1/x", data: DATA, mode: 0, withStat: false }),
  ],
  [
    "a child of an ephemeral",
    encodeWrite({ type: "create", path: "/w/k2/e1/x", data: DATA, mode: 0, withStat: false }),
  ],
];

/** The code of the first operation that failed. */
function refusalOf(result: RequestResult): ZooErrorCode | undefined {
  if (result.type === "error") return result.code;
  if (result.type !== "multi") return undefined;
  for (const each of result.results) if (each.type === "error" && each.code !== "OK") return each.code;
  return undefined;
}

/** Writes that are refused whatever the tree holds. */
const REFUSED: readonly CoreWrite[] = [
  { type: "delete", path: "/never/made", version: -1 },
  { type: "multi", ops: [{ type: "check", path: "/never/made", version: -1 }] },
];

class Run {
  readonly cluster: Cluster;
  readonly #options: SwarmOptions;
  readonly #chance: Chance;
  readonly #recorder: Recorder;
  readonly #nemesis: Nemesis;
  readonly #clients: SimClient[] = [];
  readonly #httpClients: HttpClient[] = [];
  readonly #owners: SimOwner[] = [];
  readonly #streamReaders: StreamReader[] = [];
  readonly #world: ClientWorld;
  /** null: none in this run */
  readonly #race: WakeRace | null;
  /** until when nobody asks anything, ms of the cluster's time */
  #calmUntil = 0;
  readonly #tally: Tally = {};
  readonly #startedAt: number;

  constructor(options: SwarmOptions, onLine: ((line: string) => void) | null) {
    const { seed, size, latencyMs, fsyncMs, yieldMs, startAt, bootBase, crossing, ordered, config } = options;
    this.#options = options;
    this.#chance = new Chance(seed * 31 + 5);
    const times = { latencyMs, fsyncMs, yieldMs, startAt };
    this.cluster = new Cluster({ size, seed, ...times, bootBase, crossing, ordered, config, tracing: false });
    const { versions } = options;
    // Most lives are of the later one, so that all members are at times.
    this.cluster.versionOf = (sid, life) =>
      versions[new Chance(seed * 64_661 + life * 10 + sid).oneIn(4) ? 0 : 1];
    this.#startedAt = this.cluster.now;
    this.#watch(onLine);
    const count = (what: string): void => this.#count(what);
    this.#nemesis = new Nemesis(this.cluster, options, this.#chance, (kind) => count(`fault ${kind}`));
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
      writeAnonymously: (sid, request) => this.#writeAnonymously(sid, request),
      count: (what) => count(`client ${what}`),
    };
    this.#race = options.wakeRaces > 0 ? new WakeRace(this.#world) : null;
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
    const { chaosMs, clients, httpClients, streamReaders } = this.#options;
    if (this.#options.oneByOne) this.#foundOneByOne(new Chance(this.#options.seed * 1_693 + 41));
    else {
      cluster.startAll();
      if (!this.#chance.oneIn(4)) cluster.runFor(500);
      for (const request of this.#world.workload.setup) this.#writeAnonymously(1, request);
    }
    for (let id = 1; id <= clients; id++) this.#clients.push(new SimClient(id, this.#world));
    for (let i = 1; i <= httpClients; i++) {
      this.#httpClients.push(new HttpClient(clients + i, this.#world));
    }
    for (let i = 1; i <= this.#options.owners; i++) this.#owners.push(new SimOwner(i, this.#world));
    cluster.onSleep = (life) => {
      for (const owner of this.#owners) owner.fellAsleep(life);
    };
    cluster.onWake = (life, parked) => {
      for (const owner of this.#owners) owner.woken(life, parked);
    };
    for (let i = 1; i <= streamReaders; i++) this.#streamReaders.push(new StreamReader(i, this.#world));
    this.#refill(cluster.now + chaosMs);
    this.#nemesis.begin();
    this.#raceOnWaking();
    const end = (): void => {
      this.#finish();
      this.#endStreams();
    };
    const decided = this.#unlessIndistinguishable(() => {
      cluster.runFor(chaosMs);
      return this.#heal() && this.#unlessUndecidable(end);
    });
    this.#check();
    // Behind the histories: what nobody recorded would be a stranger's in them.
    if (decided) this.#unlessUndecidable(() => this.#reuseNumbers());
  }

  /** Members come into being, and can be reached, one after the other; then somebody writes what all else is written below. */
  #foundOneByOne(chance: Chance): void {
    const { cluster } = this;
    const members = chance.shuffled(cluster.members);
    const withinMs = chance.oneOf([100, 3_000, 15_000]);
    for (const member of members) {
      const { sid } = member;
      cluster.after(chance.between(0, withinMs), () => {
        if (member.lives > 0 || member.life !== null) return;
        cluster.start(sid);
        for (const { sid: other } of cluster.members) {
          if (other === sid || !chance.oneIn(3)) continue;
          cluster.clog(sid, other, chance.between(1, withinMs));
          cluster.clog(other, sid, chance.between(1, withinMs));
        }
      });
    }
    const late = members[0];
    if (late !== undefined && members.length > 1 && chance.oneIn(2)) this.#leaveUntilWrites(late, chance);
    this.#setUp(chance);
  }

  /** A member is gone as soon as others count it as new, and has no part in what is written then. */
  #leaveUntilWrites(late: Member, chance: Chance): void {
    const { cluster } = this;
    const { invariants } = cluster;
    const keep = chance.oneOf([0, 100]);
    const comeBack = (): void => {
      if (late.life !== null) return;
      if (invariants.history.length >= 10) cluster.start(late.sid);
      else cluster.after(20, comeBack);
    };
    const leave = (): void => {
      const isFounded = cluster.members.some(
        ({ sid, life }) => sid !== late.sid && life?.storage.meta.initialized,
      );
      if (!isFounded) cluster.after(2, leave);
      else if (late.life !== null && late.twin === null && invariants.history.length === 0) {
        this.#count("founding without a member");
        cluster.crash(late.sid, keep);
        comeBack();
      }
    };
    leave();
  }

  /** Asks until it is there: before the ensemble is founded nobody can write. */
  #setUp(chance: Chance): void {
    const { cluster } = this;
    const { root, setup } = this.#world.workload;
    const isThere = (): boolean => cluster.alive.some(({ tree }) => tree.get(root) !== undefined);
    let asked = 0;
    const ask = (): void => {
      if (isThere()) return;
      const sid = chance.between(1, this.#options.size);
      asked += 1;
      // Each attempt has data of its own, by which it is known in the log.
      for (const request of setup)
        this.#writeAnonymously(sid, request.type === "create" ? { ...request, data: `${asked}` } : request);
      cluster.after(cluster.config.requestTimeoutMs, ask);
    };
    ask();
  }

  /** @returns false: a wrong tree was copied that nobody could know to be wrong, and the run is over */
  #unlessIndistinguishable(run: () => boolean): boolean {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof Indistinguishable)) throw error;
      this.#count("trees indistinguishable");
      return false;
    }
  }

  /** Requests are asked over the whole of the chaos, but for times in which nobody asks anything. */
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
        // What wakes an ensemble at once shows nothing of its sleep.
        if (this.#chance.oneIn(2)) this.#nemesis.rest(this.#calmUntil - cluster.now);
        cluster.after(this.#calmUntil - cluster.now, () => this.#nemesis.strikeOnWaking());
      }
      this.#world.calm = cluster.now < this.#calmUntil;
      if (!this.#world.calm && this.#chance.oneIn(20)) this.#askOddly();
      if (!this.#world.calm) {
        const some = Math.min(left, perTurn);
        left -= some;
        this.#world.opsLeft += some;
      }
      cluster.after(everyMs, refill);
    };
    refill();
  }

  /** Several times in the chaos, evenly spread, all is quiet for as long as a race takes. */
  #raceOnWaking(): void {
    const { cluster } = this;
    const { wakeRaces, chaosMs } = this.#options;
    for (let i = 1; i <= wakeRaces; i++) {
      cluster.after(Math.floor((i * chaosMs) / (wakeRaces + 1)), () => {
        if (this.#calmUntil > cluster.now) return;
        const ms = this.#race?.begin() ?? 0;
        if (ms === 0) return;
        this.#calmUntil = cluster.now + ms;
        this.#world.calm = true;
        this.#nemesis.rest(ms);
      });
    }
  }

  /** Now and then somebody asks for what is refused whatever the tree holds. It leaves no more than its refusal in the log. */
  #askOddly(): void {
    const { cluster } = this;
    const life = cluster.member(this.#chance.between(1, this.#options.size)).life;
    if (life === null) return;
    const [name, request] = this.#chance.oneOf(ODD_REQUESTS);
    const found = cluster.connect(life.sid, {
      respond: (_xid, answer) => {
        const code = answer.ok ? refusalOf(answer.result) : undefined;
        if (code !== undefined) this.#count(`client ${code}`);
        else if (!answer.ok) this.#count(`client ${answer.code}`);
        else throw new Error(`${name} was carried out`);
        if (found !== undefined) life.disconnected(found.token);
      },
      notify: () => {},
      closed: () => {},
    });
    if (found === undefined) return;
    life.turn((server, now) =>
      server.submitWrite(now, found.token, { session: NO_SESSION, xid: 0, ...request }),
    );
  }

  // ── healing ──────────────────────────────────────────────────────────────

  /** The longest that a member takes to find out that its leader is gone, and to ask for votes once more. */
  get #electionTimeoutMs(): number {
    const { tickTimeMs, syncLimit, electionRetryMsMax } = this.cluster.config;
    return (syncLimit + 1) * tickTimeMs + electionRetryMsMax;
  }

  /**
   * What it takes to bring up a member that has nothing: a row or a chunk answers the one before. In a slow network, with a
   * window of one, rows of one txn and a log that was never cut, that alone is longer than ten elections, and nothing stands
   * still meanwhile.
   */
  get #catchUpMs(): number {
    const { cluster } = this;
    const { latencyMs, fsyncMs } = this.#options;
    const { learnerInFlightMax } = cluster.config;
    const turns = cluster.members.map(({ life }) => {
      if (life === null) return 0;
      const { tree } = life.server;
      // A chunk holds a znode or a session at least.
      const chunks = tree.size + tree.sessions.size;
      return chunks + life.storage.log.rows.length / learnerInFlightMax;
    });
    return Math.max(...turns) * (latencyMs[0] + latencyMs[1] + fsyncMs[1]);
  }

  /** @returns false when the members that are left cannot tell which of their trees is right, and rightly serve nobody */
  #heal(): boolean {
    const { cluster } = this;
    cluster.onLine?.("everything heals");
    this.#world.calm = false;
    this.#race?.stop();
    this.#nemesis.heal();
    const { invariants } = cluster;
    const within = (limitMs: number, holds: () => boolean, what: string): void => {
      const end = healedAt + limitMs;
      while (!holds() && cluster.now < end) cluster.runFor(20);
      invariants.must("Liveness", holds(), () => `${what} ${cluster.now - healedAt} ms after healing`);
    };
    const healedAt = cluster.now;
    // Somebody asks: an ensemble that sleeps is to wake.
    this.#writeAnonymously(this.#chance.between(1, this.#options.size), this.#mark(0));
    // Its quorum may need a member that is far behind: then there is no leader before that one is brought up.
    const leaderMs = LEADER_WITHIN * this.#electionTimeoutMs + this.#catchUpMs;
    const decided = (): boolean => cluster.leader !== undefined;
    within(leaderMs, () => decided() || isUndecidable(cluster), "there is no leader");
    if (!decided()) cluster.runFor(leaderMs);
    if (!decided() && isUndecidable(cluster)) {
      this.#count("trees undecidable");
      return false;
    }
    invariants.must("Liveness", decided(), () => "there is no leader, and nobody says why");
    for (const client of [...this.#clients, ...this.#httpClients, ...this.#streamReaders]) client.stop();
    const agreementMs = AGREEMENT_WITHIN * this.#electionTimeoutMs + this.#catchUpMs;
    // Its leader may lead with nothing but copies of its own tree, and then a member differs.
    // (A member that is given an older disk may still wait to start.)
    const agree = (): boolean => cluster.settled && cluster.members.every(({ life }) => life !== null);
    if (!this.#unlessUndecidable(() => within(agreementMs, agree, "not all agree"))) return false;
    this.#count("max healed ms", cluster.now - healedAt);
    return true;
  }

  #mark(n: number): WriteRequest {
    return { type: "create", path: `/end-${n}`, data: "", mode: 0, withStat: false };
  }

  /** A wrong tree may be found only then, and who could tell which one is right may lag. @returns false: nobody can tell */
  #unlessUndecidable(run: () => void): boolean {
    try {
      run();
      return true;
    } catch (error) {
      const liveness = error instanceof Violation && error.rule === "Liveness";
      if (!liveness || !isUndecidable(this.cluster)) throw error;
      this.#count("trees undecidable");
      return false;
    }
  }

  /** Every member takes a write, and leaves nobody waiting; then all are equal. */
  #finish(): void {
    const { cluster } = this;
    const { requestTimeoutMs } = cluster.config;
    const { invariants } = cluster;
    for (const { sid } of cluster.members) {
      let done = false;
      // A member whose log keeps next to nothing may have to be brought up once more.
      for (let attempt = 1; attempt <= 3 && !done; attempt++) {
        const answer = this.#writeAnonymously(sid, this.#mark(sid * 10 + attempt));
        cluster.runFor(requestTimeoutMs + 500);
        done = answer();
      }
      invariants.must("Liveness", done, () => `member ${sid} takes no write after healing`);
    }
    const end = cluster.now + 4 * requestTimeoutMs;
    const clients = [...this.#clients, ...this.#httpClients];
    const quiet = (): boolean => clients.every(({ waiting }) => waiting === 0) && cluster.settled;
    while (!quiet() && cluster.now < end) cluster.runFor(50);
    invariants.must("Liveness", quiet(), () => "somebody still waits for an answer");
    for (const { leftOpen } of this.#clients) {
      invariants.must(
        "SessionMoved",
        leftOpen === 0,
        () => "a connection stays open that its session has left",
      );
    }
    for (const { sid, tree, pendingCount } of cluster.alive) {
      invariants.must("Liveness", pendingCount === 0, () => `${sid} leaves somebody without an answer`);
      for (const node of tree.znodes()) {
        const { ephemeralOwner: owner, path } = node;
        if (owner === NO_SESSION) continue;
        invariants.must(
          "Ephemerals",
          tree.sessions.has(owner),
          () => `${path} outlives its session at ${sid}`,
        );
      }
    }
    this.#wakeOwners();
    this.#expireAll();
  }

  /** Once somebody asks, everybody who slept with the ensemble is awake again. */
  #wakeOwners(): void {
    const { cluster } = this;
    this.#writeAnonymously(this.#chance.between(1, this.#options.size), this.#mark(1));
    cluster.runFor(cluster.config.requestTimeoutMs);
    const awake = cluster.alive.every(({ zab }) => !zab.frozen);
    for (const owner of this.#owners) {
      cluster.invariants.must("Liveness", !awake || !owner.sleepsOn, () => `owner ${owner.number} sleeps on`);
      owner.stop();
    }
  }

  /**
   * Nobody is heard of any more: every session ends, whatever the clocks and alarms did before, and also when it was opened
   * in a sleep that was to last until a session with a longer timeout ends.
   */
  #expireAll(): void {
    const { cluster } = this;
    const { tickTimeMs, quietAfterMs, sessionTimeoutMsMin, sessionTimeoutMsMax } = cluster.config;
    const timeoutMs = Math.max(this.#options.client.sessionTimeoutMs, sessionTimeoutMsMin);
    if (quietAfterMs > 0) {
      this.#openSession(sessionTimeoutMsMax);
      cluster.runFor(quietAfterMs + 6 * tickTimeMs);
      this.#openSession(timeoutMs);
    }
    const end = cluster.now + EXPIRED_WITHIN * timeoutMs + 2 * quietAfterMs + 10 * tickTimeMs;
    const isLeft = (): boolean =>
      cluster.alive.some(({ tree }) =>
        [...tree.sessions.values()].some((each) => each.timeoutMs <= timeoutMs),
      );
    while (isLeft() && cluster.now < end) cluster.runFor(tickTimeMs);
    cluster.invariants.must("Liveness", !isLeft(), () => "sessions outlive their clients");
  }

  /** The last event of every stream is the znode's state, once the member that tells has applied everything. */
  #endStreams(): void {
    const { cluster } = this;
    if (this.#streamReaders.length === 0) return;
    const end = cluster.now + STREAMS_WITHIN_MS + 2 * cluster.config.requestTimeoutMs;
    const areOver = (): boolean =>
      cluster.settled && this.#streamReaders.every(({ isUpToDate }) => isUpToDate);
    while (!areOver() && cluster.now < end) cluster.runFor(50);
    cluster.invariants.must("Liveness", areOver(), () => "a watch stream is not resumed after healing");
    const last = cluster.invariants.history.at(-1)?.zxid;
    if (last !== undefined) for (const reader of this.#streamReaders) reader.end(last);
  }

  /** Another write under a number that its session has used, or uses at this moment elsewhere, is given nobody's result. */
  #reuseNumbers(): void {
    const { cluster } = this;
    const session = this.#openSession(cluster.config.sessionTimeoutMsMax);
    const first: CoreWrite = { type: "sync" };
    const other: CoreWrite = { type: "multi", ops: [{ type: "check", path: "/", version: -1 }] };
    const sid = (): number => this.#chance.between(1, this.#options.size);
    const settle = (): void => cluster.runFor(cluster.config.requestTimeoutMs);
    for (const [xid, isAtOnce] of [false, true, true].entries()) {
      const tokens = [cluster.write(sid(), first, session, xid + 1)];
      if (!isAtOnce) settle();
      tokens.push(cluster.write(sid(), other, session, xid + 1));
      settle();
      const done = tokens.filter((token) => cluster.answers.get(token)?.ok === true);
      cluster.invariants.must(
        "Once",
        done.length <= 1,
        () => `two writes of ${session} have the number ${xid + 1}`,
      );
    }
    // Where the first one came in, its bytes are known: no other is believed, also when the first was refused.
    for (const [i, refused] of REFUSED.entries()) {
      const origin = sid();
      const { life } = cluster.member(origin);
      const xid = 4 + i;
      const done = cluster.write(origin, refused, session, xid);
      settle();
      const repeated = cluster.write(origin, other, session, xid);
      settle();
      const isKnown = cluster.answers.get(done)?.ok === true && cluster.member(origin).life === life;
      if (!isKnown) continue;
      cluster.invariants.must(
        "Once",
        cluster.answers.get(repeated)?.ok !== true,
        () => `another write of ${session} is given the refusal that belongs to number ${xid}`,
      );
    }
    cluster.write(sid(), { type: "closeSession" }, session);
    settle();
  }

  /**
   * Opens a session of which nobody is heard again, unless the caller sees to it. An ensemble that sleeps elects a leader first,
   * and a client whose request was in vain, or has an unknown outcome, asks for another session.
   */
  #openSession(timeoutMs: number): SessionId {
    const { cluster } = this;
    const sid = this.#chance.between(1, this.#options.size);
    const end = cluster.now + LEADER_WITHIN * this.#electionTimeoutMs + cluster.config.requestTimeoutMs;
    for (;;) {
      this.#world.sessions += 1;
      const session = makeSessionId(asSid(sid), this.#world.sessions);
      const token = cluster.write(sid, { type: "createSession", timeoutMs }, session);
      do cluster.runFor(20);
      while (!cluster.answers.has(token) && cluster.now < end);
      if (cluster.answers.get(token)?.ok === true) return session;
      cluster.invariants.must("Liveness", cluster.now < end, () => `${sid} opens no session after healing`);
    }
  }

  /** @returns whether it was answered well, once there was time for it */
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

  // ── what it shows ────────────────────────────────────────────────────────

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
    this.#count("simulated ms", cluster.now - this.#startedAt);
    this.#count("events", cluster.events);
    for (const [rule, count] of invariants.checks) this.#count(`rule ${rule}`, count);
    return this.#tally;
  }
}
