/** Ops of ZooKeeper that are not supported. */
import { type ByteReader, WireError } from "../../reader.ts";
import type { DecodedWrite, OpCodec, Reply, WriteCodec } from "./op.ts";

/** A write that the leader refuses without decoding its record; the refusal has a zxid like any txn. */
export const unbuiltWrite: WriteCodec = {
  kind: "write",

  readRequest(): DecodedWrite {
    return { code: "UNIMPLEMENTED" };
  },

  readReply(_reader: ByteReader, opcode: number): Reply {
    throw new WireError(`operation ${opcode} has no reply`);
  },
};

/** A read that is refused. */
export const unbuiltRead: OpCodec = { kind: "refused", code: "UNIMPLEMENTED" };

/** The server answers UNIMPLEMENTED and ends the connection. */
export const unknown: OpCodec = { kind: "unknown" };
