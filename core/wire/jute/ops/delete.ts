/** delete 2: DeleteRequest {ustring path, i32 version} → nothing. */
import type { ChangeRequest, ChangeResult } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import {
  type PartReader,
  type ReplyWriter,
  type RequestWriter,
  type ResultReader,
  type ResultWriter,
  type WriteCodec,
  writeNothing,
} from "./op.ts";

type DeleteRequest = Extract<ChangeRequest, { type: "delete" }>;
type DeleteResult = Extract<ChangeResult, { type: "delete" }>;

/** delete */
export const deleteOp: WriteCodec &
  RequestWriter<DeleteRequest> &
  ReplyWriter<DeleteResult> &
  PartReader &
  ResultWriter<DeleteResult> &
  ResultReader = {
  kind: "write",
  opcodeOf: () => OpCode.DELETE,

  writeRequest(writer: ByteWriter, { path, version }: DeleteRequest): void {
    writer.string(path);
    writer.i32(version);
  },

  readRequest,
  writeReply: writeNothing,
  readReply: readResult,
  readPart: readRequest,
  resultType: OpCode.DELETE,
  writeResult: writeNothing,
  readResult,
};

function readRequest(reader: ByteReader): DeleteRequest {
  return { type: "delete", path: reader.string(), version: reader.i32() };
}

function readResult(): DeleteResult {
  return { type: "delete" };
}
