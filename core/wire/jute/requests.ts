/**
 * Requests of a client after the handshake, as the server reads and the SDK writes them. The records are in `ops/`; this
 * file has the headers.
 * @source ZooKeeper `zookeeper.jute` module `org.apache.zookeeper.proto`
 */
import { assert, assertNever } from "../../assert.ts";
import type { ReadRequest, WriteRequest } from "../../znode/types.ts";
import type { SeenWatches } from "../../znode/watch.ts";
import { ByteReader, WireError } from "../reader.ts";
import { ByteWriter } from "../writer.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { writeRequestHeader } from "./header.ts";
import { OpCode } from "./opcodes.ts";
import type { ClientRequest, DecodedWrite, RequestWriter } from "./ops/op.ts";
import { writeSetWatches } from "./ops/set-watches.ts";
import { opOf, REQUEST_WRITERS } from "./ops/table.ts";

/** Whether it is a write of clients, whose record any member may forward to the leader unchanged. */
export const isWriteOpCode = (opcode: number): boolean => opOf(opcode).kind === "write";

const PING: ClientRequest = { kind: "ping" };
const UNKNOWN: ClientRequest = { kind: "unknown" };

/**
 * Reads the record that follows a request's header. Bytes after the record are ignored; data are views of the message.
 * @throws WireError when it is not what the opcode says: the caller refuses the request
 */
export function readRequest(reader: ByteReader, opcode: number): ClientRequest {
  const op = opOf(opcode);
  switch (op.kind) {
    case "read":
      return { kind: "read", request: op.readRequest(reader, opcode) };
    case "write": {
      const request = op.readRequest(reader, opcode);
      return "code" in request ? { kind: "refused", code: request.code } : { kind: "write", request };
    }
    case "ping":
      return PING;
    case "setWatches":
      return { kind: "setWatches", watches: op.readRequest(reader) };
    case "refused":
      return { kind: "refused", code: op.code };
    case "internal":
    case "unknown":
      return UNKNOWN;
    default:
      return assertNever(op);
  }
}

/**
 * Reads the record of a write, as a client or {@link encodeWrite} made it. Data are views of `body`.
 * @throws WireError when it is not what the opcode says
 */
export function decodeWrite(opcode: number, body: Uint8Array): DecodedWrite {
  const op = opOf(opcode);
  if (op.kind !== "write" && op.kind !== "internal")
    throw new WireError(`operation ${opcode} does not write`);
  return op.readRequest(new ByteReader(body), opcode);
}

/** A write as opcode and record. Only members open a session in this way; clients use the handshake. */
export function encodeWrite(request: WriteRequest): { readonly opcode: OpCode; readonly body: Uint8Array } {
  const writer = new ByteWriter(64 + ("data" in request ? (request.data?.length ?? 0) : 0));
  const op: RequestWriter = REQUEST_WRITERS[request.type];
  op.writeRequest(writer, request);
  return { opcode: op.opcodeOf(request), body: writer.view() };
}

/** The opcode under which a request travels; the reply is read with it. */
export function opcodeOf(request: WriteRequest | ReadRequest): OpCode {
  const op: RequestWriter = REQUEST_WRITERS[request.type];
  return op.opcodeOf(request);
}

/** Writes one frame: header and record. A session is opened by the handshake, not by a request. */
export function writeRequest(writer: ByteWriter, xid: number, request: WriteRequest | ReadRequest): void {
  assert(request.type !== "createSession", "the handshake opens a session");
  const op: RequestWriter = REQUEST_WRITERS[request.type];
  const at = beginFrame(writer);
  writeRequestHeader(writer, xid, op.opcodeOf(request));
  op.writeRequest(writer, request);
  endFrame(writer, at);
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
