import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import type { ServerAnswer } from "../../../core/server/answers.ts";
import type { Token } from "../../../core/server/ids.ts";
import { DIGESTS_KEPT } from "../../../core/zab/digests.ts";
import { compareZxid } from "../../../core/zab/zxid.ts";
import { NO_SESSION } from "../../../core/znode/types.ts";
import type { Cluster } from "../../../sim/cluster.ts";
import {
  allEqual,
  codeOf,
  create,
  digests,
  ensemble,
  exists,
  ok,
  open,
  setData,
  write,
} from "../../sim/world.ts";

const WRONG = 255;

/** Changes the data of a znode in the checkpoint of a member that is down, as if before its checksums were made. */
function damageRow(cluster: Cluster, sid: number, path: string): void {
  const { disk } = cluster.member(sid);
  const copy = disk.durableCopy();
  const { table } = copy.readMeta();
  const row = must(
    copy.readTable(table, "", 1e9).znodes.find((each) => each.path === path),
    "a row of this znode",
  );
  copy.putRows(table, [{ ...row, data: new Uint8Array([WRONG]) }], []);
  copy.writeMeta({ ...copy.readMeta(), digest: undefined });
  disk.restore(copy);
  cluster.invariants.digests.treeDamaged(cluster.member(sid));
}

/** Six znodes, all in the checkpoints, which are of one zxid at every member, and everybody down. */
function stopped(size: number, seed: number): Cluster {
  const prompt = { idlePatienceMs: 0, watchPatienceMs: 0 };
  const cluster = ensemble({
    size,
    seed,
    config: { checkpointChangesMax: 3, logRetainTxns: 1_000, ...prompt },
  });
  cluster.invariants.digests.expectDamage();
  for (let i = 0; i < 6; i++) write(cluster, 1, create(`/n${i}`, 0, 4));
  cluster.settle();
  cluster.crashAll(1_000);
  return cluster;
}

const valuesOf = (cluster: Cluster): (number | undefined)[] =>
  cluster.alive.map(({ tree }) => tree.get("/n0")?.data?.[0]);

const epochOf = (cluster: Cluster): number =>
  Math.max(...cluster.members.map(({ disk }) => disk.readMeta().acceptedEpoch));

describe("one damaged row of a minority", () => {
  for (const size of [3, 5]) {
    for (const slowMs of [0, 5, 10, 50, 200]) {
      it(`[ZAB-92] [ZAB-123] is repaired under any leader: ${size} members, links that are ${slowMs} ms slower`, () => {
        for (let seed = 1; seed <= 10; seed++) {
          const cluster = stopped(size, seed);
          // Of equals the one with the highest sid is elected.
          const wrong = seed % 2 === 0 ? size : 1;
          damageRow(cluster, wrong, "/n0");
          const before = epochOf(cluster);
          if (slowMs > 0) cluster.slow(2, slowMs);
          cluster.startAll();
          cluster.runUntil(() => cluster.leader !== undefined);
          const token = cluster.write(cluster.leaderSid, create("/x", 0, 4));
          cluster.settle();
          expect(ok(cluster.answered([token])[0])).toBe(true);
          cluster.runFor(6_000);
          expect(valuesOf(cluster)).toEqual(Array(size).fill(0));
          expect(allEqual(digests(cluster))).toBe(true);
          expect(epochOf(cluster) - before).toBeLessThanOrEqual(5);
        }
      });
    }
  }

  it("[ZAB-92] is repaired even if the wrong member restarts and leads repeatedly", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = stopped(3, seed);
      damageRow(cluster, 3, "/n0");
      cluster.startAll();
      cluster.slow(1, 40);
      for (let i = 0; i < 8; i++) {
        cluster.runFor(7 * i);
        const sid = (i % 3) + 1;
        cluster.crash(sid);
        cluster.start(sid);
      }
      cluster.heal();
      cluster.settle();
      expect(valuesOf(cluster)).toEqual([0, 0, 0]);
    }
  });

  it("[ZAB-123] makes two of three that differ refuse all requests, without elections, and report why", () => {
    for (const wrong of [2, 3]) {
      const cluster = stopped(3, wrong);
      damageRow(cluster, wrong, "/n0");
      cluster.start(2);
      cluster.start(3);
      cluster.runFor(2_000);
      const before = epochOf(cluster);
      const token = cluster.write(2, create("/x", 0, 4));
      cluster.runFor(120_000);
      expect(epochOf(cluster)).toBe(before);
      expect(cluster.alive.map(({ ready }) => ready)).toEqual([false, false]);
      for (const { zab } of cluster.alive) expect(zab.reason).toContain("no quorum has confirmed either");
      expect(ok(cluster.answers.get(token))).toBe(false);
      // The third knows.
      cluster.start(1);
      cluster.settle();
      expect(valuesOf(cluster)).toEqual([0, 0, 0]);
      expect(epochOf(cluster) - before).toBeLessThanOrEqual(2);
    }
  });

  it("[SERVER-1] is shown to no reader while it is in dispute, not even to one that takes stale answers", () => {
    for (const wrong of [2, 3]) {
      const cluster = stopped(3, wrong);
      damageRow(cluster, wrong, "/n0");
      cluster.start(2);
      cluster.start(3);
      cluster.runFor(2_000);
      const stale = (sid: number) => cluster.read(sid, exists("/n0"), false, NO_SESSION, true);
      expect(cluster.answered([stale(2), stale(3)]).map(codeOf)).toEqual(["NO_QUORUM", "NO_QUORUM"]);
      cluster.start(1);
      cluster.settle();
      cluster.crash(1);
      cluster.crash(2);
      cluster.runFor(5_000);
      expect(cluster.server(3).ready).toBe(false);
      expect(cluster.answered([stale(3)]).map(ok)).toEqual([true]);
    }
  });

  it("[ZAB-121] is detected before a write is prepared against it", () => {
    const cluster = stopped(3, 1);
    damageRow(cluster, 3, "/n0");
    cluster.startAll();
    // A write that a tree with another version would refuse.
    const token = cluster.write(3, { type: "setData", path: "/n0", data: new Uint8Array([7]), version: 0 });
    cluster.settle();
    expect(ok(cluster.answered([token])[0])).toBe(true);
    cluster.settle();
    expect(valuesOf(cluster)).toEqual([7, 7, 7]);
  });
});

