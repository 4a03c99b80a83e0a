/** Every route with every hostile value: the answer is 4xx with a code, and nothing is created. */
import { beforeAll, describe, expect, it } from "vitest";
import { call, make, objects, send } from "./helpers.ts";

const VALUES = [
  "-1",
  "1.5",
  "1e9",
  "0x1",
  "NaN",
  "9007199254740992",
  "9007199254740993",
  "99999999999999999999",
  "%252e%252e",
  "a%2fb",
  "%00",
  "%zz",
  "%ff",
  "__proto__",
  "constructor",
  "'%20OR%201=1--",
  "%F0%9F%A6%81",
  "x".repeat(3000),
];

/** `*` stands for the hostile value. */
const PATHS: readonly (readonly [string, string])[] = [
  ["GET", "/*"],
  ["GET", "/e/*/v1/ensemble"],
  ["GET", "/e/*/topics"],
  ["GET", "/v1/ensembles/*"],
  ["GET", "/v1/znodes/there?node=*"],
  ["PUT", "/v1/znodes/there?version=-2*"],
  ["DELETE", "/v1/znodes/there?version=-2*"],
  ["GET", "/v1/znodes/there?view=*"],
  ["PUT", "/v1/sessions/*"],
  ["DELETE", "/v1/sessions/*"],
  ["GET", "/v1/events?node=*"],
  ["GET", "/v1/ws?node=*"],
  ["POST", "/v1/faults/nodes/*/kill"],
  ["POST", "/v1/faults/nodes/1/*"],
  ["DELETE", "/v1/faults/nodes/*/pause"],
  ["DELETE", "/v1/faults/nodes/1/*"],
  ["POST", "/v1/faults/brokers/*/crash"],
  ["POST", "/v1/faults/clients/*/end"],
  ["GET", "/demo/nodes/*/"],
  ["GET", "/demo/nodes/*/metadata"],
  ["GET", "/demo/brokers/*/"],
  ["GET", "/demo/brokers/*/data"],
  ["GET", "/topics/*"],
  ["GET", "/topics/*/partitions"],
  ["GET", "/topics/*/partitions/0/offsets"],
  ["GET", "/topics/goals/partitions/*/offsets"],
  ["GET", "/topics/*/partitions/0/records"],
  ["GET", "/topics/goals/partitions/*/records"],
  ["GET", "/topics/goals/partitions/0/records?offset=*"],
  ["GET", "/v3/clusters/*/topics"],
];

const BODIES = [
  "{",
  "null",
  "1",
  '"x"',
  "[]",
  '{"__proto__":{"x":1}}',
  '{"constructor":{"prototype":{"x":1}}}',
  `{"size":${"9".repeat(400)}}`,
  '{"ops":[{"op":"create","path":"\\ud800"}]}',
  `${"[".repeat(20_000)}${"]".repeat(20_000)}`,
  `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":1`).join(",")}}`,
  "\ufeff{}",
];

const ROUTES_WITH_JSON: readonly (readonly [string, string])[] = [
  ["POST", "/v1/multi"],
  ["PUT", "/v1/ensembles/hostile"],
  ["POST", "/v1/faults/nodes/1/drop"],
  ["POST", "/v1/faults/partition"],
  ["POST", "/demo/nodes/0/metadata"],
  ["POST", "/demo/brokers/0/addScore"],
  ["POST", "/topics/unknown-topic"],
  ["POST", "/topics/unknown-topic/partitions/0"],
];

/** Must be the client's fault, and say so with a code. */
async function expectRefusal(label: string, response: Response): Promise<void> {
  const text = await response.text();
  expect([label, Math.floor(response.status / 100)], text.slice(0, 300)).toEqual([label, 4]);
  expect(JSON.parse(text), label).toHaveProperty("code");
}

beforeAll(async () => {
  await make("/there");
  // the first goal starts the brokers and makes its topic
  const goal = { Minute: 1, Player: "A", Club: "B", Score: "1-0" };
  const metadata = { ReceiverIp: "8080", Clients: "9090" };
  const response = await send("POST", "/demo/brokers/0/addScore", { metadata, gameResults: goal });
  expect(response.status, await response.text()).toBe(200);
});

describe("hostile input", () => {
  it("[HTTP-27] in a path or a query is refused on every route", async () => {
    const before = await objects();
    for (const [method, template] of PATHS) {
      for (const value of VALUES) {
        const path = template.replace("*", value);
        const upgrade = template.startsWith("/v1/ws") ? { upgrade: "websocket" } : {};
        const response = await call(path, { method, headers: upgrade });
        await expectRefusal(`${method} ${path.slice(0, 80)}`, response);
      }
    }
    expect(await objects()).toEqual(before);
  });

  it("[HTTP-13] in a body is refused on every route", async () => {
    const before = await objects();
    for (const [method, path] of ROUTES_WITH_JSON) {
      for (const body of BODIES) {
        const response = await call(path, { method, body, headers: { "content-type": "application/json" } });
        await expectRefusal(`${method} ${path} ${body.slice(0, 40)}`, response);
      }
      await expectRefusal(
        path,
        await call(path, { method, body: "x=1", headers: { "content-type": "text/plain" } }),
      );
    }
    expect(await objects()).toEqual(before);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it("[HTTP-27] as an unknown topic or a wrong offset is refused", async () => {
    await expectRefusal("topic", await call("/topics/nothing/partitions/0/records"));
    await expectRefusal("partition", await call("/topics/goals/partitions/1/records"));
    await expectRefusal("negative", await call("/topics/goals/partitions/0/records?offset=-1"));
    await expectRefusal("too far", await call("/topics/goals/partitions/0/records?offset=2"));
    await expectRefusal("twice", await call("/topics/goals/partitions/0/records?offset=0&offset=1"));
    await expectRefusal("produce", await send("POST", "/topics/nothing", { records: [{ value: "YQ==" }] }));
  });
});
