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
import { assert } from "../../assert.ts";
import type { ZooErrorCode } from "../../errors.ts";
import { CreateMode, type ReadRequest, type WriteRequest } from "../../znode/types.ts";
import type { SeenWatches } from "../../znode/watch.ts";
import { type ByteReader, WireError } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";
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
import { Opcode } from "./opcodes.ts";
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
  Opcode.CREATE,
  Opcode.CREATE2,
  Opcode.CREATE_CONTAINER,
  Opcode.CREATE_TTL,
  Opcode.DELETE,
  Opcode.SET_DATA,
  Opcode.SET_ACL,
  Opcode.MULTI,
  Opcode.CLOSE_SESSION,
]);

/** Does a client write with it? Then any member may pass the record on to the leader as it is. */
export const isWriteOpcode = (opcode: number): boolean => WRITES.has(opcode);

/**
 * Reads the record that follows a request's header. Bytes after the record are ignored; data are views of the message.
 * @throws WireError when it is not what the opcode says: the caller answers MARSHALLING_ERROR and goes on
 */
export function readRequest(reader: ByteReader, opcode: number): ClientRequest {
  if (isWriteOpcode(opcode)) {
    const request = readWrite(reader, opcode);
    return "code" in request ? { kind: "refused", code: request.code } : { kind: "write", request };
  }
  switch (opcode) {
    case Opcode.EXISTS:
      return { kind: "read", request: { type: "exists", path: reader.string(), watch: reader.bool() } };
    case Opcode.GET_DATA:
      return { kind: "read", request: { type: "getData", path: reader.string(), watch: reader.bool() } };
    case Opcode.GET_CHILDREN:
    case Opcode.GET_CHILDREN2: {
      const withStat = opcode === Opcode.GET_CHILDREN2;
      return {
        kind: "read",
        request: { type: "getChildren", path: reader.string(), watch: reader.bool(), withStat },
      };
    }
    case Opcode.SYNC:
      return { kind: "sync", path: reader.string() };
    case Opcode.PING:
      return { kind: "ping" };
    case Opcode.SET_WATCHES:
      return { kind: "setWatches", watches: readSetWatches(reader) };
    case Opcode.GET_ACL:
      return { kind: "refused", code: "UNIMPLEMENTED" };
    default:
      return { kind: "unknown" };
  }
}

/** A write, or why it is refused before it is checked against the tree. */
type DecodedWrite = WriteRequest | { readonly code: ZooErrorCode };

/** Reads the record of a write. @throws WireError */
function readWrite(reader: ByteReader, opcode: number): DecodedWrite {
  switch (opcode) {
    case Opcode.SET_DATA:
      return readSetData(reader);
    case Opcode.CREATE:
    case Opcode.CREATE2:
      return orRefusal(readCreate(reader, opcode === Opcode.CREATE2, CreateMode.PERSISTENT).op);
    case Opcode.DELETE:
      return readDelete(reader);
    case Opcode.MULTI:
      return { type: "multi", ops: readMultiRequest(reader) };
    case Opcode.CLOSE_SESSION:
      return { type: "closeSession" };
    case Opcode.CREATE_CONTAINER:
    case Opcode.CREATE_TTL:
    case Opcode.SET_ACL:
      return { code: "UNIMPLEMENTED" };
    default:
      throw new WireError(`operation ${opcode} does not write`);
  }
}

function orRefusal(op: DecodedChange): DecodedWrite {
  return op.type === "refused" ? { code: op.code } : op;
}

/** The opcode under which a request travels; the reply is read with it. */
export function opcodeOf(request: WriteRequest | ReadRequest): Opcode {
  switch (request.type) {
    case "exists":
      return Opcode.EXISTS;
    case "getData":
      return Opcode.GET_DATA;
    case "getChildren":
      return request.withStat ? Opcode.GET_CHILDREN2 : Opcode.GET_CHILDREN;
    case "multi":
      return Opcode.MULTI;
    case "sync":
      return Opcode.SYNC;
    case "closeSession":
      return Opcode.CLOSE_SESSION;
    case "createSession":
      return Opcode.CREATE_SESSION;
    default:
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
    case "closeSession":
      return;
    default:
      writeChange(writer, request);
  }
}

/** Writes one frame: a request that is its header alone (ping). */
export function writeBareRequest(writer: ByteWriter, xid: number, opcode: Opcode): void {
  const at = beginFrame(writer);
  writeRequestHeader(writer, xid, opcode);
  endFrame(writer, at);
}

/** Writes one frame. */
export function writeSetWatchesRequest(writer: ByteWriter, xid: number, watches: SeenWatches): void {
  const at = beginFrame(writer);
  writeRequestHeader(writer, xid, Opcode.SET_WATCHES);
  writeSetWatches(writer, watches);
  endFrame(writer, at);
}
