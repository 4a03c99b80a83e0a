import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import { encodeWrite } from "../../../core/wire/jute/requests.ts";
import { ZXID_ZERO } from "../../../core/zab/zxid.ts";
import { CreateMode, NO_SESSION } from "../../../core/znode/types.ts";
import type { Cluster } from "../../../sim/cluster.ts";
import { Wire } from "../../sim/session-client.ts";
import {
  allEqual,
  answersOf,
  codeOf,
  create,
  digests,
  ensemble,
  exists,
  ok,
  open,
  orders,
  read,
  sessionOf,
  setData,
  write,
} from "../../sim/world.ts";

const TICK = 1000;
const PLAIN = { linearizable: false, stale: false } as const;

describe("a write that an election interrupts", () => {
  for (const at of ["leader", "follower"] as const) {
    for (const kind of ["without a session", "with a session"] as const) {
      it(`[SERVER-3] happens once, ${kind}, taken by a ${at}, wherever it was`, () => {
        for (let delay = 0; delay <= 12; delay++) {
          const cluster = ensemble({ size: 3, seed: delay + 1 });
          const leader = cluster.leaderSid;
          const sid = at === "leader" ? leader : (cluster.followers[0] ?? 1);
          const session = kind === "with a session" ? open(cluster, sid) : NO_SESSION;
          ok(write(cluster, sid, create("/q")));
          const tokens = Array.from({ length: 5 }, (_, i) =>
            cluster.write(
              sid,
              create("/q/n-", CreateMode.PERSISTENT_SEQUENTIAL),
              session,
              session === NO_SESSION ? 0 : i + 1,
            ),
          );
          cluster.runFor(delay);
          if (at === "leader") {
            // The leader lives on as a follower: it is cut off until the others have another.
            for (const other of cluster.followers) {
              cluster.cut(leader, other);
              cluster.cut(other, leader);
            }
            cluster.runUntil(() => cluster.leader !== undefined && cluster.leaderSid !== leader, 20_000);
            cluster.heal();
          } else cluster.crash(leader);
          cluster.answered(tokens, 30_000);
          cluster.startAll();
          cluster.settle();
          const count = cluster.server(sid).tree.children("/q")?.length ?? 0;
          const done = tokens.filter((token) => ok(cluster.answers.get(token))).length;
          const unknown = tokens.filter(
            (token) => codeOf(cluster.answers.get(token)) === "UNKNOWN_OUTCOME",
          ).length;
          expect(count).toBeGreaterThanOrEqual(done);
          expect(count).toBeLessThanOrEqual(done + unknown);
          if (at === "follower") expect(answersOf(cluster, tokens)).toEqual(["OK", "OK", "OK", "OK", "OK"]);
          expect(allEqual(digests(cluster))).toBe(true);
        }
      });
    }
  }

  it("[SERVER-4] happens once if its member leaves its leader and rejoins it", () => {
    for (let delay = 0; delay <= 10; delay++) {
      const cluster = ensemble({
        size: 3,
        seed: delay,
        fsyncMs: [4, 8],
        config: { batchesInFlightMax: 1, learnerInFlightMax: 1 },
      });
      const sid = cluster.followers[0] ?? 1;
      const epoch = cluster.leader?.zab.currentEpoch;
      ok(write(cluster, sid, create("/q")));
      const tokens = Array.from({ length: 6 }, () => {
        const token = cluster.write(sid, create("/q/n-", CreateMode.PERSISTENT_SEQUENTIAL));
        cluster.runFor(2);
        return token;
      });
      cluster.runFor(delay);
      cluster.faults.loseReturn = 1;
      cluster.runFor(3);
      cluster.faults.loseReturn = 0;
      expect(cluster.answered(tokens, 20_000).every(ok)).toBe(true);
      cluster.settle();
      expect(cluster.server(sid).tree.children("/q")?.length, `delay ${delay}`).toBe(6);
      if (delay === 0) expect(cluster.leader?.zab.currentEpoch).toBeGreaterThanOrEqual(epoch ?? 1);
    }
  });

  it("[SERVER-3] that was never sent is refused as not done, not as unknown", () => {
    const cluster = ensemble({ size: 3 });
    cluster.crash(cluster.followers[0] ?? 1);
    cluster.crash(cluster.leaderSid);
    const [alone] = cluster.alive;
    cluster.runUntil(() => alone?.ready === false, 5_000);
    const token = cluster.write(alone?.sid ?? 1, create("/x"));
    expect(cluster.answered([token]).map(codeOf)).toEqual(["NO_QUORUM"]);
  });

  it("[SERVER-3] waits for the next leader instead of failing", () => {
    const cluster = ensemble({ size: 3 });
    const other = cluster.followers[0] ?? 1;
    cluster.crash(cluster.leaderSid);
    const at = cluster.now;
    expect(ok(write(cluster, other, create("/x")))).toBe(true);
    expect(cluster.now - at).toBeLessThan(500);
  });
});

