/** JSON that common parsers round, replace or drop: it is kept unchanged or refused. */
import { describe, expect, it } from "vitest";
import { SseReader } from "../broker-helpers.ts";
import { call, make, problemOf, send } from "./helpers.ts";

const JSON_TYPE = "application/vnd.kafka.json.v2+json";
let topics = 0;

async function partition(): Promise<string> {
  const name = `lossless-${++topics}`;
  const { data } = await (await call("/v3/clusters")).json<{ data: { cluster_id: string }[] }>();
  const created = await send("POST", `/v3/clusters/${data[0]?.cluster_id}/topics`, { topic_name: name });
  expect(created.status, await created.clone().text()).toBe(201);
  return `/topics/${name}/partitions/0`;
}

const post = (path: string, body: BodyInit, type = JSON_TYPE): Promise<Response> =>
  call(path, { method: "POST", body, headers: { "content-type": type } });

const text = async (path: string): Promise<string> => (await call(path)).text();

/** Values that are changed by JSON.parse and JSON.stringify. */
const ODD = [
  '{"id":1234567890123456789,"far":1e400,"zero":-0,"one":1.0}',
  '{"a":1,"a":2,"__proto__":{"b":[]}}',
  '"\\ud800 and \\u00e9"',
  "9007199254740993",
  "-0",
  '{ "spaced" : [ 1 , 2 ] }',
  "1E+2",
];

describe("records", () => {
  it("[BROKER-23] keep the text of their JSON values, when produced and read, once or live", async () => {
    const path = await partition();
    const records = ODD.map((value) => `{"key":${value},"value":${value}}`);
    const produced = await post(path, `\ufeff{"records":[${records.join(",")}]}`);
    expect(produced.status, await produced.text()).toBe(200);
    const binary = await (await call(`${path}/records?format=binary`)).json<
      { key: string; value: string }[]
    >();
    const stored = (base64: string): string => new TextDecoder().decode(Uint8Array.fromBase64(base64));
    expect(binary.map(({ value }) => stored(value))).toEqual(ODD);
    // keys in one form, whatever the client's spaces and escapes; their numbers as they came
    expect(stored(binary[0]?.key ?? "")).toBe(ODD[0]);
    expect(stored(binary[2]?.key ?? "")).toBe('"\\ud800 and é"');
    expect(stored(binary[5]?.key ?? "")).toBe('{"spaced":[1,2]}');
    const read = await text(`${path}/records?format=json`);
    for (const value of ODD) expect(read).toContain(`"value":${value},"timestamp"`);
    expect(JSON.parse(read)).toHaveLength(ODD.length);
    const reader = await SseReader.open(`${path}/records?format=json&offset=0`);
    for (let seen = 0; seen < ODD.length; ) {
      const { event, data } = await reader.next();
      if (event !== "records") continue;
      for (const value of ODD.slice(seen, seen + JSON.parse(data).records.length))
        expect(data).toContain(`"value":${value},`);
      seen += JSON.parse(data).records.length;
    }
    await reader.close();
  });

  it("[BROKER-23] produced as bytes are shown unchanged, and as base64 if they are not JSON", async () => {
    const path = await partition();
    const deep = `${"[".repeat(2000)}${"]".repeat(2000)}`;
    const values = ['{"id":1234567890123456789}', '{\r\n "n": 1.0\n}', "\ufeff1", "\xff", deep];
    for (const value of values) {
      const bytes = value === "\xff" ? Uint8Array.of(0xff) : new TextEncoder().encode(value);
      expect((await post(path, bytes, "application/octet-stream")).status).toBe(200);
    }
    const read = await text(`${path}/records`);
    expect(read).toContain('"value":{"id":1234567890123456789},');
    expect(read).toContain('"value":{  "n": 1.0 },'.replace("{  ", "{  "));
    expect((JSON.parse(read) as { value: unknown }[]).slice(2).map(({ value }) => value)).toEqual(
      ["\ufeff1", "\xff", deep].map((value) => ({
        $base64: (value === "\xff" ? Uint8Array.of(0xff) : new TextEncoder().encode(value)).toBase64(),
      })),
    );
  });

  it("[BROKER-23] are refused where something would be lost", async () => {
    const path = await partition();
    const refused: readonly (readonly [number, BodyInit])[] = [
      [422, '{"records":[{"value":1,"value":2}]}'],
      [422, '{"records":[{"value":1}],"records":[{"value":2}]}'],
      [422, '{"records":[{"value":1,"headers":[{"name":"\\ud800","value":null}]}]}'],
      [422, '{"records":[{"value":1,"timestamp":4503599627370495.4}]}'],
      [422, '{"match_offset":9007199254740993,"records":[{"value":1}]}'],
      [422, '{"records":[{"value":1,"partition":1e400}]}'],
      [
        400,
        Uint8Array.of(...new TextEncoder().encode('{"records":[{"value":"'), 0xff, 0x22, 0x7d, 0x5d, 0x7d),
      ],
      [400, '{"records":[{"value":01}]}'],
    ];
    for (const [status, body] of refused) {
      const response = await post(path, body);
      expect([String(body), response.status]).toEqual([String(body), status]);
      expect(await response.json()).toHaveProperty("code");
    }
    const keyed = await call(path, {
      method: "POST",
      body: "v",
      headers: { "content-type": "application/octet-stream", "x-key": "a\ufffdb" },
    });
    expect(keyed.status).toBe(422);
    expect(await text(`${path}/records`)).toBe("[]");
  });
});

