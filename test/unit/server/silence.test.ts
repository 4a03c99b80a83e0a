/** Silence of sessions: clocks that jump, members that pause, heartbeats that are lost. */
import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import type { Cluster } from "../../../sim/cluster.ts";
import { ensemble, open } from "../../sim/world.ts";

const TICK = 1000;
const TIMEOUT_MS = 6 * TICK;

const lives = (cluster: Cluster, session: SessionId): boolean =>
  must(cluster.leader ?? cluster.alive[0], "a member lives").tree.sessions.has(session);

/** Runs so long, and shows every second tick that the session lives. */
function keepAlive(cluster: Cluster, sid: number, session: SessionId, ms: number): void {
  for (let left = ms; left > 0; left -= 2 * TICK) {
    cluster.touch(sid, session);
    cluster.runFor(Math.min(left, 2 * TICK));
  }
}

/** Runs until the session is closed. @returns ms that it took */
function untilClosed(cluster: Cluster, session: SessionId, limitMs = 120_000): number {
  const begin = cluster.now;
  cluster.runUntil(() => !lives(cluster, session), limitMs, "the end of the session");
  return cluster.now - begin;
}

describe("a jump in time", () => {
  for (const by of [2 * TICK + 1, TIMEOUT_MS + TICK, 600_000]) {
    for (const size of [1, 3]) {
      it(`[SERVER-40] does not count as silence: the clock of the leader of ${size} jumps by ${by} ms repeatedly`, () => {
        const cluster = ensemble({ size });
        const session = open(cluster, 1, TIMEOUT_MS);
        for (let i = 0; i < 5; i++) {
          keepAlive(cluster, 1, session, 2 * TIMEOUT_MS);
          cluster.jumpClock(cluster.leaderSid, by);
          cluster.runFor(TICK);
          expect(lives(cluster, session)).toBe(true);
        }
      });
    }
  }

  it("[SERVER-40] gives a session its full timeout once: then it expires, not earlier and at most a tick later", () => {
    const cluster = ensemble({ size: 3 });
    const session = open(cluster, 1, TIMEOUT_MS);
    cluster.runFor(4 * TICK);
    cluster.jumpClock(cluster.leaderSid, 60_000);
    const took = untilClosed(cluster, session);
    expect(took).toBeGreaterThanOrEqual(TIMEOUT_MS);
    expect(took).toBeLessThanOrEqual(TIMEOUT_MS + 2 * TICK);
  });

  it("[SERVER-40] is also the pause of a member: messages of its sessions during the pause are handled first", () => {
    const cluster = ensemble({ size: 1 });
    const session = open(cluster, 1, TIMEOUT_MS);
    cluster.pause(1);
    cluster.runFor(10 * TIMEOUT_MS);
    cluster.touch(1, session);
    cluster.resume(1);
    keepAlive(cluster, 1, session, 3 * TIMEOUT_MS);
    expect(lives(cluster, session)).toBe(true);
  });

  it("[SERVER-40] keeps no dead session: it expires even if every check is late", () => {
    const cluster = ensemble({ size: 1 });
    const session = open(cluster, 1, TIMEOUT_MS);
    let looks = 0;
    for (; lives(cluster, session) && looks < 100; looks++) {
      cluster.pause(1);
      cluster.runFor(5 * TICK);
      cluster.resume(1);
      cluster.runFor(1);
    }
    // its full timeout, of which each look takes a tick at least
    expect(looks).toBeGreaterThan(2);
    expect(looks).toBeLessThanOrEqual(TIMEOUT_MS / TICK + 3);
  });

  it("[SERVER-40] of up to two ticks counts as silence of a session", () => {
    const cluster = ensemble({ size: 1 });
    const session = open(cluster, 1, TIMEOUT_MS);
    cluster.runFor(TICK / 2);
    for (let i = 0; i < 4; i++) {
      cluster.jumpClock(1, TICK);
      cluster.runFor(TICK / 4);
    }
    expect(untilClosed(cluster, session)).toBeLessThanOrEqual(2 * TICK);
  });
});

