/**
 * Requests of a client: what the server reads and what the SDK writes, after the handshake.
 *
 * | record | fields |
 * |---|---|
 * | ExistsRequest, GetDataRequest, GetChildrenRequest, GetChildren2Request | ustring path, bool watch |
 * | SyncRequest | ustring path |
 *
 * The changes are in `change.ts`, multi and SetWatches in files of their own.
 * @source ZooKeeper `zookeeper.jute` module `org.apache.zookeeper.proto`
 */
import { assert, assertNever } from "../../assert.ts";
import type { ZooErrorCode } from "../../errors.ts";
import { CreateMode, type ReadRequest, type WriteRequest } from "../../znode/types.ts";
import type { SeenWatches } from "../../znode/watch.ts";
import { ByteReader, WireError } from "../reader.ts";
import { ByteWriter } from "../writer.ts";
import {
  type DecodedChange,
  opcodeOfChange,
  readCreate,
  readDelete,
  readSetData,
  writeChange,
} from "./change.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { writeRequestHeader } from "./header.ts";
import { readMultiRequest, writeMultiRequest } from "./multi.ts";
import { OpCode } from "./opcodes.ts";
import { readSetWatches, writeSetWatches } from "./set-watches.ts";

/** What a client asks. */
export type ClientRequest =
  | { readonly kind: "write"; readonly request: WriteRequest }
  | { readonly kind: "read"; readonly request: ReadRequest }
  /** a barrier; the answer echoes the path */
  | { readonly kind: "sync"; readonly path: string }
  | { readonly kind: "ping" }
  | { readonly kind: "setWatches"; readonly watches: SeenWatches }
  /** decodable, and refused before it is checked against the tree */
  | { readonly kind: "refused"; readonly code: ZooErrorCode }
  /** no such operation, or not built: the server answers UNIMPLEMENTED with zxid −1 and closes */
  | { readonly kind: "unknown" };

/** Codes that a client may send for a write; the leader alone decodes their records. */
const WRITES: ReadonlySet<number> = new Set([
  OpCode.CREATE,
  OpCode.CREATE2,
  OpCode.CREATE_CONTAINER,
  OpCode.CREATE_TTL,
  OpCode.DELETE,
  OpCode.SET_DATA,
  OpCode.SET_ACL,
  OpCode.MULTI,
  OpCode.CLOSE_SESSION,
]);

/** Does a client write with it? Then any member may pass the record on to the leader as it is. */
export const isWriteOpCode = (opcode: number): boolean => WRITES.has(opcode);

/**
 * Reads the record that follows a request's header. Bytes after the record are ignored; data are views of the message.
 * @throws WireError when it is not what the opcode says: the caller answers MARSHALLING_ERROR and goes on
 */
export function readRequest(reader: ByteReader, opcode: number): ClientRequest {
  if (isWriteOpCode(opcode)) {
    const request = readWrite(reader, opcode);
    return "code" in request ? { kind: "refused", code: request.code } : { kind: "write", request };
  }
  switch (opcode) {
    case OpCode.EXISTS:
      return { kind: "read", request: { type: "exists", path: reader.string(), watch: reader.bool() } };
    case OpCode.GET_DATA:
      return { kind: "read", request: { type: "getData", path: reader.string(), watch: reader.bool() } };
    case OpCode.GET_CHILDREN:
    case OpCode.GET_CHILDREN2: {
      const withStat = opcode === OpCode.GET_CHILDREN2;
      return {
        kind: "read",
        request: { type: "getChildren", path: reader.string(), watch: reader.bool(), withStat },
      };
    }
    case OpCode.SYNC:
      return { kind: "sync", path: reader.string() };
    case OpCode.PING:
      return { kind: "ping" };
    case OpCode.SET_WATCHES:
      return { kind: "setWatches", watches: readSetWatches(reader) };
    case OpCode.GET_ACL:
      return { kind: "refused", code: "UNIMPLEMENTED" };
    default:
      return { kind: "unknown" };
  }
}

/** A write, or why it is refused before it is checked against the tree. */
export type DecodedWrite = WriteRequest | { readonly code: ZooErrorCode };

