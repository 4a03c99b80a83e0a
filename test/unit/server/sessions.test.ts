/** Sessions that lose their connections, move between members, and watch. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import type { ServerAnswer } from "../../../core/server/answers.ts";
import type { Token } from "../../../core/server/ids.ts";
import { encodeWrite } from "../../../core/wire/jute/requests.ts";
import { compareZxid, zxid } from "../../../core/zab/zxid.ts";
import { CreateMode, NO_SESSION, type ReadRequest, type WriteRequest } from "../../../core/znode/types.ts";
import type { Cluster } from "../../../sim/cluster.ts";
import { SessionClient, Wire } from "../../sim/session-client.ts";
import { codeOf, create, ensemble, exists, ok, open, sessionOf, setData, write } from "../../sim/world.ts";

const TICK = 1000;
const TIMEOUT_MS = 20_000;

const get = (path: string, watch = false): ReadRequest => ({ type: "getData", path, watch });

/** The version that a setData gave. */
function versionOf(answer: ServerAnswer | undefined): number {
  const result = answer?.ok === true ? answer.result : undefined;
  return must(result?.type === "setData" ? result.stat.version : undefined, codeOf(answer));
}

/** Runs until the client has nothing left to hear; it connects again by itself, to members in turn. */
function finish(cluster: Cluster, client: SessionClient, limitMs = 60_000): void {
  let sid = 0;
  let patience = cluster.now + 2 * TICK;
  cluster.runUntil(
    () => {
      client.pump();
      if (client.idle || !client.alive) return true;
      if (client.connection === null || cluster.now > patience) {
        for (let i = 0; i < cluster.members.length; i++) {
          sid = (sid % cluster.members.length) + 1;
          if (cluster.member(sid).life !== null && cluster.server(sid).ready) {
            client.connect(sid);
            patience = cluster.now + 2 * TICK;
            break;
          }
        }
      }
      return false;
    },
    limitMs,
    "the client is answered",
  );
}

/** A write of a connection whose client has gone on elsewhere. */
function late(connection: Wire, client: SessionClient, xid: number, request: WriteRequest): void {
  connection.ask((server, now, token) => {
    const raw = { session: client.session, xid, ...encodeWrite(request) };
    server.submitWrite(now, token, raw, server.connectionOf(token));
  });
}

function world(size = 3, seed = 1): { cluster: Cluster; client: SessionClient } {
  const cluster = ensemble({ size, seed });
  expect(ok(write(cluster, 1, create("/c")))).toBe(true);
  const client = new SessionClient(cluster, open(cluster, 1, TIMEOUT_MS));
  cluster.settle();
  return { cluster, client };
}

