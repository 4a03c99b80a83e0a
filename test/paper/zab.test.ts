/**
 * The claims of the Zab paper, one test each, restated in our words. Sections are those of Junqueira, Reed, Serafini: "Zab:
 * High-performance broadcast for primary-backup systems", DSN 2011.
 */
import { describe, expect, it } from "vitest";
import { zxid } from "../../core/zab/zxid.ts";
import { CreateMode } from "../../core/znode/types.ts";
import type { Cluster } from "../../sim/cluster.ts";
import {
  ack,
  ackEpoch,
  endOf,
  entriesOf,
  followerInfo,
  leading,
  note,
  proposal,
  Script,
  START,
  staged,
} from "../sim/script.ts";
import { allEqual, create, digests, ensemble, ok, orders, write } from "../sim/world.ts";

/** Runs a load through two changes of the leader. @returns the zxids in the order of delivery, per member */
function turbulent(seed: number): Cluster {
  const cluster = ensemble({ size: 5, seed, latencyMs: [1, 10], fsyncMs: [0, 5] });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 15; i++) {
      const up = cluster.alive;
      cluster.write(up[i % up.length]?.sid ?? 1, create(`/r${round}-${i}`));
      cluster.runFor(2);
    }
    const leader = cluster.leader?.sid;
    if (leader !== undefined) {
      cluster.crash(leader, round);
      cluster.runFor(800);
      cluster.start(leader);
    }
    cluster.settle();
  }
  return cluster;
}

describe("broadcast properties (section 3)", () => {
  it("[PAPER-1] integrity: a delivered txn was broadcast by a primary, and is delivered once", () => {
    const cluster = turbulent(1);
    const proposed = new Set<number>();
    for (const { event } of cluster.trace) {
      if (event.type !== "propose") continue;
      for (let i = 0; i < event.count; i++) proposed.add(event.zxid.epoch * 2 ** 32 + event.zxid.counter - i);
    }
    const delivered = cluster.invariants.history.map(({ zxid: z }) => z.epoch * 2 ** 32 + z.counter);
    expect(delivered.length).toBeGreaterThan(20);
    for (const each of delivered) expect(proposed.has(each)).toBe(true);
    expect(new Set(delivered).size).toBe(delivered.length);
  });

  it("[PAPER-2] total order and agreement: every member delivers the same txns in the same order", () => {
    for (let seed = 2; seed <= 5; seed++) {
      const cluster = turbulent(seed);
      expect(allEqual(orders(cluster))).toBe(true);
      expect(allEqual(digests(cluster))).toBe(true);
    }
  });

  it("[PAPER-3] local primary order: what one primary broadcasts is delivered in the order in which it broadcast it", () => {
    const cluster = turbulent(6);
    const { history } = cluster.invariants;
    for (const [i, each] of history.entries()) {
      const before = history[i - 1];
      if (before === undefined || before.zxid.epoch !== each.zxid.epoch) continue;
      expect(each.zxid.counter).toBe(before.zxid.counter + 1);
    }
  });

  it("[PAPER-4] global primary order: txns of an earlier primary are delivered before those of a later one", () => {
    const epochs = turbulent(7).invariants.history.map(({ zxid: each }) => each.epoch as number);
    expect([...epochs].sort((a, b) => a - b)).toEqual(epochs);
    expect(new Set(epochs).size).toBeGreaterThan(1);
  });

  it("[PAPER-5] primary integrity: a primary broadcasts nothing before it has every txn delivered in earlier epochs", () => {
    const cluster = turbulent(8);
    expect(cluster.invariants.checks.get("PrimaryIntegrity")).toBeGreaterThan(2);
  });

  it("[PAPER-6] an earlier primary's txns may be lost, but no later txn depends on them", () => {
    const cluster = ensemble({ size: 3 });
    const old = cluster.leaderSid;
    for (const sid of cluster.followers) cluster.cut(old, sid);
    cluster.write(old, create("/a"));
    cluster.write(old, create("/a/b"));
    cluster.runFor(10);
    cluster.crash(old, 9);
    cluster.heal();
    cluster.runUntil(() => cluster.leader !== undefined, 20_000);
    ok(write(cluster, cluster.leaderSid, create("/other")));
    cluster.start(old);
    cluster.settle();
    for (const { tree } of cluster.alive) {
      expect(tree.get("/a/b") === undefined || tree.get("/a") !== undefined).toBe(true);
      expect(tree.get("/other")).toBeDefined();
    }
  });
});