describe("a write of a session that is repeated", () => {
  const world = (): { cluster: Cluster; session: ReturnType<typeof open> } => {
    const cluster = ensemble({ size: 3 });
    return { cluster, session: open(cluster, 1) };
  };

  it("[SERVER-5] gets the first result and happens once, at any member", () => {
    const { cluster, session } = world();
    const first = write(cluster, 1, create("/q-", CreateMode.PERSISTENT_SEQUENTIAL), session, 1);
    cluster.settle();
    for (const sid of [1, 2, 3]) {
      expect(write(cluster, sid, create("/q-", CreateMode.PERSISTENT_SEQUENTIAL), session, 1)).toEqual(first);
    }
    expect(orders(cluster)[0]).toBe("q-0000000000");
  });

  it("[SERVER-5] while the first is outstanding is answered with it", () => {
    for (const again of [1, 2, 3]) {
      const { cluster, session } = world();
      const tokens = [
        cluster.write(1, create("/q-", CreateMode.PERSISTENT_SEQUENTIAL), session, 1),
        cluster.write(again, create("/q-", CreateMode.PERSISTENT_SEQUENTIAL), session, 1),
      ];
      const [a, b] = cluster.answered(tokens);
      expect(a).toEqual(b);
      expect(ok(a)).toBe(true);
      cluster.settle();
      expect(orders(cluster)[0]).toBe("q-0000000000");
    }
  });

  it("[SERVER-5] after a refusal gets the refusal again, even if it would succeed now", () => {
    const { cluster, session } = world();
    expect(codeOf(write(cluster, 1, setData("/x", 1), session, 1))).toBe("NO_NODE");
    expect(ok(write(cluster, 2, create("/x")))).toBe(true);
    cluster.settle();
    expect(codeOf(write(cluster, 3, setData("/x", 1), session, 1))).toBe("NO_NODE");
    expect(ok(write(cluster, 3, setData("/x", 1), session, 2))).toBe(true);
  });

  it("[SERVER-6] after later writes of the session gets the first result while that is remembered, then XID_TOO_OLD", () => {
    const { cluster, session } = world();
    const first = [1, 2, 3].map((xid) => {
      const answer = write(cluster, 1, setData("/", xid), session, xid);
      expect(ok(answer)).toBe(true);
      return answer;
    });
    cluster.settle();
    for (const sid of [1, 2, 3]) {
      for (const xid of [1, 2, 3]) {
        expect(write(cluster, sid, setData("/", xid), session, xid)).toEqual(first[xid - 1]);
      }
    }
    const sid = cluster.followers[0] ?? 1;
    cluster.crash(sid);
    cluster.start(sid);
    cluster.settle();
    expect(codeOf(write(cluster, sid, setData("/", 1), session, 1))).toBe("XID_TOO_OLD");
    expect(codeOf(write(cluster, sid, setData("/", 3), session, 3))).toBe("OK");
    expect(cluster.server(sid).tree.get("/")?.version).toBe(3);
  });

  it("[SERVER-5] survives elections, restarts and a SNAP", () => {
    const cluster = ensemble({ size: 3, config: { logRetainTxns: 0, checkpointChangesMax: 2 } });
    const session = open(cluster, 1);
    const sid = cluster.followers[0] ?? 1;
    cluster.crash(sid);
    const leader = cluster.leaderSid;
    const first = write(cluster, leader, create("/q-", CreateMode.PERSISTENT_SEQUENTIAL), session, 1);
    for (let i = 0; i < 10; i++) write(cluster, leader, create(`/x${i}`));
    cluster.start(sid);
    cluster.settle();
    expect(write(cluster, sid, create("/q-", CreateMode.PERSISTENT_SEQUENTIAL), session, 1)).toEqual(first);
    cluster.crashAll();
    cluster.startAll();
    cluster.settle();
    expect(write(cluster, sid, create("/q-", CreateMode.PERSISTENT_SEQUENTIAL), session, 1)).toEqual(first);
  });

  it("[SERVER-7] after the session is closed is refused, not left without an answer", () => {
    const { cluster, session } = world();
    expect(ok(write(cluster, 1, create("/x"), session, 1))).toBe(true);
    expect(ok(write(cluster, 1, { type: "closeSession" }, session, 2))).toBe(true);
    cluster.settle();
    for (const sid of [1, 2, 3]) {
      const at = cluster.now;
      expect(codeOf(write(cluster, sid, create("/x"), session, 1))).toBe("SESSION_EXPIRED");
      expect(codeOf(write(cluster, sid, { type: "closeSession" }, session, 2))).toBe("SESSION_EXPIRED");
      expect(codeOf(write(cluster, sid, create("/y"), session, 3))).toBe("SESSION_EXPIRED");
      expect(cluster.now - at).toBeLessThan(500);
      cluster.settle();
    }
  });

  it("[SERVER-8] is answered in the order of the session's requests, writes and reads", () => {
    const { cluster, session } = world();
    const seen: number[] = [];
    const tokens = Array.from({ length: 20 }, (_, i) =>
      i % 3 === 2
        ? cluster.read(1, exists(`/x${i - 1}`), false, session)
        : cluster.write(1, create(`/x${i}`), session, i + 1),
    );
    cluster.runUntil(() => {
      for (const token of cluster.answers.keys()) if (!seen.includes(token)) seen.push(token);
      return tokens.every((token) => cluster.answers.has(token));
    }, 10_000);
    expect(seen.filter((token) => tokens.includes(token as never))).toEqual(tokens);
    // A read sees what the session wrote before it.
    expect(tokens.every((token) => ok(cluster.answers.get(token)))).toBe(true);
  });

  /** xids and codes in the order in which a connection was answered. */
  const told = (wire: Wire): string[] =>
    wire.inbox.map((event) =>
      event.type === "answer" ? `${event.xid} ${codeOf(event.answer)}` : event.type,
    );

  it("[SERVER-8] is answered in the session's order when it is refused without being tried", () => {
    const { cluster, session } = world();
    expect(ok(write(cluster, 1, setData("/", 1), session, 100))).toBe(true);
    const wire = new Wire(cluster, 1);
    const seen = { relativeZxid: ZXID_ZERO, data: ["/"], exist: [], child: [] };
    wire.ask((server, now, token) => {
      const ask = (xid: number): void =>
        server.submitWrite(now, token, { session, xid, ...encodeWrite(create(`/y${xid}`)) });
      ask(101);
      ask(1);
      server.submitRefused(now, token, session, 102, "UNIMPLEMENTED");
      server.submitWatches(now, token, session, -8, seen);
      ask(103);
      server.submitRead(now, token, { ...{ session, xid: 104, request: exists("/y103") }, ...PLAIN });
    });
    expect(told(wire)).toEqual([]);
    cluster.runUntil(() => wire.inbox.length === 7);
    const answers = ["101 OK", "1 XID_TOO_OLD", "102 UNIMPLEMENTED", "watch", "-8 OK", "103 OK", "104 OK"];
    expect(told(wire)).toEqual(answers);
  });

  it("[SERVER-8] is answered in the session's order when it exceeds a limit of its member or of the leader", () => {
    for (const at of ["leader", "follower"] as const) {
      for (const queueLengthMax of [3, 6]) {
        const config = { queueLengthMax, batchesInFlightMax: 1 };
        const cluster = ensemble({ size: 3, config, fsyncMs: [5, 5] });
        const sid = at === "leader" ? cluster.leaderSid : (cluster.followers[0] ?? 1);
        const session = open(cluster, sid);
        const wire = new Wire(cluster, sid);
        for (let i = 0; i < 6; i++) cluster.write(cluster.leaderSid, create(`/flood${i}`));
        const xids = [1, 2, 3, 4, 5, 6, 7, 8];
        for (const some of [xids.slice(0, 2), xids.slice(2)]) {
          wire.ask((server, now, token) => {
            for (const xid of some) {
              server.submitWrite(now, token, { session, xid, ...encodeWrite(create(`/x${xid}`)) });
            }
          });
          cluster.runFor(1);
        }
        cluster.runUntil(() => wire.inbox.length === xids.length);
        expect(told(wire).map((each) => Number.parseInt(each, 10))).toEqual(xids);
        expect(told(wire).some((each) => each.endsWith("THROTTLED"))).toBe(true);
        cluster.settle();
        expect(cluster.server(sid).pendingCount).toBe(0);
      }
    }
  });

  it("[SERVER-8] keeps the session's order through a change of the leader", () => {
    for (let delay = 0; delay < 8; delay++) {
      const cluster = ensemble({ size: 3, seed: delay + 1 });
      const sid = cluster.followers[0] ?? 1;
      const session = open(cluster, sid, 20_000);
      const tokens = Array.from({ length: 15 }, (_, i) => {
        const token = cluster.write(sid, create("/q-", CreateMode.PERSISTENT_SEQUENTIAL), session, i + 1);
        if (i === 7) cluster.crash(cluster.leaderSid);
        cluster.runFor(delay % 4);
        return token;
      });
      const answers = cluster.answered(tokens);
      const paths = answers.map((answer) =>
        answer.ok && answer.result.type === "create" ? answer.result.path : "?",
      );
      expect(paths).toEqual([...paths].sort());
      expect(new Set(paths).size).toBe(15);
    }
  });
});

