import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import type { ServerEffect } from "../../../core/server/effects.ts";
import { type PeerMessage, packRequests } from "../../../core/server/messages.ts";
import { encodeWrite } from "../../../core/wire/jute/requests.ts";
import { TxnCursor } from "../../../core/wire/txn-codec.ts";
import { asSid } from "../../../core/zab/membership.ts";
import { Cluster } from "../../../sim/cluster.ts";
import { codeOf, create, ensemble, ok, open, setData, write } from "../../sim/world.ts";

/** An ensemble of three whose members speak these versions; a member keeps its own over restarts unless it is changed. */
function mixed(versions: number[], seed = 1): Cluster {
  const cluster = new Cluster({ size: 3, seed, config: { checkpointChangesMax: 3, logRetainTxns: 0 } });
  cluster.versionOf = (sid) => must(versions[sid - 1], "a version of each member");
  cluster.startAll();
  cluster.settle();
  return cluster;
}

/** Formats of the records in a member's log. */
function formatsOf(cluster: Cluster, sid: number): Set<number> {
  const formats = new Set<number>();
  const { log } = must(cluster.member(sid).life, "it lives").storage;
  for (let slice = log.read(log.base.zxid); slice !== undefined; slice = log.read(slice.last)) {
    for (const cursor = new TxnCursor(slice.batch); cursor.next(); )
      formats.add(must(slice.batch[cursor.start], "a record begins with a byte"));
  }
  return formats;
}

/** Restarts a member. */
function restart(cluster: Cluster, sid: number): void {
  cluster.crash(sid, 1_000);
  cluster.start(sid);
  cluster.settle();
}

describe("the versions of the members", () => {
  it("[VER-1] are known to all after their first message, and are 1 if it has none", () => {
    const cluster = mixed([2, 1, 3]);
    const heard = [...cluster.server(1).zab.links].map(([sid, { version }]) => [sid, version]);
    expect(heard).toEqual([
      [2, 1],
      [3, 3],
    ]);
    const server = cluster.server(1);
    const { boot } = cluster.server(2).zab;
    const origin = { from: asSid(2), boot: boot + 1, generation: 1, seq: 0 };
    server.step(cluster.timeAt(1), { type: "call", origin, messages: [] });
    expect(server.zab.links.get(asSid(2))?.version).toBe(1);
  });

  it("[VER-2] turn a feature on when all support it, and off while one is down or of an earlier version", () => {
    const versions = [3, 3, 2];
    const cluster = mixed(versions);
    const supports = (): boolean => cluster.server(cluster.leaderSid).zab.supports("recordFingerprints");
    expect(supports()).toBe(false);
    versions[2] = 3;
    restart(cluster, 3);
    expect(supports()).toBe(true);
    cluster.crash(1);
    cluster.runFor(100);
    expect(supports()).toBe(false);
    cluster.start(1);
    cluster.settle();
    expect(supports()).toBe(true);
    versions[1] = 2;
    restart(cluster, 2);
    expect(supports()).toBe(false);
  });

  it("[VER-9] decide whether the fingerprint of a request is in its txn", () => {
    const versions = [3, 3, 2];
    const cluster = mixed(versions);
    const session = open(cluster, 1);
    const put = (xid: number): void => {
      cluster.answered([cluster.write(1, setData("/", xid), session, xid)]);
      cluster.settle();
    };
    put(1);
    expect(formatsOf(cluster, 1)).toEqual(new Set([0]));
    versions[2] = 3;
    restart(cluster, 3);
    put(2);
    expect(formatsOf(cluster, 1).has(1)).toBe(true);
    // A member that is taken back by one version reads what was written.
    versions[0] = 2;
    restart(cluster, 1);
    put(3);
    expect(cluster.server(1).tree.get("/")?.data?.[0]).toBe(3);
    cluster.crashAll(1_000);
    cluster.startAll();
    cluster.settle();
    expect(codeOf(cluster.answered([cluster.write(2, setData("/", 9), session, 3)])[0])).toBe("XID_REUSED");
  });
});

