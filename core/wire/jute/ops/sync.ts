/** sync 9: SyncRequest {ustring path} → SyncResponse {ustring path}, the path of the request. */
import type { WriteRequest, WriteResult } from "../../../znode/types.ts";
import { type ByteReader, WireError } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import type { ReplyBody, ReplyWriter, RequestWriter, WriteCodec } from "./op.ts";

type SyncRequest = Extract<WriteRequest, { type: "sync" }>;
type SyncBody = Extract<ReplyBody, { type: "sync" }>;

/** The path of a sync that names none. */
export const SYNC_PATH = "/";

/** sync. Whatever path it names, it is a barrier for the whole tree. */
export const sync: WriteCodec & RequestWriter<SyncRequest> & ReplyWriter<SyncBody> = {
  kind: "write",
  opcodeOf: () => OpCode.SYNC,

  writeRequest(writer: ByteWriter): void {
    writer.string(SYNC_PATH);
  },

  /** The path is for the reply alone, which the member writes that took the request: see {@link readSyncPath}. */
  readRequest(reader: ByteReader): SyncRequest {
    reader.string();
    return { type: "sync" };
  },

  writeReply(writer: ByteWriter, { path }: SyncBody): void {
    writer.string(path);
  },

  readReply(reader: ByteReader): Extract<WriteResult, { type: "sync" }> {
    reader.string();
    return { type: "sync" };
  },
};

/** Reads the path of a SyncRequest; undefined when it cannot be read: the leader refuses the request then. */
export function readSyncPath(reader: ByteReader): string | undefined {
  try {
    return reader.string();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