describe("a session", () => {
  it("[SERVER-9] without a heartbeat is closed by the leader within timeout and tick, with its ephemerals", () => {
    const cluster = ensemble({ size: 3 });
    const session = open(cluster, 2, 4 * TICK);
    expect(ok(write(cluster, 2, create("/e", CreateMode.EPHEMERAL), session, 1))).toBe(true);
    const at = cluster.now;
    // its member may apply it before the leader does
    cluster.runUntil(() => cluster.leader?.tree.get("/e") !== undefined, 100);
    cluster.runUntil(() => cluster.leader?.tree.get("/e") === undefined, 20_000);
    expect(cluster.now - at).toBeGreaterThanOrEqual(4 * TICK - 100);
    expect(cluster.now - at).toBeLessThan(6 * TICK);
    cluster.settle();
    for (const { tree } of cluster.alive) {
      expect(tree.get("/e")).toBeUndefined();
      expect(tree.sessions.has(session)).toBe(false);
    }
    expect(codeOf(write(cluster, 1, create("/late"), session, 2))).toBe("SESSION_EXPIRED");
  });

  for (const at of ["the leader", "a follower"] as const) {
    it(`[SERVER-9] with heartbeats at ${at} stays alive`, () => {
      const cluster = ensemble({ size: 3 });
      const sid = at === "the leader" ? cluster.leaderSid : (cluster.followers[0] ?? 1);
      const session = open(cluster, sid, 3 * TICK);
      ok(write(cluster, sid, create("/e", CreateMode.EPHEMERAL), session, 1));
      for (let i = 0; i < 20; i++) {
        cluster.runFor(TICK);
        cluster.touch(sid, session);
      }
      expect(cluster.server(sid).tree.get("/e")).toBeDefined();
      cluster.runFor(6 * TICK);
      expect(cluster.server(sid).tree.get("/e")).toBeUndefined();
    });
  }

  it("[SERVER-9] stays alive by its requests too, reads included", () => {
    const cluster = ensemble({ size: 3 });
    const sid = cluster.followers[0] ?? 1;
    const session = open(cluster, sid, 3 * TICK);
    for (let i = 0; i < 12; i++) {
      cluster.runFor(TICK);
      cluster.read(sid, exists("/"), false, session);
    }
    expect(cluster.server(sid).tree.sessions.has(session)).toBe(true);
  });

  it("[SERVER-9] expires together with the others of its tick", () => {
    const cluster = ensemble({ size: 3 });
    const sessions = [1, 2, 3, 4, 5].map((n) => open(cluster, 1, 4 * TICK, n));
    const before = cluster.invariants.history.length;
    cluster.runFor(8 * TICK);
    cluster.settle();
    expect(cluster.leader?.tree.sessions.size).toBe(0);
    expect(cluster.invariants.history.length - before).toBe(sessions.length);
  });

  it("[SERVER-10] gets its full time from a new leader", () => {
    const cluster = ensemble({ size: 3 });
    const session = open(cluster, cluster.followers[0] ?? 1, 5 * TICK);
    cluster.runFor(4 * TICK);
    cluster.crash(cluster.leaderSid);
    cluster.runUntil(() => cluster.leader !== undefined, 10_000);
    const at = cluster.now;
    cluster.runUntil(() => cluster.leader?.tree.sessions.has(session) === false, 20_000);
    expect(cluster.now - at).toBeGreaterThanOrEqual(5 * TICK - 100);
    expect(cluster.now - at).toBeLessThan(7 * TICK);
  });

  it("[SERVER-10] expires even if the leader that closes it crashes meanwhile", () => {
    for (let target = 1; target <= 4; target++) {
      const cluster = ensemble({ size: 3, seed: target });
      const session = open(cluster, 1, 3 * TICK);
      ok(write(cluster, 1, create("/e", CreateMode.EPHEMERAL), session, 1));
      cluster.runFor(2 * TICK);
      const leader = cluster.leaderSid;
      let seen = 0;
      cluster.onEffect = (sid, effect) => {
        if (sid !== leader || effect.type !== "persist") return undefined;
        seen += 1;
        return seen === 1
          ? { when: target % 2 === 0 ? "before" : "after", keep: target > 2 ? 9 : 0 }
          : undefined;
      };
      cluster.runUntil(() => cluster.member(leader).life === null, 10_000);
      cluster.onEffect = null;
      cluster.start(leader);
      cluster.runFor(12 * TICK);
      cluster.settle();
      for (const { tree } of cluster.alive) expect(tree.get("/e")).toBeUndefined();
      expect(allEqual(digests(cluster))).toBe(true);
    }
  });

  it("[SERVER-11] that is closed loses its ephemerals, outstanding ones included, and no others", () => {
    const cluster = ensemble({ size: 3 });
    const mine = open(cluster, 1, 20_000, 1);
    const theirs = open(cluster, 2, 20_000, 2);
    const tokens = [
      cluster.write(1, create("/a", CreateMode.EPHEMERAL), mine, 1),
      cluster.write(2, create("/b", CreateMode.EPHEMERAL), theirs, 1),
      cluster.write(1, create("/c", CreateMode.EPHEMERAL_SEQUENTIAL), mine, 2),
      cluster.write(1, create("/p"), mine, 3),
      cluster.write(1, { type: "closeSession" }, mine, 4),
    ];
    expect(cluster.answered(tokens).every(ok)).toBe(true);
    cluster.settle();
    for (const { tree } of cluster.alive) expect(tree.children("/")).toEqual(["b", "p", "zookeeper"]);
  });

  it("[SERVER-11] has a timeout in the configured range", () => {
    const cluster = ensemble({ size: 3 });
    for (const [n, asked, got] of [
      [1, 1, 2 * TICK],
      [2, 5 * TICK, 5 * TICK],
      [3, 1e9, 60 * TICK],
    ] as const) {
      const answer = write(cluster, 1, { type: "createSession", timeoutMs: asked }, sessionOf(1, n));
      expect(answer).toMatchObject({ ok: true, result: { type: "createSession", timeoutMs: got } });
    }
  });

  it("[SERVER-12] with heartbeats at a LOOKING member sets no alarm beyond those of the election", () => {
    const cluster = ensemble({ size: 3 });
    const sid = cluster.followers[0] ?? 1;
    const session = open(cluster, sid);
    for (const { sid: other } of cluster.members) if (other !== sid) cluster.crash(other);
    cluster.runUntil(() => !cluster.server(sid).ready, 10_000);
    cluster.runFor(5_000);
    cluster.touch(sid, session);
    cluster.runFor(700);
    cluster.tick(sid);
    expect(cluster.server(sid).deadline).toBeGreaterThan(cluster.now);
  });
});

