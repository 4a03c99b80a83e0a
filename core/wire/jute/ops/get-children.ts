/**
 * getChildren 8: GetChildrenRequest {ustring path, bool watch} → GetChildrenResponse {vector of ustring}.
 * getChildren2 12: the same → GetChildren2Response {vector of ustring, Stat}.
 */
import type { ReadRequestOf, ReadResult } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { readNames } from "../encoded-names.ts";
import { OpCode } from "../opcodes.ts";
import { readStat, writeStat } from "../stat.ts";
import type { NamesWriter, ReadCodec, Reply, ReplyWriter, RequestWriter } from "./op.ts";

type GetChildrenRequest = ReadRequestOf<"getChildren">;
type GetChildrenResult = ReadResult<"getChildren">;

/** getChildren and getChildren2 */
export const getChildren: ReadCodec & RequestWriter<GetChildrenRequest> & ReplyWriter<GetChildrenResult> = {
  kind: "read",

  opcodeOf({ withStat }: GetChildrenRequest): OpCode {
    return withStat ? OpCode.GET_CHILDREN2 : OpCode.GET_CHILDREN;
  },

  writeRequest(writer: ByteWriter, { path, watch }: GetChildrenRequest): void {
    writer.string(path);
    writer.bool(watch);
  },

  readRequest(reader: ByteReader, opcode: number): GetChildrenRequest {
    const withStat = opcode === OpCode.GET_CHILDREN2;
    return { type: "getChildren", path: reader.string(), watch: reader.bool(), withStat };
  },

  writeReply(writer: ByteWriter, result: GetChildrenResult, opcode: number, names: NamesWriter): void {
    names.write(writer, result.children);
    if (opcode === OpCode.GET_CHILDREN2) writeStat(writer, result.stat);
  },

  readReply(reader: ByteReader, opcode: number): Reply {
    const children = readNames(reader);
    return { type: "getChildren", children, stat: opcode === OpCode.GET_CHILDREN2 ? readStat(reader) : null };
  },
};
