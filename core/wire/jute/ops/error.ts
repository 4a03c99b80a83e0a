/** error −1: what a refused operation of a multi answers, i32 err. On its own a refusal is the header of the reply alone. */
import { ZOO_ERRORS, zooErrorOf } from "../../../errors.ts";
import type { ChangeResult, MultiRequestOp } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import {
  type ReplyWriter,
  type RequestWriter,
  type ResultReader,
  type ResultWriter,
  writeNothing,
} from "./op.ts";

type RefusedRequest = Extract<MultiRequestOp, { type: "refused" }>;
type ErrorResult = Extract<ChangeResult, { type: "error" }>;

/** A refusal. A request that its decoder refused has no record. */
export const error: RequestWriter<RefusedRequest> &
  ReplyWriter<ErrorResult> &
  ResultWriter<ErrorResult> &
  ResultReader = {
  opcodeOf: () => OpCode.ERROR,
  writeRequest: writeNothing,
  writeReply: writeNothing,
  resultType: OpCode.ERROR,

  writeResult(writer: ByteWriter, { code }: ErrorResult): void {
    writer.i32(ZOO_ERRORS[code].number);
  },

  readResult(reader: ByteReader): ErrorResult {
    return { type: "error", code: zooErrorOf(reader.i32()) };
  },
};
