/** The brokers over HTTP: topics, records, live streams, the demo's routes, against a real ensemble. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeRecordBatch } from "../../core/wire/record-batch-codec.ts";
import type { TopicPartitionRpc } from "../../durable-objects/topic-partition/rpc.ts";
import { call, json, SseReader } from "./broker-helpers.ts";

const JSON_BODY = { "content-type": "application/json" };
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  call(path, { method: "POST", headers: { ...JSON_BODY, ...headers }, body: JSON.stringify(body) });

beforeAll(async () => {
  // the replicas of a topic are the brokers that are registered when it is made
  for (;;) {
    const { brokers } = await json<{ brokers: number[] }>(await call("/brokers"));
    if (brokers?.length === 3) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

let number = 0;
/** A topic of its own for each test. */
async function topic(partitions = 1, name = `t${++number}`): Promise<string> {
  const clusters = await json<{ data: { cluster_id: string }[] }>(await call("/v3/clusters"));
  const created = await post(`/v3/clusters/${clusters.data[0]?.cluster_id}/topics`, {
    topic_name: name,
    partitions_count: partitions,
  });
  expect(created.status, await created.clone().text()).toBe(201);
  return name;
}

const records = (...values: unknown[]) => ({ records: values.map((value) => ({ value })) });

describe("topics", () => {
  test("[BROKER-1] a topic is created with leaders, listed, described and deleted", async () => {
    const name = await topic(3);
    expect(await json<string[]>(await call("/topics"))).toContain(name);
    const described = await json<{ partitions: { leader: number; replicas: unknown[] }[] }>(
      await call(`/topics/${name}`),
    );
    expect(described.partitions.map((each) => each.leader).sort()).toEqual([0, 1, 2]);
    expect(described.partitions[0]?.replicas).toHaveLength(3);
    expect(await json(await call(`/topics/${name}/partitions/1`))).toMatchObject({
      partition: 1,
      leader_epoch: 0,
    });
    expect((await call(`/topics/${name}`, { method: "DELETE" })).status).toBe(204);
    expect((await call(`/topics/${name}`)).status).toBe(404);
    expect(await json<string[]>(await call("/topics"))).not.toContain(name);
  });

  test("[BROKER-1] links stay under the requested prefix; a prefix that is not a path is ignored", async () => {
    const self = async (forwarded: string) => {
      const headers = { "x-forwarded-prefix": forwarded };
      return (await json<{ metadata: { self: string } }>(await call("/e/default/v3/clusters", { headers })))
        .metadata.self;
    };
    const links = await Promise.all(["/api", "/a/b-c", "//evil.test", "/x?y", ""].map(self));
    expect(links.map((link) => link.replace("http://zooweeper.test", ""))).toEqual(
      ["/api", "/a/b-c", "", "", ""].map((prefix) => `${prefix}/e/default/v3/clusters`),
    );
  });

  test("[BROKER-1] a deleted topic's name can be used again and begins empty", async () => {
    const name = await topic();
    await post(`/topics/${name}`, records("old"));
    await call(`/topics/${name}`, { method: "DELETE" });
    const clusters = await json<{ data: { cluster_id: string }[] }>(await call("/v3/clusters"));
    await post(`/v3/clusters/${clusters.data[0]?.cluster_id}/topics`, { topic_name: name });
    expect(await json(await call(`/topics/${name}/partitions/0/records`))).toEqual([]);
    expect(await json(await post(`/topics/${name}`, records("new")))).toMatchObject({
      offsets: [{ offset: 0 }],
    });
  });

  test("[BROKER-2] invalid topics are refused with a code and create nothing", async () => {
    const name = await topic();
    const clusters = await json<{ data: { cluster_id: string }[] }>(await call("/v3/clusters"));
    const create = (body: unknown) => post(`/v3/clusters/${clusters.data[0]?.cluster_id}/topics`, body);
    const status = async (response: Promise<Response>) => {
      const answered = await response;
      const body = await json<{ error_code: number; message: string }>(answered);
      expect(body.message).toBeTypeOf("string");
      return answered.status;
    };
    expect(await status(create({ topic_name: "a/b" }))).toBe(422);
    expect(await status(create({ topic_name: ".." }))).toBe(422);
    expect(await status(create({ topic_name: name }))).toBe(409);
    expect(await status(create({ topic_name: "many", partitions_count: 65 }))).toBe(422);
    expect(await status(create({ topic_name: "none", partitions_count: 0 }))).toBe(422);
    expect(await status(create({ topic_name: "wide", replication_factor: 4 }))).toBe(422);
    expect(await status(create({}))).toBe(400);
    expect(await status(post("/v3/clusters/other/topics", { topic_name: "x" }))).toBe(404);
    expect(await json<string[]>(await call("/topics"))).not.toContain("many");
  });
});