describe("phase 1, discovery (section 4.1)", () => {
  const HISTORY = entriesOf(START, [1, 1, 3]);

  it("[PAPER-7] a follower that has promised an epoch never accepts an earlier one", () => {
    const script = new Script({ sid: 1, history: HISTORY, acceptedEpoch: 6 }).start();
    script.call(3, note(3, { epoch: 1, zxid: zxid(1, 3) }));
    script.passes(100);
    script.call(3, { type: "LEADERINFO", join: 1, epoch: 5 as never });
    expect(script.state).toBe("LOOKING/ELECTION");
    expect(script.storage.meta.acceptedEpoch).toBe(6);
  });

  it("[PAPER-8] the leader's history is the most recent of the quorum that elected it", () => {
    for (let seed = 1; seed <= 8; seed++) {
      const cluster = ensemble({ size: 5, seed });
      const [absent] = cluster.followers;
      cluster.crash(absent ?? 1);
      ok(write(cluster, cluster.leaderSid, create("/x")));
      cluster.crash(cluster.leaderSid);
      cluster.start(absent ?? 1);
      cluster.runUntil(() => cluster.leader !== undefined, 20_000);
      expect(cluster.leader?.tree.get("/x"), `seed ${seed}`).toBeDefined();
    }
  });

  it("[PAPER-9] an epoch has one leader: two candidates for it cannot both have a quorum of first promises", () => {
    const follower = new Script({ sid: 1, history: HISTORY }).start();
    follower.call(3, note(3, { epoch: 1, zxid: zxid(1, 3) }));
    follower.passes(100);
    const [first] = follower.call(3, { type: "LEADERINFO", join: 1, epoch: 2 as never });
    expect(first).toMatchObject({ type: "ACKEPOCH", counted: true });
    follower.broken(3);
    follower.call(2, note(2, { epoch: 1, zxid: zxid(1, 3), round: 9 }));
    follower.passes(100);
    expect(follower.peer.leader).toBe(2);
    const [second] = follower.call(2, { type: "LEADERINFO", join: 2, epoch: 2 as never });
    expect(second).toMatchObject({ type: "ACKEPOCH", counted: false });
  });
});

describe("phase 2, synchronization (section 4.2)", () => {
  const HISTORY = entriesOf(START, [1, 1, 3], [1, 4, 2]);

  it("[PAPER-10] followers take over the leader's whole history before the epoch begins, with uncommitted entries", () => {
    const cluster = ensemble({ size: 3 });
    const old = cluster.leaderSid;
    const [kept, apart] = cluster.followers;
    cluster.cut(old, apart ?? 1);
    cluster.cut(kept ?? 1, old);
    const token = cluster.write(old, create("/in-one-log"));
    cluster.runUntil(() => cluster.server(kept ?? 1).zab.lastLogged.zxid.counter > 0, 100);
    cluster.runFor(10);
    cluster.crash(old, 0);
    cluster.heal();
    cluster.runUntil(() => cluster.leader !== undefined, 20_000);
    cluster.settle();
    expect(cluster.answers.has(token)).toBe(false);
    // The follower's log had it, so it won, and what it had is the ensemble's now.
    expect(cluster.leader?.sid).toBe(kept);
    expect(cluster.server(apart ?? 1).tree.get("/in-one-log")).toBeDefined();
  });

  it("[PAPER-11] nothing of a new epoch is delivered before a quorum has the history on which it builds", () => {
    const script = leading({ size: 5, history: HISTORY }, [1]);
    expect(script.state).not.toBe("LEADING/BROADCAST");
    expect(script.delivered).toEqual([]);
  });

  it("[PAPER-12] a follower discards txns that its leader lacks: they were never committed", () => {
    const script = leading({ history: HISTORY });
    script.call(1, followerInfo(1, 1));
    script.take();
    const orphan = endOf(entriesOf(START, [1, 1, 3], [1, 4, 2], [1, 6, 4]));
    script.returned(1, ackEpoch(script, { join: 1, last: orphan }));
    expect(script.take(1)).toMatchObject([{ type: "TRUNC", to: zxid(1, 5) }]);
  });
});