describe("a linearizable read", () => {
  it("[SERVER-13] shows every write that was answered at any member before it was sent", () => {
    const cluster = ensemble({ size: 5, latencyMs: [1, 40], seed: 5 });
    for (let i = 0; i < 20; i++) {
      const writer = 1 + Math.floor(cluster.engine.chance() * 5);
      const reader = 1 + Math.floor(cluster.engine.chance() * 5);
      expect(ok(write(cluster, writer, create(`/x${i}`)))).toBe(true);
      expect(ok(read(cluster, reader, exists(`/x${i}`), true))).toBe(true);
    }
    expect(cluster.invariants.checks.get("Linearizable")).toBe(20);
  });

  it("[SERVER-13] is stronger than a plain one, which may show an older state", () => {
    const cluster = ensemble({ size: 3, latencyMs: [5, 5] });
    const slow = cluster.followers[1] ?? 2;
    cluster.cut(cluster.leaderSid, slow);
    expect(ok(write(cluster, cluster.leaderSid, create("/x")))).toBe(true);
    expect(codeOf(read(cluster, slow, exists("/x")))).toBe("NO_NODE");
  });

  it("[SERVER-13] [ZNODE-41] is answered for the requesting session, as a plain one is", () => {
    const cluster = ensemble({ size: 3 });
    const [sid = 1] = cluster.followers;
    const session = open(cluster, sid);
    ok(write(cluster, sid, create("/e", CreateMode.EPHEMERAL), session, 1));
    const request = { type: "getEphemerals", prefixPath: "/" } as const;
    const tokens = [true, false].map((linearizable) => cluster.read(sid, request, linearizable, session));
    for (const answer of cluster.answered(tokens))
      expect(answer).toMatchObject({ ok: true, result: { ephemerals: ["/e"] } });
    expect(read(cluster, sid, request, true)).toMatchObject({ ok: true, result: { ephemerals: [] } });
  });

  it("[SERVER-13] is not answered by a leader that was deposed in the meantime", () => {
    const cluster = ensemble({ size: 3 });
    const old = cluster.leaderSid;
    ok(write(cluster, old, create("/x")));
    cluster.isolate(old);
    cluster.runUntil(() => cluster.leader !== undefined && cluster.leaderSid !== old, 10_000);
    ok(write(cluster, cluster.leaderSid, create("/new")));
    const token = cluster.read(old, exists("/new"), true);
    cluster.runFor(20_000);
    expect(codeOf(cluster.answers.get(token))).toBe("NO_QUORUM");
  });

  it("[SERVER-13] is answered from the next leader's history if the leader crashes meanwhile", () => {
    for (let delay = 0; delay < 6; delay++) {
      const cluster = ensemble({ size: 3, seed: delay + 1 });
      const sid = cluster.followers[0] ?? 1;
      ok(write(cluster, cluster.leaderSid, create("/x")));
      const token = cluster.read(sid, exists("/x"), true);
      cluster.runFor(delay);
      cluster.crash(cluster.leaderSid);
      expect(codeOf(cluster.answered([token])[0])).toBe("OK");
    }
  });

  it("[SERVER-14] is refused with its sync, and answers nothing later", () => {
    const cluster = ensemble({
      size: 3,
      config: { queueLengthMax: 3, batchesInFlightMax: 1 },
      fsyncMs: [5, 5],
    });
    const leader = cluster.leaderSid;
    const sid = cluster.followers[0] ?? 1;
    const flood = Array.from({ length: 3 }, (_, i) => cluster.write(leader, create(`/f${i}`)));
    cluster.writes(
      leader,
      Array.from({ length: 3 }, (_, i) => ({ request: create(`/g${i}`) })),
    );
    const tokens = Array.from({ length: 3 }, () => cluster.read(sid, exists("/f0"), true));
    const codes = cluster.answered(tokens).map(codeOf);
    expect(codes.length).toBe(3);
    for (const code of codes) expect(["OK", "NO_NODE", "THROTTLED"]).toContain(code);
    cluster.answered(flood);
    cluster.settle();
    expect(cluster.alive.every(({ pendingCount }) => pendingCount === 0)).toBe(true);
  });
});

