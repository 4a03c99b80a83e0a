/** check 13: CheckVersionRequest {ustring path, i32 version} → nothing. Part of a multi only. */
import type { ChangeResult, MultiRequestOp } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import {
  type PartReader,
  type ReplyWriter,
  type RequestWriter,
  type ResultReader,
  type ResultWriter,
  writeNothing,
} from "./op.ts";

type CheckRequest = Extract<MultiRequestOp, { type: "check" }>;
type CheckResult = Extract<ChangeResult, { type: "check" }>;

/** check */
export const check: RequestWriter<CheckRequest> &
  ReplyWriter<CheckResult> &
  PartReader &
  ResultWriter<CheckResult> &
  ResultReader = {
  opcodeOf: () => OpCode.CHECK,

  writeRequest(writer: ByteWriter, { path, version }: CheckRequest): void {
    writer.string(path);
    writer.i32(version);
  },

  writeReply: writeNothing,

  readPart(reader: ByteReader): CheckRequest {
    return { type: "check", path: reader.string(), version: reader.i32() };
  },

  resultType: OpCode.CHECK,
  writeResult: writeNothing,

  readResult(): CheckResult {
    return { type: "check" };
  },
};
