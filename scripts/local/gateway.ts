/**
 * Forwards one port of this machine to the runtime: HTTP with streaming bodies both ways, and WebSockets.
 * Every demo port is such a gateway; a rewrite says which path and headers the runtime sees.
 */
import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { ZOO_ERRORS, type ZooErrorCode } from "../../core/errors.ts";
import { hasForeignHost, hasForeignOrigin } from "../../workers/api/auth/local-hosts.ts";
import { BODY_BYTES_MAX } from "../../workers/api/config.ts";
import { CloseWatch } from "./close-watch.ts";
import { HEADER_BYTES_MAX, type Listener, listen } from "./listen.ts";
import { ownHosts } from "./own-hosts.ts";
import { endUnread } from "./unread.ts";
import { sentence, waitingPage } from "./waiting-page.ts";

/** How a request is changed on its way to the runtime. */
export interface Rewrite {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** pages of every site may read the answer to a GET, as in the original demo */
  readonly public?: boolean;
}

/** One port and what stands behind it. */
export interface GatewayOptions {
  /** 0: any free port */
  readonly port: number;
  /** an address of this machine; without one, loopback only */
  readonly host?: string | undefined;
  readonly rewrite?: (path: string) => Rewrite;
  /** port of the runtime; undefined while it starts */
  readonly target: () => number | undefined;
  /** the current step while the run starts, as a sentence without a full stop */
  readonly doing?: () => string;
}

/** Time after which a WebSocket that the runtime has closed is ended, whether the client agrees or not, ms. */
const TUNNEL_CLOSE_MS_MAX = 2_000;
/** Time after which a WebSocket whose client sends nothing is ended, ms: later than the deadline of its handshake. */
const TUNNEL_FIRST_MS_MAX = 20_000;
/** The same for a client that becomes silent: longer than a session lives without a ping. */
const TUNNEL_SILENT_MS_MAX = 180_000;

/**
 * The runtime closes an idle connection after 5 s; this side closes it earlier, so that no request meets a closing
 * one.
 */
const IDLE_MS_MAX = 3_000;
const agent = new Agent({
  keepAlive: true,
  maxSockets: Number.POSITIVE_INFINITY,
  maxFreeSockets: 256,
  timeout: IDLE_MS_MAX,
});

/** Opens the port. @throws UsageError if it is busy */
export async function openGateway(options: GatewayOptions): Promise<Listener> {
  const rewrite = options.rewrite ?? ((path): Rewrite => ({ path }));
  const hosts = ownHosts(options.host);
  const isPublic = ({ method, url, headers }: IncomingMessage): boolean =>
    rewrite(url ?? "/").public === true && isRead(method) && headers.upgrade === undefined;
  const refused = (request: IncomingMessage): Refusal | undefined => {
    // A local run takes writes without a token, so a page of another site must not reach it: neither by a name that it
    // points here, nor by a request with its own origin.
    const caller = { host: request.headers.host, origin: request.headers.origin };
    if (hasForeignHost(caller, hosts)) return FOREIGN;
    if (hasForeignOrigin(caller, hosts) && !isPublic(request)) return FOREIGN;
    if (DOT_SEGMENT.test((request.url ?? "/").split("?", 1)[0] ?? "")) return BAD_PATH;
    if (options.target() === undefined) return starting(options.doing?.() ?? "starting the runtime");
    return Number(request.headers["content-length"] ?? 0) > BODY_BYTES_MAX ? TOO_LARGE : undefined;
  };
  const listener = await listen(
    options.port,
    (request, response) => {
      const why = refused(request);
      if (why?.doing !== undefined && takesHtml(request)) answerPage(response, why.doing);
      else if (why !== undefined) answer(response, why);
      else forward(request, response, options.target() ?? 0, rewrite(request.url ?? "/"));
    },
    options.host,
  );
  for (const server of listener.servers) {
    server.on("upgrade", (request, socket, head) => {
      const why = refused(request);
      if (why !== undefined) refuseUpgrade(socket, why);
      else tunnel(request, socket, head, options.target() ?? 0, rewrite(request.url ?? "/"));
    });
  }
  return listener;
}

const isRead = (method: string | undefined): boolean => method === "GET" || method === "HEAD";

/** An answer of the gateway itself; status and title are those of its code. */
interface Refusal {
  readonly code: ZooErrorCode;
  readonly detail: string;
  /** the current step of a run that starts */
  readonly doing?: string;
}

/** `.` or `..` as a segment, encoded or not: the runtime would resolve it before the Worker can refuse it. */
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?=\/|$)/i;
const BAD_PATH: Refusal = { code: "BAD_ARGUMENTS", detail: 'the path holds a "." or ".." segment' };
const FOREIGN: Refusal = { code: "NO_AUTH", detail: "requests from pages of other sites are refused" };
const NOT_UP: Refusal = { code: "NO_QUORUM", detail: "the runtime is not up" };
const CLOSED: Refusal = { code: "UNKNOWN_OUTCOME", detail: "the runtime closed the connection" };
const READ_FAILED: Refusal = {
  code: "NO_QUORUM",
  detail: "the runtime closed the connection; nothing was changed, so the request can be sent again",
};
/** The runtime would refuse it too, but by closing the connection while the gateway writes to it. */
const TOO_LARGE: Refusal = { code: "TOO_LARGE", detail: `the body is larger than ${BODY_BYTES_MAX} bytes` };

