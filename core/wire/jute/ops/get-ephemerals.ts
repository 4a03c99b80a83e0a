/** getEphemerals 103: GetEphemeralsRequest {ustring prefixPath} → GetEphemeralsResponse {vector of ustring}. */
import type { ReadRequestOf, ReadResult } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { readNames, writeNames } from "../encoded-names.ts";
import { OpCode } from "../opcodes.ts";
import type { ReadCodec, ReplyWriter, RequestWriter } from "./op.ts";

type GetEphemeralsRequest = ReadRequestOf<"getEphemerals">;
type GetEphemeralsResult = ReadResult<"getEphemerals">;

/** getEphemerals */
export const getEphemerals: ReadCodec &
  RequestWriter<GetEphemeralsRequest> &
  ReplyWriter<GetEphemeralsResult> = {
  kind: "read",
  opcodeOf: () => OpCode.GET_EPHEMERALS,

  writeRequest(writer: ByteWriter, { prefixPath }: GetEphemeralsRequest): void {
    writer.string(prefixPath);
  },

  readRequest(reader: ByteReader): GetEphemeralsRequest {
    return { type: "getEphemerals", prefixPath: reader.string() };
  },

  /** Each list is a new one, so none is worth keeping encoded. */
  writeReply(writer: ByteWriter, { ephemerals }: GetEphemeralsResult): void {
    writeNames(writer, ephemerals);
  },

  readReply(reader: ByteReader): GetEphemeralsResult {
    return { type: "getEphemerals", ephemerals: readNames(reader) };
  },
};
