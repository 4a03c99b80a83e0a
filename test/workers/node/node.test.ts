/** The node object in workerd: real SQLite, real alarms, real RPC between real objects. */
import { abortAllDurableObjects, env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { zxid, zxidToText } from "../../../core/zab/zxid.ts";
import { CreateMode, NO_SESSION, type SessionId, type WriteRequest } from "../../../core/znode/types.ts";
import { type ChannelHost, ChannelStub } from "../../../durable-objects/shared/peer-channel.ts";
import type { Answer, NodeStatus, ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { ZooWeeperNode } from "../../../durable-objects/zooweeper-node/zooweeper-node.ts";

type Stub = DurableObjectStub<ZooWeeperNode> & ZooWeeperNodeRpc;

/** A fresh stub: one that has seen an abort stays broken. */
const node = (ensemble: string, sid: number): Stub =>
  env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`)) as Stub;

/** Every event of a test is a root event. */
const ROOT = { depth: 0, next: () => Promise.resolve(0) };

/** What a call is refused with. */
const refusal = (call: Promise<unknown>): Promise<string> =>
  call.then(
    (answer) => `answered ${JSON.stringify(answer)}`,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

const create = (path: string, data = ""): WriteRequest => ({
  type: "create",
  path,
  data: new TextEncoder().encode(data),
  mode: CreateMode.PERSISTENT,
  withStat: false,
});

async function found(ensemble: string, size: number): Promise<void> {
  for (let sid = 1; sid <= size; sid++) {
    const answer = await node(ensemble, sid).bootstrap({ ensemble, sid, size });
    expect(answer.ok).toBe(true);
  }
}

/** Asks until the condition holds; the test's own time limit ends it. */
async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    await scheduler.wait(5);
  }
}

const statusOf = async (ensemble: string, sid: number): Promise<NodeStatus | undefined> =>
  node(ensemble, sid)
    .status()
    .catch(() => undefined);

async function leaderOf(ensemble: string, size: number): Promise<NodeStatus> {
  return until(async () => {
    for (let sid = 1; sid <= size; sid++) {
      const status = await statusOf(ensemble, sid);
      if (status?.role === "LEADING" && status.serving) return status;
    }
    return undefined;
  });
}

/**
 * The leader, once all members serve: until a new member has synchronised, it does not vote, and the others need the leader
 * that it waits for.
 */
async function leaderOfAll(ensemble: string, size: number): Promise<NodeStatus> {
  const leader = await leaderOf(ensemble, size);
  for (let sid = 1; sid <= size; sid++) {
    await until(async () => ((await statusOf(ensemble, sid))?.serving === true ? true : undefined));
  }
  return leader;
}

/** Writes at any node that takes it, until it is acknowledged. */
async function write(ensemble: string, sids: readonly number[], request: WriteRequest): Promise<void> {
  await until(async () => {
    for (const sid of sids) {
      const answer = await node(ensemble, sid)
        .write({ session: NO_SESSION, xid: 0, request })
        .catch(() => undefined);
      if (answer?.ok === true || (answer?.ok === false && answer.code === "NODE_EXISTS")) return true;
    }
    return undefined;
  });
}

/** What a node answers once it has a quorum: an election may come at any moment of a busy machine. */
function answered<T>(ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
  return until(async () => {
    const answer = await ask();
    return answer.ok || !["NO_QUORUM", "UNKNOWN_OUTCOME"].includes(answer.code) ? answer : undefined;
  });
}

async function pathsAt(ensemble: string, sid: number): Promise<readonly string[]> {
  return until(async () => {
    const request = { type: "getChildren", path: "/", watch: false, withStat: false } as const;
    const answer = await node(ensemble, sid)
      .read({ session: NO_SESSION, request, consistency: "linearizable", stale: false })
      .catch(() => undefined);
    return answer?.ok === true && answer.value.type === "getChildren" ? answer.value.children : undefined;
  });
}

describe("the end of a log", () => {
  it("[ZAB-143] is stored at a tick, not at every commit", async () => {
    await found("end-noted", 1);
    await write("end-noted", [1], create("/a"));
    const { lastZxid } = await until(() => statusOf("end-noted", 1));
    await until(() =>
      runInDurableObject(node("end-noted", 1), (_object, { storage }) => {
        const { value } = storage.sql.exec("SELECT value FROM meta WHERE key = 'logged'").one();
        const { epoch, counter } = JSON.parse(String(value)) ?? { epoch: 0, counter: 0 };
        return zxidToText(zxid(epoch, counter)) === lastZxid ? true : undefined;
      }),
    );
  });
});

describe("a node that has discarded a damaged storage", () => {
  it("[NODE-51] reports the reason until it counts again, and is found by name if its configuration is lost", async () => {
    await found("damaged-alone", 1);
    await write("damaged-alone", [1], create("/a"));
    await runInDurableObject(node("damaged-alone", 1), (_object, { storage }) => {
      storage.sql.exec("UPDATE meta SET value = '7' WHERE key = 'currentEpoch'");
    });
    await abortAllDurableObjects();
    const status = await until(() => statusOf("damaged-alone", 1));
    expect(status.serving).toBe(false);
    expect(status.reason).toContain("meta value currentEpoch");

    await found("damaged-one", 3);
    await write("damaged-one", [1, 2, 3], create("/a"));
    await runInDurableObject(node("damaged-one", 2), (_object, { storage }) => {
      storage.sql.exec("UPDATE meta SET value = '7' WHERE key IN ('currentEpoch', 'config')");
    });
    await abortAllDurableObjects();
    await found("damaged-one", 3);
    const back = await until(async () => {
      const each = await statusOf("damaged-one", 2);
      return each?.serving === true ? each : undefined;
    });
    expect(back.reason).toBeUndefined();
    expect(back.znodes).toBe(5);
  });
});

describe("a node object", () => {
  it("[NODE-1] a member that was never founded answers so and stores nothing", async () => {
    const stub = node("nobody", 1);
    const answer = await stub.write({ session: NO_SESSION, xid: 0, request: create("/a") });
    expect(answer).toMatchObject({ ok: false, code: "UNKNOWN_ENSEMBLE" });
    const peer = new ChannelStub<never>(() => stub as unknown as ChannelHost, ROOT);
    expect(await peer.deliver({ from: 2, boot: 1, generation: 1, seq: 0, messages: [] })).toBe("REFUSED");
    peer.close();
    await runInDurableObject(stub, (_object, state) => {
      expect(state.storage.sql.exec("SELECT count(*) AS n FROM meta").one().n).toBe(0);
      expect(state.storage.sql.exec("SELECT count(*) AS n FROM txn_log").one().n).toBe(0);
    });
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });

  it("[NODE-2] founding is idempotent and keeps the size", async () => {
    await found("again", 3);
    expect(await node("again", 1).bootstrap({ ensemble: "again", sid: 1, size: 3 })).toMatchObject({
      ok: true,
      value: { created: false },
    });
    expect(await node("again", 1).bootstrap({ ensemble: "again", sid: 1, size: 5 })).toMatchObject({
      ok: false,
      code: "ENSEMBLE_EXISTS",
    });
  });

  it("[NODE-3] alarms drive the heartbeat: every member has heard every other", async () => {
    await found("beat", 3);
    await leaderOf("beat", 3);
    for (let sid = 1; sid <= 3; sid++) {
      const before = (await statusOf("beat", sid))?.counters.alarms ?? 0;
      const status = await until(async () => {
        const seen = await statusOf("beat", sid);
        const heard = seen?.pings.every((ping) => ping.rttMs !== null) === true;
        return heard && seen.counters.alarms > before ? seen : undefined;
      });
      // none is set while one is being handled
      await until(() =>
        runInDurableObject(
          node("beat", sid),
          async (_object, state) => (await state.storage.getAlarm()) ?? undefined,
        ),
      );
      expect(status.pings.map((ping) => ping.sid)).toEqual([1, 2, 3].filter((other) => other !== sid));
    }
  });

  it("[NODE-4] a commit is one log row on every member, and survives the loss of all memory", async () => {
    await found("rows", 3);
    await leaderOf("rows", 3);
    for (let i = 0; i < 5; i++) await write("rows", [1], create(`/n${i}`, "x"));
    for (let sid = 1; sid <= 3; sid++) expect(await pathsAt("rows", sid)).toContain("n4");
    for (let sid = 1; sid <= 3; sid++) {
      await runInDurableObject(node("rows", sid), (_object, state) => {
        const row = state.storage.sql.exec("SELECT count(*) AS n, sum(txns) AS txns FROM txn_log").one();
        expect(row.n).toBeLessThanOrEqual(Number(row.txns));
        expect(Number(row.txns)).toBeGreaterThanOrEqual(5);
      });
    }
    const bootOf = async (sid: number): Promise<number> => (await until(() => statusOf("rows", sid))).boot;
    const boots = await Promise.all([1, 2, 3].map(bootOf));
    await abortAllDurableObjects();
    for (let sid = 1; sid <= 3; sid++) {
      expect(await pathsAt("rows", sid)).toEqual(["n0", "n1", "n2", "n3", "n4", "zookeeper"]);
      expect(await bootOf(sid)).toBe((boots[sid - 1] ?? 0) + 1);
    }
  });

  it("[NODE-5] the crash of the leader costs no acknowledged write, and the ensemble continues", async () => {
    await found("crash", 3);
    const written: string[] = [];
    for (let round = 0; round < 4; round++) {
      const { sid } = await leaderOf("crash", 3);
      await node("crash", sid)
        .fault("crash")
        .catch(() => undefined);
      await write("crash", [(sid % 3) + 1, ((sid + 1) % 3) + 1], create(`/r${round}`));
      written.push(`r${round}`);
    }
    for (let sid = 1; sid <= 3; sid++) expect(await pathsAt("crash", sid)).toEqual([...written, "zookeeper"]);
  });

  it("[NODE-6] a killed node refuses every call and ignores its alarm until it is revived; then it catches up", async () => {
    await found("kill", 3);
    const { sid } = await leaderOfAll("kill", 3);
    await node("kill", sid)
      .fault("kill")
      .catch(() => undefined);
    const others = [1, 2, 3].filter((other) => other !== sid);
    await write("kill", others, create("/while-dead"));
    expect(await refusal(node("kill", sid).status())).toMatch(/^NODE_DOWN/);
    const refused = node("kill", sid).write({ session: NO_SESSION, xid: 0, request: create("/x") });
    expect(await refusal(refused)).toMatch(/^NODE_DOWN/);
    await runDurableObjectAlarm(node("kill", sid));
    await runInDurableObject(node("kill", sid), async (_object, state) => {
      expect(await state.storage.getAlarm()).toBeNull();
    });
    await node("kill", sid).fault("revive");
    expect(await pathsAt("kill", sid)).toContain("while-dead");
  });

  it("[NODE-7] all members lose their memory at once and keep their state", async () => {
    await found("all", 5);
    await leaderOf("all", 5);
    for (let i = 0; i < 10; i++) await write("all", [(i % 5) + 1], create(`/w${i}`));
    await Promise.all(
      [1, 2, 3, 4, 5].map((sid) =>
        node("all", sid)
          .fault("crash")
          .catch(() => undefined),
      ),
    );
    await leaderOf("all", 5);
    const expected = [...Array.from({ length: 10 }, (_, i) => `w${i}`), "zookeeper"];
    for (let sid = 1; sid <= 5; sid++) expect(await pathsAt("all", sid)).toEqual(expected);
    await until(async () => {
      const all = await Promise.all([1, 2, 3, 4, 5].map((sid) => statusOf("all", sid)));
      const states = new Set(all.map((status) => `${status?.appliedZxid} ${status?.digest}`));
      return states.size === 1 && all.every((status) => status?.digest !== undefined) ? true : undefined;
    });
  });

  it("[NODE-8] a write of a session is applied once, however often it is sent, and gets its first result again", async () => {
    await found("once", 3);
    await leaderOf("once", 3);
    const opened = await answered(() => node("once", 2).openSession(60_000));
    const session = (opened.ok ? opened.value.session : 0) as SessionId;
    const request: WriteRequest = {
      ...create("/seq-"),
      mode: CreateMode.PERSISTENT_SEQUENTIAL,
    } as WriteRequest;
    const answers = [];
    const send = (sid: number, xid: number) =>
      answered(() => node("once", sid).write({ session, xid, request }));
    for (const sid of [2, 2, 1, 3]) answers.push(await send(sid, 1));
    const results = answers.map((answer) =>
      answer.ok && answer.value.type === "create" ? answer.value.path : answer,
    );
    expect(new Set(results)).toEqual(new Set(["/seq-0000000000"]));
    expect(await send(1, 0x7fff_ffff)).toMatchObject({ ok: true });
    expect(await send(1, 5)).toMatchObject({ ok: false, code: "XID_TOO_OLD" });
    expect(await pathsAt("once", 3)).toEqual(["seq-0000000000", "seq-0000000001", "zookeeper"]);
  });

  it("[NODE-17] an error has the zxid at which it was determined, even if the same turn has continued", async () => {
    await found("turn", 1);
    await leaderOf("turn", 1);
    const stub = node("turn", 1);
    const anonymous = { session: NO_SESSION, xid: 0 };
    const gathered = Array.from({ length: 8 }, (_, i) =>
      stub.write({ ...anonymous, request: create(`/${i}`) }),
    );
    const missing = stub.read({
      session: NO_SESSION,
      request: { type: "exists", path: "/later", watch: false },
      consistency: "linearizable",
      stale: false,
    });
    const refused = stub.write({ ...anonymous, request: create("/0") });
    const made = await stub.write({ ...anonymous, request: create("/later") });
    await Promise.all(gathered);
    expect(made).toMatchObject({ ok: true });
    const counters = [await missing, await refused, made].map(({ zxid }) => Number.parseInt(zxid ?? "", 16));
    expect(await missing).toMatchObject({ ok: false, code: "NO_NODE" });
    expect(await refused).toMatchObject({ ok: false, code: "NODE_EXISTS" });
    expect(counters.map((at) => at - (counters[2] ?? 0))).toEqual([-2, -1, 0]);
  });

  it("[NODE-9] waitForChange answers at once if the state is newer, and otherwise at the next change", async () => {
    await found("wait", 3);
    await leaderOf("wait", 3);
    await write("wait", [1], create("/watched"));
    const seen = await pathsAt("wait", 2);
    expect(seen).toContain("watched");
    const conditions = [{ path: "/watched", kind: "data" as const, since: "0x0" }];
    const now = await answered(() => node("wait", 2).waitForChange({ conditions, timeoutMs: 60_000 }));
    expect(now).toMatchObject({ ok: true, value: { changed: [0] } });
    const missing = [{ path: "/later", kind: "exists" as const, since: "0x0" }];
    const pending = answered(() => node("wait", 2).waitForChange({ conditions: missing, timeoutMs: 60_000 }));
    await write("wait", [3], create("/later"));
    expect(await pending).toMatchObject({ ok: true, value: { changed: [0] } });
    const never = [{ path: "/never", kind: "exists" as const, since: "0x0" }];
    const none = await answered(() => node("wait", 2).waitForChange({ conditions: never, timeoutMs: 1 }));
    expect(none).toMatchObject({ ok: true, value: { changed: [] } });
  });

  it("[NODE-10] a session without a heartbeat expires with its ephemerals; one with heartbeats stays alive", async () => {
    await found("expire", 3);
    await leaderOf("expire", 3);
    const shortest = await answered(() => node("expire", 1).openSession(1));
    expect(shortest).toMatchObject({ ok: true, value: { timeoutMs: 2_000 } });
    const ids: SessionId[] = [];
    for (const name of ["left", "kept"]) {
      // longer than a busy machine stands still
      const opened = await answered(() => node("expire", 1).openSession(5_000));
      if (!opened.ok) throw new Error(opened.code);
      const { session } = opened.value;
      ids.push(session);
      const request: WriteRequest = { ...create(`/${name}`), mode: CreateMode.EPHEMERAL } as WriteRequest;
      const created = await answered(() => node("expire", 2).write({ session, xid: 1, request }));
      expect(created).toMatchObject({ ok: true });
    }
    const [, kept] = ids;
    if (kept === undefined) throw new Error("two sessions were opened");
    const children = await until(async () => {
      expect((await answered(() => node("expire", 3).touchSession(kept))).ok).toBe(true);
      const seen = await pathsAt("expire", 1);
      return seen.includes("left") ? undefined : seen;
    });
    expect(children).toEqual(["kept", "zookeeper"]);
  });

  it("[NODE-11] a member that missed more than the log keeps is synchronised by a snapshot while writes continue", async () => {
    await found("snap", 3);
    const { sid: leader } = await leaderOfAll("snap", 3);
    const victim = (leader % 3) + 1;
    const has = (await until(() => statusOf("snap", victim))).lastZxid;
    await node("snap", victim)
      .fault("kill")
      .catch(() => undefined);
    // Changed znodes make a checkpoint due, and the log is cut below it.
    const many = async (from: number, to: number): Promise<void> => {
      const paths = Array.from({ length: to - from }, (_, i) => `/s${from + i}`);
      await Promise.all(paths.map((path) => write("snap", [leader], create(path, "x".repeat(50)))));
    };
    for (let from = 0; from < 1_500; from += 100) await many(from, from + 100);
    const base = await runInDurableObject(node("snap", leader), (_object, state) =>
      String(state.storage.sql.exec("SELECT value FROM meta WHERE key = 'logBase'").one().value),
    );
    const { epoch, counter } = JSON.parse(base).zxid;
    expect(epoch * 2 ** 32 + counter).toBeGreaterThan(Number(has) + 500);
    const [, paths] = await Promise.all([
      many(1_500, 2_000),
      node("snap", victim)
        .fault("revive")
        .then(() => pathsAt("snap", victim)),
    ]);
    expect(paths.length).toBeGreaterThanOrEqual(1_501);
    expect((await pathsAt("snap", victim)).length).toBe(2_001);
    await runInDurableObject(node("snap", victim), (_object, state) => {
      const value = (key: string) =>
        state.storage.sql.exec("SELECT value FROM meta WHERE key = ?", key).one().value;
      expect(value("table")).toBe("1");
      expect(state.storage.sql.exec("SELECT count(*) AS n FROM znode_0").one().n).toBe(0);
    });
  });

  it("[ZAB-132] a restarted leader sends SNAP from the checkpoint that a quorum had confirmed before", async () => {
    await found("resnap", 3);
    const { sid: leader } = await leaderOfAll("resnap", 3);
    const victim = (leader % 3) + 1;
    await node("resnap", victim)
      .fault("kill")
      .catch(() => undefined);
    for (let from = 0; from < 1_500; from += 100) {
      const paths = Array.from({ length: 100 }, (_, i) => `/s${from + i}`);
      await Promise.all(paths.map((path) => write("resnap", [leader], create(path))));
    }
    await abortAllDurableObjects();
    const { sid } = await leaderOf("resnap", 3);
    await node("resnap", victim).fault("revive");
    expect((await pathsAt("resnap", victim)).length).toBe(1_501);
    const values = await runInDurableObject(node("resnap", sid), (_object, state) =>
      ["checkpoint", "digest"].map((key) =>
        JSON.parse(String(state.storage.sql.exec("SELECT value FROM meta WHERE key = ?", key).one().value)),
      ),
    );
    expect(values[0].zxid.counter).toBeGreaterThan(500);
    expect(values[1].confirmed).toBe(true);
  });
});
