/**
 * Replies: ReplyHeader and, without an error, the record of the operation.
 *
 * | operation | record |
 * |---|---|
 * | create | ustring path |
 * | create2 | ustring path, Stat |
 * | setData, exists | Stat |
 * | getData | buffer data, Stat |
 * | getChildren | vector of ustring |
 * | getChildren2 | vector of ustring, Stat |
 * | sync | ustring path |
 * | multi | see `multi.ts`; a multi that failed has no error in its header |
 * | delete, closeSession, ping, setWatches | – |
 *
 * @source ZooKeeper `FinalRequestProcessor`
 */
import { ZOO_ERRORS, type ZooErrorCode, zooErrorOf } from "../../errors.ts";
import type { Zxid } from "../../zab/zxid.ts";
import type { ReadOutcome, Stat, WriteResult } from "../../znode/types.ts";
import { type ByteReader, WireError } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";
import { writeNames } from "./encoded-names.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { writeReplyHeader } from "./header.ts";
import { readMultiResponse, writeMultiResponse } from "./multi.ts";
import { OpCode } from "./opcodes.ts";
import { readStat, writeStat } from "./stat.ts";

/** Writes one frame. `opcode` is the request's: getChildren and getChildren2 differ in nothing else. */
export function writeReply(
  writer: ByteWriter,
  xid: number,
  zxid: Zxid,
  opcode: number,
  result: WriteResult | ReadOutcome | { readonly type: "setWatches" },
  names: NamesWriter = PLAIN_NAMES,
): void {
  const at = beginFrame(writer);
  writeReplyHeader(writer, xid, zxid, result.type === "error" ? ZOO_ERRORS[result.code].number : 0);
  writeRecord(writer, opcode, result, names);
  endFrame(writer, at);
}

/** How lists of children are written. */
export interface NamesWriter {
  write(writer: ByteWriter, names: readonly string[]): void;
}

const PLAIN_NAMES: NamesWriter = { write: writeNames };

function writeRecord(
  writer: ByteWriter,
  opcode: number,
  result: Parameters<typeof writeReply>[4],
  names: NamesWriter,
): void {
  switch (result.type) {
    case "setData":
    case "exists":
      writeStat(writer, result.stat);
      return;
    case "create":
      writer.string(result.path);
      if (result.stat !== null) writeStat(writer, result.stat);
      return;
    case "getData":
      writer.buffer(result.data);
      writeStat(writer, result.stat);
      return;
    case "getChildren":
      names.write(writer, result.children);
      if (opcode === OpCode.GET_CHILDREN2) writeStat(writer, result.stat);
      return;
    case "multi":
      writeMultiResponse(writer, result.results);
      return;
    case "sync":
      writer.string("/");
      return;
    case "delete":
    case "check":
    case "createSession":
    case "closeSession":
    case "setWatches":
    case "error":
      return;
  }
}

/** Writes one frame: the reply of a sync, which echoes the path. */
export function writeSyncReply(writer: ByteWriter, xid: number, zxid: Zxid, path: string): void {
  const at = beginFrame(writer);
  writeReplyHeader(writer, xid, zxid, 0);
  writer.string(path);
  endFrame(writer, at);
}

/** Writes one frame: a header alone. `code` OK answers a ping, setWatches or closeSession. */
export function writeBareReply(writer: ByteWriter, xid: number, zxid: Zxid, code: ZooErrorCode): void {
  const at = beginFrame(writer);
  writeReplyHeader(writer, xid, zxid, ZOO_ERRORS[code].number);
  endFrame(writer, at);
}

/** What a client reads. getChildren without its Stat gives the names alone. */
export type Reply =
  | WriteResult
  | Exclude<ReadOutcome, { type: "getChildren" }>
  | { readonly type: "getChildren"; readonly children: readonly string[]; readonly stat: Stat | null }
  | { readonly type: "empty" };

/**
 * Reads what follows a ReplyHeader. Data are views of the message.
 * @param opcode of the request that it answers
 * @param err the header's
 * @throws WireError
 */
export function readReply(reader: ByteReader, opcode: number, err: number): Reply {
  if (err !== 0) return { type: "error", code: zooErrorOf(err) };
  switch (opcode) {
    case OpCode.SET_DATA:
      return { type: "setData", stat: readStat(reader) };
    case OpCode.CREATE:
      return { type: "create", path: reader.string(), stat: null };
    case OpCode.CREATE2:
      return { type: "create", path: reader.string(), stat: readStat(reader) };
    case OpCode.DELETE:
      return { type: "delete" };
    case OpCode.EXISTS:
      return { type: "exists", stat: readStat(reader) };
    case OpCode.GET_DATA:
      return { type: "getData", data: reader.buffer(), stat: readStat(reader) };
    case OpCode.GET_CHILDREN:
      return { type: "getChildren", children: readNames(reader), stat: null };
    case OpCode.GET_CHILDREN2:
      return { type: "getChildren", children: readNames(reader), stat: readStat(reader) };
    case OpCode.MULTI:
      return { type: "multi", results: readMultiResponse(reader) };
    case OpCode.SYNC:
      reader.string();
      return { type: "sync" };
    case OpCode.CLOSE_SESSION:
      return { type: "closeSession" };
    case OpCode.PING:
    case OpCode.SET_WATCHES:
      return { type: "empty" };
    default:
      throw new WireError(`nobody asked for operation ${opcode}`);
  }
}

function readNames(reader: ByteReader): string[] {
  const count = reader.count(4);
  const names: string[] = [];
  for (let i = 0; i < count; i++) names.push(reader.string());
  return names;
}