describe("a session whose connection is lost", () => {
  it("[SERVER-30] gets the first results of all its outstanding writes at any member where it continues", () => {
    for (const target of [1, 2, 3]) {
      for (let delay = 0; delay < 12; delay++) {
        const { cluster, client } = world(3, delay + 1);
        client.connect(1);
        finish(cluster, client);
        const xids = Array.from({ length: 20 }, (_, i) => client.write(setData("/c", i)));
        cluster.runFor(delay);
        client.connect(target);
        finish(cluster, client);
        expect(xids.map((xid) => versionOf(client.answers.get(xid)))).toEqual(xids.map((_, i) => i + 1));
        expect(cluster.server(target).tree.get("/c")?.version).toBe(20);
      }
    }
  });

  it("[SERVER-30] gets them also when its member, or the leader, crashes meanwhile", () => {
    for (const victim of ["member", "leader"] as const) {
      for (let delay = 0; delay < 12; delay++) {
        const { cluster, client } = world(5, delay + 1);
        const sid = must(cluster.followers[0], "a follower");
        client.connect(sid);
        finish(cluster, client);
        const xids = Array.from({ length: 20 }, (_, i) => client.write(setData("/c", i)));
        cluster.runFor(delay);
        cluster.crash(victim === "member" ? sid : cluster.leaderSid);
        client.disconnect();
        finish(cluster, client);
        expect(xids.map((xid) => versionOf(client.answers.get(xid)))).toEqual(xids.map((_, i) => i + 1));
      }
    }
  });

  it("[SERVER-31] shows at the next member everything that it has shown before", () => {
    const cluster = ensemble({ size: 3, latencyMs: [5, 5] });
    write(cluster, 1, create("/c"));
    const client = new SessionClient(cluster, open(cluster, cluster.leaderSid, TIMEOUT_MS));
    cluster.settle();
    const quick = must(cluster.followers[0], "a follower");
    const slow = must(cluster.followers[1], "a follower");
    client.connect(quick);
    finish(cluster, client);
    cluster.cut(cluster.leaderSid, slow);
    const xid = client.write(setData("/c", 7));
    finish(cluster, client);
    expect(versionOf(client.answers.get(xid))).toBe(1);
    client.connect(slow);
    const read = client.read(get("/c"));
    cluster.runFor(50);
    client.pump();
    expect(client.answers.has(read)).toBe(false);
    cluster.heal();
    finish(cluster, client);
    expect(client.answers.get(read)).toMatchObject({ ok: true, result: { stat: { version: 1 } } });
  });

  it("[SERVER-31] sees no older state than the zxid that it names, with a connection or without", () => {
    const cluster = ensemble({ size: 3, latencyMs: [5, 5] });
    const slow = must(cluster.followers[1], "a follower");
    cluster.cut(cluster.leaderSid, slow);
    const made = write(cluster, cluster.leaderSid, create("/new"));
    const connection = new Wire(cluster, slow);
    const ask = (atLeast = made.zxid): void =>
      connection.ask((server, now, token) => {
        const request = { session: NO_SESSION, xid: 1, request: exists("/new") };
        server.submitRead(now, token, { ...request, linearizable: false, stale: false, atLeast });
      });
    ask();
    cluster.runFor(50);
    expect(connection.inbox).toEqual([]);
    cluster.heal();
    cluster.runUntil(() => connection.inbox.length > 0, 20_000);
    expect(connection.inbox).toMatchObject([{ type: "answer", answer: { ok: true } }]);
    connection.inbox.length = 0;
    // nobody can have seen what no quorum knows of
    ask(zxid(made.zxid.epoch + 1000, 0));
    cluster.runUntil(() => connection.inbox.length > 0, 20_000);
    expect(connection.inbox).toMatchObject([
      { type: "answer", answer: { ok: false, code: "BAD_ARGUMENTS" } },
    ]);
  });

  it("[SERVER-32] is over at every member when the ensemble has closed it", () => {
    const { cluster, client } = world();
    cluster.runFor(TIMEOUT_MS + 3 * TICK);
    for (const sid of [1, 2, 3]) {
      const again = new SessionClient(cluster, client.session);
      again.connect(sid);
      finish(cluster, again);
      expect(again.alive).toBe(false);
    }
  });

  it("[SERVER-32] loses its connection when it expires or is closed by another", () => {
    const { cluster, client } = world();
    client.connect(2);
    finish(cluster, client);
    expect(ok(write(cluster, 3, { type: "closeSession" }, client.session, 9))).toBe(true);
    cluster.settle();
    client.pump();
    expect(client.ends).toEqual(["SESSION_EXPIRED"]);
  });
});

