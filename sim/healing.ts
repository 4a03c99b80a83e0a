/** The checks after healing: a leader, agreement, answers to all requests, and the end of abandoned sessions. */
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

/** Time limits after healing, in election timeouts, in addition to the time for catching up. */
const LEADER_WITHIN = 2;
const AGREEMENT_WITHIN = 10;

/** How long a session may outlive its client after healing, in timeouts: a clock may have jumped just before. */
const EXPIRED_WITHIN = 3;

/** Length of the repeated pauses of all members: more than counts as silence of a session; ticks. */
const PAUSE_TICKS = 4;

/** Time for readers to resume their streams after healing, in addition to two timeouts of a request; ms. */
const STREAMS_WITHIN_MS = 10_000;

/** Writes that are refused in every state of the tree. */
const REFUSED: readonly CoreWrite[] = [
  { type: "delete", path: "/never/made", version: -1 },
  { type: "multi", ops: [{ type: "check", path: "/never/made", version: -1 }] },
];

/** All clients of a run. */
export interface Crowd {
  readonly clients: SimClient[];
  readonly httpClients: HttpClient[];
  readonly owners: SimOwner[];
  readonly streamReaders: StreamReader[];
}

/** Undisturbed durations of a call and of a sync; ms. */
export interface UsualTimes {
  readonly latencyMs: Range;
  readonly fsyncMs: Range;
}