describe("a heartbeat", () => {
  it("[SERVER-41] may be lost with a learner: its sessions get their full timeout, once", () => {
    const cluster = ensemble({ size: 3 });
    const cut = must(cluster.followers[0], "a follower");
    const session = open(cluster, cut, TIMEOUT_MS);
    keepAlive(cluster, cut, session, 2 * TIMEOUT_MS);
    cluster.isolate(cut);
    const begin = cluster.now;
    cluster.runFor(TICK);
    cluster.touch(cut, session);
    cluster.runUntil(() => must(cluster.leader, "two are left").zab.activeSet.length === 2, 10 * TICK);
    const noticedMs = cluster.now - begin;
    const took = untilClosed(cluster, session) + noticedMs;
    expect(took).toBeGreaterThanOrEqual(noticedMs + TIMEOUT_MS);
    expect(took).toBeLessThanOrEqual(noticedMs + TIMEOUT_MS + 2 * TICK);
  });

  it("[SERVER-41] is not assumed repeatedly: a dead session of a learner that keeps rejoining expires", () => {
    const cluster = ensemble({ size: 3 });
    const cut = must(cluster.followers[0], "a follower");
    const session = open(cluster, cut, TIMEOUT_MS);
    cluster.touch(cut, session);
    let rounds = 0;
    for (; lives(cluster, session) && rounds < 20; rounds++) {
      cluster.isolate(cut);
      cluster.runFor(4 * TICK);
      cluster.heal();
      cluster.settle();
    }
    expect(rounds).toBeLessThanOrEqual(4);
  });

  it("[SERVER-39] that reached a deposed leader is reported to the next one, however late", () => {
    const cluster = ensemble({ size: 3 });
    const old = cluster.leaderSid;
    const session = open(cluster, old, 20 * TICK);
    cluster.runFor(16 * TICK);
    cluster.isolate(old);
    cluster.runFor(TICK);
    // the last heartbeat before the client loses its connection
    cluster.touch(old, session);
    cluster.runUntil(() => cluster.leader !== undefined && cluster.leaderSid !== old, 20 * TICK);
    cluster.runFor(17 * TICK);
    expect(lives(cluster, session)).toBe(true);
    cluster.heal();
    const took = untilClosed(cluster, session);
    expect(took).toBeGreaterThanOrEqual(20 * TICK);
    expect(took).toBeLessThanOrEqual(23 * TICK);
  });

  it("[SERVER-39] that was sent when a cut began is reported again after it, however long it took", () => {
    const cluster = ensemble({ size: 3 });
    const cut = must(cluster.followers[0], "a follower");
    const session = open(cluster, cut, 12 * TICK);
    cluster.runFor(8 * TICK);
    cluster.touch(cut, session);
    cluster.isolate(cut);
    cluster.runFor(4 * TICK);
    cluster.heal();
    expect(untilClosed(cluster, session)).toBeGreaterThanOrEqual(11 * TICK);
  });
});

describe("alarms that are late in every sleep", () => {
  it("[QUIET-18] keep no dead session: it gets its full timeout at the first wake-up, and expires at the second", () => {
    const cluster = ensemble({ size: 3, config: { quietAfterMs: 4 * TICK } });
    const session = open(cluster, 1, 20 * TICK);
    cluster.settle();
    let wakes = 0;
    for (; lives(cluster, session) && wakes < 10; wakes++) {
      cluster.runUntil(() => cluster.alive.every(({ asleepSince }) => asleepSince !== null), 60 * TICK);
      // every alarm of this sleep rings later than a request waits
      cluster.loseAlarms();
      cluster.runFor(40 * TICK);
      for (const { sid } of cluster.members) cluster.tick(sid);
      cluster.settle();
      cluster.runFor(2 * TICK);
    }
    expect(wakes).toBe(2);
  });

  it("[QUIET-18] do not expire a session that sent a heartbeat between two of them", () => {
    const cluster = ensemble({ size: 3, config: { quietAfterMs: 4 * TICK } });
    const session = open(cluster, 1, 20 * TICK);
    for (let i = 0; i < 3; i++) {
      cluster.runUntil(() => cluster.alive.every(({ asleepSince }) => asleepSince !== null), 60 * TICK);
      cluster.loseAlarms();
      cluster.runFor(40 * TICK);
      for (const { sid } of cluster.members) cluster.tick(sid);
      cluster.settle();
      cluster.runFor(2 * TICK);
      expect(lives(cluster, session)).toBe(true);
      cluster.touch(2, session);
    }
  });
});

describe("a clock that is set back during a sleep", () => {
  it("[QUIET-19] extends no deadline beyond the full timeout", () => {
    const timeoutMs = 30 * TICK;
    const cluster = ensemble({ size: 1, config: { quietAfterMs: 4 * TICK } });
    const session = open(cluster, 1, timeoutMs);
    cluster.runUntil(() => cluster.server(1).asleepSince !== null, 60_000, "sleep");
    cluster.runFor(TICK);
    cluster.crash(1);
    cluster.jumpClock(1, -600_000);
    cluster.start(1);
    cluster.runUntil(() => cluster.server(1).ready, 10_000, "a leader");
    expect(lives(cluster, session)).toBe(true);
    expect(untilClosed(cluster, session, 1_000_000)).toBeLessThanOrEqual(timeoutMs + 2 * TICK);
  });
});
