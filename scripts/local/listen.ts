/** Ports of this machine: taking them, and saying plainly when that fails. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** The user asked for something that cannot be. Commands print it as one line and exit with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A port on which we answer. */
export interface Listener {
  readonly port: number;
  readonly servers: readonly Server[];
  close(): void;
}

/** Addresses that `localhost` may mean. */
const LOOPBACK = ["127.0.0.1", "::1"];

/**
 * Answers on `port` (0: any free one) of this machine only, or of `host` when one is given.
 * @throws UsageError when the port is busy or not ours to take
 */
export async function listen(port: number, listener: RequestListener, host?: string): Promise<Listener> {
  const servers: Server[] = [];
  let taken = port;
  for (const address of host === undefined ? LOOPBACK : [host]) {
    // an SSE stream or a parked read has no end that a timeout may set
    const server = createServer({ keepAliveTimeout: 30_000, requestTimeout: 0, noDelay: true }, listener);
    try {
      await listening(server, taken, address);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (servers.length > 0 && (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT")) continue; // no IPv6 here
      for (const open of servers) open.close();
      // a free port of IPv4 may be busy on IPv6: look for another
      if (port === 0 && servers.length > 0 && code === "EADDRINUSE") return listen(0, listener, host);
      if (code === "EADDRINUSE") throw new UsageError(`port ${taken} is busy`);
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

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once("error", fail);
    server.listen({ port, host }, () => {
      server.off("error", fail);
      done();
    });
  });
}
