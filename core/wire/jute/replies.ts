/**
 * Replies: ReplyHeader and, without an error, the record of the operation, which is that of `ops/`.
 * @source ZooKeeper `FinalRequestProcessor`
 */
import { ZOO_ERRORS, type ZooErrorCode, zooErrorOf } from "../../errors.ts";
import type { Zxid } from "../../zab/zxid.ts";
import { type ByteReader, WireError } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";
import { writeNames } from "./encoded-names.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { writeReplyHeader } from "./header.ts";
import type { NamesWriter, Reply, ReplyBody, ReplyWriter } from "./ops/op.ts";
import { opOf, REPLY_WRITERS } from "./ops/table.ts";

const PLAIN_NAMES: NamesWriter = { write: writeNames };

/** Writes one frame. `opcode` is the request's: getChildren and getChildren2 differ in nothing else. */
export function writeReply(
  writer: ByteWriter,
  xid: number,
  zxid: Zxid,
  opcode: number,
  body: ReplyBody,
  names: NamesWriter = PLAIN_NAMES,
): void {
  const op: ReplyWriter = REPLY_WRITERS[body.type];
  const at = beginFrame(writer);
  writeReplyHeader(writer, xid, zxid, body.type === "error" ? ZOO_ERRORS[body.code].number : 0);
  op.writeReply(writer, body, opcode, names);
  endFrame(writer, at);
}

/** Writes one frame: a header alone. `code` OK answers a ping, setWatches or closeSession. */
export function writeBareReply(writer: ByteWriter, xid: number, zxid: Zxid, code: ZooErrorCode): void {
  const at = beginFrame(writer);
  writeReplyHeader(writer, xid, zxid, ZOO_ERRORS[code].number);
  endFrame(writer, at);
}

/**
 * Reads what follows a ReplyHeader. Data are views of the message.
 * @param opcode of the request that it answers
 * @param err the header's
 * @throws WireError
 */
export function readReply(reader: ByteReader, opcode: number, err: number): Reply {
  if (err !== 0) return { type: "error", code: zooErrorOf(err) };
  const op = opOf(opcode);
  if (!("readReply" in op)) throw new WireError(`operation ${opcode} has no reply`);
  return op.readReply(reader, opcode);
}
