/** `deployment 5 4 3` on its usual ports. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/local/build.ts";
import { type Goal, goalOf, sendGoal } from "../../scripts/local/goals.ts";
import { type Collection, runCollection } from "../../scripts/local/postman.ts";
import { type ClusterView, getJson, getText, post } from "./http.ts";
import { command, deployment, type Running, temporaryDir, until } from "./processes.ts";

const NODES = [8080, 8081, 8082, 8083, 8084];
const BROKERS = [9090, 9091, 9092, 9093];
const CLIENTS = [3000, 3001, 3002];
/** Clients of a goal that every broker lists. */
const ALL = BROKERS.join(",");
const at = (port: number): string => `http://localhost:${port}`;

const state = temporaryDir();
let running: Running;
let api: string;

beforeAll(async () => {
  running = await deployment(["5", "4", "3", "--fresh", "--state", state.path]);
  api = running.urls.api;
});

afterAll(async () => {
  await running?.end("SIGTERM");
  state.remove();
});

/** Goals that this file posted and that were answered OK, by their order. */
const acknowledged: Goal[] = [];
const byMinute = (goals: readonly Goal[]): Goal[] => [...goals].sort((a, b) => a.Minute - b.Minute);
/** What `some` has more of than `others`. */
function without(some: readonly Goal[], others: readonly Goal[]): Goal[] {
  const left = others.map((goal) => JSON.stringify(goal));
  return some.filter((goal) => {
    const at = left.indexOf(JSON.stringify(goal));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
const data = (port: number): Promise<Goal[]> => getJson(`${at(port)}/data`);

/** What Confluent's lists have in common. */
interface V3List {
  readonly metadata: { readonly self: string };
  readonly data: readonly { readonly topics: { readonly related: string } }[];
}

describe("deployment 5 4 3", () => {
  it("answers on its twelve ports", async () => {
    for (const port of NODES) expect(await getText(`${at(port)}/`)).toEqual({ status: 200, text: "pong" });
    for (const port of BROKERS) {
      const { status, text } = await getText(`${at(port)}/`);
      expect(status).toBe(200);
      expect(text).toContain("<h1>Data:</h1>");
    }
    for (const port of CLIENTS) {
      const { status, text } = await getText(`${at(port)}/`);
      expect(status).toBe(200);
      expect(text).toContain("<!doctype html>");
      const through = await getJson<{ nodes: unknown[] }>(`${at(port)}/api/v1/ensemble`);
      expect(through.nodes).toHaveLength(5);
    }
  });

  it("has links that can be followed, also behind the page's host", async () => {
    const made = await post(`${at(CLIENTS[0] ?? 0)}/api/v1/znodes/linked`, "x");
    expect(made.headers.get("location")).toBe("/api/v1/znodes/linked");
    for (const base of [`${at(CLIENTS[0] ?? 0)}/api`, at(NODES[0] ?? 0)]) {
      const { metadata, data } = await getJson<V3List>(`${base}/v3/clusters`);
      expect(metadata.self).toBe(`${base}/v3/clusters`);
      const topics = await getJson<V3List>(data[0]?.topics.related ?? "");
      expect(topics.metadata.self).toBe(data[0]?.topics.related);
    }
  });

  it("takes ten goals from send-requests", async () => {
    const { code, stdout } = await command("send-requests.ts", ["10", "9090", ALL]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, -1).map((line) => /: (\S+)/.exec(line)?.[1])).toEqual(Array(10).fill("OK"));
    expect(lines.at(-1)).toMatch(/^total time: \d+\.\d+ s$/);
    expect(code).toBe(0);
    acknowledged.push(...Array.from({ length: 10 }, (_, i) => goalOf(i)));
  });

  it("lists the goals by minute, on every broker", async () => {
    for (const port of BROKERS) expect(await data(port)).toEqual(byMinute(acknowledged));
  });

  it("takes a goal from curl, without a key", async () => {
    const goal = { Minute: 28, Player: "Messi", Club: "FCB", Score: "0-1" };
    const body = JSON.stringify({
      metadata: { ReceiverIp: "8081", Clients: ALL },
      gameResults: goal,
    });
    const response = await post(`${at(9091)}/addScore`, body, { "content-type": "application/json" });
    expect(await response.text()).toBe("OK");
    acknowledged.push(goal);
  });

  it("gives the same metadata on every node, byte for byte", async () => {
    const texts: string[] = [];
    for (const port of NODES) texts.push((await getText(`${at(port)}/metadata`)).text);
    expect(new Set(texts).size).toBe(1);
    const [entry, ...senders] = JSON.parse(texts[0] ?? "") as Record<string, string>[];
    expect(entry).toMatchObject({ NodePort: expect.stringMatching(/^808\d$/), Leader: entry?.NodePort });
    expect(senders.map(({ SenderIp }) => SenderIp)).toEqual(["9090", "9091"]);
    expect(senders[0]).toMatchObject({ NodeId: "2", ParentId: 1, Clients: ALL, Version: 0 });
  });

  it("the original's short form sends goals to a broker and nodes of its choice", async () => {
    const { code, stdout } = await command("send-requests.ts", ["2"]);
    expect(code).toBe(0);
    expect(stdout.match(/: OK/g)).toHaveLength(2);
    const listed = await data(9090);
    expect(listed).toHaveLength(acknowledged.length + 2);
    expect(await data(9093)).toHaveLength(acknowledged.length);
    // from here on every broker lists every goal again: what the fourth one lacks is added to it alone
    for (const goal of [goalOf(0), goalOf(1)]) {
      const response = await post(`${at(9093)}/updateScore`, JSON.stringify(goal));
      expect(await response.text()).toBe("Score Updated");
      acknowledged.push(goal);
    }
  });

  it("after Clients without 9092 that broker gets no more goals", async () => {
    const before = (await data(9092)).length;
    const { code } = await command("send-requests.ts", ["1", "9090", "9090,9091,9093"]);
    expect(code).toBe(0);
    expect(await data(9092)).toHaveLength(before);
    expect(await data(9091)).toHaveLength(before + 1);
    const rows = JSON.parse((await getText(`${at(8083)}/metadata`)).text) as Record<string, unknown>[];
    expect(rows.at(-1)).toMatchObject({ SenderIp: "9090", Clients: "9090,9091,9093", ParentId: 2 });
    const response = await post(`${at(9092)}/updateScore`, JSON.stringify(goalOf(0)));
    expect(response.status).toBe(200);
    acknowledged.push(goalOf(0));
  });

  it("pages of any site may read the goals, but not write", async () => {
    const headers = { origin: "http://elsewhere.example" };
    const read = await fetch(`${at(9090)}/data`, { headers });
    expect([read.status, read.headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
    const body = JSON.stringify(goalOf(0));
    const write = await fetch(`${at(9090)}/updateScore`, { method: "POST", headers, body });
    expect(write.status).toBe(403);
  });

  it("stores a goal posted twice under a key once", async () => {
    const goal = goalOf(20);
    const options = { key: "twice", clients: ALL, receiver: "8082" };
    expect((await sendGoal(at(9090), goal, options)).status).toBe(200);
    expect((await sendGoal(at(9092), goal, options)).status).toBe(200);
    acknowledged.push(goal);
    expect(byMinute(await data(9090))).toHaveLength(acknowledged.length);
  });

  it("passes the Postman collections", async () => {
    const variables = { goBaseUrl: at(8083), expressBaseUrl: at(9092) };
    for (const name of ["node", "broker"]) {
      const file = join(ROOT, `postman/${name}.postman_collection.json`);
      const results = await runCollection(JSON.parse(readFileSync(file, "utf8")) as Collection, variables);
      expect(results.length).toBeGreaterThan(5);
      expect(results.filter(({ failure }) => failure !== undefined)).toEqual([]);
    }
    // the broker's collection stored goals of its own, for the brokers 9090 to 9092
    const listed = await data(9090);
    for (const goal of without(listed, await data(9093)))
      await post(`${at(9093)}/updateScore`, JSON.stringify(goal));
    acknowledged.splice(0, acknowledged.length, ...listed);
  });

  /** Longest that a goal may wait, ms: 3 s, and more where twenty looks at the cluster take longer than they should. */
  const waitMsMax = async (): Promise<number> => {
    const started = performance.now();
    for (let i = 0; i < 20; i++) await getJson(`${api}/cluster`);
    return Math.max(3_000, (performance.now() - started) * 15);
  };

  it.each([0, 1, 2, 3])(
    "broker %i killed: its port answers 503 and no goal waits more than 3 s",
    async (victim) => {
      const limitMs = await waitMsMax();
      const alive = BROKERS.filter((_, j) => j !== victim);
      await post(`${api}/v1/faults/brokers/${victim}/kill`);
      expect((await getText(`${at(BROKERS[victim] ?? 0)}/`)).status).toBe(503);
      for (let i = 0; i < 9; i++) {
        const goal = goalOf(30 + victim * 10 + i);
        const key = `broker-${victim}-${i}`;
        const sent = performance.now();
        const options = { key, clients: ALL, receiver: "8080", retryMs: 60_000 };
        const answer = await sendGoal(at(alive[i % alive.length] ?? 0), goal, options);
        expect(answer.status).toBe(200);
        const waitedMs = performance.now() - sent;
        if (waitedMs >= limitMs) expect(waitedMs).toBeLessThan(await waitMsMax());
        acknowledged.push(goal);
      }
      await post(`${api}/v1/faults/brokers/${victim}/revive`);
      const isUp = (cluster: ClusterView): boolean => cluster.brokers.every(({ up }) => up);
      await until(() => getJson<ClusterView>(`${api}/cluster`), isUp, "the broker does not come back");
      expect(await data(BROKERS[victim] ?? 0)).toHaveLength(acknowledged.length);
    },
  );

  it("has lost and duplicated no goal", async () => {
    const sorted = (goals: readonly Goal[]): string[] => goals.map((goal) => JSON.stringify(goal)).sort();
    expect(sorted(await data(9090))).toEqual(sorted(acknowledged));
  });

  it("a goal for a dead node goes to a live one, which the answer names", async () => {
    await post(`${api}/v1/faults/nodes/2/kill`);
    expect((await getText(`${at(8081)}/`)).status).toBe(503);
    const options = { key: "dead-node", clients: "9090", receiver: "8081", retryMs: 60_000 };
    const answer = await sendGoal(at(9090), goalOf(80), options);
    expect(answer.status).toBe(200);
    expect(answer.receiver).toMatch(/^808[0234]$/);
    await post(`${api}/v1/faults/nodes/2/revive`);
  });

  it("ends and restarts a single client", async () => {
    const dead = at(3001);
    await post(`${api}/v1/faults/clients/1/end`);
    await expect(fetch(`${dead}/`)).rejects.toThrow();
    for (const port of [3000, 3002]) expect((await getText(`${at(port)}/`)).status).toBe(200);
    await post(`${api}/v1/faults/clients/1/start`);
    expect((await getText(`${dead}/`)).status).toBe(200);
  });

  it("refuses pages of other sites", async () => {
    const headers = { origin: "http://elsewhere.example" };
    expect((await fetch(`${at(8080)}/v1/znodes/`, { headers })).status).toBe(403);
    expect((await fetch(`${at(3000)}/`, { headers })).status).toBe(403);
  });
});
