import { describe, expect, it } from "vitest";
import { call, problemOf, type Vars } from "./helpers.ts";

const DEPLOYED: Vars = { LOCAL: "off", FAULTS: "off", ZOOWEEPER_TOKEN: "s3cret-token" };

describe("authorization and origins", () => {
  const write = (authorization: string | undefined, vars: Vars = DEPLOYED): Promise<Response> => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    return call("/v1/znodes/guarded", { method: "POST", headers }, vars);
  };

  it("[HTTP-14] requires the token", async () => {
    const wrong = [
      "Bearer wrong",
      "Bearer s3cret-toke",
      "Bearer s3cret-token2",
      `Bearer ${"x".repeat(10_000)}`,
      "Basic s3cret-token",
      "Bearer",
      "s3cret-token",
    ];
    for (const authorization of [undefined, "", ...wrong]) {
      const response = await write(authorization);
      await problemOf(response, 401, "UNAUTHORIZED");
      expect(response.headers.get("www-authenticate")).toContain("Bearer");
    }
    expect((await write("Bearer s3cret-token")).status).toBe(201);
    expect((await call("/v1/znodes/guarded", {}, DEPLOYED)).status).toBe(200);
  });

  it("[HTTP-14] refuses every write while the secret is missing", async () => {
    for (const vars of [{ LOCAL: "off" }, { LOCAL: "off", ZOOWEEPER_TOKEN: "" }]) {
      await problemOf(await write("Bearer s3cret-token", vars), 503, "NOT_CONFIGURED");
    }
    expect((await call("/healthz", {}, { LOCAL: "off" })).status).toBe(200);
  });

  it("[HTTP-14] requires it before any other check, and for WebSockets too", async () => {
    const requests: [string, RequestInit][] = [
      ["/v1/nothing", { method: "POST" }],
      ["/v1/multi", { method: "POST", body: "{" }],
      ["/v1/znodes/x", { method: "PUT", body: new Uint8Array(2 * 1024 * 1024) }],
      ["/v1/sessions/0x1", { method: "DELETE" }],
      ["/v1/ensembles/x", { method: "PUT" }],
      ["/topics", { method: "POST" }],
      ["/v1/ws", { headers: { upgrade: "websocket" } }],
      ["/v1/ws", {}],
      ["/e/unknown/v1/multi", { method: "POST" }],
    ];
    for (const [path, init] of requests)
      expect([path, (await call(path, init, DEPLOYED)).status]).toEqual([path, 401]);
  });

  it("[HTTP-28] refuses writes of a page of another site, and does not allow it to read", async () => {
    const headers = { "sec-fetch-site": "cross-site", origin: "https://evil.example" };
    await problemOf(await call("/v1/znodes/evil", { method: "POST", headers }), 403, "NO_AUTH");
    await problemOf(await call("/v1/ws", { headers: { ...headers, upgrade: "websocket" } }), 403, "NO_AUTH");
    const read = await call("/v1/ensemble", { headers });
    expect(read.headers.get("access-control-allow-origin")).toBeNull();
    const preflight = await call("/v1/ensemble", { method: "OPTIONS", headers });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([405, null]);
  });

  it("[HTTP-37] refuses, in a local run, foreign hosts, and writes and WebSockets of foreign origins", async () => {
    const upgrade = { upgrade: "websocket" };
    const status = async (path: string, method: string, headers: Record<string, string>): Promise<number> => {
      const vars = { LOCAL: "on", FAULTS: "on", LOCAL_HOSTS: "box.local" };
      const response = await call(path, { method, headers }, vars);
      response.webSocket?.accept();
      response.webSocket?.close();
      return response.status;
    };
    const evil = { host: "localhost:8787", origin: "http://evil.example:9999" };
    for (const path of ["/v1/ws", "/v1/events", "/v1/ensemble", "/topics/x/partitions/0/records", "/nothing"])
      expect([path, await status(path, "GET", { ...evil, ...upgrade })]).toEqual([path, 403]);
    for (const [path, method] of [
      ["/v1/znodes/evil", "POST"],
      ["/v1/sessions", "POST"],
      ["/v1/faults/heal", "POST"],
      ["/demo/brokers/0/addScore", "POST"],
      ["/v1/znodes/evil", "DELETE"],
    ] as const)
      expect([path, await status(path, method, evil)]).toEqual([path, 403]);
    const rebound = { host: "evil.example", origin: "http://evil.example" };
    for (const headers of [rebound, { host: "evil.example:8787" }, { host: "192.168.1.7" }])
      for (const [path, method] of [
        ["/v1/ensemble", "GET"],
        ["/v1/znodes/evil", "POST"],
      ] as const)
        expect(await status(path, method, headers)).toBe(403);
    const own: readonly Record<string, string>[] = [
      {},
      { host: "localhost:8787" },
      { host: "localhost:8787", origin: "http://localhost:8787" },
      { host: "localhost:8787", origin: "http://localhost:5173" },
      { host: "[::1]:8787", origin: "http://[::1]:8787" },
      { host: "box.local", origin: "http://box.local" },
    ];
    for (const headers of own) {
      expect(await status("/v1/ws", "GET", { ...headers, ...upgrade })).toBe(101);
      expect(await status("/v1/sync", "POST", headers)).toBe(200);
    }
    // a page of another site may ask; it cannot read the answer
    expect(await status("/healthz", "GET", evil)).toBe(200);
  });

  it("[HTTP-37] requires the token from a deployment's callers, whatever their origin", async () => {
    const headers = {
      origin: "https://page.example",
      host: "api.example",
      authorization: "Bearer s3cret-token",
    };
    expect((await call("/v1/sync", { method: "POST", headers }, DEPLOYED)).status).toBe(200);
  });

  it("[HTTP-22] has no faults unless they are switched on", async () => {
    for (const [method, path] of [
      ["GET", ""],
      ["POST", "/nodes/1/kill"],
      ["POST", "/nodes/all/pause"],
      ["DELETE", "/nodes/1/pause"],
      ["POST", "/partition"],
      ["DELETE", "/partition"],
      ["POST", "/heal"],
      ["POST", "/brokers/0/kill"],
      ["POST", "/clients/0/end"],
    ]) {
      const response = await call(
        `/v1/faults${path}`,
        { method: method ?? "" },
        { LOCAL: "on", FAULTS: "off" },
      );
      await problemOf(response, 404, "NOT_FOUND");
    }
  });
});

describe("errors", () => {
  it("[HTTP-10] has the request id that the client sent, and no other header of the client", async () => {
    const response = await call("/v1/nothing", { headers: { "x-request-id": "abc-1" } });
    expect(response.headers.get("x-request-id")).toBe("abc-1");
    expect((await problemOf(response, 404, "NOT_FOUND")).requestId).toBe("abc-1");
    const forged = await call("/v1/nothing", { headers: { "x-request-id": "<script>" } });
    expect(forged.headers.get("x-request-id")).not.toContain("<");
  });

  it("[HTTP-10] has Confluent's shape on Confluent's routes", async () => {
    const response = await call("/topics/a%2fb");
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error_code: 400,
      retriable: false,
      message: "the path holds an encoded slash or a backslash",
    });
  });
});
