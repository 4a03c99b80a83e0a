/** Topics over HTTP: their configurations, and the links that the API gives. */
import { describe, expect, it } from "vitest";
import { call, make, problemOf, send } from "./helpers.ts";

interface Listed {
  readonly data: readonly { readonly cluster_id: string; readonly name?: string; readonly value?: string }[];
}

let topics = 0;
async function clusterId(): Promise<string> {
  return (await (await call("/v3/clusters")).json<Listed>()).data[0]?.cluster_id ?? "";
}

/** Asks for a topic of its own. */
async function create(configs: readonly object[]): Promise<{ name: string; response: Response }> {
  const name = `configured-${++topics}`;
  const path = `/v3/clusters/${await clusterId()}/topics`;
  return { name, response: await send("POST", path, { topic_name: name, configs }) };
}

const configsOf = async (name: string): Promise<Record<string, string>> =>
  (await (await call(`/topics/${name}`)).json<{ configs: Record<string, string> }>()).configs;

const DEFAULTS = {
  "cleanup.policy": "delete",
  "compression.type": "producer",
  "max.message.bytes": "1048588",
  "message.timestamp.type": "CreateTime",
  "min.insync.replicas": "1",
  "retention.bytes": "-1",
  "retention.ms": "-1",
  "unclean.leader.election.enable": "false",
};

describe("configurations", () => {
  it("[CONFIG-2] that are unknown, not implemented or invalid are refused and create nothing", async () => {
    const refused = [
      [{ name: "no.such.setting", value: "1" }],
      [{ name: "cleanup.policy", value: "compact" }],
      [{ name: "min.insync.replicas", value: "banana" }],
      [{ name: "segment.bytes", value: "1048576" }],
      [
        { name: "max.message.bytes", value: "10" },
        { name: "retention.ms", value: "1000" },
      ],
      [
        { name: "max.message.bytes", value: "10" },
        { name: "max.message.bytes", value: "20" },
      ],
    ];
    for (const configs of refused) {
      const { name, response } = await create(configs);
      expect(response.status, JSON.stringify(configs)).toBe(422);
      expect(await response.json()).toMatchObject({
        code: "INVALID_CONFIG",
        kafka_code: 40,
        retriable: false,
      });
      expect((await call(`/topics/${name}`)).status).toBe(404);
      await problemOf(await call(`/v1/znodes/config/topics/${name}`), 404, "NO_NODE");
    }
  });

  it("[CONFIG-2] that are implemented are shown and enforced", async () => {
    const { name, response } = await create([
      { name: "max.message.bytes", value: "100" },
      { name: "retention.ms", value: null },
    ]);
    expect(response.status, await response.text()).toBe(201);
    expect(await configsOf(name)).toEqual({ ...DEFAULTS, "max.message.bytes": "100" });
    const configs = `/v3/clusters/${await clusterId()}/topics/${name}/configs`;
    const { data } = await (await call(configs)).json<Listed>();
    expect(Object.fromEntries(data.map((each) => [each.name, each.value]))).toEqual(await configsOf(name));
    expect(await (await call(`${configs}/max.message.bytes`)).json()).toMatchObject({
      value: "100",
      is_default: false,
    });
    expect((await call(`${configs}/no.such.setting`)).status).toBe(404);
    const produce = (path: string, bytes: number): Promise<Response> =>
      call(path, {
        method: "POST",
        body: "x".repeat(bytes),
        headers: { "content-type": "application/octet-stream" },
      });
    for (const path of [`/topics/${name}`, `/topics/${name}/partitions/0`]) {
      const large = await produce(path, 100);
      expect(large.status).toBe(413);
      expect(await large.json()).toMatchObject({ code: "MESSAGE_TOO_LARGE", kafka_code: 10 });
      expect((await produce(path, 20)).status).toBe(200);
    }
    const plain = await create([]);
    expect(plain.response.status).toBe(201);
    expect(await configsOf(plain.name)).toEqual(DEFAULTS);
    expect((await produce(`/topics/${plain.name}`, 100)).status).toBe(200);
  });

  it("[CONFIG-3] that an earlier version stored are shown unchanged, and are deleted with their topic", async () => {
    const { name } = await create([]);
    const config = { "no.such.setting": "1", "cleanup.policy": "compact" };
    const body = JSON.stringify({ version: 1, config });
    expect((await call(`/v1/znodes/config/topics/${name}`, { method: "PUT", body })).status).toBe(200);
    await expect.poll(() => configsOf(name)).toEqual({ ...DEFAULTS, ...config });
    expect((await call(`/topics/${name}`, { method: "DELETE" })).status).toBe(204);
    await problemOf(await call(`/v1/znodes/config/topics/${name}`), 404, "NO_NODE");
  });
});

/** Every URL of this API in a body. */
function linksIn(value: unknown): string[] {
  if (typeof value === "string") return value.startsWith("http://zoo.test/") ? [value] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(linksIn) : [];
}

describe("links", () => {
  it("[HTTP-38] in every answer of the API lead to a route", async () => {
    const { name } = await create([]);
    await make("/links");
    const opened = await call("/v1/sessions", { method: "POST" });
    const created = await make("/links/a b%25é");
    expect((await call(created.headers.get("location") ?? "")).status).toBe(200);
    expect((await call(opened.headers.get("location") ?? "", { method: "PUT" })).status).toBe(200);
    const queue = ["/v3/clusters", `/topics/${name}`, "/topics", "/brokers", "/cluster", "/"];
    const seen = new Set(queue);
    for (const path of queue) {
      const response = await call(path);
      expect([path, response.status]).toEqual([path, 200]);
      for (const link of linksIn(await response.json())) {
        const next = link.slice("http://zoo.test".length);
        if (!seen.has(next)) queue.push(next);
        seen.add(next);
      }
    }
    // cluster, its brokers and topics, a topic's partitions and configurations, and each of them by itself
    expect(seen.size).toBeGreaterThan(20);
  });
});
