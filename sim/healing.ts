/** What is demanded once everything has healed: a leader, agreement, answers for everybody, and the end of what nobody keeps. */
import { asSid } from "../core/zab/membership.ts";
import {
  type WriteRequest as CoreWrite,
  makeSessionId,
  NO_SESSION,
  type SessionId,
} from "../core/znode/types.ts";
import { Violation } from "./checkers/checks.ts";
import type { SimClient } from "./clients/client.ts";
import type { ClientWorld } from "./clients/client-world.ts";
import type { HttpClient } from "./clients/http-client.ts";
import type { SimOwner } from "./clients/owner.ts";
import type { StreamReader } from "./clients/stream-client.ts";
import type { Range } from "./engine.ts";
import type { WriteRequest } from "./history/history.ts";
import { isUndecidable } from "./nemesis/tree-damage.ts";

/** How long the ensemble has after healing, in election timeouts; and what catching up takes as well. */
const LEADER_WITHIN = 2;
const AGREEMENT_WITHIN = 10;

/** How long a session may outlive its client once all is healed, in timeouts: a clock may have jumped just before. */
const EXPIRED_WITHIN = 3;

/** How long readers have to resume their streams once all is healed, beside two timeouts of a request; ms. */
const STREAMS_WITHIN_MS = 10_000;

/** Writes that are refused whatever the tree holds. */
const REFUSED: readonly CoreWrite[] = [
  { type: "delete", path: "/never/made", version: -1 },
  { type: "multi", ops: [{ type: "check", path: "/never/made", version: -1 }] },
];

/** All who ask something in a run. */
export interface Crowd {
  readonly clients: SimClient[];
  readonly httpClients: HttpClient[];
  readonly owners: SimOwner[];
  readonly streamReaders: StreamReader[];
}

/** How long a call and a sync take when nothing is wrong; ms. */
export interface UsualTimes {
  readonly latencyMs: Range;
  readonly fsyncMs: Range;
}

/** The end of a run. Invariant: each demand has a limit of virtual time, and what is late breaks Liveness. */
export class Healing {
  readonly #world: ClientWorld;
  readonly #crowd: Crowd;
  readonly #times: UsualTimes;
  readonly #heal: () => void;
  readonly #count: (what: string, by?: number) => void;

  /** @param heal ends all faults */
  constructor(
    world: ClientWorld,
    crowd: Crowd,
    times: UsualTimes,
    heal: () => void,
    count: (what: string, by?: number) => void,
  ) {
    this.#world = world;
    this.#crowd = crowd;
    this.#times = times;
    this.#heal = heal;
    this.#count = count;
  }

