/** A member whose storage is damaged outside the batches of its log. */
import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import { DamagedError, StorageError, TreeDamagedError } from "../../../core/damaged-error.ts";
import { MemberStorage } from "../../../core/server/storage.ts";
import { META_KEYS } from "../../../core/server/storage-backend.ts";
import { appendTxn } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { makeEntry } from "../../../core/zab/log-entry.ts";
import { NO_SESSION } from "../../../core/znode/types.ts";
import type { Cluster } from "../../../sim/cluster.ts";
import type { MemoryBackend, StoredState } from "../../../sim/memory-backend.ts";
import { type DamageRun, damageRun } from "../../sim/storage-damage.ts";
import { create, ensemble, ok, open, write } from "../../sim/world.ts";

const PATHS = ["/p", "/p/c", "/q", "/q/r", ...Array.from({ length: 20 }, (_, i) => `/n${i}`)];

/** Three members with a checkpoint, a session and znodes; the first one is down. */
function world(logRetainTxns = 10, checkpointChangesMax = 2): Cluster {
  const cluster = ensemble({ size: 3, seed: 1, config: { checkpointChangesMax, logRetainTxns } });
  open(cluster, 2, 40_000);
  for (const path of PATHS) write(cluster, 1, create(path));
  cluster.settle();
  cluster.crash(1, Number.POSITIVE_INFINITY);
  return cluster;
}

const backendOf = (cluster: Cluster): MemoryBackend => cluster.member(1).disk.durableCopy();
const tableOf = (state: StoredState) => {
  const table = JSON.parse(must(state.meta.get("table"), "a member that lived has a table").row) as 0 | 1;
  return state.tables[table];
};
const backendOfMember = (cluster: Cluster, sid: number): MemoryBackend =>
  cluster.member(sid).disk.durableCopy();
const rowsOf = (backend: MemoryBackend): { log: number; znodes: number } => {
  const copy = backend.clone();
  copy.quarantine(true);
  const state = must(copy.quarantined, "it was set aside");
  return { log: state.log.size, znodes: tableOf(state).znodes.size };
};
const missing = (cluster: Cluster, sid: number): string[] =>
  PATHS.filter((path) => cluster.member(sid).life?.server.tree.get(path) === undefined);

const TREE: Readonly<Record<string, (state: StoredState) => void>> = {
  "a parent has no row": (state) => tableOf(state).znodes.delete("/p"),
  "a leaf has no row": (state) => tableOf(state).znodes.delete("/q/r"),
  "a session has no row": (state) => tableOf(state).sessions.clear(),
  "there is no row at all": (state) => {
    tableOf(state).znodes.clear();
    tableOf(state).sessions.clear();
  },
  "a znode has other data": (state) => {
    const { znodes } = tableOf(state);
    const stored = must(znodes.get("/q"), "the row is there");
    znodes.set("/q", { ...stored, row: { ...stored.row, data: new Uint8Array([9]) } });
  },
  "an earlier version wrote a znode, and it has other data": (state) => {
    const { znodes } = tableOf(state);
    const stored = must(znodes.get("/q"), "the row is there");
    znodes.set("/q", { row: { ...stored.row, data: new Uint8Array([9]) }, check: null });
  },
  "a session has another timeout": (state) => {
    const { sessions } = tableOf(state);
    for (const [id, stored] of sessions)
      sessions.set(id, { ...stored, row: { ...stored.row, timeoutMs: 1 } });
  },
  "two znodes are exchanged": (state) => {
    const { znodes } = tableOf(state);
    const [a, b] = ["/p/c", "/q"].map((path) => must(znodes.get(path), "the row is there"));
    if (a === undefined || b === undefined) return;
    znodes
      .set("/p/c", { ...b, row: { ...b.row, path: "/p/c" } })
      .set("/q", { ...a, row: { ...a.row, path: "/q" } });
  },
};