describe("phase 3, broadcast (section 4.3)", () => {
  const HISTORY = entriesOf(START, [1, 1, 3], [1, 4, 2]);

  it("[PAPER-13] a txn is committed by a quorum of acks, not by all", () => {
    const script = leading({ size: 5, history: HISTORY }, [1, 2]);
    script.propose(2, 1);
    script.returned(1, ack(script, 1, zxid(2, 1)));
    expect(script.peer.lastCommittedZxid).toEqual(zxid(1, 5));
    script.returned(2, ack(script, 1, zxid(2, 1)));
    expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 1));
  });

  it("[PAPER-14] many txns are outstanding at once, and are committed in order", () => {
    const script = leading({ history: HISTORY, config: { batchesInFlightMax: 16, learnerInFlightMax: 16 } });
    for (let counter = 1; counter <= 10; counter++) script.propose(2, counter);
    expect(script.takeTypes(2).filter((type) => type === "PROPOSAL").length).toBe(10);
    script.delivered.length = 0;
    for (const counter of [3, 7, 10]) script.returned(2, ack(script, 1, zxid(2, counter)));
    expect(script.delivered).toEqual(Array.from({ length: 10 }, (_, i) => `2.${i + 1}`));
  });

  it("[PAPER-15] a leader that loses its quorum steps down, a follower that loses its leader looks for another", () => {
    const cluster = ensemble({ size: 3 });
    const leader = cluster.leaderSid;
    for (const sid of cluster.followers) cluster.crash(sid);
    cluster.runFor(10_000);
    expect(cluster.server(leader).zab.role).toBe("LOOKING");
  });

  it("[PAPER-16] a joining member is synchronised without stopping the others", () => {
    const cluster = ensemble({ size: 3 });
    const sid = cluster.followers[0] ?? 1;
    cluster.crash(sid);
    ok(write(cluster, cluster.leaderSid, create("/x")));
    cluster.start(sid);
    const leader = cluster.leaderSid;
    for (let i = 0; !cluster.server(sid).ready; i++) {
      const at = cluster.now;
      expect(ok(write(cluster, leader, create(`/y${i}`)))).toBe(true);
      expect(cluster.now - at).toBeLessThan(50);
    }
    expect(cluster.leaderSid).toBe(leader);
  });
});

describe("gaps of the paper that the TLA+ specification of ZooKeeper shows", () => {
  const HISTORY = entriesOf(START, [1, 1, 3], [1, 4, 2]);

  it("[PAPER-17] proposals are also sent to learners that are being synchronised, so that a joining member misses none", () => {
    const script = leading({ history: HISTORY });
    script.call(1, followerInfo(1, 1));
    script.returned(1, ackEpoch(script, { join: 1, last: endOf(HISTORY.slice(0, 1)) }));
    script.propose(2, 1);
    script.returned(1, staged(script, 1));
    script.propose(2, 2);
    const sent = script.take(1).flatMap((message) => (message.type === "PROPOSAL" ? [message.last] : []));
    script.returned(1, ack(script, 1, zxid(1, 5)));
    sent.push(...script.take(1).flatMap((message) => (message.type === "PROPOSAL" ? [message.last] : [])));
    expect(sent).toEqual([zxid(1, 5), zxid(2, 1), zxid(2, 2)]);
  });

  it("[PAPER-18] a proposal that the synchronization contained is not sent again, and would not be accepted twice", () => {
    const script = leading({ history: HISTORY });
    script.propose(2, 1);
    script.call(1, followerInfo(1, 1));
    script.returned(1, ackEpoch(script, { join: 1, last: endOf(HISTORY) }));
    const sent = script.take(1).flatMap((message) => (message.type === "PROPOSAL" ? [message.last] : []));
    expect(sent).toEqual([zxid(2, 1)]);
    const follower = new Script({ sid: 1, history: HISTORY }).start();
    follower.call(3, note(3, { epoch: 1, zxid: zxid(1, 5) }));
    follower.passes(100);
    follower.call(3, { type: "LEADERINFO", join: 1, epoch: 2 as never });
    const [twice] = HISTORY.slice(1);
    if (twice === undefined) throw new Error("there are two");
    follower.call(3, { type: "DIFF", join: 1, epoch: 2 as never, from: zxid(1, 5) });
    follower.call(3, proposal(1, 2, endOf(HISTORY.slice(0, 1)), twice));
    expect(follower.tail).toBe("1.5");
    expect(follower.storage.log.count).toBe(5);
  });

  it("[PAPER-19] UPTODATE covers everything that is committed and was sent, not only what the joining member has acknowledged", () => {
    const script = leading({ history: HISTORY });
    script.call(1, followerInfo(1, 1));
    script.returned(1, ackEpoch(script, { join: 1 }));
    script.propose(2, 1);
    script.returned(2, ack(script, 1, zxid(2, 1)));
    script.take();
    script.returned(1, ack(script, 1, zxid(1, 5)));
    expect(script.take(1)).toMatchObject([{ type: "UPTODATE", commit: zxid(2, 1) }]);
  });
});