describe("a message that is not known", () => {
  const call = (cluster: Cluster, message: unknown): ServerEffect[] => {
    const { leaderSid } = cluster;
    const from = must(cluster.followers[0], "there is a follower");
    const server = cluster.server(leaderSid);
    const { inGeneration, inSeq } = must(server.zab.links.get(from), "a peer has a link");
    const { boot, join = 0 } = cluster.server(from).zab;
    const origin = { from, boot, generation: inGeneration, seq: inSeq, version: 7 };
    const messages = [{ join, ...(message as object) }] as unknown as PeerMessage[];
    return server.step(cluster.timeAt(leaderSid), { type: "call", origin, messages });
  };

  it("[VER-4] is refused with a reason, and the member continues", () => {
    const cluster = ensemble({ size: 3, seed: 3 });
    const effects = call(cluster, { type: "FUTURE" });
    const reason = "it sent a message of type FUTURE, which is not known here (its version is 7, ours 3)";
    expect(effects.filter(({ type }) => type === "refuse")).toEqual([
      { type: "refuse", to: cluster.followers[0], reason },
    ]);
    expect([...cluster.server(cluster.leaderSid).refused.values()]).toEqual([reason]);
    expect(effects).toContainEqual({
      type: "trace",
      event: { type: "link", to: cluster.followers[0], up: false, reason },
    });
    expect(ok(write(cluster, 1, create("/after")))).toBe(true);
  });

  it("[VER-4] is also one whose bytes have a later format", () => {
    const cluster = ensemble({ size: 3, seed: 4 });
    const request = { session: open(cluster, 1), connection: 0, xid: 1, ...encodeWrite(create("/x")) };
    const packed = packRequests([request as Parameters<typeof packRequests>[0][number]]);
    packed[0] = 2;
    const effects = call(cluster, { type: "REQUEST", packed });
    expect(effects.find((effect) => effect.type === "refuse")).toMatchObject({
      reason: "it sent a pack of requests of format 2: this member reads format 0 (its version is 7, ours 3)",
    });
    expect(ok(write(cluster, cluster.leaderSid, create("/after")))).toBe(true);
  });

  it("[VER-4] ends the link when it comes in a return", () => {
    const cluster = ensemble({ size: 3, seed: 5 });
    const peer = must(cluster.followers[0], "there is a follower");
    const server = cluster.server(cluster.leaderSid);
    const { generation } = must(server.zab.links.get(peer), "a peer has a link");
    const { boot } = cluster.server(peer).zab;
    const messages = [{ type: "FUTURE" }] as unknown as PeerMessage[];
    server.step(cluster.timeAt(cluster.leaderSid), { type: "returned", peer, generation, boot, messages });
    expect(server.zab.links.get(peer)?.generation).toBe(generation + 1);
    cluster.settle();
    expect(ok(write(cluster, 1, create("/after")))).toBe(true);
  });
});

