import { beforeAll, describe, expect, it } from "vitest";
import { call, make, objects, problemOf, send } from "./helpers.ts";

const MIB = 1024 * 1024;

beforeAll(async () => {
  await make("/there", "x");
});

describe("bad input", () => {
  it("[HTTP-6] refuses invalid paths", async () => {
    const paths = [
      "//there",
      "/there//child",
      "/there/",
      "/a%00b",
      "/a%01b",
      "/a%7fb",
      "/a%2fb",
      "/a%2Fb",
      "/a%5cb",
      "/%ff",
      "/%zz",
      "/%",
      "/%e2%82",
      "/a%ed%a0%80",
      "/%ee%80%80",
    ];
    for (const path of paths) {
      await problemOf(await call(`/v1/znodes${path}`), 400, "BAD_ARGUMENTS");
      await problemOf(await call(`/v1/znodes${path}`, { method: "POST" }), 400, "BAD_ARGUMENTS");
      await problemOf(await call(`/v1/znodes${path}`, { method: "PUT", body: "x" }), 400, "BAD_ARGUMENTS");
      await problemOf(await call(`/v1/znodes${path}`, { method: "DELETE" }), 400, "BAD_ARGUMENTS");
    }
  });

  it("[HTTP-6] decodes names once: an encoded percent sign stays one", async () => {
    expect((await make("/%252e%252e")).headers.get("location")).toBe("/v1/znodes/%252e%252e");
    expect(await (await call("/v1/znodes/%252e%252e?view=stat")).json()).toMatchObject({ path: "/%2e%2e" });
    expect(await (await make("/a%252fb")).json()).toMatchObject({ path: "/a%2fb" });
    expect(await (await make("/__proto__")).json()).toMatchObject({ path: "/__proto__" });
    expect(await (await make("/constructor")).json()).toMatchObject({ path: "/constructor" });
    expect(await (await make("/'; DROP TABLE znode; --")).json()).toMatchObject({
      path: "/'; DROP TABLE znode; --",
    });
  });

  it("[HTTP-26] refuses invalid versions and other numbers", async () => {
    const numbers = [
      "-2147483649",
      "-0",
      "1.5",
      "1e3",
      "0x1",
      "9007199254740992",
      "9007199254740993",
      "2147483648",
      "",
      "NaN",
      "%2B1",
      "1%200",
    ];
    for (const version of numbers) {
      for (const method of ["PUT", "DELETE"]) {
        await problemOf(await call(`/v1/znodes/there?version=${version}`, { method }), 400, "BAD_ARGUMENTS");
      }
    }
    await problemOf(
      await call("/v1/znodes/there?version=0&version=1", { method: "PUT" }),
      400,
      "BAD_ARGUMENTS",
    );
    for (const node of ["0", "10", "-1", "x", "1.0"]) {
      await problemOf(await call(`/v1/znodes/there?node=${node}`), 400, "BAD_ARGUMENTS");
    }
    await problemOf(await call("/v1/znodes/there?node=9"), 404, "NOT_FOUND");
  });

  it("[HTTP-26] refuses invalid words and entity tags", async () => {
    for (const query of ["view=all", "consistency=strong", "stale=maybe", "watch=everything"]) {
      await problemOf(await call(`/v1/znodes/there?${query}`), 400, "BAD_ARGUMENTS");
    }
    await problemOf(await call("/v1/znodes/x?mode=container", { method: "POST" }), 400, "BAD_ARGUMENTS");
    const none = [
      "1",
      '"1"',
      '"a.0x1"',
      '"99999999999.0x1"',
      '"-2147483649.0x1"',
      '"-1.0x1"',
      '"0.0x1" "1.0x1"',
      "",
    ];
    for (const tag of [...none, '"0.0x1",', '"0.0x1", *', 'w/"0.0x1"', "W/*"]) {
      const init = { method: "PUT", body: "x", headers: { "if-match": tag } };
      await problemOf(await call("/v1/znodes/there", init), 400, "BAD_ARGUMENTS");
    }
    const both = { method: "PUT", headers: { "if-match": '"0.0x1"' } };
    await problemOf(await call("/v1/znodes/there?version=0", both), 400, "BAD_ARGUMENTS");
    const old = { method: "PUT", headers: { "if-none-match": '"0.0x1"' } };
    await problemOf(await call("/v1/znodes/there", old), 400, "BAD_ARGUMENTS");
  });

  it("[HTTP-12] refuses a body over 1 MiB, by its length or as it arrives, and accepts one of 1 MiB", async () => {
    const large = new Uint8Array(MIB + 1);
    await problemOf(await call("/v1/znodes/large", { method: "POST", body: large }), 413, "TOO_LARGE");
    const chunks = (count: number): ReadableStream<Uint8Array> => {
      let left = count;
      return new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue(new Uint8Array(64 * 1024));
          else controller.close();
        },
      });
    };
    await problemOf(await call("/v1/znodes/large", { method: "POST", body: chunks(17) }), 413, "TOO_LARGE");
    await problemOf(
      await call("/v1/multi", {
        method: "POST",
        body: chunks(17),
        headers: { "content-type": "application/json" },
      }),
      413,
      "TOO_LARGE",
    );
    await problemOf(await call("/v1/znodes/large"), 404, "NO_NODE");
    expect((await call("/v1/znodes/chunked", { method: "POST", body: chunks(2) })).status).toBe(201);
    expect((await call("/v1/znodes/full", { method: "POST", body: new Uint8Array(MIB) })).status).toBe(201);
    expect((await (await call("/v1/znodes/full")).arrayBuffer()).byteLength).toBe(MIB);
    expect((await (await call("/v1/znodes/chunked")).arrayBuffer()).byteLength).toBe(128 * 1024);
  });

  it("[HTTP-13] refuses invalid JSON, other types and compressed bodies", async () => {
    const post = (body: string, type = "application/json"): Promise<Response> =>
      call("/v1/multi", { method: "POST", body, headers: { "content-type": type } });
    for (const body of ["{", '{"ops":[', "nothing", "{'ops':[]}", "\u0000", "[".repeat(100_000)]) {
      await problemOf(await post(body), 400, "MARSHALLING_ERROR");
    }
    for (const body of ["null", "1", '"x"', "[]", "{}", "[".repeat(50_000) + "]".repeat(50_000)]) {
      await problemOf(await post(body), 400, "BAD_ARGUMENTS");
    }
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]) {
      await problemOf(await post('{"ops":[]}', type), 415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for (const path of ["/v1/multi", "/v1/znodes/zipped"]) {
      const headers = { "content-encoding": "gzip", "content-type": "application/json" };
      await problemOf(
        await call(path, { method: "POST", body: "{}", headers }),
        415,
        "UNSUPPORTED_MEDIA_TYPE",
      );
    }
  });

  it("[HTTP-13] treats __proto__ in a body as data", async () => {
    for (const body of [
      '{"__proto__":{"size":3}}',
      '{"size":3,"__proto__":{"admin":true}}',
      '{"constructor":{"prototype":{"admin":true}},"size":3}',
    ]) {
      const init = { method: "PUT", body, headers: { "content-type": "application/json" } };
      await problemOf(await call("/v1/ensembles/polluted", init), 400, "BAD_ARGUMENTS");
    }
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
    await problemOf(await call("/v1/ensembles/polluted"), 404, "UNKNOWN_ENSEMBLE");
  });

  it("[HTTP-11] answers 404 for unknown routes and 405 for wrong methods", async () => {
    for (const path of [
      "/nothing",
      "/v1",
      "/v1/znode",
      "/v1/sessions/0x1/x",
      "/V1/ensemble",
      "/healthz/",
      "/e",
      "/e/",
    ]) {
      const { status } = await call(path);
      expect([path, status]).toEqual([path, 404]);
    }
    const wrong: [string, string, string][] = [
      ["PATCH", "/v1/znodes/there", "GET, HEAD, POST, PUT, DELETE"],
      ["GET", "/v1/multi", "POST"],
      ["GET", "/v1/sessions", "POST"],
      ["DELETE", "/v1/ensemble", "GET, HEAD"],
      ["POST", "/v1/ensembles/x", "PUT, GET, HEAD"],
      ["POST", "/v1/events", "GET, HEAD"],
      ["POST", "/healthz", "GET, HEAD"],
      ["OPTIONS", "/v1/ensemble", "GET, HEAD"],
    ];
    for (const [method, path, allow] of wrong) {
      const response = await call(path, { method });
      await problemOf(response, 405, "METHOD_NOT_ALLOWED");
      expect([path, response.headers.get("allow")]).toEqual([path, allow]);
    }
  });

  it("[HTTP-27] creates no object for any bad request", async () => {
    const before = await objects();
    const requests: [string, RequestInit?][] = [
      ["/e/unknown/v1/ensemble"],
      ["/e/unknown/v1/znodes/a", { method: "POST", body: "x" }],
      ["/e/unknown/topics"],
      ["/e/UPPER/v1/ensemble"],
      ["/e/..%2fdefault/v1/ensemble"],
      ["/e/%00/v1/ensemble"],
      [`/e/${"x".repeat(2000)}/v1/ensemble`],
      ["/e/__proto__/v1/ensemble"],
      ["/e/unknown/v1/faults/nodes/1/kill", { method: "POST" }],
      ["/v1/faults/nodes/4/kill", { method: "POST" }],
      ["/v1/faults/nodes/0/kill", { method: "POST" }],
      ["/v1/faults/nodes/1.5/kill", { method: "POST" }],
      ["/v1/faults/nodes/1/explode", { method: "POST" }],
      ["/v1/faults/brokers/99/kill", { method: "POST" }],
      ["/v1/faults/brokers/-1/kill", { method: "POST" }],
      ["/v1/znodes/there?node=9"],
      ["/demo/nodes/7/"],
      ["/demo/nodes/-1/metadata"],
      ["/v1/events?node=9"],
      ["/v1/ensembles/Not-A-Name"],
    ];
    for (const [path, init] of requests) {
      const response = await call(path, init);
      expect([path, Math.floor(response.status / 100)], await response.clone().text()).toEqual([path, 4]);
      expect(await response.json()).toHaveProperty("code");
    }
    for (const size of [0, 2, 4, 11, -3, 3.5, "3", null, 2 ** 53]) {
      await problemOf(await send("PUT", "/v1/ensembles/strange", { size }), 400, "BAD_ARGUMENTS");
    }
    for (const name of ["Upper", "under_score", "x".repeat(41), "a.b", "%20"]) {
      await problemOf(await send("PUT", `/v1/ensembles/${name}`, { size: 3 }), 400, "BAD_ARGUMENTS");
    }
    expect(await objects()).toEqual(before);
  });
});