describe("bodies of the API", () => {
  it("[HTTP-35] may begin with a byte order mark, on every route", async () => {
    const json = (path: string, body: string, method = "POST"): Promise<Response> =>
      call(path, { method, body: `\ufeff${body}`, headers: { "content-type": "application/json" } });
    expect((await json("/v1/sessions", "{}")).status).toBe(201);
    expect((await json("/v1/multi", '{"ops":[{"op":"check","path":"/","version":-1}]}')).status).toBe(200);
    expect((await json("/v1/ensembles/default", '{"size":3}', "PUT")).status).toBe(200);
    expect((await json(await partition(), '{"records":[{"value":1}]}')).status).toBe(200);
    expect((await json("/v1/faults/nodes/1/crash", "{}")).status).toBe(200);
  });

  it("[HTTP-35] that are empty count as none, whatever their type", async () => {
    for (const headers of [{}, { "content-type": "application/json" }, { "content-type": "text/plain" }])
      expect((await call("/v1/sessions", { method: "POST", body: "", headers })).status).toBe(201);
    const missing = await call("/v1/multi", {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    expect((await problemOf(missing, 400, "BAD_ARGUMENTS")).detail).toBe("ops: it is missing");
  });

  it("[HTTP-35] are refused where something would be lost", async () => {
    await make("/lossless", "0");
    const multi = (body: BodyInit, type = "application/json"): Promise<Response> =>
      call("/v1/multi", { method: "POST", body, headers: { "content-type": type } });
    const set = (member: string): string => `{"ops":[{"op":"set","path":"/lossless",${member}}]}`;
    await problemOf(await multi(set('"text":"\\ud800"')), 400, "BAD_ARGUMENTS");
    await problemOf(await multi(set('"text":"a","text":"b"')), 400, "BAD_ARGUMENTS");
    const cut = new TextEncoder().encode(set('"text":"é"'));
    cut[cut.indexOf(0xc3)] = 0xff;
    await problemOf(await multi(cut), 400, "MARSHALLING_ERROR");
    await problemOf(
      await multi(set('"text":"a"'), "application/json; charset=latin1"),
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    );
    await problemOf(await multi(`${'{"a":'.repeat(100)}1${"}".repeat(100)}`), 400, "BAD_ARGUMENTS");
    const timeout = { method: "POST", headers: { "content-type": "application/json" } };
    for (const number of ["9007199254740993", "1e400", "1.00000000000000000001"])
      await problemOf(
        await call("/v1/sessions", { ...timeout, body: `{"timeoutMs":${number}}` }),
        400,
        "BAD_ARGUMENTS",
      );
    expect(await text("/v1/znodes/lossless")).toBe("0");
    expect((await multi(set('"text":"é"'), "application/json; charset=UTF-8")).status).toBe(200);
    expect(await text("/v1/znodes/lossless")).toBe("é");
    const goal =
      '{"metadata":{"ReceiverIp":"8080","Clients":"9090"},"gameResults":{"Minute":28.0000000000000000001';
    const score = await call("/demo/brokers/0/addScore", {
      ...timeout,
      body: `${goal},"Player":"A","Club":"B","Score":"1"}}`,
    });
    await problemOf(score, 400, "BAD_ARGUMENTS");
  });

  it("[HTTP-36] that do not fit the schema are refused with the field, what was expected and what was received", async () => {
    const detail = async (method: string, path: string, body: unknown): Promise<string> =>
      (await problemOf(await send(method, path, body), 400, "BAD_ARGUMENTS")).detail;
    const words: readonly (readonly [string, string, unknown, string])[] = [
      ["POST", "/v1/sessions", { timeoutMs: "x" }, 'timeoutMs: a number was expected, got "x"'],
      ["POST", "/v1/sessions", { timeoutMs: 1.5 }, "timeoutMs: a whole number was expected, got 1.5"],
      ["POST", "/v1/sessions", { timeoutMs: 0 }, "timeoutMs: a number of at least 1 was expected, got 0"],
      ["POST", "/v1/sessions", { timeoutMS: 1 }, "timeoutMS: there is no such member"],
      ["POST", "/v1/sessions", null, "the body: an object was expected, got null"],
      ["PUT", "/v1/ensembles/five", {}, "size: it is missing"],
      ["PUT", "/v1/ensembles/five", { size: 4 }, "size: an ensemble has 1, 3, 5, 7 or 9 nodes, got 4"],
      ["POST", "/v1/multi", { ops: [] }, "ops: a multi has at least one operation, got an array"],
      [
        "POST",
        "/v1/multi",
        { ops: [{ op: "move" }] },
        'ops.0.op: "create" or "set" or "delete" or "check" was expected, got "move"',
      ],
      [
        "POST",
        "/v1/multi",
        { ops: [{ op: "set", path: "/a", data: "#" }] },
        'ops.0.data: not base64, got "#"',
      ],
      ["POST", "/v1/multi", { ops: [{ op: "create", path: 1 }] }, "ops.0.path: text was expected, got 1"],
    ];
    for (const [method, path, body, expected] of words)
      expect(await detail(method, path, body)).toBe(expected);
  });
});
