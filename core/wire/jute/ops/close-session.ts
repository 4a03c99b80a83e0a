/** closeSession −11: nothing → nothing. */
import type { WriteRequest, WriteResult } from "../../../znode/types.ts";
import { OpCode } from "../opcodes.ts";
import { type ReplyWriter, type RequestWriter, type WriteCodec, writeNothing } from "./op.ts";

type CloseSession = Extract<WriteRequest, { type: "closeSession" }>;
type CloseSessionResult = Extract<WriteResult, { type: "closeSession" }>;

/** closeSession */
export const closeSession: WriteCodec & RequestWriter<CloseSession> & ReplyWriter<CloseSessionResult> = {
  kind: "write",
  opcodeOf: () => OpCode.CLOSE_SESSION,
  writeRequest: writeNothing,
  readRequest: (): CloseSession => ({ type: "closeSession" }),
  writeReply: writeNothing,
  readReply: (): CloseSessionResult => ({ type: "closeSession" }),
};
