/**
 * A race on waking: an ensemble falls asleep, wakes, and loses its leader at once, and the next leader received no message
 * of the leadership in between. Its record of the sleep is then of an epoch before the last one, with deadlines that are
 * too early for a session with a later heartbeat. Random faults seldom produce this within a session's timeout.
 */
import type { PeerMessage } from "../../core/server/messages.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import type { Sid } from "../../core/zab/membership.ts";
import { makeSessionId, NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import type { ClientWorld } from "./client-world.ts";

/** Timeout of the sessions of a run with such races; ticks. */
export const RACE_SESSION_TICKS = 12;
/** Maximum duration of calm for all other clients; ticks. */
const CALM_TICKS = 40;
/** How long the next leader receives no message of the previous one; ticks. */
const CLOG_TICKS = 4;

/** Produces this race repeatedly in a run whose ensemble may fall asleep. */
export class WakeRace {
  readonly #world: ClientWorld;
  #phase: "over" | "asleep" | "awake" = "over";
  /** ms of the cluster's time */
  #until = 0;
  #session: SessionId = NO_SESSION;
  /** whether the member that would lead next was kept from joining */
  #isBehind = false;
  #isStopped = false;

  constructor(world: ClientWorld) {
    this.#world = world;
  }

  /** Begins a race. @returns how long no other client or fault should act; ms */
  begin(): number {
    const { cluster, sessions } = this.#world;
    const { tickTimeMs } = cluster.config;
    const ms = CALM_TICKS * tickTimeMs;
    const life = cluster.leader === undefined ? null : cluster.member(cluster.leaderSid).life;
    if (life === null || cluster.members.length === 1) return 0;
    this.#world.sessions += 1;
    const session = makeSessionId(life.sid, sessions + 1);
    const open = encodeWrite({ type: "createSession", timeoutMs: RACE_SESSION_TICKS * tickTimeMs });
    cluster.request(
      life.sid,
      (server, now, token) => server.submitWrite(now, token, { session, xid: 0, ...open }),
      () => {},
    );
    this.#session = session;
    this.#phase = "asleep";
    this.#isBehind = false;
    this.#until = cluster.now + ms;
    this.#poll();
    return ms;
  }

  /** Stops producing races, so that everything heals. */
  stop(): void {
    this.#phase = "over";
    this.#isStopped = true;
  }

  /** Called when a message is about to be handled. */
  saw(from: Sid, to: Sid, { type }: PeerMessage): void {
    const { cluster } = this.#world;
    if (this.#phase !== "awake" || type !== "NEWLEADER") return;
    // Of equal histories the highest sid wins.
    const next = Math.max(...cluster.alive.map(({ sid }) => sid).filter((sid) => sid !== from));
    if (to !== next) return;
    this.#isBehind = true;
    cluster.clog(from, to, CLOG_TICKS * cluster.config.tickTimeMs);
  }

  #poll(): void {
    const { cluster } = this.#world;
    const { tickTimeMs } = cluster.config;
    if (this.#phase === "over" || cluster.now >= this.#until) {
      this.#phase = "over";
      return;
    }
    const { alive, leader } = cluster;
    const isAsleep = alive.every(({ asleepSince }) => asleepSince !== null);
    if (this.#phase === "asleep" && isAsleep && alive.length === cluster.members.length) {
      this.#phase = "awake";
      cluster.read(1, { type: "exists", path: "/", watch: false });
    } else if (this.#phase === "awake" && this.#isBehind && leader !== undefined) {
      this.#phase = "over";
      this.#world.count("race on waking");
      cluster.touch(leader.sid, this.#session);
      cluster.after(tickTimeMs / 20, () => {
        if (!this.#isStopped) this.#crash(leader.sid);
      });
      return;
    }
    cluster.after(tickTimeMs / 20, () => this.#poll());
  }

  #crash(sid: Sid): void {
    const { cluster } = this.#world;
    if (cluster.member(sid).life === null) return;
    cluster.crash(sid, 100);
    cluster.after(RACE_SESSION_TICKS * cluster.config.tickTimeMs, () => {
      if (cluster.member(sid).life === null) cluster.start(sid);
    });
  }
}
