/** The port gateway against a server on this machine: it must not change, delay or outlive what it forwards. */
import { createServer, request as httpRequest, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { openGateway } from "../../../scripts/local/gateway.ts";
import { type Listener, listen, UsageError, waiting } from "../../../scripts/local/listen.ts";
import { BODY_BYTES_MAX } from "../../../workers/api/config.ts";

let upstream: Server;
let sockets: WebSocketServer;
let gateway: Listener;
let base: string;
let target: number | undefined;
/** connections that have carried a request, and how many requests were cut off */
let used: WeakSet<object>;
let resets: number;
/** set by a test; called when the client of a stream is gone */
let onStreamClosed: () => void = () => {};

beforeEach(async () => {
  used = new WeakSet();
  resets = 0;
  upstream = createServer(
    waiting(async (request, response) => {
      if (request.url === "/stream") {
        // says its first word and nothing more
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write("data: first\n\n");
        response.once("close", () => onStreamClosed());
        return;
      }
      if (request.url === "/silent") {
        response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
        return;
      }
      if (request.url === "/reset") {
        resets += 1;
        request.socket.destroy();
        return;
      }
      if (request.url === "/pooled") {
        // as a runtime that closes a connection which was idle for too long, just when a request comes by it
        if (used.has(request.socket)) {
          resets += 1;
          request.socket.destroy();
          return;
        }
        used.add(request.socket);
      }
      let body = "";
      try {
        for await (const chunk of request) body += chunk;
      } catch {
        return; // cut off
      }
      response.writeHead(201, { "x-seen": "yes", "set-cookie": ["a=1", "b=2"] });
      response.end(
        JSON.stringify({ method: request.method, url: request.url, node: request.headers["zoo-node"], body }),
      );
    }),
  );
  sockets = new WebSocketServer({ server: upstream });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  target = (upstream.address() as AddressInfo).port;
  const rewrite = (path: string) =>
    path === "/" ? { path: "/pong", public: true } : { path, headers: { "zoo-node": "3" } };
  gateway = await openGateway({ port: 0, target: () => target, rewrite, doing: () => "building <it>" });
  base = `http://localhost:${gateway.port}`;
});

afterEach(() => {
  gateway.close();
  upstream.close();
  upstream.closeAllConnections();
});

describe("requests", () => {
  it("[HTTP-50] have 15 s for their headers and body; their answers have no limit", () => {
    for (const server of gateway.servers)
      expect([server.headersTimeout, server.requestTimeout, server.timeout]).toEqual([15_000, 15_000, 0]);
  });

  it("pass with method, path, body and headers, and so do answers", async () => {
    const response = await fetch(`${base}/v1/x?y=1`, { method: "POST", body: "some text" });
    expect(response.status).toBe(201);
    expect(response.headers.get("x-seen")).toBe("yes");
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(await response.json()).toEqual({ method: "POST", url: "/v1/x?y=1", node: "3", body: "some text" });
  });

  it("get the path that the port stands for", async () => {
    expect(await (await fetch(`${base}/`)).json()).toMatchObject({ url: "/pong" });
  });

  it("[HTTP-39] that read are sent again when a pooled connection was closed under them", async () => {
    for (const method of ["GET", "HEAD", "OPTIONS", "GET"])
      expect([method, (await fetch(`${base}/pooled`, { method })).status]).toEqual([method, 201]);
    expect(resets).toBeGreaterThan(0);
    // a write may have been carried out
    for (let status = 201; status !== 504; ) {
      const response = await fetch(`${base}/pooled`, { method: "POST" });
      await response.text();
      status = response.status;
      expect([201, 504]).toContain(status);
    }
  });

  it("[HTTP-39] that read are 503 if that fails too, and every request is 503 if nothing was sent", async () => {
    const answer = async (path: string, method: string): Promise<unknown> => {
      const response = await fetch(`${base}${path}`, { method });
      expect(response.headers.get("retry-after")).toBe("1");
      return response.json();
    };
    const retryable = { status: 503, code: "NO_QUORUM", retryable: true };
    expect(await answer("/reset", "GET")).toMatchObject(retryable);
    expect(resets).toBe(2);
    // nobody listens there
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    target = (closed.address() as AddressInfo).port;
    await new Promise((resolve) => closed.close(resolve));
    for (const method of ["GET", "POST", "DELETE"])
      expect(await answer("/x", method)).toMatchObject(retryable);
  });

  it("[HTTP-40] with 20 KB of cookies are served, and with too many headers refused with a reason", async () => {
    const cookie = `a=${"x".repeat(20_000)}`;
    expect((await fetch(`${base}/x`, { headers: { cookie } })).status).toBe(201);
    const large = await fetch(`${base}/x`, { headers: { cookie: "x".repeat(200_000) } });
    expect(large.status).toBe(431);
    expect(await large.json()).toMatchObject({ status: 431, detail: expect.stringContaining("bytes") });
  });

  it("[HTTP-51] are 503 with the reason while the run starts, and a page for browsers", async () => {
    target = undefined;
    const response = await fetch(`${base}/x`, { method: "POST" });
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await response.json()).toMatchObject({
      type: "https://zooweeper.dev/errors/STARTING",
      code: "STARTING",
      status: 503,
      retryable: true,
      detail: expect.stringContaining("building <it>; nothing was done"),
    });
    const page = await fetch(`${base}/`, { headers: { accept: "text/html,*/*" } });
    expect([page.status, page.headers.get("content-type")]).toEqual([503, "text/html; charset=utf-8"]);
    expect(page.headers.get("cache-control")).toBe("no-store");
    expect(await page.text()).toContain("Building &lt;it>.");
    const socket = new WebSocket(`${base.replace("http", "ws")}/x`);
    const refused = await new Promise<number | undefined>((resolve) =>
      socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode)),
    );
    expect(refused).toBe(503);
    socket.once("error", () => {});
    socket.terminate();
  });

  it("are 504 when the runtime hangs up on a write", async () => {
    const problem = async (path: string, method = "GET"): Promise<unknown> => {
      const response = await fetch(`${base}${path}`, { method });
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      return response.json();
    };
    const type = "https://zooweeper.dev/errors/";
    const unknown = { type: `${type}UNKNOWN_OUTCOME`, code: "UNKNOWN_OUTCOME", status: 504 };
    expect(await problem("/reset", "POST")).toMatchObject(unknown);
  });

  it("with a body over the limit get 413, with a declared length or without", async () => {
    const post = (bytes: number, chunked: boolean): Promise<Response> => {
      const body = new Uint8Array(bytes).fill(97);
      if (!chunked) return fetch(`${base}/x`, { method: "POST", body });
      const stream = new Blob([body]).stream();
      return fetch(`${base}/x`, { method: "POST", body: stream, duplex: "half" } as RequestInit);
    };
    for (const chunked of [false, true]) {
      expect((await post(BODY_BYTES_MAX, chunked)).status).toBe(201);
      for (const bytes of [BODY_BYTES_MAX + 1, 4 * BODY_BYTES_MAX]) {
        const response = await post(bytes, chunked);
        expect(response.status).toBe(413);
        expect(await response.json()).toMatchObject({ code: "TOO_LARGE", status: 413 });
      }
    }
  });

  it("[HTTP-37] by a foreign name, or of pages of other sites, are refused, handshakes too", async () => {
    const hosted = await openGateway({ port: 0, target: () => target, host: "127.0.0.1" });
    const ask = (port: number, headers: Record<string, string>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const request = httpRequest({ host: "127.0.0.1", port, path: "/ws", headers });
        request.on("response", (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.on("upgrade", (response, socket) => {
          socket.destroy();
          resolve(response.statusCode);
        });
        request.on("error", reject);
        request.end();
      });
    const key = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13" };
    const upgrade = { connection: "upgrade", upgrade: "websocket", ...key };
    for (const { port } of [gateway, hosted]) {
      for (const more of [{}, upgrade]) {
        const answered = more === upgrade ? 101 : 201;
        const host = `127.0.0.1:${port}`;
        expect(await ask(port, { host, ...more })).toBe(answered);
        expect(await ask(port, { host, origin: `http://${host}`, ...more })).toBe(answered);
        expect(await ask(port, { host: "evil.example", ...more })).toBe(403);
        expect(await ask(port, { host, origin: "http://evil.example", ...more })).toBe(403);
        expect(await ask(port, { host, origin: "null", ...more })).toBe(403);
      }
    }
    hosted.close();
  });

  it("of pages of other sites are refused", async () => {
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await fetch(`${base}/x`, { headers })).status;
    expect(await status({ origin: "https://elsewhere.example" })).toBe(403);
    expect(await status({ origin: "http://localhost.elsewhere.example" })).toBe(403);
    expect(await status({ origin: "http://localhost:3000" })).toBe(201);
  });

  it("of pages of other sites may read the paths that the rewrite opens, and write nothing", async () => {
    const headers = { origin: "https://elsewhere.example" };
    const read = await fetch(`${base}/`, { headers });
    expect([read.status, read.headers.get("access-control-allow-origin")]).toEqual([201, "*"]);
    expect((await fetch(`${base}/`, { method: "POST", headers })).status).toBe(403);
    const other = await fetch(`${base}/other`);
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("streams", () => {
  it("arrive as they are written, headers before the first bytes", async () => {
    expect((await fetch(`${base}/silent`)).headers.get("content-type")).toBe("text/event-stream");
    const reader = (await fetch(`${base}/stream`)).body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("data: first\n\n");
  });

  it("end at the runtime when the reader disconnects", async () => {
    const closed = new Promise<void>((resolve) => {
      onStreamClosed = resolve;
    });
    const stop = new AbortController();
    await fetch(`${base}/stream`, { signal: stop.signal });
    stop.abort();
    await closed;
  });
});

describe("WebSockets", () => {
  it("[HTTP-50] end when the runtime closes them, also when the client does not answer that", async () => {
    const opened = new Promise<WebSocket>((resolve) => sockets.once("connection", resolve));
    const client = connect(gateway.port, "127.0.0.1");
    const key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    client.write(
      `GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n${key}\r\n\r\n`,
    );
    client.resume();
    const ended = new Promise<void>((resolve) => client.once("close", () => resolve()));
    (await opened).close(1001, "silence");
    await ended;
  });

  it("pass both ways and close both ways", async () => {
    const socket = new WebSocket(`${base.replace("http", "ws")}/ws`);
    const echo = new Promise((resolve) => socket.once("message", (data) => resolve(String(data))));
    socket.once("open", () => socket.send("hello"));
    expect(await echo).toBe("hello");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.close(1000);
    expect(await closed).toBe(1000);
  });
});

describe("ports", () => {
  it("a busy one is a UsageError that names it", async () => {
    const again = listen(gateway.port, () => {});
    await expect(again).rejects.toThrow(new UsageError(`port ${gateway.port} is busy`));
  });
});