describe("records", () => {
  test("[BROKER-3] JSON records are appended and read back with offset, timestamp and headers", async () => {
    const name = await topic();
    const produced = await post(`/topics/${name}`, {
      records: [
        { key: "k", value: { a: 1 }, headers: [{ name: "h", value: btoa("x") }], timestamp: 1234 },
        { value: null },
        { value: "text" },
      ],
    });
    expect(await json(produced)).toMatchObject({
      offsets: [
        { partition: 0, offset: 0, timestamp: 1234, error_code: null },
        { partition: 0, offset: 1 },
        { partition: 0, offset: 2 },
      ],
    });
    const read = await call(`/topics/${name}/partitions/0/records`);
    expect(read.headers.get("x-next-offset")).toBe("3");
    expect(read.headers.get("x-high-watermark")).toBe("3");
    expect(await json(read)).toMatchObject([
      {
        topic: name,
        partition: 0,
        offset: 0,
        key: "k",
        value: { a: 1 },
        timestamp: 1234,
        headers: [{ name: "h", value: btoa("x") }],
      },
      { offset: 1, key: null, value: null },
      { offset: 2, value: "text" },
    ]);
    expect(await json(await call(`/topics/${name}/partitions/0/offsets`))).toMatchObject({
      beginning_offset: 0,
      end_offset: 3,
    });
    expect(await json(await call(`/topics/${name}/partitions/0/offsets?timestamp=2000`))).toMatchObject({
      offset: 1,
    });
  });

  test("[BROKER-3] binary, raw, line and batch bodies hold the same bytes", async () => {
    const name = await topic();
    const send = (type: string, body: BodyInit, headers: Record<string, string> = {}) =>
      call(`/topics/${name}/partitions/0`, {
        method: "POST",
        headers: { "content-type": type, ...headers },
        body,
      });
    const binary = JSON.stringify({ records: [{ key: btoa("k"), value: btoa("\x00\xff") }] });
    expect((await send("application/vnd.kafka.binary.v2+json", binary)).status).toBe(200);
    expect((await send("application/octet-stream", Uint8Array.of(0, 255), { "x-key": "k" })).status).toBe(
      200,
    );
    expect(await json(await send("application/x-ndjson", '{"n":1}\r\n\n{"n":2}'))).toMatchObject({
      offsets: [{ offset: 2 }, { offset: 3 }],
    });
    expect((await send("text/plain", "x")).status).toBe(415);
    expect((await send("application/vnd.kafka.recordbatch", "not a batch")).status).toBe(400);
    const whole = encodeRecordBatch([{ key: null, value: Uint8Array.of(7), headers: [], timestampMs: 5 }]);
    expect(await json(await send("application/vnd.kafka.recordbatch", whole))).toMatchObject({
      offsets: [{ offset: 4 }],
    });
    expect(
      (
        await call(`/topics/${name}`, {
          method: "POST",
          headers: { "content-type": "application/vnd.kafka.recordbatch" },
          body: whole,
        })
      ).status,
    ).toBe(400);
    const read = await json<{ value: string; key: string }[]>(
      await call(`/topics/${name}/partitions/0/records?format=binary`),
    );
    expect(read.map(({ key, value }) => [key, value])).toEqual([
      [btoa("k"), btoa("\x00\xff")],
      [btoa("k"), btoa("\x00\xff")],
      [null, btoa('{"n":1}')],
      [null, btoa('{"n":2}')],
      [null, btoa("\x07")],
    ]);
    const asJson = await json<{ value: unknown }[]>(
      await call(`/topics/${name}/partitions/0/records?offset=1&count=2`),
    );
    expect(asJson.map((each) => each.value)).toEqual([{ $base64: btoa("\x00\xff") }, { n: 1 }]);
  });

  test("[BROKER-4] records of one key stay together, an explicit partition has priority", async () => {
    const name = await topic(4);
    const body = { records: [...Array(20)].map((_, i) => ({ key: `k${i % 5}`, value: i })) };
    const { offsets } = await json<{ offsets: { partition: number }[] }>(await post(`/topics/${name}`, body));
    const places = new Map<string, Set<number>>();
    offsets.forEach(({ partition }, i) => {
      const key = `k${i % 5}`;
      places.set(key, (places.get(key) ?? new Set()).add(partition));
    });
    for (const place of places.values()) expect(place.size).toBe(1);
    const placed = await json<{ offsets: { partition: number }[] }>(
      await post(`/topics/${name}`, {
        records: [
          { value: 1, partition: 3 },
          { key: "k", value: 2, partition: 1 },
        ],
      }),
    );
    expect(placed.offsets.map((each) => each.partition)).toEqual([3, 1]);
    expect((await post(`/topics/${name}`, { records: [{ value: 1, partition: 4 }] })).status).toBe(404);
  });

  test("[BROKER-5] an Idempotency-Key makes a retry the same append", async () => {
    const name = await topic(4);
    const send = (body: unknown) => post(`/topics/${name}`, body, { "idempotency-key": "goal-1" });
    const first = await send(records("goal"));
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    const firstBody = await json<{ offsets: { partition: number; offset: number }[] }>(first);
    const again = await send(records("goal"));
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect((await json<typeof firstBody>(again)).offsets[0]).toMatchObject({
      partition: firstBody.offsets[0]?.partition,
      offset: firstBody.offsets[0]?.offset,
    });
    const other = await send(records("another"));
    expect(other.status).toBe(422);
    expect(await json(other)).toMatchObject({ error_code: 42209 });
    expect((await post(`/topics/${name}`, records(1), { "idempotency-key": "x".repeat(256) })).status).toBe(
      400,
    );
  });

  test("[BROKER-6] a conditional append names the expected offset", async () => {
    const name = await topic();
    expect((await post(`/topics/${name}`, { ...records("a"), match_offset: 0 })).status).toBe(200);
    const refused = await post(`/topics/${name}`, { ...records("b"), match_offset: 0 });
    expect(refused.status).toBe(412);
    expect(refused.headers.get("x-expected-offset")).toBe("1");
    expect(await json(refused)).toMatchObject({ error_code: 41201 });
  });

  test("[BROKER-7] invalid reads and writes are answered 4xx with a code", async () => {
    const name = await topic();
    const path = `/topics/${name}/partitions/0/records`;
    for (const query of [
      "offset=-1",
      "offset=x",
      "offset=1.5",
      "tail=-1",
      "offset=0&tail=1",
      "count=0",
      "wait_ms=99999999",
      "offset=0&offset=1",
    ])
      expect((await call(`${path}?${query}`)).status, query).toBe(400);
    expect((await call(`${path}?offset=1`)).status).toBe(416);
    expect((await call(`${path}?offset=1`, { headers: { accept: "text/event-stream" } })).status).toBe(416);
    expect(
      (await call(`${path}`, { headers: { accept: "text/event-stream", "last-event-id": "x" } })).status,
    ).toBe(400);
    expect((await call(`/topics/${name}/partitions/1/records`)).status).toBe(404);
    expect((await call(`/topics/${name}/partitions/-1/records`)).status).toBe(404);
    expect((await call("/topics/unknown/partitions/0/records")).status).toBe(404);
    expect(await json(await call("/topics/unknown/partitions/0/records"))).toMatchObject({
      error_code: 40401,
      kafka_code: 3,
    });
    expect((await call("/topics/a%20b")).status).toBe(422);
    for (const body of [
      {},
      { records: [] },
      { records: [{ value: 1, partition: -1 }] },
      { records: [{ timestamp: "x" }] },
      [],
    ])
      expect((await post(`/topics/${name}`, body)).status, JSON.stringify(body)).toBe(400);
    expect((await call(`/topics/${name}`, { method: "POST", headers: JSON_BODY, body: "{" })).status).toBe(
      400,
    );
    expect((await post("/topics/unknown", records(1))).status).toBe(404);
    const large = "x".repeat(1024 * 1024);
    expect((await post(`/topics/${name}`, records(large))).status).toBe(413);
  });

  test("[BROKER-8] a long poll returns with the next record", async () => {
    const name = await topic();
    const waiting = call(`/topics/${name}/partitions/0/records?offset=0&wait_ms=20000`);
    await post(`/topics/${name}`, records("now"));
    expect(await json(await waiting)).toMatchObject([{ offset: 0, value: "now" }]);
    expect(await json(await call(`/topics/${name}/partitions/0/records?offset=1&wait_ms=5`))).toEqual([]);
  });
});

