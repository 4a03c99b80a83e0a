/** An ensemble without requests falls asleep, and wakes with its whole state. */
import { describe, expect, it } from "vitest";
import { makeServerConfig } from "../../../core/server/config.ts";
import type { QuietRecord } from "../../../core/server/quiet.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import type { Cluster } from "../../../sim/cluster.ts";
import { runCampaign } from "../../sim/small-campaign.ts";
import {
  allEqual,
  codeOf,
  create,
  digests,
  ensemble,
  exists,
  ok,
  open,
  read,
  write,
} from "../../sim/world.ts";

const TICK = 100;
const QUIET = 5 * TICK;

const asleep = (cluster: Cluster): boolean => cluster.alive.every((server) => server.asleepSince !== null);

const fallAsleep = (cluster: Cluster): void => {
  cluster.runUntil(() => asleep(cluster), 60_000, "sleep");
};

const sleeper = (size: number, seed = 1): Cluster =>
  ensemble({ size, seed, config: { tickTimeMs: TICK, quietAfterMs: QUIET } });

/** The session, of 20 ticks, lives on for all of them, and then ends. */
function keepsFullTimeout(cluster: Cluster, session: SessionId): void {
  const backAt = cluster.now;
  cluster.runFor(18 * TICK);
  expect(has(cluster, session)).toBe(true);
  cluster.runUntil(() => !has(cluster, session), 5 * TICK, "the end of the session");
  expect(cluster.now).toBeGreaterThan(backAt + 18 * TICK);
}

const has = (cluster: Cluster, session: SessionId): boolean =>
  cluster.alive.some(({ tree }) => tree.sessions.has(session));

const recordOf = (cluster: Cluster, sid: number): QuietRecord =>
  JSON.parse(cluster.member(sid).disk.readMeta().quiet ?? "null");

/** Runs for so long, and counts what the members say and write meanwhile. */
function watch(cluster: Cluster, ms: number): { messages: number; writes: number; wakeUps: number } {
  const written = (): number => cluster.members.reduce((sum, { disk }) => sum + disk.written, 0);
  const seen = { messages: 0, writes: -written(), wakeUps: 0 };
  cluster.onMessage = () => {
    seen.messages += 1;
  };
  const end = cluster.now + ms;
  while (cluster.now < end) {
    if (cluster.alive.some(({ deadline }) => Number.isFinite(deadline))) seen.wakeUps += 1;
    cluster.runFor(TICK);
  }
  cluster.onMessage = null;
  seen.writes += written();
  return seen;
}

/** The session of a client that leaves at once; it expires at the time that comes back, or a tick earlier. */
function abandon(cluster: Cluster, timeoutMs: number, n = 1): { session: SessionId; dueMs: number } {
  const session = open(cluster, cluster.followers[0] ?? 1, timeoutMs, n);
  return { session, dueMs: cluster.now + timeoutMs + TICK };
}

