/** `Idempotency-Key`: repeats of a request, and other requests under the same key. */
import { describe, expect, it } from "vitest";
import { call, send } from "./helpers.ts";

let topics = 0;

/** A topic of its own. */
async function topic(partitions = 1): Promise<string> {
  const name = `idempotency-${++topics}`;
  const { data } = await (await call("/v3/clusters")).json<{ data: { cluster_id: string }[] }>();
  const body = { topic_name: name, partitions_count: partitions };
  const created = await send("POST", `/v3/clusters/${data[0]?.cluster_id}/topics`, body);
  expect(created.status, await created.clone().text()).toBe(201);
  return `/topics/${name}`;
}

const produce = (path: string, type: string, body: string, headers: Record<string, string>) =>
  call(path, { method: "POST", body, headers: { "content-type": type, ...headers } });

const RAW = "application/octet-stream";
const JSON_TYPE = "application/vnd.kafka.json.v2+json";
const BINARY = "application/vnd.kafka.binary.v2+json";
const RECORD = '{"records":[{"value":"YWJj"}]}';

async function expectReused(response: Response): Promise<void> {
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED", error_code: 42209 });
}

describe("an Idempotency-Key", () => {
  it("[BROKER-21] repeats the first answer byte for byte, timestamps included", async () => {
    const path = `${await topic(3)}`;
    const bodies: readonly (readonly [string, string, string, Record<string, string>])[] = [
      [path, JSON_TYPE, '{"records":[{"value":1,"timestamp":77},{"value":2},{"key":"k","value":3}]}', {}],
      [`${path}/partitions/1`, RAW, "raw", { "x-key": "a" }],
      [path, "application/x-ndjson", "1\n2", {}],
    ];
    for (const [at, type, body, headers] of bodies) {
      const keyed = { ...headers, "idempotency-key": `${type} ${at}` };
      const first = await produce(at, type, body, keyed);
      const text = await first.text();
      expect([first.status, first.headers.get("idempotency-replayed")], text).toEqual([200, null]);
      const sentAt = Date.now();
      while (Date.now() <= sentAt + 2) await call("/healthz");
      const again = await produce(at, type, body, keyed);
      expect([again.headers.get("idempotency-replayed"), await again.text()]).toEqual(["true", text]);
    }
  });

  it("[BROKER-21] is refused with another record key, format, expected offset or route", async () => {
    const path = await topic();
    const one = `${path}/partitions/0`;
    const key = (name: string, more: Record<string, string> = {}) => ({ "idempotency-key": name, ...more });
    expect((await produce(one, RAW, "v", key("a", { "x-key": "a" }))).status).toBe(200);
    await expectReused(await produce(one, RAW, "v", key("a", { "x-key": "b" })));
    await expectReused(await produce(one, RAW, "v", key("a")));
    await expectReused(await produce(one, RAW, "w", key("a", { "x-key": "a" })));
    expect((await produce(one, JSON_TYPE, RECORD, key("b"))).status).toBe(200);
    await expectReused(await produce(one, BINARY, RECORD, key("b")));
    await expectReused(await produce(one, RAW, RECORD, key("b")));
    await expectReused(await produce(path, JSON_TYPE, RECORD, key("b")));
    await expectReused(await produce(one, JSON_TYPE, RECORD, key("b", { "x-expected-offset": "2" })));
    // the same format by another of its names
    const same = await produce(one, "Application/JSON; charset=UTF-8", RECORD, key("b"));
    expect([same.status, same.headers.get("idempotency-replayed")]).toEqual([200, "true"]);
    const read = await call(`${one}/records?format=binary`);
    expect(await read.json()).toHaveLength(2);
  });

  it("[BROKER-21] belongs to one request in all partitions of a topic", async () => {
    const path = await topic(4);
    const at = (partition: number) =>
      produce(`${path}/partitions/${partition}`, RAW, "v", { "idempotency-key": "everywhere" });
    expect((await at(0)).status).toBe(200);
    for (const partition of [1, 2, 3]) await expectReused(await at(partition));
    expect((await at(0)).headers.get("idempotency-replayed")).toBe("true");
    const spread = (value: number) =>
      produce(
        path,
        JSON_TYPE,
        JSON.stringify({ records: [0, 3].map((partition) => ({ value, partition })) }),
        {
          "idempotency-key": "spread",
        },
      );
    expect((await spread(1)).status).toBe(200);
    await expectReused(await spread(2));
  });

  it("[DEMO-5] of a goal is refused with other clients or another goal", async () => {
    const goal = (minute: number, clients: string) =>
      send(
        "POST",
        "/demo/brokers/0/addScore",
        {
          metadata: { ReceiverIp: "8080", Clients: clients },
          gameResults: { Minute: minute, Player: "A", Club: "B", Score: "1-0" },
        },
        { "idempotency-key": "a goal" },
      );
    expect((await goal(1, "9090")).status).toBe(200);
    expect((await goal(1, "9090,9091")).status).toBe(422);
    expect((await goal(2, "9090")).status).toBe(422);
    expect((await goal(1, "9090")).headers.get("idempotency-replayed")).toBe("true");
  });
});

describe("formats", () => {
  it("[BROKER-22] that are not implemented are refused, and nothing is stored", async () => {
    const path = `${await topic()}/partitions/0`;
    const types = ["avro", "protobuf", "jsonschema", "xml"].flatMap((name) => [
      `application/vnd.kafka.${name}.v2+json`,
      `application/vnd.kafka.${name}.v1+json`,
    ]);
    const others = [
      "application/vnd.kafka.v2+json",
      "application/jsonp",
      "text/plain",
      "application/xml",
      "",
    ];
    for (const type of [...types, ...others, "application/json; charset=iso-8859-1"]) {
      const response = await produce(path, type, '{"value_schema":"\\"int\\"","records":[{"value":12}]}', {});
      expect([type, response.status]).toEqual([type, 415]);
      expect(await response.json()).toMatchObject({ code: "UNSUPPORTED_MEDIA_TYPE", error_code: 415 });
    }
    expect(await (await call(`${path}/records`)).json()).toEqual([]);
    for (const type of types) {
      const response = await call(`${path}/records`, { headers: { accept: type } });
      expect([type, response.status]).toEqual([type, 406]);
      expect(await response.json()).toMatchObject({ code: "NOT_ACCEPTABLE" });
    }
  });

  it("[BROKER-22] are chosen by the weights of Accept", async () => {
    const path = `${await topic()}/partitions/0`;
    await produce(path, JSON_TYPE, '{"records":[{"value":1}]}', {});
    const valueFor = async (accept: string): Promise<unknown> => {
      const response = await call(`${path}/records`, { headers: { accept } });
      expect([accept, response.status]).toEqual([accept, 200]);
      return (await response.json<{ value: unknown }[]>())[0]?.value;
    };
    const binary = btoa("1");
    expect(await valueFor("*/*")).toBe(1);
    expect(await valueFor("text/html, */*;q=0.1")).toBe(1);
    expect(await valueFor("application/vnd.kafka.avro.v2+json, application/json;q=0.5")).toBe(1);
    expect(await valueFor(BINARY)).toBe(binary);
    expect(await valueFor(`${JSON_TYPE};q=0.2, ${BINARY};q=0.9`)).toBe(binary);
    expect(await valueFor(`${BINARY};q=0, */*`)).toBe(1);
    expect(await valueFor("text/event-stream;q=0.1, application/json")).toBe(1);
  });
});
