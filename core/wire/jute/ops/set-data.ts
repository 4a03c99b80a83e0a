/** setData 5: SetDataRequest {ustring path, buffer data, i32 version} → SetDataResponse {Stat}. */
import type { ChangeRequest, ChangeResult } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import { readStat, writeStat } from "../stat.ts";
import type { PartReader, ReplyWriter, RequestWriter, ResultReader, ResultWriter, WriteCodec } from "./op.ts";

type SetDataRequest = Extract<ChangeRequest, { type: "setData" }>;
type SetDataResult = Extract<ChangeResult, { type: "setData" }>;

/** setData */
export const setData: WriteCodec &
  RequestWriter<SetDataRequest> &
  ReplyWriter<SetDataResult> &
  PartReader &
  ResultWriter<SetDataResult> &
  ResultReader = {
  kind: "write",
  opcodeOf: () => OpCode.SET_DATA,

  writeRequest(writer: ByteWriter, { path, data, version }: SetDataRequest): void {
    writer.string(path);
    writer.buffer(data);
    writer.i32(version);
  },

  readRequest,
  writeReply: writeResult,
  readReply: readResult,
  readPart: readRequest,
  resultType: OpCode.SET_DATA,
  writeResult,
  readResult,
};

function readRequest(reader: ByteReader): SetDataRequest {
  return { type: "setData", path: reader.string(), data: reader.buffer(), version: reader.i32() };
}

function writeResult(writer: ByteWriter, { stat }: SetDataResult): void {
  writeStat(writer, stat);
}

function readResult(reader: ByteReader): SetDataResult {
  return { type: "setData", stat: readStat(reader) };
}
