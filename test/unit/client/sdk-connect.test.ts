/** connect() against servers that wake slowly, are killed, refuse or fall silent, on every platform and on Node. */
import { createServer, type IncomingMessage, STATUS_CODES } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import { WebSocketServer } from "ws";
import { type ConnectOptions, connect as connectAnywhere, type Session } from "../../../client/sdk/index.ts";
import { connect as connectOnNode } from "../../../client/sdk/node.ts";
import { handshake } from "./scripted-server.ts";

/** What a server does with a request for a socket. */
type Reaction =
  /** opens a session */
  | "serve"
  /** accepts the socket and closes it with this code, as a node does that restarts, or that cannot decode */
  | { readonly close: number }
  /** accepts the socket and sends text */
  | "text"
  /** accepts the socket and says nothing */
  | "mute"
  /** breaks the connection, as a killed node does */
  | "drop"
  /** answers over HTTP */
  | { readonly status: number; readonly code?: string; readonly detail?: string };

interface Server {
  readonly url: string;
  /** requests for a socket so far */
  readonly attempts: number;
  stop(): void;
}

const running: Server[] = [];
const sessions: Session[] = [];

afterEach(() => {
  for (const session of sessions.splice(0)) session.disconnect();
  for (const server of running.splice(0)) server.stop();
});

