/** createSession −10: {i32 timeoutMs}. No client sends it: the handshake opens a session. */
import type { WriteRequest, WriteResult } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { OpCode } from "../opcodes.ts";
import { type OpCodec, type ReplyWriter, type RequestWriter, writeNothing } from "./op.ts";

type CreateSessionRequest = Extract<WriteRequest, { type: "createSession" }>;
type CreateSessionResult = Extract<WriteResult, { type: "createSession" }>;

/** createSession. The handshake is its reply. */
export const createSession: Extract<OpCodec, { kind: "internal" }> &
  RequestWriter<CreateSessionRequest> &
  ReplyWriter<CreateSessionResult> = {
  kind: "internal",
  opcodeOf: () => OpCode.CREATE_SESSION,

  writeRequest(writer: ByteWriter, { timeoutMs }: CreateSessionRequest): void {
    writer.i32(timeoutMs);
  },

  readRequest(reader: ByteReader): CreateSessionRequest {
    return { type: "createSession", timeoutMs: reader.i32() };
  },

  writeReply: writeNothing,
};