describe("guarantees of ZooKeeper", () => {
  it("[PAPER-20] sequential consistency: a client's writes are applied in the order in which it sent them", () => {
    const cluster = ensemble({ size: 3, latencyMs: [1, 20] });
    const tokens = Array.from({ length: 30 }, () =>
      cluster.write(2, create("/s-", CreateMode.PERSISTENT_SEQUENTIAL)),
    );
    const paths = cluster
      .answered(tokens)
      .map((answer) => (answer.ok && answer.result.type === "create" ? answer.result.path : ""));
    expect(paths).toEqual([...paths].sort());
  });

  it("[PAPER-21] atomicity: a multi is applied as a whole or not at all, on every member", () => {
    const cluster = ensemble({ size: 3 });
    ok(write(cluster, 1, create("/a")));
    const ops = (version: number) =>
      ({
        type: "multi",
        ops: [
          { type: "create", path: "/b", data: null, mode: CreateMode.PERSISTENT, withStat: false },
          { type: "check", path: "/a", version },
        ],
      }) as const;
    write(cluster, 2, ops(7));
    cluster.settle();
    for (const { tree } of cluster.alive) expect(tree.get("/b")).toBeUndefined();
    expect(ok(write(cluster, 3, ops(0)))).toBe(true);
    cluster.settle();
    for (const { tree } of cluster.alive) expect(tree.get("/b")).toBeDefined();
  });

  it("[PAPER-22] single system image: the members pass through the same states", () => {
    const cluster = turbulent(9);
    // Equal applied zxid, equal digest, after every event of the run.
    expect(cluster.invariants.checks.get("DigestEquality")).toBeGreaterThan(50);
  });

  it("[PAPER-23] reliability: an acknowledged write stays, whatever fails afterwards", () => {
    const cluster = ensemble({ size: 3, seed: 4 });
    ok(write(cluster, 2, create("/kept")));
    for (let round = 0; round < 5; round++) {
      cluster.crashAll(round % 3);
      cluster.startAll();
      cluster.settle();
      for (const { tree } of cluster.alive) expect(tree.get("/kept")).toBeDefined();
    }
  });

  it("[PAPER-24] timeliness: a member that loses contact stops answering within a few ticks", () => {
    const cluster = ensemble({ size: 3 });
    const sid = cluster.followers[0] ?? 1;
    cluster.isolate(sid);
    const at = cluster.now;
    cluster.runUntil(() => !cluster.server(sid).ready, 20_000);
    expect(cluster.now - at).toBeLessThan(4_000);
    const leader = cluster.leaderSid;
    cluster.isolate(leader);
    const then = cluster.now;
    cluster.runUntil(() => !cluster.server(leader).ready, 20_000);
    expect(cluster.now - then).toBeLessThan(6_000);
  });
});