describe("a session that moves", () => {
  it("[SERVER-33] invalidates its old connection: late writes are refused as SESSION_MOVED, and it is closed", () => {
    for (const [from, to] of [
      ["leader", "follower"],
      ["follower", "leader"],
      ["follower", "follower"],
    ] as const) {
      for (let delay = 0; delay < 15; delay++) {
        const { cluster, client } = world(5, delay + 1);
        const sidOf = (role: string, at: number): number =>
          role === "leader" ? cluster.leaderSid : must(cluster.followers[at], "a follower");
        client.connect(sidOf(from, 0));
        finish(cluster, client);
        const old = must(client.abandon(), "it was connected");
        client.connect(sidOf(to, 1));
        cluster.runFor(delay);
        late(old, client, 1, setData("/c", 66));
        finish(cluster, client);
        cluster.settle();
        expect(old.open).toBe(false);
        const answers = old.inbox.flatMap((event) => (event.type === "answer" ? [codeOf(event.answer)] : []));
        expect(old.inbox.at(-1)).toEqual({ type: "closed", code: "SESSION_MOVED" });
        const version = cluster.server(sidOf(to, 1)).tree.get("/c")?.version;
        if (version === 0) {
          expect(answers).toEqual(answers.length === 0 ? [] : ["SESSION_MOVED"]);
          // its number is free: what the client sends under it happens
          expect(versionOf(client.answers.get(must(send(cluster, client, setData("/c", 1)), "an xid")))).toBe(
            1,
          );
        } else expect(version).toBe(1);
      }
    }
  });

  it("[SERVER-33] accepts no write of the old connection after the new one has seen a state", () => {
    for (let delay = 0; delay < 20; delay++) {
      const { cluster, client } = world(3, delay + 1);
      const a = must(cluster.followers[0], "a follower");
      const b = must(cluster.followers[1], "a follower");
      client.connect(a);
      finish(cluster, client);
      const old = must(client.abandon(), "it was connected");
      late(old, client, 1, setData("/c", 66));
      client.connect(b);
      const first = client.read(get("/c"));
      late(old, client, 2, setData("/c", 67));
      cluster.runFor(delay);
      late(old, client, 3, setData("/c", 68));
      finish(cluster, client);
      const shown = client.answers.get(first);
      cluster.runFor(3 * TICK);
      cluster.settle();
      const version = shown?.ok === true && shown.result.type === "getData" ? shown.result.stat.version : -1;
      expect(cluster.leader?.tree.get("/c")?.version).toBe(version);
    }
  });

  it("[SERVER-33] back and forth belongs to the connection that attached last, also after a change of leaders", () => {
    const { cluster, client } = world();
    for (let i = 0; i < 12; i++) {
      client.connect((i % 3) + 1);
      if (i % 5 === 4) {
        cluster.runFor(i);
        const leader = cluster.leaderSid;
        cluster.crash(leader);
        finish(cluster, client);
        cluster.start(leader);
        cluster.settle();
        finish(cluster, client);
      }
      const xid = must(send(cluster, client, setData("/c", i)), "an xid");
      expect(versionOf(client.answers.get(xid))).toBe(i + 1);
    }
    cluster.settle();
    expect(cluster.members.flatMap(({ life }) => [...(life?.clients.connections.keys() ?? [])]).length).toBe(
      1,
    );
  });

  it("[SERVER-33] refuses the write of the old connection, not the same write over the new one", () => {
    for (let delay = 0; delay < 30; delay++) {
      const cluster = ensemble({ size: 3, seed: delay + 1, latencyMs: [5, 5] });
      write(cluster, 1, create("/c"));
      const sid = must(cluster.followers[0], "a follower");
      const client = new SessionClient(cluster, open(cluster, sid, TIMEOUT_MS));
      cluster.settle();
      client.connect(sid);
      finish(cluster, client);
      const old = must(client.abandon(), "it was connected");
      client.connect(sid);
      const xid = client.write(setData("/c", 1));
      cluster.after(delay, () => late(old, client, xid, setData("/c", 1)));
      const end = cluster.now + 100;
      while (cluster.now < end) {
        cluster.runFor(1);
        client.pump();
      }
      expect(client.connection?.open).toBe(true);
      expect(versionOf(client.answers.get(xid))).toBe(1);
    }
  });

  it("[SERVER-33] does not refuse a write without a connection", () => {
    const { cluster, client } = world();
    for (const sid of [2, 3]) {
      client.connect(sid);
      finish(cluster, client);
    }
    expect(ok(write(cluster, 1, setData("/c", 1), client.session, 5))).toBe(true);
  });

  /** A member without memory, in an ensemble that is about to wake: what it logged last it has not applied. */
  const forgetful = (ask: (cluster: Cluster, sid: number) => void): { cluster: Cluster; sid: number } => {
    const cluster = ensemble({ size: 3, config: { tickTimeMs: 100, quietAfterMs: 500 } });
    const sid = must(cluster.followers[0], "a follower");
    ask(cluster, sid);
    cluster.settle();
    cluster.runUntil(() => cluster.alive.every(({ asleepSince }) => asleepSince !== null));
    cluster.crash(sid);
    cluster.start(sid);
    return { cluster, sid };
  };

  it("[SERVER-35] attaches even if a connection of an earlier incarnation had the same name", () => {
    const session = sessionOf(1);
    const token = 7 as Token;
    const answers: ServerAnswer[] = [];
    const attach = (cluster: Cluster, sid: number): void => {
      const { life } = cluster.member(sid);
      if (life === null) return;
      life.clients.connections.set(token, {
        respond: (_, answer) => answers.push(answer),
        notify() {},
        closed() {},
      });
      life.turn((server, now) => server.attach(now, token, session));
    };
    const { cluster, sid } = forgetful((each, at) => {
      open(each, 1, TIMEOUT_MS);
      attach(each, at);
    });
    attach(cluster, sid);
    cluster.runUntil(() => answers.length === 2, 5_000, "an answer");
    expect(answers.map(({ zxid: { epoch } }) => epoch)).toEqual([1, 2]);
  });

  it("[SERVER-34] sees no older state at a member that lost its memory: a read waits for the whole history", () => {
    const session = sessionOf(1);
    const { cluster, sid } = forgetful((each, at) => {
      open(each, 1, TIMEOUT_MS);
      write(each, 1, create("/c"));
      // both in one row
      each.writes(each.leaderSid, [
        { request: setData("/c", 1), session, xid: 1 },
        { request: setData("/c", 2) },
      ]);
      each.settle();
      expect(each.server(at).tree.get("/c")?.version).toBe(2);
    });
    const tokens = [
      cluster.read(sid, get("/c"), false, session),
      cluster.write(sid, setData("/c", 1), session, 1),
      cluster.read(sid, get("/c"), false, session),
    ];
    expect(cluster.server(sid).ready).toBe(false);
    const [before, again, after] = cluster.answered(tokens);
    expect(before).toMatchObject({ ok: true, result: { stat: { version: 2 } } });
    expect(versionOf(again)).toBe(1);
    expect(after).toMatchObject({ ok: true, result: { stat: { version: 2 } } });
  });

  it("[SERVER-35] is closed by its closeSession, not by the txn that opened it", () => {
    const { cluster, sid } = forgetful((each, at) => void open(each, at, TIMEOUT_MS));
    const answer = write(cluster, sid, { type: "closeSession" }, sessionOf(sid));
    expect(answer).toMatchObject({ ok: true, result: { type: "closeSession" } });
    expect(cluster.server(sid).tree.sessions.size).toBe(0);
  });

  it("[SERVER-34] to a member that lost its quorum waits for the next one, reads included, in order", () => {
    const { cluster, client } = world();
    const sid = must(cluster.followers[0], "a follower");
    client.connect(sid);
    finish(cluster, client);
    cluster.crash(cluster.leaderSid);
    cluster.runUntil(() => !cluster.server(sid).ready, 10_000);
    const read = client.read(get("/c"));
    const set = client.write(setData("/c", 1));
    const after = client.read(get("/c"));
    cluster.runUntil(() => {
      client.pump();
      return client.idle;
    }, 10_000);
    expect(client.ends).toEqual([]);
    expect(versionOf(client.answers.get(set))).toBe(1);
    expect(client.answers.get(read)).toMatchObject({ result: { stat: { version: 0 } } });
    expect(client.answers.get(after)).toMatchObject({ result: { stat: { version: 1 } } });
  });

  it("[SERVER-34] is disconnected by a member that remains without a quorum", () => {
    const { cluster, client } = world();
    const sid = must(cluster.followers[0], "a follower");
    client.connect(sid);
    finish(cluster, client);
    cluster.isolate(sid);
    cluster.runFor(10 * TICK);
    client.pump();
    expect(client.connection).toBeNull();
    finish(cluster, client);
    expect(client.alive).toBe(true);
  });
});