describe("an ensemble without clients", () => {
  for (const size of [1, 3, 5, 7]) {
    it(`[QUIET-1] of ${size} falls asleep: no message, no wake-up, no write`, () => {
      const cluster = sleeper(size);
      const before = cluster.now;
      write(cluster, 1, create("/a"));
      fallAsleep(cluster);
      expect(cluster.now - before).toBeGreaterThanOrEqual(QUIET);
      expect(cluster.now - before).toBeLessThan(QUIET + 4 * TICK);
      cluster.runFor(10);
      expect(watch(cluster, 120 * TICK)).toEqual({ messages: 0, writes: 0, wakeUps: 0 });
      expect(asleep(cluster)).toBe(true);
    });
  }

  it("[QUIET-1] sleeps with a member that is down, and with one that is cut off", () => {
    const cluster = sleeper(5);
    const [first = 1, second = 2] = cluster.followers;
    cluster.crash(first);
    cluster.isolate(second);
    const others = () => cluster.alive.filter(({ sid }) => sid !== second);
    cluster.runUntil(() => others().every(({ asleepSince }) => asleepSince !== null), 60_000);
    cluster.heal();
    cluster.runUntil(() => cluster.settled, 20_000, "the one that was cut off wakes the others");
    fallAsleep(cluster);
    cluster.start(first);
    cluster.settle();
    expect(allEqual(digests(cluster))).toBe(true);
  });

  it("[QUIET-1] never sleeps if it is configured so", () => {
    const cluster = ensemble({ size: 3 });
    cluster.runFor(120 * TICK);
    expect(cluster.alive.some(({ asleepSince }) => asleepSince !== null)).toBe(false);
    expect(() => makeServerConfig({ quietAfterMs: 2_000 })).toThrow("quietAfterMs");
    expect(() => makeServerConfig({ quietAfterMs: 1.5 })).toThrow("quietAfterMs");
  });

  it("[QUIET-2] stays awake while a client is connected anywhere, or sends requests now and then", () => {
    const cluster = sleeper(5);
    const [sid = 1] = cluster.followers;
    cluster.server(sid).setClients(cluster.now, 1);
    cluster.runFor(60 * TICK);
    expect(cluster.alive.every(({ asleepSince }) => asleepSince === null)).toBe(true);
    cluster.server(sid).setClients(cluster.now, 0);
    for (let i = 0; i < 20; i++) {
      cluster.runFor(QUIET - TICK);
      read(cluster, (i % 5) + 1, exists("/"));
    }
    expect(cluster.alive.every(({ asleepSince }) => asleepSince === null)).toBe(true);
    expect(cluster.leader?.zab.currentEpoch).toBe(1);
    fallAsleep(cluster);
  });

  it("[QUIET-2] requests of its own objects in the background keep it awake no longer than they take", () => {
    const cluster = sleeper(3);
    const session = open(cluster, 1);
    const before = cluster.now;
    for (let i = 0; i < 60 && !asleep(cluster); i++) {
      cluster.server(2).parked.set(session, 0);
      cluster.server(2).touch(cluster.now, session, true);
      cluster.runFor(TICK / 2);
    }
    expect(asleep(cluster)).toBe(true);
    expect(cluster.now - before).toBeLessThan(QUIET + 4 * TICK);
    // its heartbeat may come a little late
    cluster.server(2).touch(cluster.now, session, true);
    expect(watch(cluster, 100 * TICK)).toEqual({ messages: 0, writes: 0, wakeUps: 0 });
  });
});

describe("the first request", () => {
  for (const at of ["leader", "follower"] as const) {
    for (const memory of ["kept", "lost by all", "lost by the leader", "lost by a follower"] as const) {
      it(`[QUIET-3] at a ${at} wakes the ensemble, memory ${memory}`, () => {
        for (let seed = 1; seed <= 5; seed++) {
          const cluster = sleeper(5, seed);
          const leader = cluster.leaderSid;
          const [first = 1, second = 2] = cluster.followers;
          write(cluster, first, create("/before"));
          fallAsleep(cluster);
          cluster.runFor(30 * TICK);
          const lost = { kept: [], "lost by all": cluster.members.map(({ sid }) => sid) };
          const gone = { ...lost, "lost by the leader": [leader], "lost by a follower": [second] }[memory];
          // An object that was evicted starts when it is called.
          for (const sid of gone) cluster.crash(sid);
          const sid = at === "leader" ? leader : first;
          for (const each of gone) cluster.start(each);
          const before = cluster.now;
          const seen = cluster.read(sid, exists("/before"));
          const token = cluster.write(sid, create("/after"));
          const [answer] = cluster.answered([token]);
          expect(codeOf(answer)).toBe("OK");
          expect(codeOf(cluster.answers.get(seen))).toBe("OK");
          expect(cluster.now - before).toBeLessThan(150);
          cluster.settle();
          expect(allEqual(digests(cluster))).toBe(true);
        }
      });
    }
  }

  it("[QUIET-3] wakes a sleeping ensemble whose leader, or any minority, is dead", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = sleeper(5, seed);
      fallAsleep(cluster);
      const [first = 1, second = 2, third = 3] = cluster.followers;
      cluster.crash(cluster.leaderSid);
      if (seed % 2 === 0) cluster.crash(second);
      expect(ok(write(cluster, seed % 2 === 0 ? third : first, create("/after")))).toBe(true);
      cluster.startAll();
      cluster.settle();
      expect(allEqual(digests(cluster))).toBe(true);
    }
  });

  it("[QUIET-3] shows no old state: a member that remained asleep detects that it is behind", () => {
    const cluster = sleeper(3);
    const leader = cluster.leaderSid;
    fallAsleep(cluster);
    const [first = 1] = cluster.followers;
    cluster.isolate(leader);
    expect(ok(write(cluster, first, create("/new")))).toBe(true);
    expect(cluster.server(leader).asleepSince).not.toBe(null);
    expect(codeOf(read(cluster, leader, exists("/new"), true))).toBe("NO_QUORUM");
    expect(codeOf(read(cluster, leader, exists("/new")))).toBe("NO_QUORUM");
    cluster.heal();
    cluster.settle();
    expect(codeOf(read(cluster, leader, exists("/new")))).toBe("OK");
  });

  it("[QUIET-3] wakes it for the next sleep too, any number of times", () => {
    const cluster = sleeper(3);
    for (let i = 0; i < 20; i++) {
      fallAsleep(cluster);
      expect(ok(write(cluster, (i % 3) + 1, create(`/${i}`)))).toBe(true);
    }
    cluster.settle();
    expect(cluster.leader?.zab.currentEpoch).toBe(21);
    expect(allEqual(digests(cluster))).toBe(true);
  });
});

