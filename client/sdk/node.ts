/** The SDK for Node: that of `index.ts`, with the `ws` package as the default WebSocket and a token for writes. */
import { WebSocket } from "ws";
import {
  type ConnectOptions,
  connect as connectWith,
  type OpenSocket,
  type Session,
  type SocketLike,
} from "./index.ts";

export * from "./index.ts";

/** Time for which a silent server may keep a closed socket, and so the process, ms. */
const CLOSE_MS = 2_000;

/** Characters of a header. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Options of {@link connect} on Node. */
export interface NodeConnectOptions extends ConnectOptions {
  /** ZOOWEEPER_TOKEN of the deployment; local runs need none */
  readonly token?: string;
}

/**
 * Opens a session, or continues one.
 * @throws TypeError, RangeError for wrong arguments; ZooError as the `connect` of `index.ts`
 */
export function connect(
  urls: string | readonly string[],
  options: NodeConnectOptions = {},
): Promise<Session> {
  return connectOnNode(urls, options);
}

async function connectOnNode(
  urls: string | readonly string[],
  options: NodeConnectOptions,
): Promise<Session> {
  if (typeof options !== "object" || options === null) throw new TypeError("options is an object");
  const { token, ...others } = options;
  if (token !== undefined && typeof token !== "string") throw new TypeError("token is a string");
  if (token !== undefined && !TOKEN.test(token))
    throw new RangeError("token has characters that a header cannot carry");
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  // Node's own WebSocket is several times slower; compressing packets of 100 bytes costs more than it saves
  const settings = { headers, perMessageDeflate: false, closeTimeout: CLOSE_MS };
  const openSocket: OpenSocket = (address) => new WebSocket(address, settings) as unknown as SocketLike;
  return connectWith(urls, { openSocket, ...others });
}
