/**
 * The SDK for every platform that has a WebSocket: browsers, workerd, Deno, Bun. Node has an entry of its own, `node.ts`.
 * A platform's WebSocket sends no headers: for a deployment with a token give `openSocket` of `ConnectOptions`.
 */
export { connect } from "./connect.ts";
export { type ZooClientCode, ZooError } from "./errors.ts";
export type { Session } from "./session.ts";
export type { OpenSocket, SocketLike } from "./socket.ts";
export type {
  ConnectOptions,
  Data,
  Mode,
  MultiOp,
  MultiResult,
  ReadOptions,
  SessionState,
  SessionTicket,
  WatchEvent,
  WatchListener,
  ZnodeChildren,
  ZnodeValue,
} from "./types.ts";
