/**
 * A session of which nobody hears for almost its timeout, and a heartbeat that is lost on its way to the leader: with the
 * stay of the follower that received it, with that follower, or at a leader that has been deposed. Chance alone seldom brings
 * such a loss about while nothing else shows that the session lives.
 */
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import type { Sid } from "../../core/zab/membership.ts";
import { makeSessionId, type SessionId } from "../../core/znode/types.ts";
import type { Chance } from "../random.ts";
import type { ClientWorld } from "./client-world.ts";

/** Timeout of the session; ticks. */
const TIMEOUT_TICKS = 24;
/** From the first heartbeat, which the leader gets, to the one that is lost; ticks. */
const LOST_AFTER_TICKS = 5;
/** How long nobody else asks anything, at most; ticks. */
const CALM_TICKS = 32;

/** How the heartbeat is lost. */
export const LOSSES = ["with the stay", "with the follower", "at a deposed leader"] as const;

/** Brings that about again and again, in a run whose ensemble does not fall asleep. Invariant: one session at a time. */
export class Silence {
  readonly #world: ClientWorld;
  readonly #chance: Chance;
  #isStopped = false;

  constructor(world: ClientWorld, chance: Chance) {
    this.#world = world;
    this.#chance = chance;
  }

  /** @returns how long nobody else should ask anything, or do any harm; ms */
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

  /** Everything heals: nothing more is lost. */
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

  /** The heartbeat has left its follower when the stay ends; the follower comes back at once. */
  #loseStay(follower: Sid, leader: Sid, session: SessionId): void {
    const { cluster } = this.#world;
    cluster.cut(follower, leader);
    this.#touch(follower, session);
    this.#after(1, () => {
      cluster.healCuts();
      cluster.calls.break(follower, leader);
    });
  }

  /** The leader gets a heartbeat by a follower; what that hears later, it takes with it. */
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

  /** A leader stands still until another one leads, and then gets the heartbeat before it can know that. */
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