const META: Readonly<Record<string, (state: StoredState) => void>> = Object.fromEntries(
  META_KEYS.flatMap((key) => [
    [`the meta value ${key} is missing`, (state: StoredState) => state.meta.delete(key)],
    [
      `the meta value ${key} is another`,
      (state: StoredState) => {
        const stored = must(state.meta.get(key), "the value is there");
        state.meta.set(key, { ...stored, row: "7" });
      },
    ],
  ]),
);

describe("a damaged storage", () => {
  for (const [what, damage] of Object.entries({ ...TREE, ...META })) {
    it(`[ZAB-140] loses the member's state but does not stop it when ${what}`, () => {
      const cluster = world();
      const { boot, acceptedEpoch, peerBoots } = backendOf(cluster).readMeta();
      cluster.disks.tamper(1, damage);
      const member = new MemberStorage(backendOf(cluster));
      const { recovered, tree } = member.recover(boot + 100);
      expect(member.damage).toBeDefined();
      expect(recovered).toMatchObject({ initialized: false, founding: false, currentEpoch: 0 });
      expect(recovered.boot).toBeGreaterThan(boot);
      if (!what.includes("acceptedEpoch")) expect(recovered.acceptedEpoch).toBe(acceptedEpoch);
      if (!what.includes("peerBoots")) expect(recovered.peerBoots).toEqual(peerBoots);
      expect(tree.children("/")).toEqual(["zookeeper"]);
      expect(member.log.rows).toEqual([]);
    });

    it(`[ZAB-140] is replaced from the others when ${what}`, () => {
      const cluster = world();
      cluster.disks.tamper(1, damage);
      cluster.start(1);
      cluster.settle();
      expect(ok(write(cluster, 2, create("/after")))).toBe(true);
      cluster.settle();
      for (const sid of [1, 2, 3]) expect(missing(cluster, sid)).toEqual([]);
      expect(cluster.member(1).life?.storage.meta.initialized).toBe(true);
    });
  }

  for (const [what, damage] of Object.entries(TREE)) {
    it(`[ZAB-152] is found by the background check when ${what}`, () => {
      const cluster = world();
      const { boot } = backendOf(cluster).readMeta();
      cluster.disks.tamper(1, damage);
      const backend = backendOf(cluster);
      const member = new MemberStorage(backend);
      const { recovered } = member.recover(boot + 100, 0);
      const scrub = (): void => {
        while (member.scrubPasses === 0) member.scrub(500);
      };
      if (member.damage === undefined) {
        expect(recovered.initialized).toBe(true);
        expect(scrub).toThrow(TreeDamagedError);
        member.setTreeAside("the check has found it");
      }
      expect(backend.isQuarantined).toBe(true);
      expect(new MemberStorage(backend).recover(boot + 200).recovered).toMatchObject({
        initialized: false,
        founding: false,
        currentEpoch: 0,
      });
    });
  }

  it("[ZAB-151] ends the incarnation later if a read outside a step meets it", () => {
    const cluster = world();
    const backend = backendOf(cluster);
    const member = new MemberStorage(backend);
    const { tree } = member.recover(1, 0);
    member.scrub(1);
    backend.tamper(must(TREE["a znode has other data"], "it is one of them"));
    expect(() => tree.get("/q")).toThrow(TreeDamagedError);
    expect(() => member.scrub(1)).toThrow("znode /q");
  });

  it("[ZAB-152] is not reported where there is none, whatever checkpoints write meanwhile", () => {
    const cluster = world();
    const backend = backendOf(cluster);
    const member = new MemberStorage(backend);
    const { tree } = member.recover(1, 0);
    const zxids = [...Array(60).keys()].map((i) => ({
      ...tree.lastApplied,
      counter: tree.lastApplied.counter + i + 1,
    }));
    for (const [i, zxid] of zxids.entries()) {
      const writer = new ByteWriter();
      const header = { session: NO_SESSION, xid: 0, zxid, timeMs: 7 };
      const path = PATHS[(i * 7) % PATHS.length] ?? "/p";
      const txn = { type: "setData", path, data: new Uint8Array([i]), version: i + 1 } as const;
      appendTxn(writer, header, txn);
      const entry = must(makeEntry(member.log.last, writer.finish()), "it follows the log");
      member.persist([{ type: "append", ...entry, committed: zxid }]);
      tree.apply(header, txn);
      member.checkpoint(tree.takeChanges(member.scrubbed), { logRetainTxns: 0, diffBytesMax: 0 });
      tree.evict(() => i % 3 === 0);
      member.scrub(300);
    }
    expect(member.scrubPasses).toBeGreaterThan(3);
    expect(new MemberStorage(backend).recover().tree.digest).toEqual(tree.digest);
  });

  it("[STORAGE-11] ends the incarnation, and stops no member, if a read fails while a txn is applied", () => {
    const cluster = world();
    cluster.start(1);
    cluster.settle();
    const leader = must(cluster.leader?.sid, "they have a leader");
    const victim = (leader % 3) + 1;
    const ended: (string | undefined)[] = [];
    cluster.onStop = (sid, reason) => ended.push(sid === victim ? reason : `member ${sid}`);
    const { disk, life } = cluster.member(victim);
    const { readZnode } = disk;
    disk.readZnode = (table, path) => {
      if (path !== "/q" || ended.length > 0) return readZnode.call(disk, table, path);
      throw new StorageError("no memory");
    };
    must(life, "it is up").server.tree.evict(() => true);
    const data = new Uint8Array([7]);
    expect(ok(write(cluster, leader, { type: "setData", path: "/q", data, version: -1 }))).toBe(true);
    cluster.runFor(10_000);
    cluster.settle(60_000);
    expect(ended).toEqual(["no memory"]);
    expect(cluster.member(victim).life?.server.tree.get("/q")?.data).toEqual(data);
  });

  for (const how of ["a read", "a write"] as const) {
    it(`[ZAB-151] ends the incarnation without an answer when ${how} reads it, and is replaced from the others`, () => {
      const cluster = world();
      cluster.start(1);
      cluster.settle();
      const leader = must(cluster.leader?.sid, "they have a leader");
      const victim = how === "a write" ? leader : (leader % 3) + 1;
      const ended: number[] = [];
      cluster.onStop = (sid) => ended.push(sid);
      const { disk, life } = cluster.member(victim);
      disk.tamperLive(must(TREE["a znode has other data"], "it is one of them"));
      must(life, "it is up").server.tree.evict(() => true);
      const request =
        how === "a read"
          ? cluster.read(victim, { type: "getData", path: "/q", watch: false })
          : cluster.write(victim, { type: "setData", path: "/q", data: new Uint8Array([7]), version: -1 });
      expect(ended).toEqual([victim]);
      expect(cluster.answers.get(request)).toBeUndefined();
      cluster.runFor(10_000);
      cluster.settle(60_000);
      expect(ended).toEqual([victim]);
      expect(cluster.member(victim).life?.server.tree.get("/q")?.data).toEqual(new Uint8Array(4));
      for (const sid of [1, 2, 3]) expect(missing(cluster, sid)).toEqual([]);
    });
  }

  it("[ZAB-143] includes missing rows at the end of the log, but not rows that were truncated", () => {
    const cluster = world(10_000, 10_000);
    const noted = (change: (member: MemberStorage) => void): MemberStorage => {
      const backend = backendOf(cluster);
      const member = new MemberStorage(backend);
      member.recover();
      change(member);
      return new MemberStorage(backend);
    };
    const newest = (state: StoredState): void => {
      state.log.delete(Math.max(...state.log.keys()));
    };
    expect(noted(() => undefined).damage).toBeUndefined();
    const backend = backendOf(cluster);
    new MemberStorage(backend).recover();
    backend.tamper(newest);
    const member = new MemberStorage(backend);
    expect(member.damage).toContain("newest rows");
    expect(member.recover().recovered.initialized).toBe(false);
    const truncated = noted((each) => {
      const to = must(each.log.rows.at(-1), "the log has rows").before;
      const before = must(each.log.rows.at(-2), "the log has rows");
      expect(before.after).toEqual(to);
      each.persist([{ type: "truncate", to: before.last }]);
    });
    expect(truncated.damage).toBeUndefined();
  });

  for (const [what, damage] of Object.entries(TREE)) {
    it(`[ZAB-141] is rebuilt from a log that reaches back to the beginning when ${what}`, () => {
      const cluster = world(10_000);
      const whole = new MemberStorage(backendOf(cluster)).recover().tree;
      cluster.disks.tamper(1, damage);
      const member = new MemberStorage(backendOf(cluster));
      const { recovered, tree } = member.recover();
      expect(member.damage).toBeDefined();
      expect(recovered).toMatchObject({ initialized: true, needSnap: false });
      expect(tree.digest).toEqual(whole.digest);
      // A checkpoint of the tree that was made again is whole.
      member.checkpoint(tree.takeChanges(), { logRetainTxns: 0, diffBytesMax: 0 });
    });
  }

  it("[ZAB-140] does not count in a quorum: a majority of damaged members serves nothing and discards nothing", () => {
    const cluster = world();
    cluster.crashAll(Number.POSITIVE_INFINITY);
    for (const sid of [1, 2]) cluster.disks.tamper(sid, must(TREE["a leaf has no row"], "it is one of them"));
    cluster.startAll();
    cluster.runFor(60_000);
    expect(cluster.members.map(({ life }) => life?.server.ready)).toEqual([false, false, false]);
    expect(missing(cluster, 3)).toEqual([]);
  });

  for (const victims of [
    [1, 2],
    [1, 2, 3],
  ]) {
    it(`[ZAB-150] keeps the rows of members ${victims} while they are a majority, over all restarts`, () => {
      for (const [what, damage] of Object.entries(TREE)) {
        const cluster = world();
        cluster.crashAll(Number.POSITIVE_INFINITY);
        const before = new Map(victims.map((sid) => [sid, rowsOf(backendOfMember(cluster, sid))]));
        for (const sid of victims) cluster.disks.tamper(sid, damage);
        const epochs = cluster.members.map(({ disk }) => disk.readMeta().acceptedEpoch);
        for (let starts = 0; starts < 3; starts++) {
          cluster.startAll();
          cluster.runFor(30_000);
          expect(cluster.members.map(({ life }) => life?.server.ready)).toEqual([false, false, false]);
          cluster.crashAll(Number.POSITIVE_INFINITY);
        }
        expect(Math.max(...cluster.members.map(({ disk }) => disk.readMeta().acceptedEpoch))).toBe(
          Math.max(...epochs),
        );
        for (const sid of victims) {
          const kept = must(backendOfMember(cluster, sid).quarantined, "the rows are set aside");
          const rows = must(before.get(sid), "it is a victim");
          if (what !== "there is no row at all" && what !== "a session has no row") {
            expect(kept.log.size).toBe(rows.log);
            expect(tableOf(kept).znodes.size).toBeGreaterThanOrEqual(rows.znodes - 1);
          }
          expect(kept.meta.size).toBeGreaterThan(0);
        }
      }
    });
  }

  it("[ZAB-150] keeps its rows until a quorum has confirmed the tree that replaces them", () => {
    const cluster = world();
    cluster.disks.tamper(1, must(TREE["a leaf has no row"], "it is one of them"));
    cluster.start(1);
    cluster.runUntil(() => cluster.member(1).life?.storage.meta.initialized === true);
    cluster.runUntil(() => cluster.member(1).disk.isQuarantined === false, 10_000);
    expect(missing(cluster, 1)).toEqual([]);
    expect(cluster.member(1).life?.server.zab.hasConfirmedTree).toBe(true);
  });

  it("[ZAB-150] keeps one state: an unfinished copy does not replace it, a state that counted does", () => {
    const cluster = world();
    const backend = backendOf(cluster);
    const damage = must(TREE["a leaf has no row"], "it is one of them");
    backend.tamper(damage);
    new MemberStorage(backend).recover();
    const first = must(backend.quarantined, "the rows are set aside");
    const drop = (state: StoredState): void => {
      state.meta.delete("boot");
    };
    backend.tamper(drop);
    expect(new MemberStorage(backend).damage).toBeDefined();
    expect(backend.quarantined).toBe(first);
    const other = new MemberStorage(backend);
    other.persist([{ type: "initialized" }]);
    backend.tamper((state) => state.meta.delete("promisedTo"));
    expect(new MemberStorage(backend).damage).toBeDefined();
    expect(backend.quarantined).not.toBe(first);
  });

  it("[ZAB-142] does not spread: a leader that reads a damaged row for a SNAP ends its incarnation, and is repaired", () => {
    for (const [what, damage] of Object.entries(TREE)) {
      const cluster = world();
      const leader = must(cluster.leader?.sid, "two of three have a leader");
      const { disk } = cluster.member(leader);
      const aborted: number[] = [];
      cluster.onStop = (sid) => aborted.push(sid);
      // So many that the log does not reach back to where member 1 is.
      for (let i = 0; i < 30; i++) write(cluster, 2, create(`/more${i}`));
      disk.tamperLive(damage);
      cluster.start(1);
      cluster.settle(120_000);
      expect(aborted, what).toEqual([leader]);
      for (const sid of [1, 2, 3]) expect(missing(cluster, sid), what).toEqual([]);
      expect(cluster.member(1).life?.server.tree.get("/q")?.data).toEqual(new Uint8Array(4));
    }
  });

  it("[ZAB-142] is found at the end of a SNAP at the latest", () => {
    const cluster = world();
    const backend = backendOf(cluster);
    const member = new MemberStorage(backend);
    member.recover();
    backend.tamper((state) => tableOf(state).znodes.delete("/q/r"));
    const readAll = (): number => {
      let chunks = 0;
      for (let cursor: string | undefined = ""; cursor !== undefined; chunks++)
        cursor = member.read(cursor, 100, 2).next;
      return chunks;
    };
    expect(readAll).toThrow(DamagedError);
    backend.tamper((state) => {
      const other = backendOf(cluster);
      other.tamper((whole) => {
        state.tables[0].znodes.clear();
        for (const [path, row] of tableOf(whole).znodes) tableOf(state).znodes.set(path, row);
      });
    });
    expect(readAll()).toBeGreaterThan(3);
  });
});