function send(cluster: Cluster, client: SessionClient, request: WriteRequest): number {
  const xid = client.write(request);
  finish(cluster, client);
  return xid;
}

describe("watches of a session that reconnects", () => {
  it("[WATCH-6] fire once for a missed change, at any member; the others stay set", () => {
    for (const target of [1, 2, 3]) {
      const { cluster, client } = world();
      for (const path of ["/data", "/quiet", "/gone", "/family"]) write(cluster, 1, create(path));
      client.connect(1);
      for (const path of ["/data", "/quiet", "/gone"]) client.read(get(path, true));
      client.read({ type: "exists", path: "/later", watch: true });
      client.read({ type: "getChildren", path: "/family", watch: true, withStat: true });
      finish(cluster, client);
      client.disconnect();
      write(cluster, 2, setData("/data", 1));
      write(cluster, 2, setData("/data", 2));
      write(cluster, 2, { type: "delete", path: "/gone", version: -1 });
      write(cluster, 2, create("/later"));
      write(cluster, 2, create("/family/child"));
      client.connect(target);
      finish(cluster, client);
      expect(client.events).toEqual([
        { type: 3, path: "/data" },
        { type: 2, path: "/gone" },
        { type: 1, path: "/later" },
        { type: 4, path: "/family" },
      ]);
      expect(client.watching).toEqual(["data /quiet"]);
      write(cluster, 3, setData("/quiet", 1));
      cluster.settle();
      client.pump();
      expect(client.events.at(-1)).toEqual({ type: 3, path: "/quiet" });
      expect(client.watching).toEqual([]);
      expect(cluster.server(target).watches.count).toBe(0);
    }
  });
});