/** A server that reacts to the n-th request for a socket with the n-th reaction, and to later ones with the last. */
async function startServer(...reactions: Reaction[]): Promise<Server> {
  let attempts = 0;
  const sockets = new WebSocketServer({ noServer: true });
  const reactionTo = (n: number): Reaction => reactions[Math.min(n, reactions.length) - 1] ?? "serve";
  const server = createServer((_request, response) => {
    // the answer that the socket got, or 426 where one can be opened
    const reaction = reactionTo(attempts);
    const answer = typeof reaction === "object" && "status" in reaction ? reaction : { status: 426 };
    const { type, body } = bodyOf(answer);
    response.writeHead(answer.status, { "content-type": type }).end(body);
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    attempts += 1;
    socket.on("error", () => undefined);
    const reaction = reactionTo(attempts);
    if (reaction === "drop") socket.destroy();
    else if (typeof reaction === "object" && "status" in reaction) socket.end(rawAnswer(reaction));
    else {
      sockets.handleUpgrade(request, socket, head, (opened) => {
        opened.once("message", () => {
          if (reaction === "serve") opened.send(handshake(6_000, undefined));
          else if (reaction === "text") opened.send("hello");
          else if (reaction !== "mute") opened.close(reaction.close, "told");
        });
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const started: Server = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get attempts() {
      return attempts;
    },
    stop() {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      server.close();
    },
  };
  running.push(started);
  return started;
}

function bodyOf({ status, code, detail }: Extract<Reaction, { status: number }>) {
  if (code === undefined) return { type: "text/html", body: "<h1>a page</h1>" };
  return { type: "application/problem+json", body: JSON.stringify({ status, code, detail }) };
}

function rawAnswer(answer: Extract<Reaction, { status: number }>): string {
  const { type, body } = bodyOf(answer);
  return [
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`,
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}

/** An address at which nobody listens. */
async function closedPort(): Promise<string> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

const NO_QUORUM = { status: 503, code: "NO_QUORUM", detail: "1 of 3 nodes is up" };
const UNKNOWN = { status: 404, code: "UNKNOWN_ENSEMBLE", detail: 'there is no ensemble "x"' };
const LONG = { connectTimeoutMs: 120_000 };

describe.each([
  ["any platform", connectAnywhere],
  ["Node", connectOnNode],
] as const)("connect() on %s", (name, connectWith) => {
  const connect = async (urls: string | readonly string[], options: ConnectOptions = LONG) => {
    const session = await connectWith(urls, options);
    sessions.push(session);
    return session;
  };
  const errorOf = (urls: string | readonly string[], options: ConnectOptions = LONG): Promise<Error> =>
    connect(urls, options).then(
      () => new Error("it connected"),
      (error) => error,
    );

  it("[SDK-10] waits for an ensemble that wakes: no quorum, nodes that restart, then a session", async () => {
    const server = await startServer(NO_QUORUM, { status: 502 }, { close: 1012 }, "drop", "serve");
    expect((await connect(server.url)).state).toBe("connected");
    expect(server.attempts).toBe(5);
  });

  it("[SDK-10] ends an attempt that is not answered, and makes another", async () => {
    const server = await startServer("mute", "serve");
    expect((await connect(server.url)).state).toBe("connected");
    expect(server.attempts).toBe(2);
  });

  it("[SDK-10] tries the other nodes when one was killed", async () => {
    const [killed, silent, served] = [await closedPort(), await startServer("drop"), await startServer()];
    expect((await connect([killed, silent.url, served.url])).state).toBe("connected");
    expect([silent.attempts, served.attempts]).toEqual([1, 1]);
  });

  it("[SDK-10] tries each node repeatedly until one serves", async () => {
    const [first, second] = [await startServer("drop"), await startServer("drop", NO_QUORUM, "serve")];
    expect((await connect([first.url, second.url])).state).toBe("connected");
    expect([first.attempts, second.attempts]).toEqual([3, 3]);
  });

  it("[SDK-10] reports at its end each node, its attempts, and why the last one failed", async () => {
    const [killed, without] = [await closedPort(), await startServer(NO_QUORUM)];
    const error = await errorOf([killed, without.url], { connectTimeoutMs: 2_000 });
    expect(error).toMatchObject({ code: "CONNECTION_LOSS", retryable: true });
    expect(error.message).toMatch(/^CONNECTION_LOSS: cannot connect within 2000 ms: /);
    expect(error.message).toContain(`${killed}: `);
    expect(error.message).toMatch(new RegExp(`${without.url}: .* \\(${without.attempts} attempts?\\)`));
    expect(error.message).toContain("the server answers 503 1 of 3 nodes is up");
    if (name === "Node") expect(error.message).toContain("ECONNREFUSED");
  });

  it.each([
    [UNKNOWN, "UNKNOWN_ENSEMBLE", 'there is no ensemble "x"'],
    [{ status: 404, code: "NOT_FOUND", detail: "the ensemble has the nodes 1 to 3" }, "NOT_FOUND", "1 to 3"],
    [{ status: 401, code: "UNAUTHORIZED", detail: "a token" }, "UNAUTHORIZED", "a token"],
    [{ status: 503, code: "NOT_CONFIGURED", detail: "no secret" }, "NOT_CONFIGURED", "no secret"],
    [{ status: 200 }, "NOT_FOUND", "there is no ZooWeeper at this address: it answers 200"],
    [{ status: 403 }, "NO_AUTH", "it answers 403"],
    [{ status: 301 }, "NOT_FOUND", "there is no ZooWeeper"],
    ["text", "MARSHALLING_ERROR", "the server sent text"],
    [{ close: 1002 }, "MARSHALLING_ERROR", "closed with 1002"],
  ] as readonly (readonly [Reaction, string, string])[])(
    "[SDK-11] fails at once at a wrong address: %j",
    async (reaction, code, text) => {
      const server = await startServer(reaction);
      const error = await errorOf(server.url);
      expect(error).toMatchObject({ name: "ZooError", code });
      expect(error.message).toContain(text);
      expect(error.message).toContain(server.url);
      // after a 401 Node's own WebSocket asks a second time
      if (code !== "UNAUTHORIZED") expect(server.attempts).toBe(1);
    },
  );

  it("[SDK-11] names each address when all of them are wrong", async () => {
    const [first, second] = [await startServer(UNKNOWN), await startServer({ status: 200 })];
    const error = await errorOf([first.url, second.url]);
    expect(error).toMatchObject({ code: "UNKNOWN_ENSEMBLE" });
    for (const { url } of [first, second]) expect(error.message).toContain(url);
  });

  it("[SDK-11] needs one address that may serve later", async () => {
    const [wrong, waking] = [await startServer(UNKNOWN), await startServer(NO_QUORUM, NO_QUORUM, "serve")];
    expect((await connect([wrong.url, waking.url])).state).toBe("connected");
    expect(waking.attempts).toBe(3);
  });

  it("[SDK-11] does not take too many requests, or a late one, for a refusal", async () => {
    const server = await startServer({ status: 429 }, { status: 408 }, "serve");
    expect((await connect(server.url)).state).toBe("connected");
  });

  it("[SDK-11] treats an error that openSocket throws as final", async () => {
    const openSocket = (): never => {
      throw new Error("this platform has no sockets");
    };
    expect(await errorOf("http://127.0.0.1:1", { ...LONG, openSocket })).toMatchObject({
      message: "this platform has no sockets",
    });
  });

  it("[SDK-11] draws no conclusion from a missing header if the caller opens the sockets", async () => {
    const server = await startServer({ status: 403, code: "NO_AUTH", detail: "a token" }, "serve");
    const openSocket = (url: string) => new WebSocket(url) as never;
    expect((await connect(server.url, { ...LONG, openSocket })).state).toBe("connected");
    expect(server.attempts).toBe(2);
  });

  it.each(["mute", "drop"] as const)("[SDK-12] ends with the signal, at a server that is %s", async (how) => {
    const server = await startServer(how);
    const stop = new AbortController();
    const failed = errorOf(server.url, { connectTimeoutMs: Number.POSITIVE_INFINITY, signal: stop.signal });
    await vi.waitUntil(() => server.attempts > 0, { timeout: 60_000 });
    stop.abort(new Error("enough"));
    expect(await failed).toMatchObject({ message: "enough" });
    const before = server.attempts;
    const gone = new AbortController();
    gone.abort(new Error("before it began"));
    expect(await errorOf(server.url, { signal: gone.signal })).toMatchObject({ message: "before it began" });
    expect(server.attempts).toBe(before);
  });
});

describe("many silent nodes", () => {
  it("[SDK-10] leave time for the last one", async () => {
    const silent = [await startServer("mute"), await startServer("mute"), await startServer("mute")];
    const served = await startServer();
    const urls = [...silent, served].map(({ url }) => url);
    // three attempts of 3 s would be over it
    const session = await connectOnNode(urls, { connectTimeoutMs: 8_000 });
    sessions.push(session);
    expect(silent.map(({ attempts }) => attempts)).toEqual([1, 1, 1]);
  });
});

describe("a session whose nodes are down", () => {
  it("[SDK-4] ends with an error that says how the connection was lost and why the last attempt failed", async () => {
    const server = await startServer("serve", NO_QUORUM);
    const session = await connectOnNode(server.url, { ...LONG, reconnectMs: 200 });
    sessions.push(session);
    running.splice(running.indexOf(server), 1);
    server.stop();
    const reason = await session.ended;
    expect(reason).toMatchObject({ code: "CONNECTION_LOSS" });
    expect(reason?.message).toMatch(/the connection was lost: closed with 1006; then: .*ECONNREFUSED/);
  });
});
