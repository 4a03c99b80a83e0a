/**
 * Requests that change one znode; on their own or within a multi they have the same layout.
 *
 * | record | fields |
 * |---|---|
 * | CreateRequest | ustring path, buffer data, vector of ACL, i32 flags |
 * | DeleteRequest | ustring path, i32 version |
 * | SetDataRequest | ustring path, buffer data, i32 version |
 * | CheckVersionRequest | ustring path, i32 version |
 *
 * Data are views of the message: whoever keeps them longer copies them.
 * @source ZooKeeper `zookeeper.jute` module `org.apache.zookeeper.proto`
 */
import type { ZooErrorCode } from "../../errors.ts";
import { hasPathShape } from "../../znode/path.ts";
import { type ChangeRequest, CreateMode, type MultiRequestOp } from "../../znode/types.ts";
import type { ByteReader } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";
import { readAcl, writeOpenAcl } from "./acl.ts";
import { OpCode } from "./opcodes.ts";

/** Create flags beyond {@link CreateMode}. */
export const FLAG_CONTAINER = 4;
export const FLAG_TTL = 5;
export const FLAG_TTL_SEQUENTIAL = 6;

/** A change, or why it cannot be one. */
export type DecodedChange = ChangeRequest | Extract<MultiRequestOp, { type: "refused" }>;

/** The opcode under which a change travels. */
export function opcodeOfChange(op: MultiRequestOp): OpCode {
  switch (op.type) {
    case "create":
      return op.withStat ? OpCode.CREATE2 : OpCode.CREATE;
    case "delete":
      return OpCode.DELETE;
    case "setData":
      return OpCode.SET_DATA;
    case "check":
      return OpCode.CHECK;
    case "refused":
      return OpCode.ERROR;
  }
}

/** Writes the record of a change; a refused one has none. */
export function writeChange(writer: ByteWriter, op: MultiRequestOp): void {
  if (op.type === "refused") return;
  writer.string(op.path);
  if (op.type === "create" || op.type === "setData") writer.buffer(op.data);
  if (op.type === "create") {
    writeOpenAcl(writer);
    writer.i32(op.mode);
  } else writer.i32(op.version);
}

/**
 * Reads a CreateRequest, and its flags as they came.
 * @param containerMode what the container flag makes: on its own the opcode decides and a create makes a plain znode,
 *   in a multi the flag decides and there are no containers yet (undefined)
 * @throws WireError
 */
export function readCreate(
  reader: ByteReader,
  withStat: boolean,
  containerMode: CreateMode | undefined,
): { readonly op: DecodedChange; readonly flags: number } {
  const path = reader.string();
  const data = reader.buffer();
  const acl = readAcl(reader);
  const flags = reader.i32();
  const mode = flags === FLAG_CONTAINER ? containerMode : modeOf(flags);
  const code = mode === undefined ? refusalOf(flags) : hasPathShape(path) ? acl : "BAD_ARGUMENTS";
  if (mode === undefined || code !== undefined)
    return { op: { type: "refused", code: code ?? "BAD_ARGUMENTS" }, flags };
  return { op: { type: "create", path, data, mode, withStat }, flags };
}

/** Containers and TTLs exist in ZooKeeper and not here; other flags exist nowhere. */
const refusalOf = (flags: number): ZooErrorCode =>
  flags >= FLAG_CONTAINER && flags <= FLAG_TTL_SEQUENTIAL ? "UNIMPLEMENTED" : "BAD_ARGUMENTS";

/** Reads a DeleteRequest. @throws WireError */
export function readDelete(reader: ByteReader): ChangeRequest {
  return { type: "delete", path: reader.string(), version: reader.i32() };
}

/** Reads a SetDataRequest. @throws WireError */
export function readSetData(reader: ByteReader): ChangeRequest {
  return { type: "setData", path: reader.string(), data: reader.buffer(), version: reader.i32() };
}

/** Reads a CheckVersionRequest. @throws WireError */
export function readCheck(reader: ByteReader): MultiRequestOp {
  return { type: "check", path: reader.string(), version: reader.i32() };
}

function modeOf(flags: number): CreateMode | undefined {
  switch (flags) {
    case CreateMode.PERSISTENT:
    case CreateMode.EPHEMERAL:
    case CreateMode.PERSISTENT_SEQUENTIAL:
    case CreateMode.EPHEMERAL_SEQUENTIAL:
      return flags;
    default:
      return undefined;
  }
}
