/**
 * multi 14: operations, each led by a MultiHeader (i32 type, bool done, i32 err), and a last header with done set; the answer
 * is results in the same form. A multi that failed has no error in the header of its reply.
 *
 * | result | type | body |
 * |---|---|---|
 * | create, create2 | 1 | ustring path |
 * | delete, check | 2, 13 | – |
 * | setData | 5 | Stat |
 * | error | −1 | i32 err, as in the header |
 *
 * @source ZooKeeper `MultiOperationRecord`, `MultiResponse`
 */
import { ZOO_ERRORS } from "../../../errors.ts";
import type { ChangeResult, MultiRequestOp, WriteRequest, WriteResult } from "../../../znode/types.ts";
import { type ByteReader, WireError } from "../../reader.ts";
import { MULTI_OPS_MAX } from "../../txn-body.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import type { ReplyWriter, RequestWriter, ResultWriter, WriteCodec } from "./op.ts";
import { PART_READERS, PART_WRITERS, RESULT_READERS, RESULT_WRITERS } from "./parts.ts";

type MultiRequest = Extract<WriteRequest, { type: "multi" }>;
type MultiResult = Extract<WriteResult, { type: "multi" }>;

/** What a header carries in a request, and in the one that ends a list. */
const NO_ERROR_FIELD = -1;

/** multi */
export const multi: WriteCodec & RequestWriter<MultiRequest> & ReplyWriter<MultiResult> = {
  kind: "write",
  opcodeOf: () => OpCode.MULTI,

  writeRequest(writer: ByteWriter, { ops }: MultiRequest): void {
    for (const op of ops) {
      const part: RequestWriter = PART_WRITERS[op.type];
      writeMultiHeader(writer, part.opcodeOf(op), false, NO_ERROR_FIELD);
      part.writeRequest(writer, op);
    }
    writeMultiHeader(writer, -1, true, NO_ERROR_FIELD);
  },

  /** @throws WireError also for operations that cannot be part of a multi, and for a list that does not end */
  readRequest(reader: ByteReader): MultiRequest {
    const ops: MultiRequestOp[] = [];
    for (;;) {
      const type = reader.i32();
      const done = reader.bool();
      reader.i32();
      if (done) return { type: "multi", ops };
      if (ops.length === MULTI_OPS_MAX)
        throw new WireError(`a multi of more than ${MULTI_OPS_MAX} operations`);
      const part = PART_READERS.get(type);
      if (part === undefined) throw new WireError(`operation ${type} cannot be part of a multi`);
      ops.push(part.readPart(reader, type));
    }
  },

  writeReply(writer: ByteWriter, { results }: MultiResult): void {
    for (const result of results) {
      const part: ResultWriter = RESULT_WRITERS[result.type];
      const err = result.type === "error" ? ZOO_ERRORS[result.code].number : 0;
      writeMultiHeader(writer, part.resultType, false, err);
      part.writeResult(writer, result);
    }
    writeMultiHeader(writer, -1, true, NO_ERROR_FIELD);
  },

  readReply(reader: ByteReader): MultiResult {
    const results: ChangeResult[] = [];
    for (;;) {
      const type = reader.i32();
      const done = reader.bool();
      reader.i32();
      if (done) return { type: "multi", results };
      const part = RESULT_READERS.get(type);
      if (part === undefined) throw new WireError(`a result of type ${type} is not part of a multi`);
      results.push(part.readResult(reader, type));
    }
  },
};

function writeMultiHeader(writer: ByteWriter, type: number, done: boolean, err: number): void {
  writer.i32(type);
  writer.bool(done);
  writer.i32(err);
}