describe("a member that restarts with a damaged row", () => {
  /**
   * Member 2 is down, has a damaged row, and the others have written more batches than a leader remembers digests of. When it is
   * back, and has the leader's history, it becomes slow, and what others write is more than its window.
   */
  function behind(seed: number): Cluster {
    const config = {
      checkpointChangesMax: 3,
      logRetainTxns: 10_000,
      learnerInFlightMax: 1,
      batchBytesMax: 200,
    };
    const cluster = ensemble({ size: 3, seed, config });
    cluster.invariants.digests.expectDamage();
    for (let i = 0; i < 6; i++) write(cluster, 1, create(`/n${i}`, 0, 4));
    cluster.settle();
    cluster.crash(2, 1_000);
    damageRow(cluster, 2, "/n0");
    for (let i = 0; i < DIGESTS_KEPT + 10; i++) write(cluster, 3, setData("/n1", i));
    cluster.onMessage = (_from, to, message) => {
      if (to === 2 && message.type === "NEWLEADER") cluster.slow(2, 20);
    };
    return cluster;
  }
  const value = (answer: ServerAnswer | undefined): number | undefined =>
    answer?.ok === true && answer.result.type === "getData" ? answer.result.data?.[0] : undefined;

  it("[ZAB-129] serves no request before its tree was compared, whichever digests its leader remembers", () => {
    let waited = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = behind(seed);
      cluster.start(2);
      cluster.runUntil(
        () => compareZxid(cluster.server(2).zab.lastLogged.zxid, cluster.server(3).zab.lastLogged.zxid) === 0,
      );
      let served = 0;
      for (let i = 0; i < 2_000; i++) {
        if (i < 200) cluster.write(3, setData("/n1", i));
        if (i === 500) cluster.slow(2, 0);
        const { zab } = cluster.server(2);
        if (zab.awaitsComparison) waited += 1;
        const request = { type: "getData", path: "/n0", watch: false } as const;
        // Stale answers may come from a tree that nobody knows yet, but not behind the word of a leader that it has to be compared.
        const token = cluster.read(2, request, false, NO_SESSION, zab.serving);
        cluster.runFor(1);
        const answer = cluster.answers.get(token);
        if (answer?.ok !== true) continue;
        served += 1;
        expect(value(answer)).toBe(0);
      }
      expect(served).toBeGreaterThan(0);
    }
    expect(waited).toBeGreaterThan(0);
  });

  it("[ZAB-129] is compared also while others write without a pause", () => {
    const cluster = behind(1);
    // The damaged value is replaced: its tree is right once it has applied the log.
    write(cluster, 3, setData("/n0", 7));
    cluster.start(2);
    cluster.runUntil(
      () => compareZxid(cluster.server(2).zab.lastLogged.zxid, cluster.server(3).zab.lastLogged.zxid) === 0,
    );
    let waited = 0;
    // Each PROPOSAL brings a later digest, and the slow member does not catch up meanwhile.
    for (let writes = 0; writes < 6_000 && !cluster.server(2).ready; writes++) {
      cluster.write(3, setData("/n1", writes % 256));
      if (cluster.server(2).zab.awaitsComparison) waited += 1;
      cluster.runFor(1);
    }
    expect(waited).toBeGreaterThan(0);
    expect(cluster.server(2).ready).toBe(true);
  });

  it("[ZAB-130] sends no damaged row to a learner, if its memory has replaced that row since", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = ensemble({
        size: 3,
        seed,
        config: { checkpointChangesMax: 1_000, logRetainTxns: 0, checkpointLogBytesMax: 400 },
      });
      cluster.invariants.digests.expectDamage();
      for (let i = 0; i < 6; i++) write(cluster, 1, create(`/n${i}`, 0, 100));
      cluster.settle();
      // Behind the last checkpoint; the next one notes that it is committed.
      write(cluster, 1, setData("/n0", 7));
      cluster.settle();
      write(cluster, 1, setData("/n1", 7));
      cluster.settle();
      cluster.crashAll(1_000);
      damageRow(cluster, 3, "/n0");
      cluster.disks.wipe(1);
      cluster.start(2);
      cluster.start(3);
      cluster.settle();
      expect(cluster.leaderSid).toBe(3);
      expect(cluster.server(3).tree.get("/n0")?.data?.[0]).toBe(7);
      cluster.start(1);
      cluster.settle();
      expect(cluster.trace.some(({ event }) => event.type === "sync" && event.mode === "SNAP")).toBe(true);
      const { disk } = cluster.member(1);
      const { table } = disk.readMeta();
      const row = disk.readTable(table, "", 1e9).znodes.find(({ path }) => path === "/n0");
      expect(row?.data?.[0]).toBe(7);
    }
  });
});