describe("a session in a sleeping ensemble", () => {
  for (const dead of ["nobody", "the leader", "all, for a moment"] as const) {
    it(`[QUIET-4] without heartbeats before expires on time, not early, when ${dead} dies during the sleep`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const cluster = sleeper(5, seed);
        const { session, dueMs } = abandon(cluster, 30 * TICK);
        fallAsleep(cluster);
        expect(cluster.now).toBeLessThan(dueMs - 20 * TICK);
        if (dead === "the leader") cluster.crash(cluster.leaderSid);
        if (dead === "all, for a moment") {
          const leader = cluster.leaderSid;
          cluster.crashAll();
          // the alarm of one of them is the first to ring
          cluster.runFor(dueMs - 3 * TICK - cluster.now);
          cluster.start(leader);
          cluster.startAll();
          cluster.settle();
        }
        while (has(cluster, session)) {
          expect(cluster.now).toBeLessThan(dueMs + 10 * TICK);
          cluster.runFor(10);
        }
        expect(cluster.now).toBeGreaterThanOrEqual(dueMs - TICK);
        expect(cluster.now).toBeLessThanOrEqual(dueMs + (dead === "the leader" ? 7 : 2) * TICK);
      }
    });
  }

  it("[QUIET-4] keeps its deadline when something else wakes the ensemble", () => {
    const cluster = sleeper(3);
    const { session, dueMs } = abandon(cluster, 60 * TICK);
    for (let i = 0; i < 4; i++) {
      fallAsleep(cluster);
      expect(ok(write(cluster, (i % 3) + 1, create(`/${i}`)))).toBe(true);
    }
    cluster.runFor(dueMs - TICK - cluster.now - 1);
    expect(has(cluster, session)).toBe(true);
    cluster.runUntil(() => !has(cluster, session), 4 * TICK, "the end of the session");
  });

  it("[QUIET-5] stays alive when its heartbeat wakes the ensemble", () => {
    for (let seed = 1; seed <= 8; seed++) {
      const cluster = sleeper(5, seed);
      const { session, dueMs } = abandon(cluster, 30 * TICK);
      fallAsleep(cluster);
      cluster.runFor(dueMs - TICK - 1 - cluster.now - 10 * seed);
      const sid = (seed % 5) + 1;
      cluster.touch(sid, session);
      const touchedAt = cluster.now;
      cluster.runUntil(() => cluster.settled, 5 * TICK);
      cluster.runFor(touchedAt + 30 * TICK - cluster.now);
      expect(has(cluster, session)).toBe(true);
      cluster.runUntil(() => !has(cluster, session), 4 * TICK, "the end of the session");
    }
  });

  it("[QUIET-5] stays alive when that heartbeat comes at the last moment, before any alarm", () => {
    for (let before = 2; before <= 60; before += 2) {
      const cluster = sleeper(5, before);
      const { session } = abandon(cluster, 30 * TICK);
      fallAsleep(cluster);
      // those whose alarms ring first are gone
      cluster.crash(cluster.leaderSid);
      cluster.crash(cluster.alive[0]?.sid ?? 1);
      const sid = cluster.alive[0]?.sid ?? 1;
      const [[, deadline = 0] = []] = recordOf(cluster, sid).deadlines;
      cluster.runFor(deadline - before - cluster.now);
      cluster.touch(sid, session);
      const touchedAt = cluster.now;
      cluster.runUntil(() => cluster.settled, 5 * TICK);
      cluster.runFor(touchedAt + 30 * TICK - cluster.now);
      expect(has(cluster, session), `${before} ms before its end`).toBe(true);
    }
  });

  it("[QUIET-5] keeps a heartbeat that was not forwarded yet when all members agreed to sleep", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const cluster = sleeper(3, seed);
      // the leader's ticks fall anywhere between those at which sessions expire
      fallAsleep(cluster);
      cluster.runFor(13 * seed);
      write(cluster, 1, create("/a"));
      cluster.settle();
      const [sid = 1] = cluster.followers;
      const session = open(cluster, sid, 20 * TICK);
      let touchedAt = 0;
      while (!cluster.server(sid).zab.frozen) {
        cluster.server(sid).touch(cluster.now, session, true);
        touchedAt = cluster.now;
        cluster.runFor(7);
      }
      fallAsleep(cluster);
      const [[, deadline = 0] = []] = recordOf(cluster, sid).deadlines;
      expect(deadline).toBeGreaterThanOrEqual(touchedAt + 20 * TICK);
    }
  });

  it("[QUIET-6] does not advance its deadline while its owner sleeps too, and the leader wakes the owner", () => {
    const cluster = sleeper(5);
    const [sid = 1] = cluster.followers;
    const session = open(cluster, sid, 4 * TICK);
    const owner = 7;
    cluster.server(sid).parked.set(session, owner);
    while (!asleep(cluster)) {
      cluster.server(sid).touch(cluster.now, session, true);
      cluster.runFor(TICK);
    }
    cluster.server(sid).parked.clear();
    cluster.runFor(120 * TICK);
    expect(asleep(cluster)).toBe(true);
    write(cluster, sid, create("/a"));
    expect(cluster.owners.length).toBeGreaterThan(0);
    for (const parked of cluster.owners) expect(parked).toEqual({ session, owner });
    cluster.runFor(4 * TICK - 100);
    expect(has(cluster, session)).toBe(true);
    cluster.runUntil(
      () => !has(cluster, session),
      3 * TICK,
      "the end of a session whose owner does not wake",
    );
  });

  it("[QUIET-6] has its owner woken even if the leader died while it sent SLEEP to the others", () => {
    const cluster = sleeper(5);
    const [sid = 1, ...others] = cluster.followers;
    const leader = cluster.leaderSid;
    const session = open(cluster, sid, 6 * TICK);
    const owner = 7;
    cluster.server(sid).parked.set(session, owner);
    cluster.onEffect = (from, effect) => {
      const notes = effect.type === "persist" && effect.writes.some(({ type }) => type === "quiet");
      if (notes && from === leader) for (const other of others) cluster.cut(leader, other);
      return undefined;
    };
    while (cluster.server(sid).asleepSince === null) {
      cluster.server(sid).touch(cluster.now, session, true);
      cluster.runFor(10);
    }
    cluster.server(sid).parked.clear();
    expect(others.every((other) => cluster.server(other).asleepSince === null)).toBe(true);
    cluster.crash(leader);
    // what the leader sent to the others is lost before the links work again
    cluster.runFor(TICK);
    cluster.heal();
    cluster.settle();
    expect(cluster.leaderSid).not.toBe(sid);
    expect(cluster.owners).toEqual([{ session, owner }]);
    expect(has(cluster, session)).toBe(true);
  });

  it("[QUIET-7] gets its full timeout after a failure in between, and no old deadline", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = sleeper(5, seed);
      const { session } = abandon(cluster, 20 * TICK);
      fallAsleep(cluster);
      write(cluster, 1, create("/a"));
      cluster.touch(2, session);
      for (let i = 0; i < 20; i++) {
        cluster.runFor(2 * TICK);
        cluster.touch((i % 5) + 1, session);
      }
      cluster.runFor(TICK);
      cluster.crash(cluster.leaderSid);
      const diedAt = cluster.now;
      cluster.runFor(20 * TICK - 100);
      expect(has(cluster, session)).toBe(true);
      cluster.runUntil(() => !has(cluster, session), 5 * TICK, "the end of the session");
      expect(cluster.now).toBeGreaterThanOrEqual(diedAt + 20 * TICK);
    }
  });
});