const starting = (doing: string): Refusal => ({
  code: "STARTING",
  detail: `ZooWeeper is starting: ${doing}; nothing was done, send the request again in a second`,
  doing,
});

/** Whether a browser requests a page. */
const takesHtml = ({ method, headers }: IncomingMessage): boolean =>
  isRead(method) && headers.accept?.includes("text/html") === true;

function answerPage(response: ServerResponse, doing: string): void {
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "retry-after": "1",
  };
  response.writeHead(503, headers).end(waitingPage(doing));
}

function bodyOf({ code, detail, doing }: Refusal): string {
  const { title, status, number, retryable } = ZOO_ERRORS[code];
  const type = `https://zooweeper.dev/errors/${code}`;
  const now = doing === undefined ? {} : { doing: sentence(doing) };
  return JSON.stringify({ type, title, status, detail, code, number, retryable, ...now });
}

function answer(response: ServerResponse, why: Refusal): void {
  const { status, retryable } = ZOO_ERRORS[why.code];
  const retry = retryable && status === 503 ? { "retry-after": "1" } : {};
  response.writeHead(status, { "content-type": "application/problem+json", ...retry }).end(bodyOf(why));
}

/** The same for a handshake, which has no response object yet. */
function refuseUpgrade(socket: Duplex, why: Refusal): void {
  const { status } = ZOO_ERRORS[why.code];
  const body = bodyOf(why);
  socket.once("error", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
  { path, headers, public: isPublic }: Rewrite,
): void {
  // the client does not decide how long the connection to the runtime lives; cookies belong to other programs of this host
  const { connection: _, cookie: __, ...passed } = request.headers;
  const method = request.method ?? "GET";
  const isAgainSafe = READS.has(method) && !hasBody(request);
  const send = (again: boolean): ClientRequest => {
    let isSent = false;
    const sent = httpRequest({
      agent: again ? false : agent,
      host: "127.0.0.1",
      port,
      path,
      method,
      headers: { ...passed, ...headers },
      maxHeaderSize: HEADER_BYTES_MAX,
    });
    sent.once("socket", (socket) => {
      if (sent.reusedSocket) isSent = true;
      else socket.once("connect", () => (isSent = true));
    });
    sent.once("response", (answered) => {
      // the rest of the request is no longer needed
      if (!request.complete) response.shouldKeepAlive = false;
      const open = isPublic && isRead(method) ? ["access-control-allow-origin", "*"] : [];
      response.writeHead(answered.statusCode ?? 502, [...withoutConnection(answered.rawHeaders), ...open]);
      // an event stream may be empty for a while, and its reader waits for the headers
      response.flushHeaders();
      answered.pipe(response);
      endUnread(response);
      answered.once("error", () => response.destroy());
    });
    sent.on("error", () => {
      if (tooLarge || response.destroyed) return;
      if (response.headersSent) response.destroy();
      else if (!isSent) answer(response, NOT_UP);
      else if (!READS.has(method)) answer(response, CLOSED);
      // the pooled connection may have been closed: tries once more, over a connection of its own
      else if (isAgainSafe && !again) upstream = send(true);
      else answer(response, READ_FAILED);
    });
    if (again) sent.end();
    return sent;
  };
  response.once("close", () => {
    if (!response.writableFinished) upstream.destroy();
  });

  let bytes = 0;
  let tooLarge = false;
  const first = send(false);
  let upstream = first;
  // not by pipe(): a body that is too large is read to its end, so that the client can read the answer
  request.on("data", (chunk: Buffer) => {
    if (first.destroyed) return;
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      tooLarge = true;
      first.destroy();
      if (!response.headersSent) answer(response, TOO_LARGE);
    } else if (!first.write(chunk)) request.pause();
  });
  first.on("drain", () => request.resume());
  first.once("close", () => request.resume());
  request.once("end", () => first.end());
}

/** Methods that change nothing. */
const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether the request has a body, which could not be sent twice. */
const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/** Names and values alternate, as in Node. */
function withoutConnection(raw: readonly string[]): string[] {
  return raw.filter((_, i) => !/^(connection|keep-alive)$/i.test(raw[i - (i % 2)] ?? ""));
}

/** Forwards a WebSocket as bytes: the gateway does not read its frames. */
function tunnel(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  port: number,
  { path, headers }: Rewrite,
): void {
  const runtime = connect({ host: "127.0.0.1", port, noDelay: true });
  const lines = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
  }
  runtime.write(`${request.method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  runtime.write(head);
  runtime.pipe(client).pipe(runtime);
  // The runtime keeps the connection of a WebSocket that it has closed, as long as its object lives: the client may not
  // answer, and some answers it does not see.
  const closing = new CloseWatch();
  let closed: ReturnType<typeof setTimeout> | undefined;
  runtime.on("data", (chunk: Buffer) => {
    if (closed === undefined && closing.take(chunk)) closed = setTimeout(() => end(), TUNNEL_CLOSE_MS_MAX);
  });
  let heardAt: number | undefined;
  client.on("data", () => {
    heardAt = performance.now();
  });
  const watchdog = setInterval(() => {
    if (heardAt === undefined || performance.now() - heardAt > TUNNEL_SILENT_MS_MAX) end();
  }, TUNNEL_FIRST_MS_MAX);
  const end = (): void => {
    clearInterval(watchdog);
    clearTimeout(closed);
    runtime.destroy();
    client.destroy();
  };
  endUnread(client);
  for (const socket of [runtime, client]) socket.once("error", end).once("close", end);
}
