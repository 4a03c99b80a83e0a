/** getData 4: GetDataRequest {ustring path, bool watch} → GetDataResponse {buffer data, Stat}. */
import type { ReadRequestOf, ReadResult } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import { readStat, writeStat } from "../stat.ts";
import type { ReadCodec, ReplyWriter, RequestWriter } from "./op.ts";

type GetDataRequest = ReadRequestOf<"getData">;
type GetDataResult = ReadResult<"getData">;

/** getData */
export const getData: ReadCodec & RequestWriter<GetDataRequest> & ReplyWriter<GetDataResult> = {
  kind: "read",
  opcodeOf: () => OpCode.GET_DATA,

  writeRequest(writer: ByteWriter, { path, watch }: GetDataRequest): void {
    writer.string(path);
    writer.bool(watch);
  },

  readRequest(reader: ByteReader): GetDataRequest {
    return { type: "getData", path: reader.string(), watch: reader.bool() };
  },

  writeReply(writer: ByteWriter, { data, stat }: GetDataResult): void {
    writer.buffer(data);
    writeStat(writer, stat);
  },

  readReply(reader: ByteReader): GetDataResult {
    return { type: "getData", data: reader.buffer(), stat: readStat(reader) };
  },
};
