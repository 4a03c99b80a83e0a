/**
 * Multi: operations, each led by a MultiHeader (i32 type, bool done, i32 err), and a last header with done set.
 *
 * | result | type | body |
 * |---|---|---|
 * | create, create2 | 1 | ustring path |
 * | delete, check | 2, 13 | – |
 * | setData | 5 | Stat |
 * | error | −1 | i32 err, as in the header |
 *
 * @source ZooKeeper `MultiOperationRecord`, `MultiResponse`
 */
import { ZOO_ERRORS, zooErrorOf } from "../../errors.ts";
import type { ChangeResult, MultiRequestOp } from "../../znode/types.ts";
import { type ByteReader, WireError } from "../reader.ts";
import { MULTI_OPS_MAX } from "../txn-codec.ts";
import type { ByteWriter } from "../writer.ts";
import {
  FLAG_TTL,
  FLAG_TTL_SEQUENTIAL,
  opcodeOfChange,
  readCheck,
  readCreate,
  readDelete,
  readSetData,
  writeChange,
} from "./change.ts";
import { OpCode } from "./opcodes.ts";
import { readStat, writeStat } from "./stat.ts";

/** What a header carries in a request, and in the one that ends a list. */
const NO_ERROR_FIELD = -1;

function writeMultiHeader(writer: ByteWriter, type: number, done: boolean, err: number): void {
  writer.i32(type);
  writer.bool(done);
  writer.i32(err);
}

export function writeMultiRequest(writer: ByteWriter, ops: readonly MultiRequestOp[]): void {
  for (const op of ops) {
    writeMultiHeader(writer, opcodeOfChange(op), false, NO_ERROR_FIELD);
    writeChange(writer, op);
  }
  writeMultiHeader(writer, -1, true, NO_ERROR_FIELD);
}

/** @throws WireError also for operations that cannot be part of a multi, and for a list that does not end */
export function readMultiRequest(reader: ByteReader): MultiRequestOp[] {
  const ops: MultiRequestOp[] = [];
  for (;;) {
    const type = reader.i32();
    const done = reader.bool();
    reader.i32();
    if (done) return ops;
    if (ops.length === MULTI_OPS_MAX) throw new WireError(`a multi of more than ${MULTI_OPS_MAX} operations`);
    ops.push(readOp(reader, type));
  }
}

function readOp(reader: ByteReader, type: number): MultiRequestOp {
  switch (type) {
    case OpCode.CREATE:
    case OpCode.CREATE2:
      return readCreateOp(reader, type === OpCode.CREATE2);
    case OpCode.CREATE_CONTAINER:
      readCreateOp(reader, false);
      return { type: "refused", code: "UNIMPLEMENTED" };
    case OpCode.CREATE_TTL:
      readCreate(reader, false, undefined);
      reader.i64();
      return { type: "refused", code: "UNIMPLEMENTED" };
    case OpCode.DELETE:
      return readDelete(reader);
    case OpCode.SET_DATA:
      return readSetData(reader);
    case OpCode.CHECK:
      return readCheck(reader);
    default:
      throw new WireError(`operation ${type} cannot be part of a multi`);
  }
}

/** Here the flag decides alone, and one that promises a TTL makes the record another one: it cannot be decoded. */
function readCreateOp(reader: ByteReader, withStat: boolean): MultiRequestOp {
  const { op, flags } = readCreate(reader, withStat, undefined);
  if (flags === FLAG_TTL || flags === FLAG_TTL_SEQUENTIAL)
    throw new WireError("a create with a TTL flag and no TTL");
  return op;
}

export function writeMultiResponse(writer: ByteWriter, results: readonly ChangeResult[]): void {
  for (const result of results) writeResult(writer, result);
  writeMultiHeader(writer, -1, true, NO_ERROR_FIELD);
}

function writeResult(writer: ByteWriter, result: ChangeResult): void {
  switch (result.type) {
    case "create":
      writeMultiHeader(writer, OpCode.CREATE, false, 0);
      writer.string(result.path);
      return;
    case "delete":
      writeMultiHeader(writer, OpCode.DELETE, false, 0);
      return;
    case "setData":
      writeMultiHeader(writer, OpCode.SET_DATA, false, 0);
      writeStat(writer, result.stat);
      return;
    case "check":
      writeMultiHeader(writer, OpCode.CHECK, false, 0);
      return;
    case "error": {
      const { number } = ZOO_ERRORS[result.code];
      writeMultiHeader(writer, OpCode.ERROR, false, number);
      writer.i32(number);
    }
  }
}

/** @throws WireError */
export function readMultiResponse(reader: ByteReader): ChangeResult[] {
  const results: ChangeResult[] = [];
  for (;;) {
    const type = reader.i32();
    const done = reader.bool();
    reader.i32();
    if (done) return results;
    results.push(readResult(reader, type));
  }
}

function readResult(reader: ByteReader, type: number): ChangeResult {
  switch (type) {
    case OpCode.CREATE:
      return { type: "create", path: reader.string(), stat: null };
    case OpCode.CREATE2:
      return { type: "create", path: reader.string(), stat: readStat(reader) };
    case OpCode.DELETE:
      return { type: "delete" };
    case OpCode.SET_DATA:
      return { type: "setData", stat: readStat(reader) };
    case OpCode.CHECK:
      return { type: "check" };
    case OpCode.ERROR:
      return { type: "error", code: zooErrorOf(reader.i32()) };
    default:
      throw new WireError(`a result of type ${type} is not part of a multi`);
  }
}
