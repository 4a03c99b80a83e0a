/** How the SDK reaches a server: opens sockets, and finds out why a server opened none. */
import { askForRefusal, type Refusal } from "./refusal.ts";
import { type OpenSocket, openPlatformSocket, type SocketLike } from "./socket.ts";

/** What a platform does for the SDK. */
export interface Transport {
  readonly openSocket: OpenSocket;
  /**
   * The answer of the server to the request for a socket that it did not open; undefined where there was none, or where it
   * is not known. Never rejects.
   * @param url of the socket
   */
  refusalOf(socket: SocketLike, url: string, signal: AbortSignal): Promise<Refusal | undefined>;
}

/** A platform's WebSocket hides the answer of the server, so the address is requested once more, over HTTP. */
const PLATFORM: Transport = {
  openSocket: openPlatformSocket,
  refusalOf: (_socket, url, signal) => askForRefusal(url, signal),
};

/** Statuses that a request may get because it lacks the headers of the socket. */
const FOR_HEADERS: ReadonlySet<number> = new Set([401, 403]);

/** The transport of any platform. @param openSocket of the caller, which may send headers that are not known here */
export function platformTransport(openSocket: OpenSocket | undefined): Transport {
  if (openSocket === undefined) return PLATFORM;
  return {
    openSocket,
    refusalOf: async (_socket, url, signal) => {
      const refusal = await askForRefusal(url, signal);
      return refusal === undefined || FOR_HEADERS.has(refusal.status) ? undefined : refusal;
    },
  };
}
