/** Listening on ports of this machine, with clear errors. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { BODY_MS_MAX } from "../../workers/api/config.ts";

/** An invalid request of the user. Commands print it as one line and exit with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Interval of the check for connections without a complete request, ms. */
const CHECK_MS = 1_000;

/** A port on which this process listens. */
export interface Listener {
  readonly port: number;
  readonly servers: readonly Server[];
  close(): void;
}

/**
 * Bytes of the headers of a request, and of an answer of the runtime: browsers send all cookies of a host to each of
 * its ports.
 */
export const HEADER_BYTES_MAX = 128 * 1024;

/** Error codes for a host that is not an address of this machine. */
const NOT_OURS: ReadonlySet<string> = new Set([
  "EADDRNOTAVAIL",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAFNOSUPPORT",
  "EINVAL",
]);

/** Addresses that `localhost` may mean. */
const LOOPBACK = ["127.0.0.1", "::1"];

/**
 * Listens on `port` (0: any free one) of this machine only, or of `host` if one is given.
 * @throws UsageError if the port is busy or may not be used
 */
export async function listen(port: number, listener: RequestListener, host?: string): Promise<Listener> {
  const servers: Server[] = [];
  let taken = port;
  for (const address of host === undefined ? LOOPBACK : [host]) {
    // limits the arrival of requests only: answers such as SSE streams or parked reads may take their time
    const limits = {
      keepAliveTimeout: 30_000,
      headersTimeout: BODY_MS_MAX,
      requestTimeout: BODY_MS_MAX,
      connectionsCheckingInterval: CHECK_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
    };
    const server = createServer({ ...limits, noDelay: true }, listener);
    server.on("clientError", refuse);
    try {
      await listening(server, taken, address);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (servers.length > 0 && (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT")) continue; // this machine has no IPv6
      for (const open of servers) open.close();
      // a free IPv4 port may be busy on IPv6: tries another
      if (port === 0 && servers.length > 0 && code === "EADDRINUSE") return listen(0, listener, host);
      if (code === "EADDRINUSE") throw new UsageError(`port ${taken} is busy`);
      if (host !== undefined && NOT_OURS.has(code ?? ""))
        throw new UsageError(
          `"${host}" is no address of this machine (${code}); --host 0.0.0.0 answers on all that it has`,
        );
      if (code === "EACCES") throw new UsageError(`port ${taken} needs more rights than this user has`);
      throw error;
    }
    servers.push(server);
    taken = (server.address() as AddressInfo).port;
  }
  return {
    port: taken,
    servers,
    close() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/**
 * An asynchronous listener. If it fails, the error is printed and the connection ends: an unhandled rejection would
 * end the process.
 */
export function waiting(
  listener: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): RequestListener {
  return (request, response) => {
    listener(request, response).catch((error: unknown) => {
      process.stderr.write(`${request.method} ${request.url}: ${String(error)}\n`);
      response.destroy();
    });
  };
}

/** Answers input that is not a request; Node's own answer has no body. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const [status, detail] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? ["431 Request Header Fields Too Large", `path and headers are over ${HEADER_BYTES_MAX} bytes`]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? ["408 Request Timeout", "the request did not arrive in time"]
        : ["400 Bad Request", "this is no HTTP request"];
  const body = JSON.stringify({ status: Number(status.slice(0, 3)), detail });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once("error", fail);
    server.listen({ port, host }, () => {
      server.off("error", fail);
      done();
    });
  });
}
