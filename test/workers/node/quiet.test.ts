/** Sleep of real objects: five nodes and four brokers that cost nothing, lose their memory, fail, and wake. */
import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { CreateMode, NO_SESSION, type SessionId, type WriteRequest } from "../../../core/znode/types.ts";
import type { Broker } from "../../../durable-objects/broker/broker.ts";
import type { BrokerRpc, BrokerStatus } from "../../../durable-objects/broker/rpc.ts";
import type { Answer, NodeStatus, ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { ZooWeeperNode } from "../../../durable-objects/zooweeper-node/zooweeper-node.ts";

const SIDS = [1, 2, 3, 4, 5] as const;
const IDS = [0, 1, 2, 3] as const;

type NodeStub = DurableObjectStub<ZooWeeperNode> & ZooWeeperNodeRpc;
type BrokerStub = DurableObjectStub<Broker> & BrokerRpc;

const node = (ensemble: string, sid: number): NodeStub =>
  env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`)) as unknown as NodeStub;

const broker = (ensemble: string, id: number): BrokerStub =>
  env.BROKER.get(env.BROKER.idFromName(`${ensemble}/${id}`)) as unknown as BrokerStub;

const create = (path: string): WriteRequest => ({
  type: "create",
  path,
  data: null,
  mode: CreateMode.PERSISTENT,
  withStat: false,
});

/** Asks until it holds; the test's own time limit ends it. */
async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    await scheduler.wait(20);
  }
}

/** What a node answers once it has a quorum: an election may come at any moment of a busy machine. */
const answered = <T>(ask: () => Promise<Answer<T>>): Promise<Answer<T>> =>
  until(async () => {
    const answer = await ask();
    return answer.ok || !["NO_QUORUM", "UNKNOWN_OUTCOME"].includes(answer.code) ? answer : undefined;
  });

const codeOf = (answer: Answer<unknown>): string => (answer.ok ? "OK" : answer.code);

async function found(ensemble: string): Promise<void> {
  for (const sid of SIDS) await node(ensemble, sid).bootstrap({ ensemble, sid, size: 5 });
}

/** Starts the brokers and waits until all are registered. */
async function startBrokers(ensemble: string): Promise<void> {
  for (const id of IDS) await broker(ensemble, id).start({ ensemble, id, ensembleSize: 5, brokerCount: 4 });
  await until(async () => {
    const answer = await broker(ensemble, 0).metadata();
    return answer.ok && answer.value.brokers.length === 4 && answer.value.controller !== null
      ? true
      : undefined;
  });
}

const nodesOf = (ensemble: string): Promise<NodeStatus[]> =>
  Promise.all(SIDS.map((sid) => node(ensemble, sid).status()));

const brokersOf = (ensemble: string): Promise<BrokerStatus[]> =>
  Promise.all(IDS.map((id) => broker(ensemble, id).status()));

const asleep = (ensemble: string): Promise<NodeStatus[]> =>
  until(async () => {
    const all = await nodesOf(ensemble);
    return all.every(({ quiet }) => quiet) ? all : undefined;
  });

/**
 * Asleep with the brokers, for good: a session that a broker opened without getting the answer is one too many, and the
 * ensemble wakes to expire it.
 */
async function allAsleep(ensemble: string): Promise<{ nodes: NodeStatus[]; brokers: BrokerStatus[] }> {
  return until(async () => {
    const [nodes, brokers] = await Promise.all([nodesOf(ensemble), brokersOf(ensemble)]);
    const areAsleep = [...nodes, ...brokers].every(({ quiet }) => quiet);
    return areAsleep && nodes.every(({ sessions }) => sessions <= IDS.length)
      ? { nodes, brokers }
      : undefined;
  });
}

/** Writes until it is acknowledged: to wake takes an election, which a busy machine may draw out. */
const write = (ensemble: string, sid: number, request: WriteRequest): Promise<true> =>
  until(async () => {
    const answer = await node(ensemble, sid).write({ session: NO_SESSION, xid: 0, request });
    return answer.ok || answer.code === "NODE_EXISTS" ? true : undefined;
  });

const exists = (ensemble: string, sid: number, path: string): Promise<boolean> =>
  until(async () => {
    const answer = await node(ensemble, sid).read({
      session: NO_SESSION,
      request: { type: "exists", path, watch: false },
      consistency: "linearizable",
      stale: false,
    });
    return answer.ok ? true : answer.code === "NO_NODE" ? false : undefined;
  });

async function evictAll(ensemble: string): Promise<void> {
  for (const sid of SIDS) await evictDurableObject(node(ensemble, sid));
  for (const id of IDS) await evictDurableObject(broker(ensemble, id));
}

const registered = async (ensemble: string): Promise<readonly number[]> => {
  const answer = await broker(ensemble, 1).metadata();
  return answer.ok ? answer.value.brokers.map(({ id }) => id) : [];
};

describe.concurrent("an idle ensemble of five with four brokers", () => {
  it("[QUIET-11] costs nothing: no request, no alarm, no row, no start; reading the status changes nothing", async () => {
    await found("idle");
    await startBrokers("idle");
    const { nodes, brokers } = await allAsleep("idle");
    // longer than any heartbeat
    const since = Math.max(...nodes.map(({ quietSince }) => quietSince ?? 0));
    const later = await until(async () => {
      const now = { nodes: await nodesOf("idle"), brokers: await brokersOf("idle") };
      return Date.now() - since > 4_000 ? now : undefined;
    });
    expect(later).toEqual({ nodes, brokers });
    for (const sid of SIDS) {
      expect(await node("idle", sid).bootstrap({ ensemble: "idle", sid, size: 5 })).toMatchObject({
        ok: true,
        value: { created: false },
      });
      expect(await runDurableObjectAlarm(node("idle", sid))).toBe(false);
    }
    for (const id of IDS) expect(await runDurableObjectAlarm(broker("idle", id))).toBe(false);
    expect({ nodes: await nodesOf("idle"), brokers: await brokersOf("idle") }).toEqual({ nodes, brokers });
    for (const { counters } of nodes) {
      expect(counters.requests).toBeGreaterThan(0);
      expect(counters.alarms).toBeGreaterThan(0);
      expect(counters.logRows).toBeGreaterThan(0);
    }
  });

  it("[QUIET-12] wakes from a sleep in which it lost all memory, brokers keep their sessions, and sleeps again", async () => {
    await found("evicted");
    await startBrokers("evicted");
    const before = await allAsleep("evicted");
    const epochs = await brokerEpochs("evicted");
    await allAsleep("evicted");
    await evictAll("evicted");
    const evicted = { nodes: await nodesOf("evicted"), brokers: await brokersOf("evicted") };
    expect(evicted.nodes.map(({ boot }) => boot)).toEqual(before.nodes.map(({ boot }) => boot));
    expect(evicted.nodes.every(({ quiet }) => quiet)).toBe(true);
    await write("evicted", 2, create("/after"));
    for (const sid of SIDS) expect(await exists("evicted", sid, "/after")).toBe(true);
    expect(await brokerEpochs("evicted")).toEqual(epochs);
    const after = await allAsleep("evicted");
    expect(after.brokers.map(({ session }) => session)).toEqual(before.brokers.map(({ session }) => session));
    for (const [i, { boot }] of after.nodes.entries()) {
      expect(boot).toBe((before.nodes[i]?.boot ?? 0) + 1);
    }
  });

  it("[QUIET-12] wakes for a single request at a broker", async () => {
    await found("asked");
    await startBrokers("asked");
    await allAsleep("asked");
    await evictAll("asked");
    await until(async () => {
      const created = await broker("asked", 3).createTopic({ name: "goals", partitions: 4 });
      return created.ok || created.code === "TOPIC_ALREADY_EXISTS" ? true : undefined;
    });
    await until(async () => ((await registered("asked")).length === 4 ? true : undefined));
  });

  it("[QUIET-13] a broker or a node that was killed or crashed during the sleep is detected on waking", async () => {
    await found("killed");
    await startBrokers("killed");
    const { nodes } = await allAsleep("killed");
    const leader = nodes.find(({ role }) => role === "LEADING")?.sid ?? 1;
    const other = (leader % 5) + 1;
    const end = (call: Promise<unknown>) => call.catch(() => undefined);
    await end(broker("killed", 2).fault("kill"));
    await end(broker("killed", 0).fault("crash"));
    await end(node("killed", leader).fault("kill"));
    await end(node("killed", other).fault("crash"));
    const refused = await node("killed", leader)
      .status()
      .catch((error: Error) => error.message);
    expect(refused).toMatch(/^NODE_DOWN/);
    expect((await node("killed", other).status()).quiet).toBe(true);
    await write("killed", other, create("/after"));
    await until(async () => ((await registered("killed")).join() === "0,1,3" ? true : undefined));
    await node("killed", leader).fault("revive");
    await broker("killed", 2).fault("revive");
    await until(async () => ((await registered("killed")).length === 4 ? true : undefined));
    expect(await exists("killed", leader, "/after")).toBe(true);
    await allAsleep("killed");
  });
});

/** *broker id → broker epoch*, the czxid of its registration */
async function brokerEpochs(ensemble: string): Promise<Record<string, string>> {
  const answer = await until(async () => {
    const metadata = await broker(ensemble, 1).metadata();
    return metadata.ok ? metadata.value : undefined;
  });
  return Object.fromEntries(answer.brokers.map(({ id, epoch }) => [`${id}`, `${epoch}`]));
}

describe.concurrent("a session whose client left", () => {
  for (const memory of ["kept", "lost"] as const) {
    it(`[QUIET-14] expires on time by the alarm, memory ${memory}; one with heartbeats stays alive`, async () => {
      const name = `expiry-${memory}`;
      await found(name);
      const open = async (sid: number, timeoutMs: number): Promise<SessionId> => {
        const opened = await answered(() => node(name, sid).openSession(timeoutMs));
        if (!opened.ok) throw new Error(opened.code);
        return opened.value.session;
      };
      const [left, kept] = await Promise.all([open(1, 12_000), open(2, 60_000)]);
      const mode = CreateMode.EPHEMERAL;
      const ephemeral: WriteRequest = { ...(create("/left") as WriteRequest & { type: "create" }), mode };
      const leftAt = Date.now();
      const created = await answered(() =>
        node(name, 3).write({ session: left, xid: 1, request: ephemeral }),
      );
      expect(codeOf(created)).toBe("OK");
      const [before] = await asleep(name);
      if (memory === "lost") for (const sid of SIDS) await evictDurableObject(node(name, sid));
      const alarms = await Promise.all(
        SIDS.map((sid) => runInDurableObject(node(name, sid), (_o, state) => state.storage.getAlarm())),
      );
      expect(alarms.every((at) => at !== null && at > leftAt + 9_000)).toBe(true);
      const gone = await until(async () => {
        const all = await nodesOf(name);
        // one that does not serve yet may not have applied its last rows
        const isGone = ({ serving, znodes }: NodeStatus) => serving && znodes === (before?.znodes ?? 0) - 1;
        return all.some(isGone) ? all : undefined;
      });
      expect(Date.now() - leftAt).toBeGreaterThanOrEqual(12_000);
      expect(gone.length).toBe(5);
      expect(await exists(name, 4, "/left")).toBe(false);
      const touch = (session: SessionId) => answered(() => node(name, 5).touchSession(session));
      expect(codeOf(await touch(kept))).toBe("OK");
      expect(codeOf(await touch(left))).toBe("SESSION_EXPIRED");
    });
  }
});

describe.concurrent("an alarm that rings too early", () => {
  it("[QUIET-14] does not remove the alarm that a session needs", async () => {
    await found("early");
    expect(codeOf(await answered(() => node("early", 1).openSession(60_000)))).toBe("OK");
    await asleep("early");
    const alarm = () => runInDurableObject(node("early", 2), (_o, state) => state.storage.getAlarm());
    const before = await alarm();
    expect(before).not.toBeNull();
    await runDurableObjectAlarm(node("early", 2));
    expect(await node("early", 2).status()).toMatchObject({ quiet: true });
    expect(await alarm()).toBe(before);
  });
});

describe.concurrent("a client that is connected", () => {
  it("[QUIET-2] keeps every node awake, until it disconnects", async () => {
    await found("socket");
    await write("socket", 1, create("/a"));
    const response = await node("socket", 3).fetch("http://node/events", {
      headers: { upgrade: "websocket" },
    });
    const socket = response.webSocket;
    if (socket === null) throw new Error("no socket");
    socket.accept();
    const openedAt = Date.now();
    const seen = await until(async () => {
      const all = await nodesOf("socket");
      return Date.now() - openedAt > 5_000 ? all : undefined;
    });
    expect(seen.some(({ quiet }) => quiet)).toBe(false);
    socket.close(1000, "done");
    await asleep("socket");
  });
});