describe("a majority that dies during the sleep", () => {
  for (const forget of [false, true]) {
    it(`[QUIET-7] is a failure: later every session has its full timeout${forget ? ", even if all have started since" : ""}`, () => {
      for (let seed = 1; seed <= 6; seed++) {
        const cluster = sleeper(5, seed);
        const { session, dueMs } = abandon(cluster, 20 * TICK);
        fallAsleep(cluster);
        const dead = [1, 2, 3, 4, 5].filter((sid) => (sid + seed) % 5 < 3);
        for (const sid of dead) cluster.crash(sid);
        // Those that are left wake for the session, and nobody can reach it.
        cluster.runFor(dueMs + 20 * TICK - cluster.now);
        expect(cluster.leader).toBeUndefined();
        if (forget) cluster.crashAll();
        cluster.startAll();
        cluster.settle();
        keepsFullTimeout(cluster, session);
      }
    });
  }

  it("[QUIET-7] is a failure also for a leader that has started since: a survivor reports its unanswered requests", () => {
    for (let seed = 1; seed <= 6; seed++) {
      const cluster = sleeper(5, seed);
      const { session, dueMs } = abandon(cluster, 20 * TICK);
      fallAsleep(cluster);
      const dead = [1, 2, 3, 4, 5].filter((sid) => (sid + seed) % 5 < 3);
      for (const sid of dead) cluster.crash(sid);
      const left = cluster.alive[0]?.sid ?? 1;
      read(cluster, left, exists("/"));
      cluster.runFor(dueMs - 3 * TICK - cluster.now);
      cluster.startAll();
      cluster.settle();
      keepsFullTimeout(cluster, session);
    }
  });
});