describe("a disk that is full", () => {
  it("[STORAGE-11] ends the member at the write that fails, and nothing acknowledged is lost", () => {
    for (let writesLeft = 0; writesLeft < 40; writesLeft++) {
      const cluster = ensemble({ size: 3, seed: writesLeft + 1, config: { checkpointChangesMax: 2 } });
      const sid = (writesLeft % 3) + 1;
      const writer = (sid % 3) + 1;
      const session = open(cluster, writer, 40_000);
      let ends = 0;
      cluster.onStop = () => {
        ends += 1;
      };
      cluster.member(sid).disk.writesLeft = writesLeft;
      const acknowledged = PATHS.filter((path, i) =>
        ok(write(cluster, writer, create(path), session, i + 1)),
      );
      cluster.settle();
      expect(ends).toBe(1);
      for (const each of [1, 2, 3]) {
        const lost = acknowledged.filter(
          (path) => cluster.member(each).life?.server.tree.get(path) === undefined,
        );
        expect(lost).toEqual([]);
      }
    }
  });
});

describe("random damage of a minority", () => {
  it("[SIM-22] replaces no acknowledged value, keeps no member down, and uses few epochs", () => {
    const runs: DamageRun[] = [];
    for (let seed = 1; seed <= 200; seed++) runs.push(damageRun(seed));
    expect(runs.filter(({ faults }) => faults.length > 0)).toEqual([]);
    // The damage was found, and there was a lot of it.
    expect(runs.filter(({ forgot }) => forgot > 0).length).toBeGreaterThan(100);
  });
});