describe("live records", () => {
  test("[BROKER-9] a stream sends existing and new records, and resumes exactly", async () => {
    const name = await topic();
    const path = `/topics/${name}/partitions/0/records`;
    await post(`/topics/${name}`, records(0, 1, 2));
    const first = await SseReader.open(`${path}?offset=1`);
    const seen = await first.records(2);
    expect(seen.map((each) => each.offset)).toEqual([1, 2]);
    await post(`/topics/${name}`, records(3));
    expect((await first.records(1)).map((each) => each.value)).toEqual([3]);
    expect(first.lastEventId).toMatch(/^4:[\w-]{22}$/);
    await first.close();
    await post(`/topics/${name}`, records(4, 5));
    const second = await SseReader.open(path, { "last-event-id": first.lastEventId });
    await post(`/topics/${name}`, records(6));
    expect((await second.records(3)).map((each) => each.value)).toEqual([4, 5, 6]);
    await second.close();
  });

  test("[HTTP-83] a reader that stops reading for a while gets every record over the same stream", async () => {
    const name = await topic();
    const reader = await SseReader.open(`/topics/${name}/partitions/0/records?offset=0`);
    const large = "x".repeat(700_000);
    // several times what may wait for it
    for (let i = 0; i < 8; i++) {
      expect((await post(`/topics/${name}`, records(`${i} ${large}`))).status).toBe(200);
    }
    const seen = await reader.records(8);
    expect(seen.map(({ offset, value }) => [offset, String(value).slice(0, 2)])).toEqual(
      Array.from({ length: 8 }, (_, i) => [i, `${i} `]),
    );
    await reader.close();
  });

  test("[BROKER-40] an id belongs to one topic: after its deletion and another creation it is refused", async () => {
    const name = await topic();
    const path = `/topics/${name}/partitions/0/records`;
    await post(`/topics/${name}`, records("old 0", "old 1"));
    const old = await SseReader.open(`${path}?offset=0`);
    await old.records(2);
    expect((await call(`/topics/${name}`, { method: "DELETE" })).status).toBe(204);
    // one that is open ends, with the reason
    await expect(old.records(1)).rejects.toThrow(/UNKNOWN_TOPIC_OR_PARTITION|INCONSISTENT_TOPIC_ID/);
    await topic(1, name);
    await post(`/topics/${name}`, records("new 0", "new 1", "new 2"));

    const headers = { accept: "text/event-stream", "last-event-id": old.lastEventId };
    const refused = await call(path, { headers });
    expect(refused.status).toBe(410);
    expect(await json(refused)).toMatchObject({ kafka_code: 103, error_code: 41003 });
    const other = { ...headers, "last-event-id": `0:${"A".repeat(22)}` };
    expect((await call(path, { headers: other })).status).toBe(410);

    // an id of an earlier version has no topic, and is believed
    const bare = await SseReader.open(path, { "last-event-id": "1" });
    expect((await bare.records(2)).map((each) => each.value)).toEqual(["new 1", "new 2"]);
    expect(bare.lastEventId).not.toBe(old.lastEventId);
    await bare.close();
  });

  test("[BROKER-9] readers that reconnect at random offsets see every record once", async () => {
    const name = await topic();
    const path = `/topics/${name}/partitions/0/records`;
    const seen: number[] = [];
    let last = "0";
    for (let round = 0; round < 10; round++) {
      const reader = await SseReader.open(path, { "last-event-id": last });
      await Promise.all(Array.from({ length: 7 }, (_, i) => post(`/topics/${name}`, records(round * 7 + i))));
      seen.push(...(await reader.records(round % 3 === 0 ? 2 : 5)).map((each) => each.offset));
      last = reader.lastEventId;
      await reader.close();
    }
    const reader = await SseReader.open(path, { "last-event-id": last });
    if (seen.length < 70) seen.push(...(await reader.records(70 - seen.length)).map((each) => each.offset));
    await reader.close();
    expect(seen).toEqual(Array.from({ length: 70 }, (_, i) => i));
  });
});

