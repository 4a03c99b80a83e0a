/**
 * A server for the SDK: a real WebSocket server on this machine that records its input and sends the answers of a
 * test.
 */
import { createHash } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { writeConnectResponse } from "../../../core/wire/jute/connect.ts";
import { ByteReader } from "../../../core/wire/reader.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import type { SessionId } from "../../../core/znode/types.ts";

/** A request without its length, as the server got it. */
export interface SeenRequest {
  readonly xid: number;
  readonly opcode: number;
  /** stands behind the header */
  readonly body: ByteReader;
}

export interface ScriptedServer {
  readonly url: string;
  /** messages after the handshake, each the requests it held */
  readonly messages: readonly (readonly SeenRequest[])[];
  /** resolves when at least `count` messages came */
  untilMessages(count: number): Promise<void>;
  /** sends packets as one message */
  send(...packets: Uint8Array[]): void;
  /** connections so far */
  readonly connections: number;
  /** ends the connection as a node does that has something to say */
  close(code: number, reason: string): void;
  /** ends the connection without a close handshake, as a crash does */
  drop(): void;
  stop(): void;
}

export const SESSION = 0x2000000000007;
export const TIMEOUT_MS = 6_000;
const PASSWORD = new Uint8Array(16).fill(7);

/** A server that accepts a WebSocket and never says anything again, not even that it closes. */
export async function startMute(): Promise<{ url: string; open: () => number; stop: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => undefined);
    socket.once("data", (request) => {
      const key = /^sec-websocket-key: (.*)\r$/im.exec(`${request}`)?.[1] ?? "";
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const headers = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
      socket.write(["HTTP/1.1 101 Switching Protocols", ...headers, "", ""].join("\r\n"));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open: () => sockets.size,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/**
 * @param timeoutMs granted to the session; 0: the session is unknown
 * @param lastXid number of the session's last write, as our own servers tell it
 */
export async function startServer(timeoutMs: number = TIMEOUT_MS, lastXid?: number): Promise<ScriptedServer> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  const messages: SeenRequest[][] = [];
  let waiting: { count: number; resolve: () => void } | undefined;
  let socket: WebSocket | undefined;
  let connections = 0;
  server.on("connection", (connected) => {
    socket = connected;
    connections += 1;
    let greeted = false;
    connected.on("message", (data: Buffer) => {
      if (!greeted) {
        greeted = true;
        connected.send(handshake(timeoutMs, lastXid));
        return;
      }
      messages.push(requestsOf(data));
      if (waiting !== undefined && messages.length >= waiting.count) waiting.resolve();
    });
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    messages,
    untilMessages: (count) =>
      messages.length >= count ? Promise.resolve() : new Promise((resolve) => (waiting = { count, resolve })),
    send: (...packets) => socket?.send(Buffer.concat(packets)),
    get connections() {
      return connections;
    },
    close: (code, reason) => socket?.close(code, reason),
    drop: () => socket?.terminate(),
    stop() {
      for (const client of server.clients) client.terminate();
      server.close();
    },
  };
}

function requestsOf(message: Buffer): SeenRequest[] {
  const requests: SeenRequest[] = [];
  const reader = new ByteReader(message);
  while (reader.left > 0) {
    const bytes = reader.bytes(reader.i32());
    const body = new ByteReader(bytes);
    requests.push({ xid: body.i32(), opcode: body.i32(), body });
  }
  return requests;
}

/** The answer to a handshake. */
export function handshake(timeoutMs: number, lastXid: number | undefined): Uint8Array {
  const writer = new ByteWriter();
  const session = (timeoutMs === 0 ? 0 : SESSION) as SessionId;
  writeConnectResponse(writer, { timeoutMs, session, password: PASSWORD, readOnly: false, lastXid });
  return writer.finish();
}

export function packet(payload: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  writer.i32(payload.length);
  writer.bytes(payload);
  return writer.finish();
}

/** An answer: header, then what `fill` writes. */
export function reply(
  xid: number,
  counter: number,
  error = 0,
  fill: (writer: ByteWriter) => void = () => {},
): Uint8Array {
  const writer = new ByteWriter();
  writer.i32(xid);
  writer.u32pair(1, counter);
  writer.i32(error);
  fill(writer);
  return packet(writer.finish());
}

/** A watch event of ZooKeeper's type number. */
export function notification(type: number, path: string): Uint8Array {
  const writer = new ByteWriter();
  writer.i32(-1);
  writer.u32pair(0xffff_ffff, 0xffff_ffff);
  writer.i32(0);
  writer.i32(type);
  writer.i32(3);
  writer.string(path);
  return packet(writer.finish());
}

/** A Stat whose version is `version`. */
export function writeStat(writer: ByteWriter, version: number): void {
  writer.u32pair(1, 1);
  writer.u32pair(1, 2);
  writer.i64(1_700_000_000_000);
  writer.i64(1_700_000_000_001);
  writer.i32(version);
  writer.i32(0);
  writer.i32(0);
  writer.i64(0);
  writer.i32(3);
  writer.i32(0);
  writer.u32pair(1, 1);
}
