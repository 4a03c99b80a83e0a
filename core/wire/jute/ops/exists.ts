/** exists 3: ExistsRequest {ustring path, bool watch} → ExistsResponse {Stat}. */
import type { ReadRequestOf, ReadResult } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import { readStat, writeStat } from "../stat.ts";
import type { ReadCodec, ReplyWriter, RequestWriter } from "./op.ts";

type ExistsRequest = ReadRequestOf<"exists">;
type ExistsResult = ReadResult<"exists">;

/** exists */
export const exists: ReadCodec & RequestWriter<ExistsRequest> & ReplyWriter<ExistsResult> = {
  kind: "read",
  opcodeOf: () => OpCode.EXISTS,

  writeRequest(writer: ByteWriter, { path, watch }: ExistsRequest): void {
    writer.string(path);
    writer.bool(watch);
  },

  readRequest(reader: ByteReader): ExistsRequest {
    return { type: "exists", path: reader.string(), watch: reader.bool() };
  },

  writeReply(writer: ByteWriter, { stat }: ExistsResult): void {
    writeStat(writer, stat);
  },

  readReply(reader: ByteReader): ExistsResult {
    return { type: "exists", stat: readStat(reader) };
  },
};