describe("damaged records", () => {
  test("[PARTITION-36] a partition that has lost its leadership requests it from the brokers, and continues in the same epoch", async () => {
    const name = await topic();
    const path = `/topics/${name}/partitions/0`;
    await post(`/topics/${name}`, records("r0"));
    const { topic_id: id } = await json<{ topic_id: string }>(await call(`/topics/${name}`));
    const object = () => env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName(`default/${id}/0`));
    const before = await object().status();
    for (const change of ["UPDATE meta SET value = '{}'", "DELETE FROM meta"]) {
      await runInDurableObject(object(), (_object, { storage: { sql } }) => {
        sql.exec(`${change} WHERE key LIKE 'leadership%'`);
      });
      await evictDurableObject(object());
      const answers = await Promise.all([
        call(`${path}/records?offset=0&format=json`),
        post(path, records("more")),
        call(`${path}/offsets`),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    }
    const after = await object().status();
    expect(after).toMatchObject({
      ...{ ok: true, leader: before.ok && before.leader, leaderEpoch: before.ok && before.leaderEpoch },
      ...{ logEndOffset: 3, epochs: before.ok && before.epochs },
    });
  });

  test("[PARTITION-36] an answer older than an epoch of its log is not accepted", async () => {
    const name = await topic();
    await post(`/topics/${name}`, records("r0"));
    const { topic_id: id } = await json<{ topic_id: string }>(await call(`/topics/${name}`));
    const object = () => env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName(`default/${id}/0`));
    await runInDurableObject(object(), (_object, { storage: { sql } }) => {
      sql.exec("INSERT INTO epoch (leader_epoch, start_offset, leader) VALUES (7, 1, 1)");
      sql.exec("DELETE FROM meta WHERE key LIKE 'leadership%'");
    });
    await evictDurableObject(object());
    expect(await object().bounds(-1)).toMatchObject({ ok: false, code: "KAFKA_STORAGE_ERROR" });
  });

  test("[BROKER-24] are CORRUPT_MESSAGE with the offset to continue at, in every format and stream, never a value", async () => {
    const name = await topic();
    const path = `/topics/${name}/partitions/0/records`;
    for (const value of ["r0", "r1", "r2"]) await post(`/topics/${name}`, records(value));
    const { topic_id: id } = await json<{ topic_id: string }>(await call(`/topics/${name}`));
    const object = env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName(`default/${id}/0`));
    await runInDurableObject(object, (_object, { storage: { sql } }) => {
      const found = sql.exec("SELECT data FROM chunk WHERE base = 1").one().data as ArrayBuffer;
      const data = new Uint8Array(found);
      data[data.length - 3] = ~(data[data.length - 3] ?? 0);
      sql.exec("UPDATE chunk SET data = ? WHERE base = 1", data);
    });
    await evictDurableObject(object);
    for (const format of ["json", "binary"]) {
      const before = await call(`${path}?format=${format}&offset=0`);
      expect([before.status, before.headers.get("x-next-offset")]).toEqual([200, "1"]);
      const damaged = await call(`${path}?format=${format}&offset=1`);
      expect([damaged.status, damaged.headers.get("x-next-offset")]).toEqual([500, "2"]);
      expect(await json(damaged)).toMatchObject({
        code: "CORRUPT_MESSAGE",
        kafka_code: 2,
        retriable: false,
        offset: 1,
        next_offset: 2,
      });
      const after = await json<unknown[]>(await call(`${path}?format=${format}&offset=2`));
      expect(after).toMatchObject([{ offset: 2 }]);
    }
    const reader = await SseReader.open(path);
    expect(await reader.records(1)).toMatchObject([{ offset: 0 }]);
    expect(reader.lastEventId).toMatch(/^1:/);
    for (;;) {
      const { event, data } = await reader.next();
      if (event !== "error") continue;
      expect(JSON.parse(data)).toMatchObject({ code: "CORRUPT_MESSAGE", offset: 1, next_offset: 2 });
      break;
    }
    await reader.close();
    const refused = await call(path, { headers: { accept: "text/event-stream", "last-event-id": "1" } });
    expect(refused.status).toBe(500);
    const behind = await SseReader.open(`${path}?offset=2`);
    expect(await behind.records(1)).toMatchObject([{ offset: 2 }]);
    await behind.close();
  });
});