/** The end of a run. Invariant: each check has a limit of virtual time, whose excess violates Liveness. */
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

  /** Longest time in which a member detects the loss of its leader, and sends its vote again. */
  get #electionTimeoutMs(): number {
    const { tickTimeMs, syncLimit, electionRetryMsMax } = this.#world.cluster.config;
    return (syncLimit + 1) * tickTimeMs + electionRetryMsMax;
  }

  /**
   * Time to synchronize an empty member, one row or chunk per round trip. In a slow network, with a window of one, rows of
   * one txn and a log that was never cut, that alone may take longer than ten elections, although it makes progress.
   */
  get #catchUpMs(): number {
    const { cluster } = this.#world;
    const { latencyMs, fsyncMs } = this.#times;
    const { learnerInFlightMax } = cluster.config;
    const turns = cluster.members.map(({ life }) => {
      if (life === null) return 0;
      const { tree } = life.server;
      // A chunk contains at least one znode or session.
      const chunks = tree.size + tree.sessions.size;
      return chunks + life.storage.log.rows.length / learnerInFlightMax;
    });
    return Math.max(...turns) * (latencyMs[0] + latencyMs[1] + fsyncMs[1]);
  }

  /**
   * Waits for a leader and agreement.
   * @returns false if the remaining members cannot decide which tree is right, and rightly do not serve
   */
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
    // A request must wake a sleeping ensemble.
    this.#world.writeAnonymously(
      this.#world.chance.between(1, this.#world.cluster.members.length),
      this.#mark(0),
    );
    // Its quorum may need a member that is far behind, which has to be synchronized first.
    const leaderMs = LEADER_WITHIN * this.#electionTimeoutMs + this.#catchUpMs;
    const decided = (): boolean => cluster.leader !== undefined;
    within(leaderMs, () => decided() || isUndecidable(cluster), "there is no leader");
    if (!decided()) cluster.runFor(leaderMs);
    if (!decided() && isUndecidable(cluster)) {
      this.#count("trees undecidable");
      return false;
    }
    invariants.must("Liveness", decided(), () => "there is no leader, and no member reports why");
    for (const client of [...this.#crowd.clients, ...this.#crowd.httpClients, ...this.#crowd.streamReaders])
      client.stop();
    const agreementMs = AGREEMENT_WITHIN * this.#electionTimeoutMs + this.#catchUpMs;
    // A leader may have only copies of its own tree, and then a member differs.
    // (A member on an older disk may still wait to start.)
    const agree = (): boolean => cluster.settled && cluster.members.every(({ life }) => life !== null);
    if (!this.unlessUndecidable(() => within(agreementMs, agree, "not all agree"))) return false;
    this.#count("max healed ms", cluster.now - healedAt);
    return true;
  }

  #mark(n: number): WriteRequest {
    return { type: "create", path: `/end-${n}`, data: "", mode: 0, withStat: false };
  }

  /** Runs a check during which a wrong tree may be found. @returns false if the members cannot decide which tree is right */
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

  /** Checks that every member accepts a write, that all requests are answered, and that all members are equal. */
  finish(): void {
    const { cluster } = this.#world;
    const { requestTimeoutMs } = cluster.config;
    const { invariants } = cluster;
    for (const { sid } of cluster.members) {
      let done = false;
      // A member whose log retains little may have to be synchronized once more.
      for (let attempt = 1; attempt <= 3 && !done; attempt++) {
        const answer = this.#world.writeAnonymously(sid, this.#mark(sid * 10 + attempt));
        cluster.runFor(requestTimeoutMs + 500);
        done = answer();
      }
      invariants.must("Liveness", done, () => `member ${sid} accepts no write after healing`);
    }
    const end = cluster.now + 4 * requestTimeoutMs;
    const clients = [...this.#crowd.clients, ...this.#crowd.httpClients];
    const quiet = (): boolean => clients.every(({ waiting }) => waiting === 0) && cluster.settled;
    while (!quiet() && cluster.now < end) cluster.runFor(50);
    invariants.must("Liveness", quiet(), () => "a client still waits for an answer");
    for (const { leftOpen } of this.#crowd.clients) {
      invariants.must(
        "SessionMoved",
        leftOpen === 0,
        () => "a connection stays open that its session has left",
      );
    }
    for (const { sid, tree, pendingCount } of cluster.alive) {
      invariants.must("Liveness", pendingCount === 0, () => `${sid} leaves a request unanswered`);
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
    this.#expireLate();
  }

  /** Checks that a request wakes all owners that slept with the ensemble. */
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
   * Stops all heartbeats and checks that every session ends, whatever clocks and alarms did before, even if it was opened
   * during a sleep that was to last until a session with a longer timeout ends.
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

  /**
   * Checks that a session whose client is gone expires although every check of its deadline is late: because the ensemble sleeps
   * and always wakes late, or because all members are paused again and again.
   */
  #expireLate(): void {
    const { cluster } = this.#world;
    const { tickTimeMs, quietAfterMs, requestTimeoutMs, sessionTimeoutMsMin } = cluster.config;
    const timeoutMs = Math.max(this.#world.options.sessionTimeoutMs, sessionTimeoutMsMin);
    const session = this.#openSession(timeoutMs);
    const isLeft = (): boolean => cluster.alive.some(({ tree }) => tree.sessions.has(session));
    if (quietAfterMs > 0) {
      const lateMs = 2 * requestTimeoutMs;
      cluster.faults.wakeLateMs = lateMs;
      // After the first late wake-up the session gets one full timeout, in a second sleep.
      const end = cluster.now + 3 * (timeoutMs + lateMs + quietAfterMs + 8 * tickTimeMs);
      while (isLeft() && cluster.now < end) cluster.runFor(tickTimeMs);
      cluster.faults.wakeLateMs = 0;
    } else {
      // The session gets one full timeout; then each pause counts as more than a tick.
      const pauses = 2 * Math.ceil(timeoutMs / tickTimeMs) + 4;
      for (let i = 0; i < pauses && isLeft(); i++) {
        for (const { sid } of cluster.alive) cluster.pause(sid);
        cluster.runFor(PAUSE_TICKS * tickTimeMs);
        for (const { sid } of cluster.alive) cluster.resume(sid);
        cluster.runFor(tickTimeMs / 2);
      }
    }
    cluster.invariants.must("Liveness", !isLeft(), () => `session ${session} outlives its client`);
  }

  /** Checks that the last event of every stream is the znode's state, once the sending member has applied everything. */
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

  /**
   * Checks that another write under a number that its session has used, or is using at another member, gets no other
   * write's result.
   */
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
    // The member that received the first write knows its bytes, and refuses any other, even if the first was refused.
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
        () => `another write of ${session} gets the refusal of number ${xid}`,
      );
    }
    cluster.write(sid(), { type: "closeSession" }, session);
    settle();
  }

  /**
   * Opens a session that gets no heartbeats unless the caller sends them. A sleeping ensemble elects a leader first, and a
   * client whose request failed or has an unknown outcome opens another session.
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