describe("limits of requests", () => {
  it("[SERVER-14] refuse further requests at once, and nothing of them happens", () => {
    const cluster = ensemble({ size: 3, config: { queueLengthMax: 5 } });
    const sid = cluster.followers[0] ?? 1;
    const tokens = cluster.writes(
      sid,
      Array.from({ length: 12 }, (_, i) => ({ request: create(`/x${i}`) })),
    );
    const codes = cluster.answered(tokens).map(codeOf);
    expect(codes.filter((code) => code === "THROTTLED").length).toBeGreaterThanOrEqual(7);
    cluster.settle();
    for (const [i, code] of codes.entries()) {
      for (const { tree } of cluster.alive) expect(tree.get(`/x${i}`) !== undefined).toBe(code === "OK");
    }
  });

  it("[SERVER-15] split requests that exceed one batch, in order", () => {
    const cluster = ensemble({ size: 3, config: { batchBytesMax: 500 } });
    for (const sid of [1, 2, 3]) {
      const tokens = cluster.writes(
        sid,
        Array.from({ length: 30 }, (_, i) => ({
          request: create(`/s${sid}-${String(i).padStart(2, "0")}`, 0, 120),
        })),
      );
      expect(cluster.answered(tokens).every(ok)).toBe(true);
    }
    cluster.settle();
    const rows = cluster.members.flatMap(({ life }) => life?.storage.log.rows ?? []);
    expect(Math.max(...rows.map((row) => row.bytes))).toBeLessThanOrEqual(700);
    const [order] = orders(cluster);
    expect(
      (order ?? "")
        .split(" ")
        .filter((name) => name.startsWith("s1-"))
        .join(),
    ).toBe(Array.from({ length: 30 }, (_, i) => `s1-${String(i).padStart(2, "0")}`).join());
  });

  it("[SERVER-15] send a request that is too large for a batch alone", () => {
    const cluster = ensemble({ size: 3, config: { batchBytesMax: 500 } });
    expect(ok(write(cluster, 1, create("/big", 0, 5000)))).toBe(true);
    cluster.settle();
    for (const { tree } of cluster.alive) expect(tree.get("/big")?.data?.length).toBe(5000);
  });

  it("[SERVER-16] store requests that arrive together in few rows", () => {
    const cluster = ensemble({ size: 3 });
    const before = cluster.leader?.zab.lastLogged.zxid.counter ?? 0;
    const rows = cluster.member(cluster.leaderSid).life?.storage.log.rows.length ?? 0;
    const tokens = cluster.writes(
      cluster.leaderSid,
      Array.from({ length: 500 }, (_, i) => ({ request: create(`/x${i}`) })),
    );
    expect(cluster.answered(tokens).every(ok)).toBe(true);
    expect((cluster.leader?.zab.lastLogged.zxid.counter ?? 0) - before).toBe(500);
    expect((cluster.member(cluster.leaderSid).life?.storage.log.rows.length ?? 0) - rows).toBeLessThanOrEqual(
      3,
    );
  });

  it("[SERVER-17] refuse a request that cannot be decoded, and accept the next", () => {
    const cluster = ensemble({ size: 3 });
    const life = cluster.member(cluster.leaderSid).life;
    life?.server.submitWrite(cluster.now, 999_999 as never, {
      session: NO_SESSION,
      xid: 0,
      opcode: 1,
      body: new Uint8Array([1, 2, 3]),
    });
    const effects = life?.server.flush(cluster.now) ?? [];
    expect(effects.some(({ type }) => type === "persist")).toBe(true);
  });
});

