/**
 * A session that is silent for almost its timeout, with a heartbeat that is lost on its way to the leader: with the stay of
 * the follower that received it, with that follower, or at a deposed leader. Random faults seldom lose the only heartbeat
 * of a session.
 */
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import type { Sid } from "../../core/zab/membership.ts";
import { makeSessionId, type SessionId } from "../../core/znode/types.ts";
import type { Chance } from "../random.ts";
import type { ClientWorld } from "./client-world.ts";

/** Timeout of the session; ticks. */
const TIMEOUT_TICKS = 24;
/** Time from the first heartbeat, which the leader receives, to the lost one; ticks. */
const LOST_AFTER_TICKS = 5;
/** Longest pause of all other requests; ticks. */
const CALM_TICKS = 32;

/** How the heartbeat is lost. */
export const LOSSES = ["with the stay", "with the follower", "at a deposed leader"] as const;

/** Repeats this in a run whose ensemble does not fall asleep. Invariant: one session at a time. */
export class Silence {
  readonly #world: ClientWorld;
  readonly #chance: Chance;
  #isStopped = false;

  constructor(world: ClientWorld, chance: Chance) {
    this.#world = world;
    this.#chance = chance;
  }

  /** Begins a silence. @returns for how long no other request and no other fault should begin; ms */
  begin(): number {
    const { cluster } = this.#world;
    const { leader } = cluster;
    const follower = cluster.alive.filter((each) => each.ready && each !== leader)[0];
    if (leader === undefined || follower === undefined || cluster.members.length < 3) return 0;
    const session = this.#open(leader.sid);
    const loss = this.#chance.oneOf(LOSSES);
    this.#after(LOST_AFTER_TICKS, () => {
      if (cluster.leader?.sid !== leader.sid || !leader.tree.sessions.has(session)) return;
      if (!follower.ready || follower.zab.leader !== leader.sid) return;
      this.#world.count(`heartbeat lost ${loss}`);
      if (loss === "with the stay") this.#loseStay(follower.sid, leader.sid, session);
      else if (loss === "with the follower") this.#loseFollower(follower.sid, session);
      else this.#depose(leader.sid, session);
    });
    return CALM_TICKS * cluster.config.tickTimeMs;
  }

  /** Ends the losses, when everything heals. */
  stop(): void {
    this.#isStopped = true;
  }

  #after(ticks: number, run: () => void): void {
    const { cluster } = this.#world;
    cluster.after(Math.ceil(ticks * cluster.config.tickTimeMs), () => {
      if (!this.#isStopped) run();
    });
  }

  #open(sid: Sid): SessionId {
    const { cluster } = this.#world;
    this.#world.sessions += 1;
    const session = makeSessionId(sid, this.#world.sessions);
    const timeoutMs = TIMEOUT_TICKS * cluster.config.tickTimeMs;
    const open = { session, xid: 0, ...encodeWrite({ type: "createSession", timeoutMs }) };
    cluster.request(
      sid,
      (server, now, token) => server.submitWrite(now, token, open),
      () => {},
    );
    return session;
  }

  /** Ends the follower's stay while the heartbeat is in flight; the follower rejoins at once. */
  #loseStay(follower: Sid, leader: Sid, session: SessionId): void {
    const { cluster } = this.#world;
    cluster.cut(follower, leader);
    this.#touch(follower, session);
    this.#after(1, () => {
      cluster.healCuts();
      cluster.calls.break(follower, leader);
    });
  }

  /** Crashes a follower after the leader received one heartbeat from it, so that the later one is lost. */
  #loseFollower(follower: Sid, session: SessionId): void {
    const { cluster } = this.#world;
    this.#touch(follower, session);
    this.#after(4, () => {
      if (cluster.member(follower).life === null) return;
      this.#touch(follower, session);
      cluster.crash(follower, 100);
      this.#after(TIMEOUT_TICKS, () => {
        if (cluster.member(follower).life === null) cluster.start(follower);
      });
    });
  }

  /** Pauses a leader until another one leads; the paused one receives the heartbeat before it can detect that. */
  #depose(leader: Sid, session: SessionId): void {
    const { cluster } = this.#world;
    const { life } = cluster.member(leader);
    if (life === null || life.isPaused) return;
    cluster.pause(leader);
    this.#touch(leader, session);
    const resume = (): void => {
      if (life.alive && life.isPaused) cluster.resume(leader);
    };
    const poll = (left: number): void => {
      const next = cluster.leader;
      if (left === 0 || (next !== undefined && next.sid !== leader)) this.#after(2, resume);
      else this.#after(1, () => poll(left - 1));
    };
    poll(8);
  }

  #touch(sid: Sid, session: SessionId): void {
    if (this.#world.cluster.member(sid).life !== null) this.#world.cluster.touch(sid, session);
  }
}