  /** The longest that a member takes to find out that its leader is gone, and to ask for votes once more. */
  get #electionTimeoutMs(): number {
    const { tickTimeMs, syncLimit, electionRetryMsMax } = this.#world.cluster.config;
    return (syncLimit + 1) * tickTimeMs + electionRetryMsMax;
  }

  /**
   * What it takes to bring up a member that has nothing: a row or a chunk answers the one before. In a slow network, with a
   * window of one, rows of one txn and a log that was never cut, that alone is longer than ten elections, and nothing stands
   * still meanwhile.
   */
  get #catchUpMs(): number {
    const { cluster } = this.#world;
    const { latencyMs, fsyncMs } = this.#times;
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
  begin(): boolean {
    const { cluster } = this.#world;
    cluster.onLine?.("everything heals");
    this.#world.calm = false;
    this.#heal();
    const { invariants } = cluster;
    const within = (limitMs: number, holds: () => boolean, what: string): void => {
      const end = healedAt + limitMs;
      while (!holds() && cluster.now < end) cluster.runFor(20);
      invariants.must("Liveness", holds(), () => `${what} ${cluster.now - healedAt} ms after healing`);
    };
    const healedAt = cluster.now;
    // Somebody asks: an ensemble that sleeps is to wake.
    this.#world.writeAnonymously(
      this.#world.chance.between(1, this.#world.cluster.members.length),
      this.#mark(0),
    );
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
    for (const client of [...this.#crowd.clients, ...this.#crowd.httpClients, ...this.#crowd.streamReaders])
      client.stop();
    const agreementMs = AGREEMENT_WITHIN * this.#electionTimeoutMs + this.#catchUpMs;
    // Its leader may lead with nothing but copies of its own tree, and then a member differs.
    // (A member that is given an older disk may still wait to start.)
    const agree = (): boolean => cluster.settled && cluster.members.every(({ life }) => life !== null);
    if (!this.unlessUndecidable(() => within(agreementMs, agree, "not all agree"))) return false;
    this.#count("max healed ms", cluster.now - healedAt);
    return true;
  }

  #mark(n: number): WriteRequest {
    return { type: "create", path: `/end-${n}`, data: "", mode: 0, withStat: false };
  }

  /** A wrong tree may be found only then, and who could tell which one is right may lag. @returns false: nobody can tell */
  unlessUndecidable(run: () => void): boolean {
    try {
      run();
      return true;
    } catch (error) {
      const liveness = error instanceof Violation && error.rule === "Liveness";
      if (!liveness || !isUndecidable(this.#world.cluster)) throw error;
      this.#count("trees undecidable");
      return false;
    }
  }

  /** Every member takes a write, and leaves nobody waiting; then all are equal. */
  finish(): void {
    const { cluster } = this.#world;
    const { requestTimeoutMs } = cluster.config;
    const { invariants } = cluster;
    for (const { sid } of cluster.members) {
      let done = false;
      // A member whose log keeps next to nothing may have to be brought up once more.
      for (let attempt = 1; attempt <= 3 && !done; attempt++) {
        const answer = this.#world.writeAnonymously(sid, this.#mark(sid * 10 + attempt));
        cluster.runFor(requestTimeoutMs + 500);
        done = answer();
      }
      invariants.must("Liveness", done, () => `member ${sid} takes no write after healing`);
    }
    const end = cluster.now + 4 * requestTimeoutMs;
    const clients = [...this.#crowd.clients, ...this.#crowd.httpClients];
    const quiet = (): boolean => clients.every(({ waiting }) => waiting === 0) && cluster.settled;
    while (!quiet() && cluster.now < end) cluster.runFor(50);
    invariants.must("Liveness", quiet(), () => "somebody still waits for an answer");
    for (const { leftOpen } of this.#crowd.clients) {
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
    const { cluster } = this.#world;
    this.#world.writeAnonymously(
      this.#world.chance.between(1, this.#world.cluster.members.length),
      this.#mark(1),
    );
    cluster.runFor(cluster.config.requestTimeoutMs);
    const awake = cluster.alive.every(({ zab }) => !zab.frozen);
    for (const owner of this.#crowd.owners) {
      cluster.invariants.must("Liveness", !awake || !owner.sleepsOn, () => `owner ${owner.number} sleeps on`);
      owner.stop();
    }
  }

  /**
   * No client shows that it lives any more: every session ends, whatever the clocks and alarms did before, and also when it was opened
   * in a sleep that was to last until a session with a longer timeout ends.
   */
  #expireAll(): void {
    const { cluster } = this.#world;
    const { tickTimeMs, quietAfterMs, sessionTimeoutMsMin, sessionTimeoutMsMax } = cluster.config;
    const timeoutMs = Math.max(this.#world.options.sessionTimeoutMs, sessionTimeoutMsMin);
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
  endStreams(): void {
    const { cluster } = this.#world;
    if (this.#crowd.streamReaders.length === 0) return;
    const end = cluster.now + STREAMS_WITHIN_MS + 2 * cluster.config.requestTimeoutMs;
    const areOver = (): boolean =>
      cluster.settled && this.#crowd.streamReaders.every(({ isUpToDate }) => isUpToDate);
    while (!areOver() && cluster.now < end) cluster.runFor(50);
    cluster.invariants.must("Liveness", areOver(), () => "a watch stream is not resumed after healing");
    const last = cluster.invariants.history.at(-1)?.zxid;
    if (last !== undefined) for (const reader of this.#crowd.streamReaders) reader.end(last);
  }

  /** Another write under a number that its session has used, or uses at this moment elsewhere, is given nobody's result. */
  reuseNumbers(): void {
    const { cluster } = this.#world;
    const session = this.#openSession(cluster.config.sessionTimeoutMsMax);
    const first: CoreWrite = { type: "sync" };
    const other: CoreWrite = { type: "multi", ops: [{ type: "check", path: "/", version: -1 }] };
    const sid = (): number => this.#world.chance.between(1, this.#world.cluster.members.length);
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
    const { cluster } = this.#world;
    const sid = this.#world.chance.between(1, this.#world.cluster.members.length);
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
}