describe("watches", () => {
  it("[SERVER-18] fire at the member that took them, before any answer that shows the change", () => {
    const cluster = ensemble({ size: 3 });
    ok(write(cluster, 1, create("/w")));
    cluster.settle();
    const watcher = cluster.read(2, { type: "getData", path: "/w", watch: true });
    cluster.answered([watcher]);
    expect(ok(write(cluster, 3, setData("/w", 5)))).toBe(true);
    cluster.settle();
    expect(cluster.notified).toEqual([{ token: watcher, path: "/w", type: 3 }]);
    ok(write(cluster, 3, setData("/w", 6)));
    cluster.settle();
    expect(cluster.notified.length).toBe(1);
  });

  it("[SERVER-18] see changes during an election", () => {
    const cluster = ensemble({ size: 3 });
    const sid = cluster.followers[0] ?? 1;
    const watcher = cluster.read(sid, { type: "exists", path: "/w", watch: true });
    cluster.answered([watcher]);
    cluster.crash(cluster.leaderSid);
    expect(ok(write(cluster, sid, create("/w")))).toBe(true);
    expect(cluster.notified).toEqual([{ token: watcher, path: "/w", type: 1 }]);
  });

  it("[SERVER-39] a heartbeat that is lost with a follower's stay is reported again", () => {
    const cluster = ensemble({ size: 3 });
    const [follower = 0] = cluster.followers;
    const leader = cluster.leaderSid;
    const session = open(cluster, follower, 10_000);
    cluster.runFor(6_000);
    cluster.cut(follower, leader);
    cluster.touch(follower, session);
    cluster.runFor(1_000);
    cluster.heal();
    cluster.settle();
    expect(cluster.leaderSid).toBe(leader);
    cluster.runFor(8_000);
    for (const { tree } of cluster.alive) expect(tree.sessions.has(session)).toBe(true);
    cluster.runFor(8_000);
    for (const { tree } of cluster.alive) expect(tree.sessions.has(session)).toBe(false);
  });
});