describe("readers that leave", () => {
  /** A topic, and how many tails its partition has. */
  async function withTails() {
    const name = await topic();
    const { topic_id: id } = await json<{ topic_id: string }>(await call(`/topics/${name}`));
    const object = env.TOPIC_PARTITION.get(
      env.TOPIC_PARTITION.idFromName(`default/${id}/0`),
    ) as unknown as TopicPartitionRpc;
    const tails = async (): Promise<number> => {
      const status = await object.status();
      return status.ok ? status.tails : -1;
    };
    return { name, path: `/topics/${name}/partitions/0/records`, tails };
  }

  test("[BROKER-20] a closed stream leaves no tail", async () => {
    const { name, path, tails } = await withTails();
    await post(`/topics/${name}`, records(1));
    const readers = await Promise.all([1, 2, 3].map(() => SseReader.open(path)));
    for (const reader of readers) await reader.records(1);
    expect(await tails()).toBe(3);
    for (const reader of readers) await reader.close();
    while ((await tails()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test("[HTTP-34] one that left before its stream of records began, or while it began, holds no resources", async () => {
    const { path, tails } = await withTails();
    const headers = { accept: "text/event-stream" };
    const gone = await call(path, { headers, signal: AbortSignal.abort() });
    expect(await gone.text()).toBe("");
    for (let i = 0; i < 20; i++) {
      const end = new AbortController();
      const opening = call(path, { headers, signal: end.signal });
      if (i % 2 === 0) await opening;
      end.abort();
      await (await opening).body?.cancel();
    }
    while ((await tails()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

const goal = (Minute: number, receiver = "8081") => ({
  metadata: { ReceiverIp: receiver, Clients: "9090,9091,9092" },
  gameResults: { Minute, Player: "Messi", Club: "FCB", Score: "0-1" },
});

describe("the demo", () => {
  test("[DEMO-4] goals posted to any broker are listed by minute by every broker of their Clients", async () => {
    const minutes = [28, 90, 3, 45];
    for (const [i, minute] of minutes.entries()) {
      const response = await post(`/demo/brokers/${i % 3}/addScore`, goal(minute, `${8080 + (i % 3)}`));
      expect(await response.text()).toBe("OK");
      expect(response.headers.get("zoo-receiver")).toBe(`${8080 + (i % 3)}`);
    }
    for (let broker = 0; broker < 3; broker++) {
      const listed = await json<{ Minute: number }[]>(await call(`/demo/brokers/${broker}/data`));
      expect(listed.map((each) => each.Minute)).toEqual([3, 28, 45, 90]);
      expect(Object.keys(listed[0] ?? {})).toEqual(["Minute", "Player", "Club", "Score"]);
      const page = await call(`/demo/brokers/${broker}/`);
      expect(page.headers.get("content-type")).toMatch(/^text\/html/);
      expect(await page.text()).toContain("<h1>Data:</h1>");
    }
    expect(await json(await call("/topics/goals"))).toMatchObject({ partitions: [{ partition: 0 }] });
  });

  test("[DEMO-1] the metadata of the brokers that wrote is the same on every node", async () => {
    const bodies = await Promise.all(
      [0, 1, 2].map(async (node) => (await call(`/demo/nodes/${node}/metadata`)).text()),
    );
    expect(new Set(bodies).size).toBe(1);
    const [ensemble, ...rows] = JSON.parse(bodies[0] ?? "[]") as Record<string, unknown>[];
    expect(ensemble).toMatchObject({ NodeId: "1", Servers: "8080,8081,8082", ParentId: 0 });
    expect(
      rows.map(({ NodeId, SenderIp, Version, ParentId }) => [NodeId, SenderIp, Version, ParentId]),
    ).toEqual([
      ["2", "9090", 0, 1],
      ["3", "9091", 0, 1],
      ["4", "9092", 0, 1],
    ]);
  });

  test("[DEMO-5] a retried goal is stored once, whichever broker and node gets the retry", async () => {
    const key = { "idempotency-key": "one goal" };
    expect((await post("/demo/brokers/0/addScore", goal(50), key)).status).toBe(200);
    const again = await post("/demo/brokers/1/addScore", goal(50, "8082"), key);
    expect(await again.text()).toBe("OK");
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    const listed = await json<{ Minute: number }[]>(await call("/demo/brokers/0/data"));
    expect(listed.filter((each) => each.Minute === 50)).toHaveLength(1);
    expect((await post("/demo/brokers/0/addScore", goal(51), key)).status).toBe(422);
  });

  test("[DEMO-4] a goal is listed by the brokers that its Clients name, and by no other", async () => {
    const sent = async (minute: number, metadata: object, broker = 0) => {
      const { gameResults } = goal(minute);
      const response = await post(`/demo/brokers/${broker}/addScore`, { metadata, gameResults });
      expect(await response.text()).toBe("OK");
    };
    const listing = async (minute: number) => {
      const brokers: number[] = [];
      for (const broker of [0, 1, 2]) {
        const listed = await json<{ Minute: number }[]>(await call(`/demo/brokers/${broker}/data`));
        if (listed.some((each) => each.Minute === minute)) brokers.push(broker);
      }
      return brokers;
    };
    await sent(60, { Clients: "9090,9091" });
    expect(await listing(60)).toEqual([0, 1]);
    // without Clients: those of this broker's last goal
    await sent(61, {});
    expect(await listing(61)).toEqual([0, 1]);
    await sent(62, { Clients: "9090, 9091, 9092" });
    expect(await listing(62)).toEqual([0, 1, 2]);
    // only the broker itself
    const updated = await post("/demo/brokers/2/updateScore", goal(63).gameResults);
    expect(await updated.text()).toBe("Score Updated");
    expect(await listing(63)).toEqual([2]);
    // a record that the topic's own routes took names no clients
    const record = { records: [{ value: goal(64).gameResults }] };
    expect((await post("/topics/goals", record)).status).toBe(200);
    expect(await listing(64)).toEqual([0, 1, 2]);
    const rows = await json<Record<string, unknown>[]>(await call("/demo/nodes/0/metadata"));
    expect(
      rows.slice(4).map(({ NodeId, SenderIp, Clients, Version, ParentId }) => ({
        NodeId,
        SenderIp,
        Clients,
        Version,
        ParentId,
      })),
    ).toEqual([
      { NodeId: "5", SenderIp: "9090", Clients: "9090,9091", Version: 1, ParentId: 2 },
      { NodeId: "6", SenderIp: "9090", Clients: "9090, 9091, 9092", Version: 2, ParentId: 2 },
    ]);
  });

  test("[DEMO-7] the original demo's requests are served unchanged", async () => {
    const raw = (path: string, body: string, type = "text/plain") =>
      call(path, { method: "POST", headers: { "content-type": type }, body });
    // the collections: text without a content type, a receiver that is no port, and no clients
    const metadata = { SenderIp: "test", ReceiverIp: "test", Timestamp: "test", Attempts: 2 };
    const posted = { Timestamp: "now", Metadata: metadata, GameResults: {} };
    expect(await (await raw("/demo/nodes/0/metadata", JSON.stringify(posted))).text()).toBe("OK");
    const gameResults = { Min: 66, Player: "Leroy Sane", Club: "FCB", Score: "0-1" };
    const score = await raw("/demo/brokers/0/addScore", JSON.stringify({ metadata, gameResults }));
    expect(await score.text()).toBe("OK");
    expect(score.headers.get("zoo-receiver")).toBe("8080");
    // a broker of the original sends its goals to a node
    const sent = {
      Timestamp: "now",
      Metadata: { SenderIp: "9091", ReceiverIp: "8081", Clients: "9091" },
      GameResults: { Minute: 67, Player: "Kane", Club: "BAY", Score: "1-1" },
    };
    expect(await (await post("/demo/nodes/1/metadata", sent)).text()).toBe("OK");
    const listed = await json<{ Minute: number }[]>(await call("/demo/brokers/1/data"));
    expect(listed.map((each) => each.Minute)).toEqual(expect.arrayContaining([66, 67]));
    const others = await json<{ Minute: number }[]>(await call("/demo/brokers/0/data"));
    expect(others.map((each) => each.Minute)).not.toContain(67);
    // what its nodes say to each other
    const ping = await post("/demo/nodes/1/", { message: "ping", portNumber: "8080" });
    expect(await ping.text()).toBe('{"message":"pong","portNumber":"8081"}');
  });

  test("[DEMO-7] names of members are accepted in any case, as in the original's collections", async () => {
    const small = { minute: 70, player: "Leroy Sane", club: "FCB", score: "0-1" };
    expect(await (await post("/demo/brokers/1/updateScore", small)).text()).toBe("Score Updated");
    const body = { Metadata: { receiverIp: "8080", clients: "9091" }, GameResults: { ...small, minute: 71 } };
    expect(await (await post("/demo/brokers/1/addScore", body)).text()).toBe("OK");
    const listed = await json<Record<string, unknown>[]>(await call("/demo/brokers/1/data"));
    const goal = { Player: "Leroy Sane", Club: "FCB", Score: "0-1" };
    expect(listed.filter(({ Minute }) => Minute === 70 || Minute === 71)).toEqual([
      { Minute: 70, ...goal },
      { Minute: 71, ...goal },
    ]);
    expect((await post("/demo/brokers/1/updateScore", { ...small, Minute: 72, extra: 1 })).status).toBe(200);
    expect((await post("/demo/brokers/1/updateScore", { ...small, minute: "70" })).status).toBe(400);
  });

  test("[DEMO-6] bad goals, unknown brokers and unknown ports are refused", async () => {
    const refused = async (body: unknown, path = "/demo/brokers/0/addScore") => {
      const response = await post(path, body);
      const { code } = await json<{ code: string }>(response);
      expect(code).toBeTypeOf("string");
      return response.status;
    };
    expect(await refused({})).toBe(400);
    // no broker would list it
    expect(await refused({ ...goal(1), metadata: { Clients: "29090,29091" } })).toBe(400);
    expect(await refused({ ...goal(1), gameResults: { Minute: 28 } })).toBe(400);
    expect(await refused(goal(Number.NaN))).toBe(400);
    expect(await refused(goal(1), "/demo/brokers/3/addScore")).toBe(404);
    expect(await refused(goal(1), "/demo/brokers/x/addScore")).toBe(400);
    expect((await call("/demo/brokers/7/")).status).toBe(404);
    expect((await call("/demo/brokers/7/data")).status).toBe(404);
  });
});

describe("the cluster", () => {
  test("[BROKER-10] it shows every broker, the controller, and each partition's leader and end", async () => {
    const name = await topic(2);
    await post(`/topics/${name}/partitions/1`, records(1, 2, 3));
    const cluster = await json<{
      clusterId: string;
      controller: number;
      controllerEpoch: number;
      brokers: { id: number; up: boolean; epoch: number; host: string; port: number }[];
      topics: { name: string; partitions: { partition: number; logEndOffset: number; isr: number[] }[] }[];
    }>(await call("/cluster"));
    expect(cluster.clusterId).toHaveLength(22);
    expect([0, 1, 2]).toContain(cluster.controller);
    expect(cluster.controllerEpoch).toBeGreaterThanOrEqual(1);
    expect(cluster.brokers.map(({ id, up, port }) => ({ id, up, port }))).toEqual(
      [0, 1, 2].map((id) => ({ id, up: true, port: 9090 + id })),
    );
    for (const { epoch } of cluster.brokers) expect(epoch).toBeGreaterThan(0);
    const shown = cluster.topics.find((each) => each.name === name);
    expect(shown?.partitions.map((each) => each.logEndOffset)).toEqual([0, 3]);
    expect(await json(await call("/brokers"))).toEqual({ brokers: [0, 1, 2] });
  });

  test("[BROKER-11] the znodes are Kafka's", async () => {
    const read = async (path: string) => json<Record<string, unknown>>(await call(`/v1/znodes${path}`));
    expect(await read("/brokers/ids/1")).toMatchObject({
      version: 5,
      host: "localhost",
      port: 9091,
      endpoints: ["PLAINTEXT://localhost:9091"],
      jmx_port: -1,
    });
    expect(await read("/controller")).toMatchObject({ version: 2, kraftControllerEpoch: -1 });
    expect(await read("/brokers/topics/goals/partitions/0/state")).toMatchObject({
      version: 1,
      leader_epoch: 0,
    });
    expect(await read("/brokers/topics/goals")).toMatchObject({
      version: 3,
      adding_replicas: {},
      removing_replicas: {},
    });
    expect(await read("/config/topics/goals")).toEqual({ version: 1, config: {} });
  });
});

describe("ensembles", () => {
  test("[BROKER-19] each ensemble has brokers, topics and records of its own; an unknown one has none", async () => {
    expect(
      (await call("/v1/ensembles/other", { method: "PUT", headers: JSON_BODY, body: '{"size":1}' })).status,
    ).toBe(201);
    expect((await post("/e/other/demo/brokers/2/addScore", goal(77, "8080"))).status).toBe(200);
    const there = await json<{ Minute: number }[]>(await call("/e/other/demo/brokers/0/data"));
    expect(there.map((each) => each.Minute)).toEqual([77]);
    const here = await json<{ Minute: number }[]>(await call("/demo/brokers/0/data"));
    expect(here.map((each) => each.Minute)).not.toContain(77);
    const receiver = (await post("/e/other/demo/brokers/0/addScore", goal(77, "8081"))).headers.get(
      "zoo-receiver",
    );
    expect(receiver).toBe("8080");
    for (const path of [
      "/cluster",
      "/topics",
      "/brokers",
      "/demo/brokers/0/data",
      "/topics/goals/partitions/0/records",
    ])
      expect((await call(`/e/nowhere${path}`)).status, path).toBe(404);
  });
});
