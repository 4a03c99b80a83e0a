/** Errors: the table in the docs, the code, and whether to retry. */
import { beforeAll, describe, expect, it } from "vitest";
import document from "../../../docs/errors.md?raw";
import { app } from "../../../workers/api/app.ts";
import { call, make, problemOf, send } from "./helpers.ts";

/** A row of docs/errors.md. */
interface Row {
  readonly number: number;
  readonly status: number;
  readonly retryable: boolean;
}

const ROWS: ReadonlyMap<string, Row> = new Map(
  [...document.matchAll(/^\| `(\w+)` \| (-?\d+) \| (\d+) \| (yes|no) \|/gm)].map(
    ([, code, number, status, again]) => [
      code ?? "",
      { number: Number(number), status: Number(status), retryable: again === "yes" },
    ],
  ),
);

beforeAll(async () => {
  await make("/errors");
  await make("/errors/child");
});

describe("an error", () => {
  it("[HTTP-44] is in the docs with its number, status and whether it is retryable, whichever route answers", async () => {
    expect(ROWS.size).toBeGreaterThan(50);
    const requests: [string, RequestInit?][] = [
      ["/nothing"],
      ["/topics/nothing"],
      ["/topics/a%20b"],
      ["/topics/nothing/partitions/0/records"],
      ["/v1/znodes/errors", { method: "DELETE" }],
      ["/v1/znodes/errors", { method: "POST" }],
      ["/v1/znodes/errors?version=9", { method: "PUT" }],
      ["/v1/znodes/errors?node=9"],
      ["/v1/sessions/0x1", { method: "PUT" }],
      ["/e/unknown/v1/ensemble"],
      ["/v1/ws"],
      ["/v1/multi", { method: "POST", body: "{", headers: { "content-type": "application/json" } }],
      ["/v1/multi", { method: "POST", body: "{}" }],
      ["/v1/znodes/large", { method: "POST", body: new Uint8Array(2 ** 20 + 1) }],
    ];
    // every route with a body, a method and a parameter that it does not take
    for (const { method, path } of app.routes) {
      if (method === "ALL") continue;
      const at = path
        .replace("/*", "/errors")
        .replace(/:action\{.*\}/, "end")
        .replaceAll(/:\w+/g, "0");
      requests.push([`${at}?unknown=1`, { method }], [at, { method: "PATCH" }]);
      if (method === "POST" || method === "PUT")
        requests.push([at, { method, body: "[1]", headers: { "content-type": "application/json" } }]);
    }
    const seen = new Set<string>();
    for (const [path, init] of requests) {
      const response = await call(path, init);
      if (response.ok) continue;
      const body = await response.json<Record<string, unknown> & { code: string }>();
      const row = ROWS.get(body.code);
      const label = `${init?.method ?? "GET"} ${path} ${body.code}`;
      const said =
        "retriable" in body
          ? { status: response.status, retryable: body.retriable, kafka: body.kafka_code }
          : { status: response.status, retryable: body.retryable, number: body.number };
      const { status, retryable, number } = row ?? { status: 0, retryable: undefined, number: undefined };
      // the ensemble's codes have no number of Kafka's
      const kafka = number !== undefined && number > 0 ? number : -1;
      expect([label, said]).toEqual([
        label,
        { status, retryable, ...("retriable" in body ? { kafka } : { number }) },
      ]);
      seen.add(body.code);
    }
    expect(seen.size).toBeGreaterThan(12);
  });

  it("[HTTP-45] names the znode that it concerns: for a create, the parent", async () => {
    const detail = async (method: string, path: string, headers = {}): Promise<string> =>
      (await (await call(`/v1/znodes${path}`, { method, headers })).json<{ detail: string }>()).detail;
    expect(await detail("POST", "/errors/b/c")).toBe("the parent /errors/b of /errors/b/c does not exist");
    expect(await detail("POST", "/none/?mode=sequential")).toBe("the parent /none of /none/ does not exist");
    expect(await detail("POST", "/errors")).toBe("/errors exists already");
    expect(await detail("GET", "/errors/none")).toBe("/errors/none does not exist");
    expect(await detail("DELETE", "/errors")).toBe("/errors has children");
    expect(await detail("PUT", "/errors?version=7")).toBe("/errors is not at version 7");
    expect(await detail("DELETE", "/zookeeper")).toBe("/zookeeper cannot be deleted");
    const ops = [
      { op: "check", path: "/errors", version: -1 },
      { op: "create", path: "/errors/x/y" },
    ];
    const multi = await problemOf(await send("POST", "/v1/multi", { ops }), 404, "NO_NODE");
    expect(multi.detail).toBe(
      "operation 1 failed, so none was carried out: the parent /errors/x of /errors/x/y does not exist",
    );
  });

  it("[HTTP-46] for a node or broker that was killed is not retryable, and explains how to revive it", async () => {
    await call("/cluster");
    const kill = (what: string, body: object): Promise<Response> =>
      send("POST", `/v1/faults/${what}/kill`, body);
    const told = async (path: string, init: RequestInit = {}) => {
      const response = await call(path, init);
      const { code, retryable, detail } = await response.json<{
        code: string;
        retryable: boolean;
        detail: string;
      }>();
      return { code, retryable, detail, retryAfter: response.headers.get("retry-after") };
    };
    await kill("nodes/2", {});
    const dead = {
      code: "NODE_DOWN",
      retryable: false,
      detail: "node 2 is down: it was killed; POST /v1/faults/nodes/2/revive revives it",
      retryAfter: null,
    };
    expect(await told("/v1/znodes/errors?node=2")).toEqual(dead);
    expect(await told("/v1/znodes/errors", { method: "PUT", headers: { "zoo-node": "2" } })).toEqual(dead);
    expect(await told("/v1/ws?node=2", { headers: { upgrade: "websocket" } })).toEqual(dead);
    expect(await told("/demo/nodes/1/")).toEqual(dead);
    expect((await call("/v1/faults/nodes/2/revive", { method: "POST" })).status).toBe(200);
    await kill("brokers/1", {});
    expect(await told("/demo/brokers/1/")).toEqual({
      code: "BROKER_NOT_AVAILABLE",
      retryable: false,
      detail: "broker 1 is down: it was killed; POST /v1/faults/brokers/1/revive revives it",
      retryAfter: null,
    });
    await kill("nodes/2", { ttlMs: 600_000 });
    expect(await told("/v1/znodes/errors?node=2")).toMatchObject({
      code: "NODE_DOWN",
      retryable: true,
      detail: "node 2 is down",
      retryAfter: "1",
    });
    expect((await call("/v1/faults/heal", { method: "POST" })).status).toBe(200);
  });
});
