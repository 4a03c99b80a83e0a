/**
 * create 1, create2 15: CreateRequest → CreateResponse, Create2Response.
 *
 * | record | fields |
 * |---|---|
 * | CreateRequest | ustring path, buffer data, vector of ACL, i32 flags |
 * | CreateResponse | ustring path |
 * | Create2Response | ustring path, Stat |
 *
 * @source ZooKeeper `zookeeper.jute` module `org.apache.zookeeper.proto`
 */
import type { ZooErrorCode } from "../../../errors.ts";
import { hasPathShape } from "../../../znode/path.ts";
import {
  type ChangeRequest,
  type ChangeResult,
  CreateMode,
  type MultiRequestOp,
} from "../../../znode/types.ts";
import { type ByteReader, WireError } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { readAcl, writeOpenAcl } from "../acl.ts";
import { OpCode } from "../opcodes.ts";
import { readStat, writeStat } from "../stat.ts";
import type {
  DecodedWrite,
  PartReader,
  ReplyWriter,
  RequestWriter,
  ResultReader,
  ResultWriter,
  WriteCodec,
} from "./op.ts";

type CreateRequest = Extract<ChangeRequest, { type: "create" }>;
type CreateResult = Extract<ChangeResult, { type: "create" }>;
type RefusedPart = Extract<MultiRequestOp, { type: "refused" }>;

/** Create flags beyond {@link CreateMode}. */
const FLAG_CONTAINER = 4;
const FLAG_TTL = 5;
const FLAG_TTL_SEQUENTIAL = 6;

/** create and create2 */
export const create: WriteCodec &
  RequestWriter<CreateRequest> &
  ReplyWriter<CreateResult> &
  PartReader &
  ResultWriter<CreateResult> &
  ResultReader = {
  kind: "write",

  opcodeOf({ withStat }: CreateRequest): OpCode {
    return withStat ? OpCode.CREATE2 : OpCode.CREATE;
  },

  writeRequest(writer: ByteWriter, { path, data, mode }: CreateRequest): void {
    writer.string(path);
    writer.buffer(data);
    writeOpenAcl(writer);
    writer.i32(mode);
  },

  /** On its own the opcode decides what is made: with the container flag a plain znode. */
  readRequest(reader: ByteReader, opcode: number): DecodedWrite {
    const { op } = readCreate(reader, opcode === OpCode.CREATE2, CreateMode.PERSISTENT);
    return op.type === "refused" ? { code: op.code } : op;
  },

  writeReply(writer: ByteWriter, { path, stat }: CreateResult): void {
    writer.string(path);
    if (stat !== null) writeStat(writer, stat);
  },

  readReply: readResult,

  /** Here the flag decides alone, and one that promises a TTL makes the record another one: it cannot be decoded. */
  readPart(reader: ByteReader, opcode: number): MultiRequestOp {
    const { op, flags } = readCreate(reader, opcode === OpCode.CREATE2, undefined);
    if (flags === FLAG_TTL || flags === FLAG_TTL_SEQUENTIAL)
      throw new WireError("a create with a TTL flag and no TTL");
    return op;
  },

  /** of create2 too */
  resultType: OpCode.CREATE,

  writeResult(writer: ByteWriter, { path }: CreateResult): void {
    writer.string(path);
  },

  readResult,
};

function readResult(reader: ByteReader, opcode: number): CreateResult {
  return { type: "create", path: reader.string(), stat: opcode === OpCode.CREATE2 ? readStat(reader) : null };
}

/**
 * Reads a CreateRequest, and its flags as they came.
 * @param containerMode what the container flag makes; undefined: there are no containers yet
 * @throws WireError
 */
export function readCreate(
  reader: ByteReader,
  withStat: boolean,
  containerMode: CreateMode | undefined,
): { readonly op: CreateRequest | RefusedPart; readonly flags: number } {
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
