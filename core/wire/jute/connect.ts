/**
 * The handshake, the only frames without a header.
 *
 * ConnectRequest: i32 protocolVersion, i64 lastZxidSeen, i32 timeOut, i64 sessionId, buffer passwd, bool readOnly.
 * ConnectResponse: i32 protocolVersion, i32 timeOut, i64 sessionId, buffer passwd, bool readOnly. The trailing bool is
 * optional: clients before 3.4 do not send it and must not receive it. A client that requests {@link OWN_PROTOCOL} receives
 * an i32 lastXid after it, so that a client that continues a session knows how to number its writes. A client that returns
 * marks announces that by a second bool (see `marks.ts`).
 * @source ZooKeeper `ZooKeeperServer.processConnectRequest`
 */
import type { Zxid } from "../../zab/zxid.ts";
import { NO_SESSION, type SessionId } from "../../znode/types.ts";
import type { ByteReader } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { readZxid, writeZxid } from "./header.ts";

const HIGH = 2 ** 32;
const SAFE_HIGH_MAX = 0x1f_ffff;
/** Length of a session's password. */
export const PASSWORD_BYTES = 16;
/** protocolVersion of this project's clients; ZooKeeper's clients send 0. */
export const OWN_PROTOCOL = 1;

/** Stands for an id that no session can have. */
export const FOREIGN_SESSION = -1 as SessionId;

/** A client's first packet. */
export interface ConnectRequest {
  readonly lastZxidSeen: Zxid;
  /** requested timeout, ms: any i32 */
  readonly timeoutMs: number;
  /** {@link NO_SESSION} requests a new one */
  readonly session: SessionId;
  readonly password: Uint8Array | null;
  /** undefined if the client does not know read-only servers */
  readonly readOnly: boolean | undefined;
  /** {@link OWN_PROTOCOL}: the response must contain the session's last xid */
  readonly wantsLastXid?: boolean;
  /** the client returns marks; only with readOnly and wantsLastXid */
  readonly echoesMarks?: boolean;
}

/** The server's response. */
export interface ConnectResponse {
  /** ms; 0 if the session has expired or never existed */
  readonly timeoutMs: number;
  readonly session: SessionId;
  readonly password: Uint8Array;
  /** undefined if the request did not contain it */
  readonly readOnly: boolean | undefined;
  /** number of the session's last write; undefined if the request did not want it */
  readonly lastXid?: number | undefined;
}

/** The response to a client whose session cannot be resumed. The server closes the connection after it. */
export const expiredResponse = (readOnly: boolean | undefined): ConnectResponse => ({
  timeoutMs: 0,
  session: NO_SESSION,
  password: new Uint8Array(PASSWORD_BYTES),
  readOnly: readOnly === undefined ? undefined : false,
});

/** Writes one frame. */
export function writeConnectRequest(writer: ByteWriter, request: ConnectRequest): void {
  const at = beginFrame(writer);
  writer.i32(request.wantsLastXid === true ? OWN_PROTOCOL : 0);
  writeZxid(writer, request.lastZxidSeen);
  writer.i32(request.timeoutMs);
  writer.i64(request.session);
  writer.buffer(request.password);
  if (request.readOnly !== undefined) {
    writer.bool(request.readOnly);
    if (request.wantsLastXid === true && request.echoesMarks === true) writer.bool(true);
  }
  endFrame(writer, at);
}

/** Reads the payload of a frame; trailing bytes are ignored. @throws WireError when it is cut short */
export function readConnectRequest(reader: ByteReader): ConnectRequest {
  const wantsLastXid = reader.i32() === OWN_PROTOCOL;
  const lastZxidSeen = readZxid(reader);
  const timeoutMs = reader.i32();
  const session = readSessionId(reader);
  const password = reader.buffer();
  const readOnly = reader.left > 0 ? reader.bool() : undefined;
  // other clients send nothing here, or arbitrary bytes
  const echoesMarks = wantsLastXid && reader.left > 0 && reader.u8() === 1;
  const request = { lastZxidSeen, timeoutMs, session, password, readOnly };
  return { ...request, ...(wantsLastXid && { wantsLastXid }), ...(echoesMarks && { echoesMarks }) };
}

/** Writes one frame. */
export function writeConnectResponse(writer: ByteWriter, response: ConnectResponse): void {
  const at = beginFrame(writer);
  writer.i32(response.lastXid === undefined ? 0 : OWN_PROTOCOL);
  writer.i32(response.timeoutMs);
  writer.i64(response.session);
  writer.buffer(response.password);
  if (response.readOnly !== undefined) writer.bool(response.readOnly);
  if (response.lastXid !== undefined) writer.i32(response.lastXid);
  endFrame(writer, at);
}

/** Reads the payload of a frame. @throws WireError */
export function readConnectResponse(reader: ByteReader): ConnectResponse {
  const tellsLastXid = reader.i32() === OWN_PROTOCOL;
  const timeoutMs = reader.i32();
  const session = readSessionId(reader);
  const password = reader.buffer() ?? new Uint8Array(0);
  const readOnly = reader.left > 0 ? reader.bool() : undefined;
  const response = { timeoutMs, session, password, readOnly };
  return tellsLastXid ? { ...response, lastXid: reader.i32() } : response;
}

/** Reads any 64 bits; values that are no valid id read as a session that does not exist, not as an error. */
function readSessionId(reader: ByteReader): SessionId {
  const high = reader.u32();
  const low = reader.u32();
  return high > SAFE_HIGH_MAX ? FOREIGN_SESSION : ((high * HIGH + low) as SessionId);
}