describe("whatever happens to its connections and members, a session", () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ type: fc.constant("write" as const), count: fc.integer({ min: 1, max: 6 }) }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("watch" as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant("other" as const), sid: fc.integer({ min: 1, max: 3 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ type: fc.constant("run" as const), ms: fc.integer({ min: 0, max: 40 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant("move" as const), sid: fc.integer({ min: 1, max: 3 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("abandon" as const), sid: fc.integer({ min: 1, max: 3 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("crash" as const), sid: fc.integer({ min: 1, max: 3 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("cut" as const), sid: fc.integer({ min: 1, max: 3 }) }),
    },
  );

  it("[SERVER-30] [SERVER-31] [WATCH-6] applies each write once, sees no older state, and misses no change", () => {
    let watched = 0;
    let moved = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.array(step, { minLength: 15, maxLength: 40 }),
        (seed, steps) => {
          const cluster = ensemble({ size: 3, seed });
          for (const path of ["/c", "/w"]) write(cluster, 1, create(path));
          const client = new SessionClient(cluster, open(cluster, 1, 50_000));
          cluster.settle();
          client.connect(1);
          const xids: number[] = [];
          const reads: number[] = [];
          const abandoned: Wire[] = [];
          const living = (sid: number): boolean => cluster.member(sid).life !== null;
          const watch = (): void => {
            if (!client.watching.includes("data /w") && reads.every((xid) => client.answers.has(xid))) {
              reads.push(client.read(get("/w", true)));
            }
          };
          for (const each of steps) {
            client.pump();
            if (each.type === "write") {
              for (let i = 0; i < each.count; i++) xids.push(client.write(setData("/c", i)));
            } else if (each.type === "watch") watch();
            else if (each.type === "run") cluster.runFor(each.ms);
            else if (each.type === "other" && living(each.sid)) cluster.write(each.sid, setData("/w", 1));
            else if (each.type === "move" && living(each.sid)) client.connect(each.sid);
            else if (each.type === "abandon" && living(each.sid)) {
              const old = client.abandon();
              if (old !== null) abandoned.push(old);
              client.connect(each.sid);
            } else if (each.type === "crash" && living(each.sid)) {
              if (cluster.alive.length === 3) cluster.crash(each.sid);
              else {
                cluster.runFor(20); // the calls to the life before are lost first
                cluster.startAll();
              }
            } else if (each.type === "cut") {
              if (cluster.engine.chance() < 0.5) cluster.isolate(each.sid);
              else cluster.heal();
            }
          }
          cluster.heal();
          cluster.runFor(20);
          cluster.startAll();
          finish(cluster, client);
          cluster.settle();
          finish(cluster, client);
          expect(client.alive).toBe(true);
          moved += client.ends.length + abandoned.length;
          // a result may be forgotten by a member that lost its memory; none is another's, and nothing happened twice
          const versions = xids.map((xid) => {
            const answer = client.answers.get(xid);
            return codeOf(answer) === "XID_TOO_OLD" ? null : versionOf(answer);
          });
          expect(versions).toEqual(versions.map((version, i) => (version === null ? null : i + 1)));
          expect(cluster.leader?.tree.get("/c")?.version).toBe(xids.length);
          // a client that reads, waits for the event, and reads again ends with the last state
          cluster.runFor(10 * TICK);
          cluster.settle();
          finish(cluster, client);
          const node = must(cluster.leader?.tree.get("/w"), "it is there");
          const last = client.answers.get(reads.at(-1) ?? 0);
          if (client.watching.includes("data /w") && last?.ok === true && last.result.type === "getData") {
            watched += 1;
            expect(compareZxid(last.result.stat.mzxid, node.mzxid)).toBe(0);
          }
          // every watch that is not left any more has told of it exactly once
          const left = reads.length - client.watching.length;
          expect(client.events.length).toBe(left);
        },
      ),
      { numRuns: 60 },
    );
    expect(watched).toBeGreaterThan(2);
    expect(moved).toBeGreaterThan(30);
  });
});

it("[SERVER-30] an ephemeral of a session survives its moves", () => {
  const { cluster, client } = world();
  client.connect(1);
  send(cluster, client, create("/e", CreateMode.EPHEMERAL));
  for (let i = 0; i < 9; i++) {
    cluster.runFor(TIMEOUT_MS / 2);
    client.connect((i % 3) + 1);
    finish(cluster, client);
  }
  expect(cluster.leader?.tree.get("/e")?.ephemeralOwner).toBe(client.session);
});
