/** createContainer 19: CreateRequest. There are no containers yet: it is refused. */
import type { MultiRequestOp } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import { create } from "./create.ts";
import type { PartReader, WriteCodec } from "./op.ts";
import { unbuiltWrite } from "./unbuilt.ts";

/** Refused. In a multi it is read, so that the operations behind it are found. */
export const createContainer: WriteCodec & PartReader = {
  ...unbuiltWrite,

  readPart(reader: ByteReader, opcode: number): MultiRequestOp {
    create.readPart(reader, opcode);
    return { type: "refused", code: "UNIMPLEMENTED" };
  },
};
