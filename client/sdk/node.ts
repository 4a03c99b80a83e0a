/** The SDK for Node: that of `index.ts`, with the `ws` package as the default WebSocket and a token for writes. */
import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { connectOver } from "./connect.ts";
import type { ConnectOptions, Session, SocketLike } from "./index.ts";
import { isProblem, type Refusal } from "./refusal.ts";
import { platformTransport, type Transport } from "./transport.ts";

export * from "./index.ts";

/** Time for which a silent server may keep a closed socket, and so the process, ms. */
const CLOSE_MS = 2_000;

/** Longest problem document that is read, characters. */
const PROBLEM_CHARS_MAX = 65_536;

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
  return connectOver(
    (openSocket) => (openSocket === undefined ? nodeTransport(token) : platformTransport(openSocket)),
    urls,
    others,
  );
}

/** Sockets of the `ws` package, which shows the answer of a server that opens none. */
function nodeTransport(token: string | undefined): Transport {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  // Node's own WebSocket is several times slower; compressing packets of 100 bytes costs more than it saves
  const settings = { headers, perMessageDeflate: false, closeTimeout: CLOSE_MS };
  const refusals = new WeakMap<SocketLike, Promise<Refusal>>();
  return {
    openSocket(address) {
      const socket = new WebSocket(address, settings);
      const like = socket as unknown as SocketLike;
      socket.once("unexpected-response", (_request, response) => {
        // with this listener, `ws` leaves it to us to end the socket
        refusals.set(
          like,
          refusalOf(response).finally(() => socket.terminate()),
        );
      });
      return like;
    },
    refusalOf: async (socket) => refusals.get(socket),
  };
}

/** Reads what is needed of an answer. Never rejects. */
async function refusalOf(response: IncomingMessage): Promise<Refusal> {
  const status = response.statusCode ?? 0;
  if (!isProblem(response.headers["content-type"])) return { status, problem: undefined };
  let problem = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      problem += chunk as string;
      if (problem.length > PROBLEM_CHARS_MAX) break;
    }
  } catch {
    // the attempt is over, or the connection is lost
  }
  return { status, problem };
}
