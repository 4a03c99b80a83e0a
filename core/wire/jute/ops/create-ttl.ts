/** createTTL 21: CreateTTLRequest, which is a CreateRequest and i64 ttl. There are no TTLs yet: it is refused. */
import type { MultiRequestOp } from "../../../znode/types.ts";
import type { ByteReader } from "../../reader.ts";
import { readCreate } from "./create.ts";
import type { PartReader, WriteCodec } from "./op.ts";
import { unbuiltWrite } from "./unbuilt.ts";

/** Refused. In a multi it is read, so that the operations behind it are found. */
export const createTtl: WriteCodec & PartReader = {
  ...unbuiltWrite,

  readPart(reader: ByteReader): MultiRequestOp {
    readCreate(reader, false, undefined);
    reader.i64();
    return { type: "refused", code: "UNIMPLEMENTED" };
  },
};