describe("a member that restarts repeatedly", () => {
  /** Lets a member die as soon as it serves, for so long. @returns its lives */
  function die(cluster: Cluster, sid: number, ms: number): number {
    const before = cluster.member(sid).lives;
    const end = cluster.now + ms;
    while (cluster.now < end) {
      const { life } = cluster.member(sid);
      if (life === null) cluster.start(sid);
      else if (life.server.zab.serving) cluster.crash(sid);
      cluster.runFor(5);
    }
    return cluster.member(sid).lives - before;
  }

  it("[VER-6] is admitted after growing pauses, and the others serve", () => {
    const cluster = ensemble({ size: 3, seed: 6, config: { tickTimeMs: 1_000 } });
    expect(cluster.leaderSid).toBe(3);
    // Lives that end at once: 1, 2 and 4 s of waiting, then 8 s each.
    const lives = die(cluster, 1, 60_000);
    expect(lives).toBeGreaterThan(8);
    expect(lives).toBeLessThan(15);
    expect(ok(write(cluster, 2, create("/meanwhile")))).toBe(true);
  });

  it("[VER-6] is admitted at once if it has stayed up, and after two restarts in a row", () => {
    const cluster = ensemble({ size: 3, seed: 7, config: { tickTimeMs: 1_000 } });
    die(cluster, 1, 30_000);
    if (cluster.member(1).life === null) cluster.start(1);
    cluster.settle();
    cluster.runFor(30_000);
    for (let i = 0; i < 3; i++) {
      cluster.crash(1);
      cluster.start(1);
      cluster.runUntil(() => cluster.server(1).ready, 900);
    }
  });

  it("[VER-6] is admitted at once if the others need it for a quorum", () => {
    const cluster = ensemble({ size: 3, seed: 8, config: { tickTimeMs: 1_000 } });
    die(cluster, 1, 30_000);
    if (cluster.member(1).life !== null) cluster.crash(1);
    cluster.crash(2);
    cluster.runUntil(() => cluster.server(3).zab.leader === null, 10_000);
    cluster.start(1);
    cluster.runUntil(() => cluster.leader !== undefined, 3_000);
    expect(cluster.leaderSid).toBe(3);
  });

  /** A leader, and a member that it lets wait for seconds; the third serves. */
  function waiting(seed: number): Cluster {
    const cluster = ensemble({ size: 3, seed, config: { tickTimeMs: 1_000 } });
    die(cluster, 1, 30_000);
    if (cluster.member(1).life !== null) cluster.crash(1);
    cluster.start(1);
    cluster.runFor(500);
    expect(cluster.server(1).zab.phase).toBe("DISCOVERY");
    return cluster;
  }

  it("[VER-6] is admitted at once when the leader loses its quorum, in the same epoch", () => {
    const cluster = waiting(9);
    const epoch = cluster.server(3).zab.currentEpoch;
    cluster.crash(2);
    cluster.runUntil(() => cluster.server(1).ready, 2_000);
    expect(cluster.server(3).zab.currentEpoch).toBe(epoch);
  });

  it("[VER-6] is admitted at once by a leader that lost its quorum before", () => {
    const cluster = waiting(10);
    const epoch = cluster.server(3).zab.currentEpoch;
    cluster.crash(1);
    cluster.crash(2);
    cluster.runFor(100);
    cluster.start(1);
    cluster.runUntil(() => cluster.server(1).ready, 1_500);
    expect(cluster.server(3).zab.currentEpoch).toBe(epoch);
  });
});

describe("the fingerprint of a session's last request", () => {
  /** A deletion that was refused: what the log has of it does not say which path it was of. */
  const refused = (path: string) => ({ type: "delete", path, version: -1 }) as const;

  it("[VER-8] survives the loss of all members' memory in the checkpoint", () => {
    const cluster = mixed([2, 2, 2]);
    const session = open(cluster, 1);
    cluster.answered([cluster.write(1, refused("/one"), session, 1)]);
    cluster.settle();
    for (let i = 0; i < 6; i++) write(cluster, 1, create(`/n${i}`));
    cluster.settle();
    cluster.crashAll(1_000);
    cluster.startAll();
    cluster.settle();
    const { leaderSid } = cluster;
    expect(codeOf(cluster.answered([cluster.write(leaderSid, refused("/two"), session, 1)])[0])).toBe(
      "XID_REUSED",
    );
    expect(codeOf(cluster.answered([cluster.write(leaderSid, refused("/one"), session, 1)])[0])).toBe(
      "NO_NODE",
    );
  });

  it("[VER-8] is sent with a SNAP to a member whose version reads it", () => {
    for (const [version, code] of [
      [2, "XID_REUSED"],
      [1, "NO_NODE"],
    ] as const) {
      const cluster = mixed([version, 2, 2], version);
      const session = open(cluster, 3);
      cluster.crash(1);
      cluster.answered([cluster.write(3, refused("/one"), session, 1)]);
      for (let i = 0; i < 9; i++) write(cluster, 3, create(`/n${i}`));
      cluster.settle();
      const chunks = new Set<number | undefined>();
      cluster.onMessage = (_from, to, message) => {
        if (to === 1 && message.type === "SNAPCHUNK") chunks.add(message.bytes[0]);
      };
      cluster.start(1);
      cluster.settle();
      expect([...chunks]).toEqual([version]);
      expect(codeOf(cluster.answered([cluster.write(1, refused("/two"), session, 1)])[0])).toBe(code);
    }
  });
});
