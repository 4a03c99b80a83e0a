/** The ops that may be part of a multi. One without a line where its type is asked for does not compile. */
import type { ChangeResult, MultiRequestOp } from "../../../znode/types.ts";
import { OpCode } from "../opcodes.ts";
import { check } from "./check.ts";
import { create } from "./create.ts";
import { createContainer } from "./create-container.ts";
import { createTtl } from "./create-ttl.ts";
import { deleteOp } from "./delete.ts";
import { error } from "./error.ts";
import type { PartReader, RequestWriter, ResultReader, ResultWriter } from "./op.ts";
import { setData } from "./set-data.ts";

/** *map opcode → how the operation is read*; any other opcode makes the multi undecodable */
export const PART_READERS: ReadonlyMap<number, PartReader> = new Map<number, PartReader>([
  [OpCode.CREATE, create],
  [OpCode.CREATE2, create],
  [OpCode.CREATE_CONTAINER, createContainer],
  [OpCode.CREATE_TTL, createTtl],
  [OpCode.DELETE, deleteOp],
  [OpCode.SET_DATA, setData],
  [OpCode.CHECK, check],
]);

/** How an operation is written, by its type. */
export const PART_WRITERS: {
  readonly [T in MultiRequestOp["type"]]: RequestWriter<Extract<MultiRequestOp, { type: T }>>;
} = { create, delete: deleteOp, setData, check, refused: error };

/** How a result is written, by its type. */
export const RESULT_WRITERS: {
  readonly [T in ChangeResult["type"]]: ResultWriter<Extract<ChangeResult, { type: T }>>;
} = { create, delete: deleteOp, setData, check, error };

/** *map type on the wire → how the result is read* */
export const RESULT_READERS: ReadonlyMap<number, ResultReader> = new Map<number, ResultReader>([
  [OpCode.CREATE, create],
  [OpCode.CREATE2, create],
  [OpCode.DELETE, deleteOp],
  [OpCode.SET_DATA, setData],
  [OpCode.CHECK, check],
  [OpCode.ERROR, error],
]);