describe("a leader that no quorum follows", () => {
  it("[QUIET-17] does not sleep, and so stores no deadlines that a heartbeat could not change", () => {
    for (let delay = 0; delay < 10; delay++) {
      const cluster = sleeper(3, delay + 1);
      const session = open(cluster, 1, 20 * TICK);
      cluster.runFor(QUIET - 4 * TICK + (delay * TICK) / 2);
      for (const sid of [1, 2, 3]) cluster.isolate(sid);
      cluster.runFor(40 * TICK);
      for (const { sid } of cluster.members) expect(recordOf(cluster, sid)).toBe(null);
      cluster.heal();
      cluster.settle();
      cluster.runFor(19 * TICK);
      expect(has(cluster, session)).toBe(true);
    }
  });
});

describe("a sleep that is disturbed", () => {
  it("[QUIET-8] ends in an election, and nothing is lost, whenever a client comes", () => {
    let during = 0;
    for (let delay = 0; delay < 12; delay++) {
      for (const at of ["leader", "follower"] as const) {
        const cluster = sleeper(5, delay + 1);
        const { session, dueMs } = abandon(cluster, 20 * TICK);
        const epoch = cluster.leader?.zab.currentEpoch ?? 0;
        cluster.runUntil(() => cluster.alive.some(({ zab }) => zab.frozen));
        cluster.runFor(delay);
        if (!asleep(cluster)) during += 1;
        const sid = at === "leader" ? cluster.leaderSid : (cluster.followers[0] ?? 1);
        cluster.touch(sid, session);
        expect(ok(write(cluster, sid, create("/a")))).toBe(true);
        cluster.settle();
        expect(cluster.leader?.zab.currentEpoch).toBeGreaterThan(epoch);
        expect(allEqual(digests(cluster))).toBe(true);
        cluster.runFor(dueMs + QUIET - 2 * TICK - cluster.now);
        expect(has(cluster, session)).toBe(true);
      }
    }
    expect(during).toBeGreaterThan(4);
  });

  it("[QUIET-8] and every link is then a new one: the calls on the old ones were released", () => {
    const cluster = sleeper(3);
    const generations = () =>
      cluster.alive.flatMap(({ zab }) => [...zab.links.values()].map(({ generation }) => generation));
    fallAsleep(cluster);
    const before = generations();
    write(cluster, 1, create("/a"));
    cluster.settle();
    for (const [i, generation] of generations().entries()) expect(generation).toBe((before[i] ?? 0) + 1);
  });

  it("[QUIET-9] survives the crash of any member at any effect of falling asleep and waking", () => {
    for (const when of ["before", "after"] as const) {
      for (let at = 0; at < 60; at++) {
        const cluster = sleeper(3, at + 1);
        const { session, dueMs } = abandon(cluster, 30 * TICK);
        cluster.runUntil(() => cluster.alive.some(({ zab }) => zab.frozen));
        let left = at;
        cluster.onEffect = (sid, effect) => {
          if (effect.type === "trace") return undefined;
          left -= 1;
          if (left > 0) return undefined;
          cluster.onEffect = null;
          void sid;
          return { when, keep: at % 3 };
        };
        cluster.runFor(2 * TICK);
        const down = cluster.members.filter(({ life }) => life === null);
        const [{ sid }] = cluster.alive as [(typeof cluster.alive)[number]];
        const token = cluster.write(sid, create("/a"));
        cluster.runFor(TICK);
        cluster.onEffect = null;
        for (const member of cluster.members) if (member.life === null) cluster.start(member.sid);
        cluster.settle();
        expect(["OK", "none", "NO_QUORUM"]).toContain(codeOf(cluster.answers.get(token)));
        expect(down.length).toBeLessThanOrEqual(1);
        expect(has(cluster, session)).toBe(true);
        cluster.runFor(dueMs - TICK - 1 - cluster.now);
        expect(has(cluster, session)).toBe(true);
        cluster.runUntil(() => !has(cluster, session), 40 * TICK, "the end of the session");
        fallAsleep(cluster);
      }
    }
  });

  it("[QUIET-9] tolerates alarms that are late, repeated or unnecessary", () => {
    const cluster = sleeper(3);
    fallAsleep(cluster);
    for (const { sid } of cluster.members) cluster.tick(sid);
    cluster.faults.spuriousTick = 0.5;
    expect(watch(cluster, 60 * TICK)).toMatchObject({ messages: 0, writes: 0 });
    expect(asleep(cluster)).toBe(true);
  });

  it("[QUIET-10] every member stores the same deadlines, once per sleep, before it sleeps", () => {
    const cluster = sleeper(5);
    const { session, dueMs } = abandon(cluster, 30 * TICK);
    fallAsleep(cluster);
    const leader = cluster.leaderSid;
    for (const { sid } of cluster.members) {
      const { epoch, deadlines, parked, wakeAtMs } = recordOf(cluster, sid);
      expect([epoch, parked]).toEqual([cluster.server(sid).zab.currentEpoch, []]);
      expect(deadlines.map(([id]) => id)).toEqual([session]);
      const [[, deadline = 0] = []] = deadlines;
      expect(Math.abs(deadline - (dueMs - TICK / 2))).toBeLessThan(TICK);
      // one after the other, the leader first
      const rank = sid === leader ? 0 : sid;
      expect(wakeAtMs).toBe(deadline + (rank - 2) * TICK);
    }
  });
});

describe("random runs with sleep", () => {
  for (let first = 301; first < 341; first += 10) {
    it(`[QUIET-9] keep every invariant and make progress, seeds ${first} to ${first + 9}`, () => {
      let sleeps = 0;
      for (let seed = first; seed < first + 10; seed++) {
        const { cluster, healedMs } = runCampaign(seed, 40, 3 * TICK);
        sleeps += cluster.sleeps;
        expect(healedMs, `seed ${seed}`).toBeLessThan(4_000);
      }
      expect(sleeps).toBeGreaterThan(50);
    }, 30_000);
  }
});