describe("a checkpoint that a quorum had confirmed", () => {
  /** A settled ensemble whose members cut their logs at each checkpoint; the last write is behind the last checkpoint. */
  function cutLogs(seed: number): Cluster {
    const config = { checkpointChangesMax: 1_000, logRetainTxns: 0, checkpointLogBytesMax: 300 };
    const cluster = ensemble({ size: 3, seed, config });
    cluster.invariants.digests.expectDamage();
    for (let i = 0; i < 6; i++) write(cluster, 1, create(`/n${i}`, 0, 100));
    cluster.settle();
    cluster.runFor(3_000);
    return cluster;
  }

  it("[ZAB-132] is marked at every member, and loses the mark with its digest", () => {
    const cluster = cutLogs(1);
    for (const { disk } of cluster.members) expect(disk.readMeta().digest?.confirmed).toBe(true);
    cluster.crash(2, 1_000);
    damageRow(cluster, 2, "/n0");
    cluster.start(2);
    expect(cluster.server(2).tree.get("/n0")?.data?.[0]).toBe(WRONG);
    expect(cluster.member(2).life?.storage.isConfirmed).toBe(false);
  });

  it("[ZAB-132] settles which of two trees is right through a member that lacks log", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = cutLogs(seed);
      // Member 1 falls behind every log; member 2 is damaged; only member 3's checkpoint is known to be right.
      cluster.crash(1, 1_000);
      for (let i = 0; i < 8; i++) write(cluster, 3, setData("/n5", i, -1));
      for (let i = 0; i < 8; i++) write(cluster, 3, create(`/m${i}`, 0, 100));
      cluster.runFor(3_000);
      cluster.crash(2, 1_000);
      cluster.crash(3, 1_000);
      damageRow(cluster, 2, "/n0");
      cluster.startAll();
      cluster.settle();
      expect(valuesOf(cluster)).toEqual([0, 0, 0]);
      expect(allEqual(digests(cluster))).toBe(true);
    }
  });
});

describe("a tree that a SNAP replaces with older state", () => {
  it("[SERVER-46] answers no read before it has caught up with the state that was shown here", () => {
    let putBack = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = ensemble({ seed, size: 3, config: { checkpointChangesMax: 1_000, batchBytesMax: 60 } });
      const [sid = 1] = cluster.followers;
      const session = open(cluster, sid, 60_000);
      let xid = 0;
      for (; xid < 12; xid++) write(cluster, sid, create(`/n${xid}`), session, xid + 1);
      cluster.settle();
      cluster.onMessage = (_from, to, message) => {
        if (to === sid && message.type === "SNAP") putBack += 1;
      };
      // Its memory differs from here on: it takes the leader's checkpoint, which is empty, and the whole log behind it.
      const { tree } = cluster.server(sid);
      cluster.invariants.digests.tolerate(cluster.member(sid).sid);
      const header = { session: 0 as never, xid: 0, zxid: tree.lastApplied, timeMs: 1 };
      tree.apply(header, { type: "setData", path: "/n1", data: new Uint8Array([9]), version: 7 });
      let shown = tree.lastApplied;
      // Requests of one session by HTTP, each read behind a write.
      const tokens: Token[] = [];
      for (let i = 0; i < 40; i++) {
        xid += 1;
        tokens.push(cluster.write(sid, create(`/n${xid}`), session, xid));
        tokens.push(cluster.read(sid, exists("/n11"), false, session));
        cluster.runFor(1);
      }
      cluster.settle();
      for (const answer of cluster.answered(tokens)) {
        // What became of the writes on their way is not known; every read has to show what the ones before it have shown.
        if (codeOf(answer) === "UNKNOWN_OUTCOME") continue;
        expect(codeOf(answer)).toBe("OK");
        expect(compareZxid(answer.zxid, shown)).toBeGreaterThanOrEqual(0);
        shown = answer.zxid;
      }
    }
    expect(putBack).toBeGreaterThan(10);
  });
});