/** Reads the record of a write, as a client or {@link encodeWrite} made it. @throws WireError */
function readWrite(reader: ByteReader, opcode: number): DecodedWrite {
  switch (opcode) {
    case OpCode.SET_DATA:
      return readSetData(reader);
    case OpCode.CREATE:
    case OpCode.CREATE2:
      return orRefusal(readCreate(reader, opcode === OpCode.CREATE2, CreateMode.PERSISTENT).op);
    case OpCode.DELETE:
      return readDelete(reader);
    case OpCode.MULTI:
      return { type: "multi", ops: readMultiRequest(reader) };
    case OpCode.CLOSE_SESSION:
      return { type: "closeSession" };
    case OpCode.CREATE_SESSION:
      return { type: "createSession", timeoutMs: reader.i32() };
    case OpCode.SYNC:
      reader.string();
      return { type: "sync" };
    case OpCode.CREATE_CONTAINER:
    case OpCode.CREATE_TTL:
    case OpCode.SET_ACL:
      return { code: "UNIMPLEMENTED" };
    default:
      throw new WireError(`operation ${opcode} does not write`);
  }
}

function orRefusal(op: DecodedChange): DecodedWrite {
  return op.type === "refused" ? { code: op.code } : op;
}

/**
 * Reads the record of a write. Data are views of `body`.
 * @throws WireError when it is not what the opcode says
 */
export function decodeWrite(opcode: number, body: Uint8Array): DecodedWrite {
  return readWrite(new ByteReader(body), opcode);
}

/** A write as opcode and record. Opening a session is the leader's and its members' own: no client sends it so. */
export function encodeWrite(request: WriteRequest): { readonly opcode: OpCode; readonly body: Uint8Array } {
  const writer = new ByteWriter(64 + ("data" in request ? (request.data?.length ?? 0) : 0));
  writeRecord(writer, request);
  return { opcode: opcodeOf(request), body: writer.view() };
}

/** The opcode under which a request travels; the reply is read with it. */
export function opcodeOf(request: WriteRequest | ReadRequest): OpCode {
  switch (request.type) {
    case "exists":
      return OpCode.EXISTS;
    case "getData":
      return OpCode.GET_DATA;
    case "getChildren":
      return request.withStat ? OpCode.GET_CHILDREN2 : OpCode.GET_CHILDREN;
    case "multi":
      return OpCode.MULTI;
    case "sync":
      return OpCode.SYNC;
    case "closeSession":
      return OpCode.CLOSE_SESSION;
    case "createSession":
      return OpCode.CREATE_SESSION;
    case "create":
    case "setData":
    case "delete":
      return opcodeOfChange(request);
  }
}

/** Writes one frame: header and record. A session is opened by the handshake, not by a request. */
export function writeRequest(writer: ByteWriter, xid: number, request: WriteRequest | ReadRequest): void {
  assert(request.type !== "createSession", "the handshake opens a session");
  const at = beginFrame(writer);
  writeRequestHeader(writer, xid, opcodeOf(request));
  writeRecord(writer, request);
  endFrame(writer, at);
}

function writeRecord(writer: ByteWriter, request: WriteRequest | ReadRequest): void {
  switch (request.type) {
    case "exists":
    case "getData":
    case "getChildren":
      writer.string(request.path);
      writer.bool(request.watch);
      return;
    case "multi":
      writeMultiRequest(writer, request.ops);
      return;
    case "sync":
      writer.string("/");
      return;
    case "createSession":
      writer.i32(request.timeoutMs);
      return;
    case "closeSession":
      return;
    case "create":
    case "setData":
    case "delete":
      writeChange(writer, request);
      return;
    default:
      assertNever(request);
  }
}

/** Writes one frame: a request that is its header alone (ping). */
export function writeBareRequest(writer: ByteWriter, xid: number, opcode: OpCode): void {
  const at = beginFrame(writer);
  writeRequestHeader(writer, xid, opcode);
  endFrame(writer, at);
}

/** Writes one frame. */
export function writeSetWatchesRequest(writer: ByteWriter, xid: number, watches: SeenWatches): void {
  const at = beginFrame(writer);
  writeRequestHeader(writer, xid, OpCode.SET_WATCHES);
  writeSetWatches(writer, watches);
  endFrame(writer, at);
}
