/**
 * Packets of `/v1/ws` as the client writes and reads them: `[i32 length][payload]`, the payloads in jute.
 * @source ZooKeeper `zookeeper.jute`, `ClientCnxn`
 */
import { writeOpenAcl } from "../../core/wire/jute/acl.ts";
import type { ByteReader } from "../../core/wire/reader.ts";
import type { ByteWriter } from "../../core/wire/writer.ts";
import { zxid } from "../../core/zab/zxid.ts";
import type { CreateMode, MultiRequestOp, SessionId, Stat } from "../../core/znode/types.ts";
import { ZooError } from "./errors.ts";

export const XID_NOTIFICATION = -1;
export const XID_PING = -2;

export const Op = {
  CREATE: 1,
  DELETE: 2,
  EXISTS: 3,
  GET_DATA: 4,
  SET_DATA: 5,
  SYNC: 9,
  PING: 11,
  GET_CHILDREN2: 12,
  CHECK: 13,
  MULTI: 14,
  CLOSE_SESSION: -11,
} as const;

const ERROR_RESULT = -1;
const PASSWORD_BYTES = 16;

/** What identifies a session. Whoever has it can continue the session. */
export interface SessionTicket {
  readonly id: SessionId;
  readonly password: Uint8Array;
}

/** Answer to the first packet. */
export interface Handshake extends SessionTicket {
  readonly timeoutMs: number;
}

/** Writes one packet whose payload `fill` writes. */
export function writePacket(writer: ByteWriter, fill: () => void): void {
  const start = writer.length;
  writer.i32(0);
  fill();
  writer.patchI32(start, writer.length - start - 4);
}

/** ConnectRequest. */
export function writeConnect(writer: ByteWriter, timeoutMs: number, ticket: SessionTicket | undefined): void {
  writePacket(writer, () => {
    writer.i32(0); // protocol version
    writer.i64(0); // last zxid seen
    writer.i32(timeoutMs);
    writer.i64(ticket?.id ?? 0);
    writer.buffer(ticket?.password ?? new Uint8Array(PASSWORD_BYTES));
    writer.bool(false); // read-only
  });
}

/** ConnectResponse. @throws ZooError SESSION_EXPIRED */
export function readHandshake(reader: ByteReader): Handshake {
  reader.i32(); // protocol version
  const timeoutMs = reader.i32();
  const id = reader.i64() as SessionId;
  const password = reader.buffer()?.slice() ?? new Uint8Array(PASSWORD_BYTES);
  if (timeoutMs <= 0) throw new ZooError("SESSION_EXPIRED", "the server does not know this session");
  return { id, password, timeoutMs };
}

export function writeCreate(
  writer: ByteWriter,
  path: string,
  data: Uint8Array | null,
  mode: CreateMode,
): void {
  writer.string(path);
  writer.buffer(data);
  writeOpenAcl(writer);
  writer.i32(mode);
}

export function writeSetData(
  writer: ByteWriter,
  path: string,
  data: Uint8Array | null,
  version: number,
): void {
  writer.string(path);
  writer.buffer(data);
  writer.i32(version);
}

/** Body of delete and check. */
export function writePathVersion(writer: ByteWriter, path: string, version: number): void {
  writer.string(path);
  writer.i32(version);
}

/** Body of exists, getData and getChildren2. */
export function writePathWatch(writer: ByteWriter, path: string, watch: boolean): void {
  writer.string(path);
  writer.bool(watch);
}

export function writeMulti(writer: ByteWriter, ops: readonly MultiRequestOp[]): void {
  const header = (type: number, done: boolean): void => {
    writer.i32(type);
    writer.bool(done);
    writer.i32(-1);
  };
  for (const op of ops) {
    switch (op.type) {
      case "create":
        header(Op.CREATE, false);
        writeCreate(writer, op.path, op.data, op.mode);
        break;
      case "delete":
        header(Op.DELETE, false);
        writePathVersion(writer, op.path, op.version);
        break;
      case "setData":
        header(Op.SET_DATA, false);
        writeSetData(writer, op.path, op.data, op.version);
        break;
      case "check":
        header(Op.CHECK, false);
        writePathVersion(writer, op.path, op.version);
    }
  }
  header(-1, true);
}

/** A result of a multi; an error is a number. */
export type RawResult =
  | { readonly op: "create"; readonly path: string }
  | { readonly op: "set"; readonly stat: Stat }
  | { readonly op: "delete" }
  | { readonly op: "check" }
  | number;

export function readMulti(reader: ByteReader): RawResult[] {
  const results: RawResult[] = [];
  for (;;) {
    const type = reader.i32();
    const done = reader.bool();
    reader.i32();
    if (done) return results;
    if (type === Op.CREATE) results.push({ op: "create", path: reader.string() });
    else if (type === Op.SET_DATA) results.push({ op: "set", stat: readStat(reader) });
    else if (type === Op.DELETE) results.push({ op: "delete" });
    else if (type === Op.CHECK) results.push({ op: "check" });
    else if (type === ERROR_RESULT) results.push(reader.i32());
    else throw new ZooError("MARSHALLING_ERROR", `a result of a multi has the unknown type ${type}`);
  }
}

const readZxid = (reader: ByteReader) => zxid(reader.u32(), reader.u32());

export function readStat(reader: ByteReader): Stat {
  const czxid = readZxid(reader);
  const mzxid = readZxid(reader);
  const ctime = reader.i64();
  const mtime = reader.i64();
  const version = reader.i32();
  const cversion = reader.i32();
  const aversion = reader.i32();
  const ephemeralOwner = reader.i64() as SessionId;
  const dataLength = reader.i32();
  const numChildren = reader.i32();
  const pzxid = readZxid(reader);
  return {
    czxid,
    mzxid,
    pzxid,
    ctime,
    mtime,
    version,
    cversion,
    aversion,
    ephemeralOwner,
    dataLength,
    numChildren,
  };
}