describe("a member with watches", () => {
  it("[SERVER-63] asks for commits soon only for a client that is connected", () => {
    const cluster = ensemble({ size: 3, seed: 1, config: { idlePatienceMs: 20, watchPatienceMs: 2 } });
    const sid = must(cluster.followers[0], "there is a follower");
    const server = cluster.server(sid);
    const patience = (): number[] => {
      const said: number[] = [];
      cluster.onMessage = (from, _to, message) => {
        if (from === sid && message.type === "ACK") said.push(message.patienceMs);
      };
      ok(write(cluster, cluster.leaderSid, setData("/watched", 1)));
      cluster.settle();
      return [...new Set(said)];
    };
    ok(write(cluster, cluster.leaderSid, create("/watched")));
    cluster.settle();
    server.watches.follow("data", "/watched", 1);
    expect(patience()).toEqual([20]);
    server.setClients(cluster.now, 1);
    patience();
    expect(patience()).toEqual([2]);
    server.setClients(cluster.now, 0);
    patience();
    expect(patience()).toEqual([20]);
  });

  it("[ZAB-107] does not multiply the timers of its leader under a steady load", () => {
    const cluster = ensemble({ size: 3, seed: 1, latencyMs: [1, 2], fsyncMs: [1, 4] });
    const leader = cluster.leaderSid;
    const reader = must(cluster.followers[0], "there is a follower");
    write(cluster, leader, create("/a"));
    const holds = [0, 0];
    let half = 0;
    cluster.onEffect = (sid, effect) => {
      if (sid === leader && effect.type === "hold") holds[half] = (holds[half] ?? 0) + 1;
      return undefined;
    };
    for (; half < 2; half++)
      for (let ms = 0; ms < 1_500; ms++) {
        cluster.write(ms % 5 === 0 ? reader : leader, setData("/a", ms & 127));
        if (ms % 300 === 0) for (const sid of cluster.followers) cluster.read(sid, exists("/a"));
        cluster.runFor(1);
      }
    const [first = 0, second = 0] = holds;
    expect(first).toBeGreaterThan(0);
    expect(second).toBeLessThan(2 * first);
    expect(second).toBeLessThan(1_500);
  });
});
